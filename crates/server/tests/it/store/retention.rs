//! What ends: texts, names and numbers of old campaigns, and all that has an end of its own.

use super::fixtures::*;
use crate::harness::database::{START, TestState};
use kabari::clock::Clock;
use kabari::store::StateStore;
use kabari::store::state::{
    AUDIT_LIFETIME, Action, Actor, ActorKind, CONTACT_LIFETIME, CampaignKind, Creation,
    FINGERPRINT_LIFETIME, REGISTRATION_LIFETIME,
};
use kabari::trace::Trail;
use kabari_domain::{CampaignEvent, DeliveryState, Phone};
use std::time::Duration;

on_both_engines!(
    an_old_campaign_keeps_its_counts_and_nothing_else,
    what_is_kept_for_ever_stays,
    everything_else_has_an_end_of_its_own,
    one_node_deletes_for_all,
);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KEEP: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// More than a batch.
const MANY: usize = 1200;

/// Deletes batch after batch, and answers how many it took.
async fn delete_all(state: &StateStore, keep: Option<Duration>) -> usize {
    let mut batches = 1;
    while state.delete_expired(keep).await.unwrap() {
        batches += 1;
        assert!(batches < 100, "it does not end");
    }
    batches
}

async fn an_old_campaign_keeps_its_counts_and_nothing_else(test: TestState) {
    let state = &test.state;
    let people = recipients(MANY).into_iter().chain([skipped(MANY)]).collect();
    let old = create(state, new_campaign(), people).await;
    state.campaign_event(old, CampaignEvent::Cancel).await.unwrap();
    let open = create(state, new_campaign(), recipients(1)).await;
    test.clock.advance(KEEP - DAY);
    let young = create(state, new_campaign(), recipients(1)).await;
    state.campaign_event(young, CampaignEvent::Cancel).await.unwrap();
    assert_eq!(delete_all(state, Some(KEEP)).await, 1, "nothing is that old");

    test.clock.advance(DAY * 2);
    let before = state.counts(old).await.unwrap();
    assert!(state.delete_expired(Some(KEEP)).await.unwrap());
    assert_eq!(state.counts(old).await.unwrap(), before, "while its deliveries go");
    assert!(delete_all(state, Some(KEEP)).await > 2, "in batches");
    let counts = state.counts(old).await.unwrap();
    assert_eq!(counts, before);
    assert_eq!(counts.get(DeliveryState::Cancelled), MANY as u64);
    assert_eq!(counts.get(DeliveryState::Skipped), 1);
    let campaign = state.campaign(old).await.unwrap().unwrap();
    assert_eq!(campaign.total, MANY as u64 + 1);
    assert_eq!((campaign.subject.as_str(), campaign.template.as_str()), ("", ""));
    assert_eq!(campaign.request, "{}");
    assert_eq!(state.deliveries(old, None, 10).await.unwrap(), []);
    for kept in [open, young] {
        assert_eq!(state.deliveries(kept, None, 10).await.unwrap().len(), 1);
        assert_eq!(state.campaign(kept).await.unwrap().unwrap().template, TEMPLATE);
    }
    assert!(
        state.retry_failed(old, None, Trail::default()).await.is_err(),
        "there is nobody to send to"
    );
}

async fn what_is_kept_for_ever_stays(test: TestState) {
    let old = create(&test.state, new_campaign(), recipients(3)).await;
    test.state.campaign_event(old, CampaignEvent::Cancel).await.unwrap();
    test.clock.advance(KEEP * 10);
    delete_all(&test.state, None).await;
    assert_eq!(test.state.deliveries(old, None, 10).await.unwrap().len(), 3);
}

async fn everything_else_has_an_end_of_its_own(test: TestState) {
    let state = &test.state;
    let phone = |n: usize| Phone::from_stored(format!("62811{n:07}"));
    let known: Vec<_> = (0..MANY).map(|n| (phone(n), true, None)).collect();
    state.remember_numbers(&known).await.unwrap();
    state.wrote(&sender(), &[(phone(1), START)]).await.unwrap();
    hold(state, NODE).await;
    let operator = Actor { kind: ActorKind::Console, name: "rani".to_owned(), address: None };
    state.record(&operator, Action::AddUser, "budi", &serde_json::Value::Null).await;
    let of_day = |fingerprint: &str| kabari::store::state::NewCampaign {
        fingerprint: fingerprint.to_owned(),
        kind: CampaignKind::Custom,
        ..new_campaign()
    };
    let guard = Some(Duration::MAX);
    let send = |people| create_with(state, of_day("once"), people, None, guard);
    let Creation::Created(first) = send(recipients(1)).await.unwrap() else { panic!() };
    state.campaign_event(first, CampaignEvent::Complete).await.ok();

    let rows = async |table: &str| test.count(table).await;
    test.clock.advance(REGISTRATION_LIFETIME - DAY);
    delete_all(state, None).await;
    assert_eq!(rows("numbers").await, MANY as i64);
    test.clock.advance(DAY);
    delete_all(state, None).await;
    assert_eq!(rows("numbers").await, 0);
    assert_eq!(send(recipients(1)).await.unwrap(), Creation::Duplicate(first));
    test.clock.advance(FINGERPRINT_LIFETIME);
    delete_all(state, None).await;
    assert_eq!(rows("fingerprints").await, 0);
    assert_eq!(rows("contacts").await, 1);
    assert!(rows("audit").await > 0);
    test.clock.advance(CONTACT_LIFETIME);
    delete_all(state, None).await;
    assert_eq!(rows("contacts").await, 0);
    test.clock.advance(AUDIT_LIFETIME);
    delete_all(state, None).await;
    assert_eq!(rows("audit").await, 0);
}

async fn one_node_deletes_for_all(test: TestState) {
    let lease = Duration::from_secs(60);
    let other = test.another_node().await;
    assert!(test.state.take_retention("a", lease).await.unwrap());
    assert!(!other.take_retention("b", lease).await.unwrap());
    assert!(test.state.take_retention("a", lease).await.unwrap(), "it keeps what it has");
    test.clock.advance(lease);
    assert!(other.take_retention("b", lease).await.unwrap(), "the other one is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_gives_the_room_back_also_one_of_an_earlier_version() {
    let test = TestState::open(crate::harness::database::Engine::Sqlite).await;
    // As an earlier version made it: it keeps every page.
    test.execute("PRAGMA auto_vacuum = NONE; VACUUM").await;
    let state = StateStore::open(test.target.clone(), test.clock.clone()).await.unwrap();
    let old = create(&state, new_campaign(), recipients(20 * MANY)).await;
    state.campaign_event(old, CampaignEvent::Cancel).await.unwrap();
    let full = test.pages().await;
    test.clock.advance(KEEP + DAY);
    while state.delete_expired(Some(KEEP)).await.unwrap() {}
    assert!(test.pages().await >= full, "deleting alone gives nothing back");
    while state.give_back_space().await.unwrap() {}
    let left = test.pages().await;
    assert!(left < full / 4, "{left} of {full} pages are left");
    assert!(matches!(test.clock, Clock::Manual(_)));
}
