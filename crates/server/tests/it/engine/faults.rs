//! Single messages go wrong.

use crate::harness::database::Engine;
use crate::harness::world::{World, phone};
use serde_json::{Value, json};
use std::time::Duration;
use wa_sim::{Action, FaultRule, Stanza};

super::on_both_engines! {
    without_an_ack_the_same_id_goes_out_again_and_counts_once,
    a_message_never_answered_becomes_uncertain,
    a_break_before_the_ack_repeats_the_same_id,
}

async fn without_an_ack_the_same_id_goes_out_again_and_counts_once(engine: Engine) {
    let world = World::linked(engine).await;
    silence(&world, 2);
    world.faults([FaultRule::on(Stanza::Message, Action::NoAck).to(phone(2)).times(1)]);
    let campaign = world.send(1..=3).await;
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.delivery(campaign, 2).await["attempts"], 2);
    let copies: Vec<_> = (1..=3).map(|customer| world.received(customer)[0].copies).collect();
    assert_eq!(copies, [1, 2, 1], "the phone has dropped the second copy");
}

async fn a_message_never_answered_becomes_uncertain(engine: Engine) {
    let world = World::linked(engine).await;
    for customer in [1, 2] {
        silence(&world, customer);
    }
    world.faults([1, 2].map(|customer| {
        FaultRule::on(Stanza::Message, Action::NoAck).to(phone(customer)).times(3)
    }));
    let campaign = world.send(1..=3).await;
    let report = world.completed(campaign).await;
    assert_eq!(report["counts"]["uncertain"], 2);
    let decide = async |customer: i64, decision: &str| {
        let delivery = world.delivery(campaign, customer).await;
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("uncertain"), &json!(3)));
        let path = format!("/api/deliveries/{}/resolve", delivery["id"]);
        world.post(&path, json!({ "decision": decision })).await;
    };
    decide(1, "count_as_sent").await;
    decide(2, "send_again").await;
    world.campaign(campaign, |campaign| campaign["counts"]["uncertain"].is_null()).await;
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    let copies: Vec<_> = (1..=3).map(|customer| world.received(customer)[0].copies).collect();
    assert_eq!(copies, [3, 4, 1]);
}

async fn a_break_before_the_ack_repeats_the_same_id(engine: Engine) {
    let world = World::linked(engine).await;
    silence(&world, 2);
    world.faults([FaultRule::on(Stanza::Message, Action::DropBeforeAck).to(phone(2)).times(1)]);
    let campaign = world.send(1..=4).await;
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.received(2)[0].copies, 2);
}

/// Without the receipts that would make an ack needless.
pub(super) fn silence(world: &World, customer: i64) {
    use wa_sim::{NumberSettings, Receipts};
    let silent = NumberSettings { registered: true, receipts: Receipts::None };
    world.simulator.set_number(&phone(customer), silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_counts_as_an_ack() {
    let world = World::linked(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::NoAck).to(phone(1))]);
    let campaign = world.send([1]).await;
    world.count(campaign, "read", 1).await;
    world.completed(campaign).await;
    assert_eq!(world.received(1)[0].copies, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_429_nothing_goes_out_for_a_while() {
    let world = World::with_manual_clock(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::AckError { code: 429 }).times(1)]);
    let campaign = world.send(1..=3).await;
    world.campaign(campaign, |campaign| campaign["counts"]["retry_wait"] == 1).await;
    assert_eq!(world.reached(), 0);
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.reached(), 0);
    world.clock.advance(Duration::from_secs(1));
    world.completed(campaign).await;
    assert_eq!(world.reached(), 3);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_failures_pauses_the_campaign() {
    let world = World::linked(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::AckError { code: 400 })]);
    let campaign = world.send(1..=15).await;
    let paused = world.paused(campaign, "breaker").await;
    assert_eq!(paused["counts"]["failed"], 10);
    world.faults([]);
    world.post(&format!("/api/campaigns/{campaign}/resume"), Value::Null).await;
    world.completed(campaign).await;
    assert_eq!(world.reached(), 5);
    world.assert_report_is_true(campaign).await;
}

/// How many stanzas went to this customer, refused ones included.
pub(super) fn stanzas(world: &World, customer: i64) -> usize {
    let to = phone(customer);
    let ledger = world.simulator.ledger(0);
    let mut seen: Vec<_> =
        ledger.iter().filter(|entry| entry.to == to).map(|entry| entry.wire_ns).collect();
    seen.dedup();
    seen.len()
}
