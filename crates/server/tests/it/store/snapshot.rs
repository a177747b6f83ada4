//! The whole state as rows: what is read from one database stands in another, of either engine.

use super::fixtures::*;
use crate::harness::database::{Engine, START, TestState};
use kabari::session_key::SessionKey;
use kabari::store::StoreError;
use kabari::store::state::{Begin, Piece, Restored};
use kabari_domain::DeliveryState;
use kabari_gateway::{Change, Entry, SessionStoreError};

on_both_engines!(
    everything_stands_in_a_database_of_either_engine,
    who_held_a_session_before_writes_nothing_after,
    only_an_empty_database_takes_a_snapshot,
);

async fn pieces(test: &TestState) -> Vec<Piece> {
    let mut pieces = vec![];
    let taken = test.state.snapshot(|piece| {
        pieces.push(piece);
        Ok::<_, StoreError>(())
    });
    taken.await.unwrap();
    pieces
}

async fn restore(
    into: &TestState,
    pieces: Vec<Piece>,
    nothing_sent_since: bool,
) -> Result<Restored, StoreError> {
    let mut pieces = pieces.into_iter();
    into.state.restore(|| Ok(pieces.next()), nothing_sent_since).await
}

fn entry(collection: &'static str, key: &[u8]) -> Change {
    let entry = Entry { key: key.to_vec(), value: vec![0, 255, 10] };
    Change::Put { collection, entry, stamp: 0 }
}

async fn everything_stands_in_a_database_of_either_engine(test: TestState) {
    let (state, key) = (&test.state, SessionKey::random());
    let lease = hold(state, NODE).await;
    let session = state.session_store(&lease, &key).await.unwrap();
    session.write(&[entry("identities", b"a"), entry("sessions", b"a")]).await.unwrap();
    // More than are read at once.
    let campaign = create(state, new_campaign(), recipients(1200)).await;
    state.wrote(&sender(), &[(recipient(1).phone.unwrap(), START)]).await.unwrap();
    let delivery = lease_one(state).await;
    begin(state, &delivery).await;

    let pieces = pieces(&test).await;
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        for nothing_sent_since in [true, false] {
            let other = TestState::open(engine).await;
            let restored = restore(&other, pieces.clone(), nothing_sent_since).await.unwrap();
            let uncertain = if nothing_sent_since { 0 } else { 1200 };
            assert_eq!(restored, Restored { campaigns: 1, deliveries: 1200, uncertain });
            for table in ["deliveries", "contacts", "fingerprints", "sessions"] {
                assert_eq!(other.count(table).await, test.count(table).await, "{table}");
            }
            let (before, after) =
                (state.campaign(campaign).await.unwrap(), other.state.campaign(campaign).await);
            assert_eq!(after.unwrap(), before);
            let now = state_of(&other.state, delivery.id).await;
            let counts = other.state.counts(campaign).await.unwrap();
            if nothing_sent_since {
                assert_eq!(now, DeliveryState::Sending);
                assert_eq!(counts.get(DeliveryState::Queued), 1199);
            } else {
                assert_eq!(counts.get(DeliveryState::Uncertain), 1200);
            }
            let held = hold(&other.state, "node-b").await;
            let session = other.state.session_store(&held, &key).await.unwrap();
            let kept = session.read_all("identities").await.unwrap();
            assert_eq!((kept.len(), kept[0].value.as_slice()), (1, [0, 255, 10].as_slice()));
            assert_eq!(session.read_all("sessions").await.unwrap().len(), 0, "keys are used once");
        }
    }
}

async fn who_held_a_session_before_writes_nothing_after(test: TestState) {
    let (state, key) = (&test.state, SessionKey::random());
    create(state, new_campaign(), recipients(1)).await;
    let mut lease = hold(state, NODE).await;
    let pieces = pieces(&test).await;
    // The old node goes on for a while, on a database that is then replaced by the backup.
    for _ in 0..3 {
        lease = hold(state, NODE).await;
    }
    let delivery = lease_one(state).await;
    test.execute("DELETE FROM campaigns; DELETE FROM deliveries; DELETE FROM sessions;").await;
    restore(&test, pieces, true).await.unwrap();
    let session = state.session_store(&lease, &key).await.unwrap();
    assert_eq!(session.write(&[entry("identities", b"a")]).await, Err(SessionStoreError::Fenced));
    assert_eq!(try_begin(state, &delivery, &lease).await, Begin::SessionLost);
}

async fn only_an_empty_database_takes_a_snapshot(test: TestState) {
    create(&test.state, new_campaign(), recipients(1)).await;
    let pieces = pieces(&test).await;
    let refused = restore(&test, pieces, false).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");
    let empty = TestState::open(Engine::Sqlite).await;
    let damaged = vec![Piece::Table { name: "deliveries; --".to_owned(), columns: vec![] }];
    assert!(restore(&empty, damaged, false).await.is_err());
}
