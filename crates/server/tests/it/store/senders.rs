//! Senders and what is known about numbers.

use super::fixtures::*;
use crate::harness::database::{Engine, TestState};
use kabari::clock::Clock;
use kabari::store::State;
use kabari_domain::Phone;
use std::time::Duration;

on_both_engines!(
    a_number_belongs_to_one_node,
    nobody_waits_for_a_lease_that_a_clock_set_back_has_made_long,
    registrations_are_kept_for_their_time,
    two_nodes_share_one_database,
);

async fn a_number_belongs_to_one_node(test: TestState) {
    let state = &test.state;
    let number = sender();
    let first = state.lease_sender(&number, "a", LEASE).await.unwrap().unwrap();
    assert!(!first.taken_over);
    assert_eq!(state.lease_sender(&number, "b", LEASE).await.unwrap(), None);
    test.clock.advance(LEASE / 2);
    let renewed = state.lease_sender(&number, "a", LEASE).await.unwrap().unwrap();
    assert_eq!(renewed.epoch, first.epoch);
    assert_eq!(renewed.lease_until, test.clock.now() + LEASE);

    test.clock.advance(LEASE);
    let second = state.lease_sender(&number, "b", LEASE).await.unwrap().unwrap();
    assert!(second.taken_over && second.epoch > first.epoch);
    assert_eq!(state.lease_sender(&number, "a", LEASE).await.unwrap(), None);
    state.release_sender(&number, "a").await.unwrap();
    assert_eq!(state.lease_sender(&number, "a", LEASE).await.unwrap(), None, "not a's to release");
    state.release_sender(&number, "b").await.unwrap();
    let third = state.lease_sender(&number, "a", LEASE).await.unwrap().unwrap();
    assert!(third.epoch > second.epoch);
    let [stored] = state.senders().await.unwrap().try_into().unwrap();
    assert_eq!((stored.phone, stored.owner.as_deref()), (number, Some("a")));
}

async fn nobody_waits_for_a_lease_that_a_clock_set_back_has_made_long(test: TestState) {
    let hour = Duration::from_secs(3600);
    let fast = Clock::manual(test.clock.now() + hour);
    let before = State::open(test.target.clone(), fast).await.unwrap();
    create(&before, new_campaign(), recipients(3)).await;
    lease_sender(&before, NODE).await;
    assert_eq!(lease(&before, 2).await.len(), 2);

    let after = &test.state;
    let now = test.clock.now();
    assert_eq!(lease(after, 9).await.len(), 1, "what is queued does not wait for the old time");
    assert_eq!(after.reclaim(now, GAP).await.unwrap(), 2);
    let taken = after.lease_sender(&sender(), "b", LEASE).await.unwrap().unwrap();
    assert!(taken.taken_over);
    assert_eq!(after.lease_sender(&sender(), NODE, LEASE).await.unwrap(), None, "b has it now");
}

async fn registrations_are_kept_for_their_time(test: TestState) {
    let state = &test.state;
    let phones: Vec<_> = (0..3).map(|n| Phone::from_stored(format!("6281{n}"))).collect();
    let answers = [
        (phones[2].clone(), true, Some("2@lid".to_owned())),
        (phones[0].clone(), false, None),
        (phones[0].clone(), false, None),
    ];
    state.remember_numbers(&answers).await.unwrap();
    let registered = async || -> Vec<Option<bool>> {
        let known = state.known_numbers(&phones).await.unwrap();
        known.into_iter().map(|known| known.map(|r| r.registered)).collect()
    };
    assert_eq!(registered().await, [Some(false), None, Some(true)]);
    let day = Duration::from_secs(24 * 3600);
    test.clock.advance(day);
    assert_eq!(registered().await, [None, None, Some(true)]);
    // Asked again, with another answer.
    state.remember_numbers(&[(phones[0].clone(), true, None)]).await.unwrap();
    test.clock.advance(day * 29);
    assert_eq!(registered().await, [Some(true), None, None]);
    state.forget_number(&phones[0]).await.unwrap();
    assert_eq!(registered().await, [None, None, None]);
    assert!(state.known_numbers(&[]).await.unwrap().is_empty());
}

async fn two_nodes_share_one_database(test: TestState) {
    let other = test.another_node().await;
    let id = create(&test.state, new_campaign(), recipients(1)).await;
    assert_eq!(other.campaign(id).await.unwrap().unwrap().total, 1);
    other.ping().await.unwrap();
}

#[tokio::test]
async fn without_a_manual_clock_the_time_is_the_databases() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        let test = TestState::open_with(engine, Clock::System).await;
        let here = Clock::System.now();
        let there = test.state.now().await.unwrap();
        // Both on this machine.
        assert!(there.0.abs_diff(here.0) < 60_000, "{engine:?}: {there} against {here}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_state_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("data/state.db");
    let target = kabari::store::StateTarget::Sqlite { path: path.clone() };
    let state = kabari::store::State::open(target, Clock::System).await.unwrap();
    create(&state, new_campaign(), recipients(1)).await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
}
