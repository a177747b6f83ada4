//! The server refuses, loses or delays: messages, and the questions that come before them.

use super::faults::{silence, stanzas};
use crate::harness::database::Engine;
use crate::harness::world::{World, phone};
use kabari_domain::wording;
use serde_json::{Value, json};
use std::time::Duration;
use wa_sim::{Action, FaultRule, NumberSettings, Receipts, Simulator, Stanza};

/// Longer than the gateway waits for any answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn world() -> World {
    World::linked(Engine::Sqlite).await
}

fn error(code: u16) -> Action {
    Action::Error { code, text: "simulated".into() }
}

async fn until_struck(world: &World, times: u32) {
    let struck = |simulator: &Simulator| simulator.struck()[0] >= times;
    world.simulator.wait_for(struck, ANSWER_PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_refusal_is_reported_and_not_repeated() {
    const CODES: [(i64, u16); 3] = [(1, 400), (2, 404), (3, 479)];
    let world = world().await;
    world.faults(CODES.map(|(customer, code)| {
        FaultRule::on(Stanza::Message, Action::AckError { code }).to(phone(customer))
    }));
    let campaign = world.send(1..=4).await;
    let report = world.completed(campaign).await;
    assert_eq!(report["counts"]["failed"], 3);
    for (customer, code) in CODES {
        let delivery = world.delivery(campaign, customer).await;
        let told = delivery["error"].as_str().unwrap();
        assert_eq!(told, wording::refused(&code.to_string()));
        assert_eq!((delivery["attempts"].as_i64(), stanzas(&world, customer)), (Some(1), 1));
    }
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_503_the_number_waits() {
    const PAUSE: Duration = Duration::from_secs(10);
    let world = World::with_manual_clock(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::AckError { code: 503 }).times(2)]);
    // So many that one is left in the round: a new round would take up the first again.
    let campaign = world.send(1..=5).await;
    world.count(campaign, "retry_wait", 1).await;
    world.clock.advance(PAUSE);
    until_struck(&world, 2).await;
    assert_eq!(world.reached(), 0, "the whole number paused, not only this message");
    world.count(campaign, "retry_wait", 2).await;
    world.clock.advance(PAUSE);
    world.completed(campaign).await;
    assert_eq!(world.reached(), 5);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_ack_counts_and_nothing_is_sent_again() {
    let world = World::with_manual_clock(Engine::Sqlite).await;
    silence(&world, 1);
    let late = Action::LateAck { ms: HOUR.as_millis() as u64 };
    world.faults([FaultRule::on(Stanza::Message, late).times(1)]);
    let campaign = world.send([1]).await;
    world.count(campaign, "retry_wait", 1).await;
    world.simulator.advance(HOUR);
    world.completed(campaign).await;
    assert_eq!(world.delivery(campaign, 1).await["state"], "accepted");
    assert_eq!(stanzas(&world, 1), 1);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_repeated_only_without_an_ack() {
    for (action, repeats) in [
        (Action::DropAfterAck, 0),
        (Action::DropBeforeAck, 1),
        (Action::Drop, 1),
        (Action::Swallow, 1),
    ] {
        let world = world().await;
        silence(&world, 2);
        world.faults([FaultRule::on(Stanza::Message, action.clone()).to(phone(2)).times(1)]);
        let campaign = world.send(1..=3).await;
        world.completed(campaign).await;
        world.assert_report_is_true(campaign).await;
        let delivery = world.delivery(campaign, 2).await;
        assert_eq!(delivery["state"], "accepted", "{action:?}");
        assert_eq!(delivery["attempts"], 1 + repeats, "{action:?}");
        assert_eq!(stanzas(&world, 2) as i64, 1 + repeats, "{action:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_with_jitter_change_no_report() {
    let world = world().await;
    let delay = |ms| Action::Delay { ms, jitter_ms: 2 * ms };
    world.faults([
        FaultRule::on(Stanza::Message, delay(60)),
        FaultRule::on(Stanza::Usync, delay(100)),
        FaultRule::on(Stanza::Prekeys, delay(60)),
        FaultRule::on(Stanza::Receipt, delay(100)),
    ]);
    let campaign = world.send(1..=6).await;
    world.completed(campaign).await;
    world.count(campaign, "read", 6).await;
    world.assert_report_is_true(campaign).await;
    assert!((1..=6).all(|customer| stanzas(&world, customer) == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_number_check_is_repeated_later() {
    const PAUSE: Duration = Duration::from_secs(60);
    let world = World::with_manual_clock(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Usync, error(429))]);
    let campaign = world.send(1..=3).await;
    until_struck(&world, 1).await;
    world.campaign(campaign, |campaign| campaign["counts"] == json!({ "queued": 3 })).await;
    world.clock.advance(PAUSE - Duration::from_secs(1));
    world.campaign(campaign, |campaign| campaign["counts"] == json!({ "queued": 3 })).await;
    assert_eq!(world.simulator.struck(), [1], "asked once, and then not for a minute");
    world.faults([]);
    world.clock.advance(Duration::from_secs(1));
    world.completed(campaign).await;
    world.count(campaign, "read", 3).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_device_list_the_phone_still_gets_its_message() {
    let world = world().await;
    let linked = world.simulator.add_device(&phone(1)).unwrap().unwrap();
    // The first question is who is on WhatsApp; the rule is about those after it.
    world.faults([FaultRule::on(Stanza::Usync, error(429)).nth(2)]);
    let campaign = world.send([1]).await;
    world.completed(campaign).await;
    until_struck(&world, 1).await;
    world.count(campaign, "read", 1).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(stanzas(&world, 1), 1);
    let got_by_the_linked = world.simulator.ledger(0).iter().any(|entry| entry.device == linked);
    assert!(!got_by_the_linked, "nobody knew of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_waits_while_the_server_gives_no_keys() {
    const PAUSE: Duration = Duration::from_secs(10);
    let world = World::with_manual_clock(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Prekeys, error(500)).to(phone(2)).times(1)]);
    let campaign = world.send(1..=3).await;
    world.count(campaign, "retry_wait", 1).await;
    world.clock.advance(PAUSE);
    world.completed(campaign).await;
    world.count(campaign, "read", 3).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(stanzas(&world, 2), 1, "what was not encrypted was not sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn used_up_one_time_keys_stop_no_message() {
    let world = world().await;
    world.faults([FaultRule::on(Stanza::Prekeys, Action::NoOneTimeKey)]);
    let campaign = world.send(1..=3).await;
    world.completed(campaign).await;
    world.count(campaign, "read", 3).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_who_left_after_the_check_is_reported_as_not_registered() {
    let world = world().await;
    // The answer is true when it is given, and no longer when it comes.
    let slow = Action::Delay { ms: HOUR.as_millis() as u64, jitter_ms: 0 };
    world.faults([FaultRule::on(Stanza::Usync, slow).times(1)]);
    let campaign = world.send([1, 2]).await;
    until_struck(&world, 1).await;
    let gone = NumberSettings { registered: false, receipts: Receipts::None };
    world.simulator.set_number(&phone(2), gone);
    world.simulator.advance(HOUR);
    let report = world.completed(campaign).await;
    assert_eq!(report["counts"]["failed"], 1);
    assert_eq!(world.delivery(campaign, 2).await["error"], wording::NOT_REGISTERED);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unanswered_questions_only_delay_the_send() {
    let world = world().await;
    let world = &world;
    // Who is on WhatsApp, and the keys of one of them.
    world.faults([
        FaultRule::on(Stanza::Usync, Action::Swallow).times(1),
        FaultRule::on(Stanza::Prekeys, Action::Swallow).to(phone(2)).times(1),
    ]);
    let campaign = world.send(1..=3).await;
    let all = |_: &Simulator| world.reached() == 3;
    world.simulator.wait_for(all, 2 * ANSWER_PATIENCE).await.unwrap();
    assert_eq!(world.simulator.struck(), [1, 1]);
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    let attempts: Vec<Value> =
        world.deliveries(campaign).await.into_values().map(|d| d["attempts"].clone()).collect();
    assert_eq!(attempts.len(), 3);
    assert!((1..=3).all(|customer| stanzas(world, customer) == 1));
}
