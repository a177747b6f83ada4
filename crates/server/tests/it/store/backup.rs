//! What a backup has of the state: read from one database, it stands in another, of either engine.

use super::fixtures::*;
use crate::harness::database::{Engine, START, TestState};
use kabari::clock::Clock;
use kabari::session_key::SessionKey;
use kabari::store::state::{Begin, Restored, SessionKind};
use kabari::store::{StateStore, StateTarget, StoreError, TablePart};
use kabari_domain::{DeliveryState, LinkState, Role};
use kabari_gateway::{Change, Entry, SessionStoreError};
use tempfile::TempDir;

on_both_engines!(
    everything_stands_in_a_database_of_either_engine,
    a_backup_is_of_one_moment,
    who_held_a_session_before_writes_nothing_after,
    only_an_empty_database_is_restored_into,
    rows_that_no_backup_has_are_refused,
);

async fn parts(state: &StateStore) -> Vec<TablePart> {
    let mut snapshot = state.snapshot().await.unwrap();
    let mut parts = vec![];
    while let Some(part) = snapshot.next().await.unwrap() {
        parts.push(part);
    }
    parts
}

async fn restore(
    into: &StateStore,
    parts: &[TablePart],
    nothing_sent_since: bool,
) -> Result<Restored, StoreError> {
    let mut restore = into.restore(nothing_sent_since).await?;
    for part in parts {
        restore.write(part.clone()).await?;
    }
    restore.commit().await
}

fn entry(collection: &'static str) -> Change {
    let entry = Entry { key: b"a".to_vec(), value: vec![0, 255, 10] };
    Change::Put { collection, entry, stamp: 0 }
}

async fn everything_stands_in_a_database_of_either_engine(test: TestState) {
    let (state, key) = (&test.state, SessionKey::random());
    let held = hold(state, NODE).await;
    let session = state.session_store(&held, &key).await.unwrap();
    session.write(&[entry("identities"), entry("sessions")]).await.unwrap();
    // More than are read at once.
    let campaign = create(state, new_campaign(), recipients(1200)).await;
    state.wrote(&sender(), &[(recipient(1).phone.unwrap(), START)]).await.unwrap();
    let sent = lease_one(state).await;
    begin(state, &sent).await;
    state.add_user("sari", Role::Admin, "hash").await.unwrap();

    let parts = parts(state).await;
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        for nothing_sent_since in [true, false] {
            let other = TestState::open(engine).await;
            let restored = restore(&other.state, &parts, nothing_sent_since).await.unwrap();
            let uncertain = if nothing_sent_since { 0 } else { 1200 };
            assert_eq!(restored, Restored { campaigns: 1, deliveries: 1200, uncertain });
            for table in ["deliveries", "contacts", "sessions", "users", "audit"] {
                assert_eq!(other.count(table).await, test.count(table).await, "{table}");
            }
            let other = &other.state;
            let before = state.campaign(campaign).await.unwrap();
            assert_eq!(other.campaign(campaign).await.unwrap(), before);
            let counts = other.counts(campaign).await.unwrap();
            if nothing_sent_since {
                assert_eq!(state_of(other, sent.id).await, DeliveryState::Sending);
                assert_eq!(counts.get(DeliveryState::Queued), 1199);
                // Nobody holds it any more.
                let reclaimed = other.reclaim(START, GAP).await.unwrap();
                assert_eq!(
                    (reclaimed, state_of(other, sent.id).await),
                    (1, DeliveryState::RetryWait)
                );
            } else {
                assert_eq!(counts.get(DeliveryState::Uncertain), 1200);
                assert!(lease(other, 10).await.is_empty(), "nothing goes out by itself");
            }
            let next = hold(other, "node-b").await;
            let session = other.session_store(&next, &key).await.unwrap();
            let kept = session.read_all("identities").await.unwrap();
            assert_eq!((kept.len(), kept[0].value.as_slice()), (1, [0, 255, 10].as_slice()));
            assert_eq!(session.read_all("sessions").await.unwrap().len(), 0, "keys are used once");
        }
    }
}

async fn a_backup_is_of_one_moment(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(3)).await;
    let mut snapshot = state.snapshot().await.unwrap();
    let first = snapshot.next().await.unwrap().unwrap();
    assert_eq!((first.table.as_str(), first.rows.len()), ("campaigns", 1));
    // Somebody goes on.
    create(state, new_campaign(), recipients(5)).await;
    let second = snapshot.next().await.unwrap().unwrap();
    assert_eq!((second.table.as_str(), second.rows.len()), ("deliveries", 3));
}

async fn who_held_a_session_before_writes_nothing_after(test: TestState) {
    let (state, key) = (&test.state, SessionKey::random());
    create(state, new_campaign(), recipients(1)).await;
    let mut held = hold(state, NODE).await;
    let parts = parts(state).await;
    // The old node goes on for a while, on a database that is then replaced by the backup.
    for _ in 0..3 {
        held = hold(state, NODE).await;
    }
    let delivery = lease_one(state).await;
    for table in ["campaigns", "deliveries", "sessions", "fingerprints", "audit"] {
        test.execute(&format!("DELETE FROM {table}")).await;
    }
    restore(state, &parts, true).await.unwrap();
    let session = state.session_store(&held, &key).await.unwrap();
    assert_eq!(session.write(&[entry("identities")]).await, Err(SessionStoreError::Fenced));
    assert_eq!(try_begin(state, &delivery, &held).await, Begin::SessionLost);
    assert!(state.renew_sessions(&[held], LEASE).await.unwrap().is_empty());
}

async fn only_an_empty_database_is_restored_into(test: TestState) {
    let state = &test.state;
    state.create_session(SESSION, SessionKind::Embedded).await.unwrap();
    let parts = parts(state).await;
    let refused = restore(state, &parts, false).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotEmpty { .. }), "{refused:?}");
}

async fn rows_that_no_backup_has_are_refused(test: TestState) {
    let state = &test.state;
    let held = hold(state, NODE).await;
    report(state, &held, LinkState::Replaced, &sender()).await;
    create(state, new_campaign(), recipients(1)).await;
    let parts = parts(state).await;
    let other = TestState::open(Engine::Sqlite).await;
    let empty = &other.state;
    let broken: [fn(&mut TablePart); 4] = [
        |part| part.table = "deliveries; DROP TABLE users; --".to_owned(),
        |part| part.columns[0] = "id) SELECT (1".to_owned(),
        |part| part.rows[0].truncate(2),
        |part| part.columns[0] = "nothing".to_owned(),
    ];
    for (at, breaks) in broken.into_iter().enumerate() {
        let mut parts = parts.clone();
        breaks(parts.iter_mut().find(|part| part.table == "deliveries").unwrap());
        assert!(restore(empty, &parts, false).await.is_err(), "{at}");
        assert!(empty.sessions().await.unwrap().is_empty(), "{at}: nothing of it is kept");
    }
    restore(empty, &parts, false).await.unwrap();
    let link = empty.session(SESSION).await.unwrap().unwrap().link;
    assert_eq!(link, LinkState::Starting, "the one that is restored connects");
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_brought_up_to_date() {
    const BEFORE_DRAFTS: i64 = 9;
    let test = TestState::open(Engine::Sqlite).await;
    create(&test.state, new_campaign(), recipients(2)).await;
    let mut parts = parts(&test.state).await;
    let campaigns = parts.iter_mut().find(|part| part.table == "campaigns").unwrap();
    let newer = campaigns.columns.iter().position(|column| column == "traceparent").unwrap();
    campaigns.columns.remove(newer);
    for row in &mut campaigns.rows {
        row.remove(newer);
    }

    let directory = TempDir::new().unwrap();
    let target = StateTarget::Sqlite { path: directory.path().join("state.db") };
    let old = StateStore::open_at(target.clone(), Clock::manual(START), BEFORE_DRAFTS);
    let old = old.await.unwrap();
    assert!(old.create_draft("a", "{}").await.is_err(), "there is no such table yet");
    assert_eq!(restore(&old, &parts, false).await.unwrap().deliveries, 2);
    let state = StateStore::open(target, Clock::manual(START)).await.unwrap();
    assert_eq!(state.counts(1).await.unwrap().get(DeliveryState::Uncertain), 2);
    state.create_draft("a", "{}").await.unwrap();
}
