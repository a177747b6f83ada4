//! WhatsApp sessions in the state database.

use super::fixtures::LEASE;
use crate::harness::database::TestState;
use kabari::session_key::SessionKey;
use kabari::store::state::SessionKind;
use kabari::store::{SessionLease, StateStore, StoreError};
use kabari_gateway::{Change, Entry, SessionStore, SessionStoreError};
use std::sync::Arc;

on_both_engines!(
    a_batch_is_read_back_by_whoever_holds_the_session_next,
    another_key_is_an_error_and_no_empty_session,
    large_batches_are_written_whole,
    what_has_expired_goes_and_a_wipe_takes_the_rest,
    whoever_lost_the_session_writes_nothing,
);

const COLLECTION: &str = "sessions";
const SESSION: &str = "default";

fn put(key: impl Into<Vec<u8>>, value: &str, stamp: i64) -> Change {
    let entry = Entry { key: key.into(), value: value.into() };
    Change::Put { collection: COLLECTION, entry, stamp }
}

async fn hold(state: &StateStore, session: &str, node: &str) -> SessionLease {
    state.create_session(session, SessionKind::Embedded).await.unwrap();
    state.hold_session(session, SessionKind::Embedded, node, LEASE).await.unwrap().unwrap()
}

async fn open(state: &StateStore, node: &str, key: &SessionKey) -> Arc<dyn SessionStore> {
    let lease = hold(state, SESSION, node).await;
    state.session_store(&lease, key).await.unwrap()
}

async fn read(store: &Arc<dyn SessionStore>, key: &str) -> Option<String> {
    let found = store.read(&[(COLLECTION, key.into())]).await.unwrap();
    found.into_iter().next().map(|(_, entry)| String::from_utf8(entry.value).unwrap())
}

async fn a_batch_is_read_back_by_whoever_holds_the_session_next(test: TestState) {
    let key = SessionKey::random();
    let first = open(&test.state, "a", &key).await;
    first.write(&[put("one", "1", 0), put("two", "2", 0)]).await.unwrap();
    let delete = Change::Delete { collection: COLLECTION, key: "two".into() };
    first.write(&[put("one", "changed", 0), delete]).await.unwrap();

    test.clock.advance(LEASE);
    let second = open(&test.another_node().await, "b", &key).await;
    assert_eq!(read(&second, "one").await.as_deref(), Some("changed"));
    assert_eq!(read(&second, "two").await, None);
    let all = second.read_all(COLLECTION).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.key.as_slice()).collect::<Vec<_>>(), [b"one"]);
    assert!(second.read_all("identities").await.unwrap().is_empty());

    // Another session has the same keys, and none of these entries.
    let north = hold(&test.state, "north", "b").await;
    let north = test.state.session_store(&north, &key).await.unwrap();
    assert_eq!(read(&north, "one").await, None);
}

async fn whoever_lost_the_session_writes_nothing(test: TestState) {
    let key = SessionKey::random();
    let first = open(&test.state, "a", &key).await;
    first.write(&[put("one", "of a", 5)]).await.unwrap();
    test.clock.advance(LEASE);
    first.write(&[]).await.expect("nobody has taken it yet");

    let second = open(&test.another_node().await, "b", &key).await;
    let fenced = Err(SessionStoreError::Fenced);
    assert_eq!(first.write(&[put("one", "of a, late", 5)]).await, fenced);
    assert_eq!(first.write(&[]).await, fenced);
    assert_eq!(first.expire(COLLECTION, 9).await.map(|_| ()), fenced);
    assert_eq!(first.wipe().await, fenced);
    assert_eq!(read(&second, "one").await.as_deref(), Some("of a"));
    second.write(&[put("one", "of b", 5)]).await.unwrap();

    // The same node again is another holder too: what it left running counts no more.
    test.clock.advance(LEASE);
    let third = open(&test.state, "b", &key).await;
    assert_eq!(second.write(&[put("one", "of b, late", 5)]).await, fenced);
    third.write(&[put("one", "of b again", 5)]).await.unwrap();
}

/// 812 one-time keys, and one parameter limit of SQLite.
async fn large_batches_are_written_whole(test: TestState) {
    const KEYS: u32 = 2000;
    let store = open(&test.state, "a", &SessionKey::random()).await;
    let keys: Vec<Vec<u8>> = (0..KEYS).map(|id| id.to_be_bytes().to_vec()).collect();
    let puts: Vec<Change> = keys.iter().map(|key| put(key.clone(), "a key", 0)).collect();
    store.write(&puts).await.unwrap();
    let named: Vec<_> = keys.iter().map(|key| (COLLECTION, key.clone())).collect();
    assert_eq!(store.read(&named).await.unwrap().len(), keys.len());
    let deletes: Vec<Change> = keys[1..]
        .iter()
        .map(|key| Change::Delete { collection: COLLECTION, key: key.clone() })
        .collect();
    store.write(&deletes).await.unwrap();
    assert_eq!(store.read_all(COLLECTION).await.unwrap().len(), 1);

    let large = "x".repeat(200 * 1024);
    store.write(&[put("large", &large, 0)]).await.unwrap();
    assert_eq!(read(&store, "large").await, Some(large));
}

async fn what_has_expired_goes_and_a_wipe_takes_the_rest(test: TestState) {
    let key = SessionKey::random();
    let store = open(&test.state, "a", &key).await;
    store.write(&[put("old", "", 10), put("new", "", 20), put("stays", "", 0)]).await.unwrap();
    assert_eq!(store.expire("identities", 20).await, Ok(0));
    assert_eq!(store.expire(COLLECTION, 20).await, Ok(1));
    assert_eq!(read(&store, "old").await, None);
    assert!(test.state.has_session_entries(SESSION).await.unwrap());
    store.wipe().await.unwrap();
    assert!(!test.state.has_session_entries(SESSION).await.unwrap());
}

async fn another_key_is_an_error_and_no_empty_session(test: TestState) {
    let key = SessionKey::random();
    let lease = hold(&test.state, SESSION, "a").await;
    let store = test.state.session_store(&lease, &key).await.unwrap();
    let other = SessionKey::random();
    test.state.check_session_key(&other).await.expect("nothing is stored yet");
    store.write(&[put("one", "1", 0)]).await.unwrap();

    test.state.check_session_key(&key).await.unwrap();
    for refused in [
        test.state.check_session_key(&other).await.unwrap_err(),
        test.state.session_store(&lease, &other).await.unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::WrongSessionKey), "{refused:?}");
        assert!(refused.to_string().contains("SESSION_KEY"), "{refused}");
    }
}
