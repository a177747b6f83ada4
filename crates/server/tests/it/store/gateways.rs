//! Gateways in other processes: what is kept for those in front of ours, and what is known of those
//! that know no ids.

use super::fixtures::*;
use crate::harness::database::TestState;
use kabari::store::StateStore;
use kabari::store::state::{Attempt, Begin, EventPlace, LeasedDelivery, Resolution};
use kabari_domain::DeliveryState::{RetryWait, Sending, Uncertain};
use kabari_domain::delivery::RESEND_WAIT;
use kabari_domain::{DeliveryEvent, MessageId, Phone};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

on_both_engines!(
    the_first_outcome_of_a_message_is_kept,
    outcomes_are_forgotten_in_the_end,
    events_are_told_from_where_somebody_stopped,
    events_are_forgotten_in_the_end,
    what_cannot_be_repeated_is_for_a_person_after_a_death,
    what_a_person_wants_repeated_goes_out,
);

async fn the_first_outcome_of_a_message_is_kept(test: TestState) {
    let state = &test.state;
    let (phone, id) = (sender(), MessageId::from_stored("3EB0AA"));
    assert_eq!(state.asked_message(&id).await.unwrap(), None);
    state.ask_message(&id, &phone).await.unwrap();
    state.ask_message(&id, &Phone::from_stored("6281")).await.unwrap();
    let asked = state.asked_message(&id).await.unwrap().unwrap();
    assert_eq!((&asked.phone, &asked.outcome), (&phone, &None), "the first word counts");
    state.answer_message(&id, Err("{}")).await.unwrap();
    state.answer_message(&id, Ok(())).await.unwrap();
    state.messages_taken(std::slice::from_ref(&id)).await.unwrap();
    let refused = test.another_node().await.asked_message(&id).await.unwrap().unwrap();
    assert_eq!(refused.outcome, Some(Err("{}".to_owned())));

    let ids: Vec<_> = (0..1200).map(|n| MessageId::from_stored(format!("3EB0{n}"))).collect();
    state.ask_message(&ids[1100], &phone).await.unwrap();
    state.messages_taken(&ids).await.unwrap();
    let taken = state.asked_message(&ids[1100]).await.unwrap().unwrap();
    assert_eq!(taken.outcome, Some(Ok(())));
    assert_eq!(state.asked_message(&ids[0]).await.unwrap(), None, "nobody has asked for it");
}

async fn outcomes_are_forgotten_in_the_end(test: TestState) {
    let state = &test.state;
    let [old, new] = ["3EB0AA", "3EB0BB"].map(MessageId::from_stored);
    state.ask_message(&old, &sender()).await.unwrap();
    test.clock.advance(13 * DAY);
    state.ask_message(&new, &sender()).await.unwrap();
    assert!(state.asked_message(&old).await.unwrap().is_some());
    test.clock.advance(2 * DAY);
    state.ask_message(&MessageId::from_stored("3EB0CC"), &sender()).await.unwrap();
    assert_eq!(state.asked_message(&old).await.unwrap(), None);
    assert!(state.asked_message(&new).await.unwrap().is_some());
}

/// What is told after this place, and where each of it stands.
async fn told(
    state: &StateStore,
    session: &str,
    after: Option<EventPlace>,
) -> Vec<(EventPlace, String)> {
    let kept = state.events_after(session, after, 1000).await.unwrap();
    kept.into_iter().map(|kept| (kept.place, kept.event)).collect()
}

fn texts(told: &[(EventPlace, String)]) -> Vec<&str> {
    told.iter().map(|(_, event)| event.as_str()).collect()
}

async fn events_are_told_from_where_somebody_stopped(test: TestState) {
    let state = &test.state;
    let keep = async |session, events: &[&str]| {
        let events: Vec<_> = events.iter().map(|event| (*event).to_owned()).collect();
        state.keep_events(session, &events).await.unwrap();
    };
    keep("default", &["a", "b"]).await;
    keep("second", &["x"]).await;
    keep("default", &[]).await;
    test.clock.advance(Duration::from_secs(1));
    keep("default", &["c"]).await;
    let all = told(state, "default", None).await;
    assert_eq!(texts(&all), ["a", "b", "c"]);
    assert_eq!(texts(&told(state, "second", None).await), ["x"]);
    assert_eq!(texts(&told(state, "default", Some(all[1].0)).await), ["c"]);
    assert_eq!(told(state, "default", Some(all[2].0)).await, []);
    assert_eq!(state.events_after("default", Some(all[0].0), 1).await.unwrap().len(), 1);

    // Of another log, or of another session.
    let of_another: EventPlace = all[2].0.to_string().replace(".17", ".16").parse().unwrap();
    assert_eq!(told(state, "default", Some(of_another)).await, all);
    assert_eq!(texts(&told(state, "second", Some(all[0].0)).await), ["x"]);

    let many: Vec<String> = (0..450).map(|n| n.to_string()).collect();
    state.keep_events("default", &many).await.unwrap();
    let last = told(state, "default", Some(all[2].0)).await;
    assert_eq!(texts(&last), many.iter().map(String::as_str).collect::<Vec<_>>());
}

async fn events_are_forgotten_in_the_end(test: TestState) {
    let state = &test.state;
    let keep = async |event: &str| {
        state.keep_events("default", &[event.to_owned()]).await.unwrap();
    };
    keep("old").await;
    let first = told(state, "default", None).await[0].0;
    test.clock.advance(13 * DAY);
    keep("young").await;
    test.clock.advance(2 * DAY);
    keep("new").await;
    assert_eq!(texts(&told(state, "default", None).await), ["young", "new"]);
    let after = told(state, "default", Some(first)).await;
    assert_eq!(texts(&after), ["young", "new"], "what came after it is still told");

    hold(state, NODE).await;
    assert_eq!(state.heard(SESSION).await.unwrap(), None);
    state.note_heard(SESSION, "7.5").await.unwrap();
    assert_eq!(state.heard(SESSION).await.unwrap().as_deref(), Some("7.5"));
    state.delete_session(SESSION).await.unwrap();
    assert_eq!(told(state, SESSION, None).await, []);
}

/// Begins an attempt through a gateway that knows no ids.
async fn begin_once(state: &StateStore) -> LeasedDelivery {
    let delivery = lease_one(state).await;
    let session = hold(state, &delivery.owner).await;
    let sender = sender();
    let attempt = Attempt {
        session: &session,
        sender: &sender,
        jid: None,
        gap: GAP,
        lease: LEASE,
        day: 1,
        unrepeatable: true,
    };
    assert!(matches!(state.begin(&delivery, attempt).await.unwrap(), Begin::Started(_)));
    delivery
}

async fn what_cannot_be_repeated_is_for_a_person_after_a_death(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(2)).await;
    let once = begin_once(state).await;
    test.clock.advance(GAP);
    let again = lease_one(state).await;
    begin(state, &again).await;
    assert_eq!(state_of(state, once.id).await, Sending);

    test.clock.advance(LEASE + Duration::from_millis(1));
    assert_eq!(state.reclaim(test.clock.now(), RESEND_WAIT).await.unwrap(), 2);
    assert_eq!(state_of(state, once.id).await, Uncertain);
    assert_eq!(state_of(state, again.id).await, RetryWait);
    let stored = state.delivery(once.id).await.unwrap().unwrap();
    assert!(stored.unrepeatable);
}

async fn what_a_person_wants_repeated_goes_out(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let first = begin_once(state).await;
    assert!(!first.unrepeatable);
    assert!(state.settle(&first, DeliveryEvent::AnswerLost, None).await.unwrap().is_some());
    assert_eq!(state_of(state, first.id).await, Uncertain);
    assert!(lease(state, 1).await.is_empty());

    state.resolve(first.id, Resolution::SendAgain).await.unwrap();
    let wanted = lease_one(state).await;
    assert_eq!((wanted.id, wanted.unrepeatable), (first.id, true));
    assert_eq!(wanted.progress.unanswered, 1);
    // Where nobody wants it, it is left to a person.
    assert!(state.settle(&wanted, DeliveryEvent::Abandon, None).await.unwrap().is_some());
    assert_eq!(state_of(state, first.id).await, Uncertain);
}
