//! Sessions, and what is known about numbers.

use super::fixtures::*;
use crate::harness::database::{Engine, TestState};
use kabari::clock::Clock;
use kabari::store::StateStore;
use kabari::store::state::{
    Attempt, Begin, Claim, LinkReport, NewCampaign, Reported, SessionAction, SessionAnswer,
    SessionKind, SessionLease,
};
use kabari_domain::DeliveryState::{Leased, Queued, Uncertain};
use kabari_domain::{DeliveryEvent, LinkState, Phone, ReceiptRank};
use std::time::Duration;

on_both_engines!(
    a_session_belongs_to_one_node,
    nobody_waits_for_a_lease_that_a_clock_set_back_has_made_long,
    a_relinked_number_begins_its_warm_up_anew_and_keeps_its_day,
    a_number_is_linked_in_one_session,
    people_are_left_to_the_number_that_has_a_chat_with_them,
    an_urgent_send_waits_less_for_an_absent_number,
    a_campaign_names_the_sessions_that_send_it,
    a_receipt_opens_a_chat,
    what_a_lost_number_may_have_sent_is_for_a_person,
    a_number_away_for_a_day_is_lost_and_so_is_a_deleted_one,
    a_request_is_answered_once_and_forgotten,
    only_what_is_in_memory_is_renewed,
    registrations_are_kept_for_their_time,
    two_nodes_share_one_database,
);

async fn a_session_belongs_to_one_node(test: TestState) {
    let state = &test.state;
    let kind = SessionKind::Embedded;
    assert!(state.create_session(SESSION, kind).await.unwrap());
    assert!(!state.create_session(SESSION, kind).await.unwrap());
    let hold = async |owner| state.hold_session(SESSION, kind, owner, LEASE).await.unwrap();
    let first = hold("a").await.unwrap();
    assert_eq!(hold("b").await, None);
    test.clock.advance(LEASE / 2);
    let leases = [first.clone()];
    assert_eq!(state.renew_sessions(&leases, LEASE).await.unwrap(), [SESSION]);
    test.clock.advance(LEASE / 2);
    assert_eq!(hold("b").await, None, "renewed");

    test.clock.advance(LEASE);
    let second = hold("b").await.unwrap();
    assert!(second.epoch > first.epoch);
    assert_eq!(hold("a").await, None);
    assert!(state.renew_sessions(&leases, LEASE).await.unwrap().is_empty());
    assert_eq!(report(state, &first, LinkState::Connected, &sender()).await, Reported::Lost);
    state.release_session(&first).await.unwrap();
    assert_eq!(hold("a").await, None, "not a's to release");
    state.release_session(&second).await.unwrap();
    let third = hold("a").await.unwrap();
    assert!(third.epoch > second.epoch);
}

async fn nobody_waits_for_a_lease_that_a_clock_set_back_has_made_long(test: TestState) {
    let hour = Duration::from_secs(3600);
    let fast = Clock::manual(test.clock.now() + hour);
    let before = StateStore::open(test.target.clone(), fast).await.unwrap();
    create(&before, new_campaign(), recipients(3)).await;
    hold(&before, NODE).await;
    assert_eq!(lease(&before, 2).await.len(), 2);

    let after = &test.state;
    let now = test.clock.now();
    assert_eq!(lease(after, 9).await.len(), 1, "what is queued does not wait for the old time");
    assert_eq!(after.reclaim(now, GAP).await.unwrap(), 2);
    hold(after, "b").await;
    let again = after.hold_session(SESSION, SessionKind::Embedded, NODE, LEASE).await.unwrap();
    assert_eq!(again, None, "b has it now");
}

async fn a_relinked_number_begins_its_warm_up_anew_and_keeps_its_day(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let first = hold(state, NODE).await;
    let delivery = lease_one(state).await;
    assert!(matches!(try_begin(state, &delivery, &first).await, Begin::Started(_)));
    let linked_at = state.session(SESSION).await.unwrap().unwrap().linked_at;
    test.clock.advance(Duration::from_secs(20));
    report(state, &first, LinkState::Connected, &sender()).await;
    assert_eq!(state.session(SESSION).await.unwrap().unwrap().linked_at, linked_at);

    // Unlinked, and linked under another name.
    let unlinked = LinkReport {
        state: LinkState::LoggedOut,
        phone: None,
        qr: None,
        passkey: None,
        error: None,
    };
    state.report_link(&first, &unlinked).await.unwrap();
    assert!(!state.session(SESSION).await.unwrap().unwrap().is_linked());
    hold_as(state, "second", &sender(), NODE).await;
    let second = state.session("second").await.unwrap().unwrap();
    assert_eq!(second.linked_at, Some(test.clock.now()));
    assert_eq!((second.day, second.sent_today), (1, 1), "what it has sent today counts");
    assert_eq!(state.session(SESSION).await.unwrap().unwrap().phone, None);

    // Another number begins from nothing.
    let other = Phone::from_stored("6281288880000");
    report(state, &first, LinkState::Connected, &other).await;
    let stored = state.session(SESSION).await.unwrap().unwrap();
    assert_eq!((stored.phone, stored.sent_today), (Some(other), 0));
}

async fn a_number_is_linked_in_one_session(test: TestState) {
    let state = &test.state;
    hold(state, NODE).await;
    let kind = SessionKind::Embedded;
    state.create_session("second", kind).await.unwrap();
    let second = state.hold_session("second", kind, NODE, LEASE).await.unwrap().unwrap();
    let taken = report(state, &second, LinkState::Connecting, &sender()).await;
    assert_eq!(taken, Reported::NumberTaken { by: SESSION.to_owned() });
    assert_eq!(state.session("second").await.unwrap().unwrap().phone, None);
}

/// Somebody who wrote to the first number.
async fn with_a_contact(test: &TestState) -> (SessionLease, Phone, Phone) {
    let first = hold(&test.state, NODE).await;
    let other = Phone::from_stored("6281288880000");
    hold_as(&test.state, "second", &other, NODE).await;
    let contact = recipient(0).phone.unwrap();
    test.state.wrote(&sender(), &[(contact.clone(), test.clock.now())]).await.unwrap();
    (first, other, contact)
}

async fn people_are_left_to_the_number_that_has_a_chat_with_them(test: TestState) {
    let state = &test.state;
    let (first, other, _) = with_a_contact(&test).await;
    create(state, new_campaign(), recipients(2)).await;
    let second = Claim { session: "second", ..claim(NODE, &other, 9, 9) };
    let [stranger] = state.claim(&second).await.unwrap().try_into().unwrap();
    assert_eq!(Some(stranger.phone), recipient(1).phone);
    assert!(state.claim(&second).await.unwrap().is_empty());

    // Away, but not for long enough.
    state.session_waits(&first, true).await.unwrap();
    test.clock.advance(LEASE / 2);
    state.renew_sessions(std::slice::from_ref(&first), AFFINITY.wait).await.unwrap();
    assert!(state.claim(&second).await.unwrap().is_empty());
    test.clock.advance(AFFINITY.wait);
    assert_eq!(state.claim(&second).await.unwrap().len(), 1);
}

async fn an_urgent_send_waits_less_for_an_absent_number(test: TestState) {
    let state = &test.state;
    let (_, other, _) = with_a_contact(&test).await;
    create(state, NewCampaign { urgent: true, ..new_campaign() }, recipients(1)).await;
    let second = Claim { session: "second", ..claim(NODE, &other, 9, 9) };
    assert!(state.claim(&second).await.unwrap().is_empty());
    // Its node has died, and its lease has run out for so long.
    test.clock.advance(LEASE + AFFINITY.urgent);
    assert_eq!(state.claim(&second).await.unwrap().len(), 1);
}

async fn a_campaign_names_the_sessions_that_send_it(test: TestState) {
    let state = &test.state;
    let (_, other, _) = with_a_contact(&test).await;
    let named = NewCampaign { sessions: vec!["second".to_owned()], ..new_campaign() };
    let id = create(state, named, recipients(2)).await;
    assert_eq!(state.campaign(id).await.unwrap().unwrap().sessions, ["second"]);
    assert!(lease(state, 9).await.is_empty());
    let second = Claim { session: "second", ..claim(NODE, &other, 9, 9) };
    assert_eq!(
        state.claim(&second).await.unwrap().len(),
        2,
        "its contact cannot wait for the other"
    );
}

async fn a_receipt_opens_a_chat(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    hold(state, NODE).await;
    let delivery = lease_one(state).await;
    begin(state, &delivery).await;
    let now = test.clock.now();
    let ids = [delivery.message_id.clone()];
    state.receipts(&[(ReceiptRank::Delivered, now, ids.to_vec())]).await.unwrap();

    let other = Phone::from_stored("6281288880000");
    hold_as(state, "second", &other, NODE).await;
    let later = create(state, new_campaign(), recipients(1)).await;
    let second = Claim { session: "second", ..claim(NODE, &other, 9, 9) };
    assert!(state.claim(&second).await.unwrap().is_empty());
    assert!(!state.has_open_contacts(later, &sender()).await.unwrap(), "they have not written");
    let number = sender();
    let limited = Claim { contacts_only: true, ..claim(NODE, &number, 9, 9) };
    assert!(state.claim(&limited).await.unwrap().is_empty());
    state.wrote(&sender(), &[(delivery.phone.clone(), now)]).await.unwrap();
    assert!(state.has_open_contacts(later, &sender()).await.unwrap());
    assert_eq!(state.claim(&limited).await.unwrap().len(), 1);
}

async fn what_a_lost_number_may_have_sent_is_for_a_person(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(2)).await;
    let session = hold(state, NODE).await;
    let delivery = lease_one(state).await;
    assert!(matches!(try_begin(state, &delivery, &session).await, Begin::Started(_)));
    let now = test.clock.now();
    state.settle(&delivery, DeliveryEvent::Unanswered(now), None).await.unwrap();
    assert_eq!(state.abandon(now).await.unwrap(), 0, "its number is there");
    state.release_session(&session).await.unwrap();
    assert_eq!(state.abandon(now).await.unwrap(), 0, "its node was only stopped");
    state.reclaim_from(NODE, GAP).await.unwrap();
    assert_eq!(state.abandon(now).await.unwrap(), 0, "or started again");
    state.session_waits(&session, true).await.unwrap();
    assert_eq!(state.abandon(now).await.unwrap(), 0, "it may come back");

    let unlinked = LinkReport {
        state: LinkState::LoggedOut,
        phone: None,
        qr: None,
        passkey: None,
        error: None,
    };
    state.report_link(&session, &unlinked).await.unwrap();
    assert_eq!(state.abandon(now).await.unwrap(), 1);
    let counts = state.counts(id).await.unwrap();
    assert_eq!((counts.get(Uncertain), counts.get(Queued)), (1, 1));
}

async fn a_number_away_for_a_day_is_lost_and_so_is_a_deleted_one(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(2)).await;
    for name in ["a", "b"] {
        let number = Phone::from_stored(format!("62812{}", name.as_bytes()[0]));
        let session = hold_as(state, name, &number, NODE).await;
        let claim = Claim { session: name, ..claim(NODE, &number, 1, 1) };
        let [delivery] = state.claim(&claim).await.unwrap().try_into().unwrap();
        let attempt = Attempt {
            session: &session,
            sender: &number,
            jid: None,
            gap: GAP,
            lease: LEASE,
            day: 1,
            unrepeatable: false,
        };
        assert!(matches!(state.begin(&delivery, attempt).await.unwrap(), Begin::Started(_)));
        let now = test.clock.now();
        state.settle(&delivery, DeliveryEvent::Unanswered(now), None).await.unwrap();
    }
    assert!(state.delete_session("a").await.unwrap());
    assert!(!state.delete_session("a").await.unwrap());
    assert_eq!(state.abandon(test.clock.now()).await.unwrap(), 1);
    test.clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(state.abandon(test.clock.now()).await.unwrap(), 0);
    test.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(state.abandon(test.clock.now()).await.unwrap(), 1);
}

async fn a_request_is_answered_once_and_forgotten(test: TestState) {
    let state = &test.state;
    let action = SessionAction::Pair(sender());
    let id = state.ask_session(SESSION, &action).await.unwrap();
    assert_eq!(state.session_answer(id).await.unwrap(), None);
    let mine = [SESSION.to_owned()];
    let [request] = state.session_requests(&mine, 0).await.unwrap().try_into().unwrap();
    assert_eq!((request.id, &request.action), (id, &action));
    assert!(state.session_requests(&mine, id).await.unwrap().is_empty());
    assert!(state.session_requests(&["other".to_owned()], 0).await.unwrap().is_empty());
    let code = SessionAnswer::Code("ABCD-1234".to_owned());
    state.answer_session_request(id, &code).await.unwrap();
    assert_eq!(state.session_answer(id).await.unwrap(), Some(code));
    assert!(state.session_requests(&mine, 0).await.unwrap().is_empty());

    state.ask_session(SESSION, &SessionAction::Restart).await.unwrap();
    test.clock.advance(Duration::from_secs(61));
    assert!(state.session_requests(&mine, 0).await.unwrap().is_empty(), "nobody waits any more");
}

async fn only_what_is_in_memory_is_renewed(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(2)).await;
    let leased = lease(state, 2).await;
    test.clock.advance(LEASE / 2);
    let held = [(leased[0].id, leased[0].epoch)];
    state.renew_deliveries(&held, NODE, LEASE).await.unwrap();
    test.clock.advance(LEASE / 2);
    assert_eq!(state.reclaim(test.clock.now(), GAP).await.unwrap(), 1);
    assert_eq!(state_of(state, leased[0].id).await, Leased);
    assert_eq!(state_of(state, leased[1].id).await, Queued);
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
    let state = kabari::store::StateStore::open(target, Clock::System).await.unwrap();
    create(&state, new_campaign(), recipients(1)).await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
}
