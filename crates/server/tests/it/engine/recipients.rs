//! What recipients do to their phones while they are written to.

use super::faults::stanzas;
use crate::harness::database::Engine;
use crate::harness::world::{OWN, World, assert_phones_agree, phone};
use kabari_domain::session::DEFAULT_SESSION;
use serde_json::json;
use std::time::Duration;
use wa_sim::{AccountLimits, Action, CopyOutcome, FaultRule, LedgerEntry, Stanza};

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: u64 = 3_600_000;

/// What became of the copies for the devices of a customer, in order.
fn copies(world: &World, customer: i64) -> Vec<(u16, CopyOutcome)> {
    let of_customer = |entry: &LedgerEntry| entry.owner == phone(customer);
    let ledger = world.simulator.ledger(0).into_iter();
    ledger.filter(of_customer).map(|entry| (entry.device, entry.outcome)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reinstalled_phone_asks_again_and_shows_the_message_once() {
    let world = World::linked(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::Reinstall).to(phone(1)).times(1)]);
    let campaign = world.send([1, 2]).await;
    world.completed(campaign).await;
    world.count(campaign, "read", 2).await;
    assert_eq!(
        copies(&world, 1),
        [(0, CopyOutcome::Undecryptable), (0, CopyOutcome::Decrypted)],
        "the second copy came for the asking"
    );
    let deliveries = world.deliveries(campaign).await;
    assert_eq!(deliveries[&1]["attempts"], 1, "kabari itself sent it once");
    assert_phones_agree(&world.simulator, &deliveries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_asks_for_a_message_again_shows_it_once() {
    let world = World::linked(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::AskRetry).to(phone(1)).times(1)]);
    let campaign = world.send([1, 2]).await;
    world.completed(campaign).await;
    let asked = || copies(&world, 1) == [(0, CopyOutcome::Decrypted), (0, CopyOutcome::Duplicate)];
    world.simulator.wait_for(|_| asked(), crate::harness::served::PATIENCE).await.unwrap();
    world.count(campaign, "read", 2).await;
    assert_eq!(world.delivery(campaign, 1).await["attempts"], 1);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_phone_gets_the_message_on_return() {
    let world = World::linked(Engine::Sqlite).await;
    let away = Action::Offline { ms: 5 * HOUR_MS };
    world.faults([FaultRule::on(Stanza::Message, away).to(phone(1)).times(1)]);
    let campaign = world.send([1, 2]).await;
    world.completed(campaign).await;
    world
        .campaign(campaign, |campaign| campaign["counts"] == json!({ "accepted": 1, "read": 1 }))
        .await;
    world.simulator.advance(4 * HOUR);
    assert_eq!(world.received(1).len(), 0);
    world.simulator.advance(HOUR);
    world.count(campaign, "read", 2).await;
    assert_eq!(stanzas(&world, 1), 1, "what waits there is not sent again");
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linking_or_unlinking_a_device_loses_no_message() {
    let world = World::linked(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::AddDevice).to(phone(1)).times(1)]);
    let first = world.send([1]).await;
    world.count(first, "read", 1).await;
    assert_eq!(copies(&world, 1), [(0, CopyOutcome::Decrypted)], "written for the old list");

    // The server's ack and its notice have told of the new device.
    let second = world.send([1, 2]).await;
    world.count(second, "read", 2).await;
    let at_linked = || copies(&world, 1).contains(&(1, CopyOutcome::Decrypted));
    world.simulator.wait_for(|_| at_linked(), crate::harness::served::PATIENCE).await.unwrap();

    world.faults([FaultRule::on(Stanza::Message, Action::RemoveDevice).to(phone(1)).times(1)]);
    let third = world.send([1, 2, 3]).await;
    world.count(third, "read", 3).await;
    let texts = world.received(1).len();
    assert_eq!(texts, 3);
    assert!(world.simulator.violations().is_empty(), "{:#?}", world.simulator.violations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_reordered_and_late_receipts_give_the_same_report() {
    let world = World::linked(Engine::Sqlite).await;
    let from = |customer: i64, action| FaultRule::on(Stanza::Receipt, action).from(phone(customer));
    world.faults([
        from(1, Action::Duplicate { copies: 3 }),
        // "Read" overtakes "delivered".
        from(2, Action::Reorder).nth(1),
        from(3, Action::Hold { ms: HOUR_MS }),
        from(4, Action::Swallow),
    ]);
    let campaign = world.send(1..=5).await;
    world.completed(campaign).await;
    let early = json!({ "read": 3, "accepted": 2 });
    world.campaign(campaign, |campaign| campaign["counts"] == early).await;
    world.simulator.advance(HOUR);
    let late = json!({ "read": 4, "accepted": 1 });
    world.campaign(campaign, |campaign| campaign["counts"] == late).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_beyond_the_new_chat_cap_wait() {
    let world = World::with_manual_clock(Engine::Sqlite).await;
    world.simulator.write(&phone(4), OWN, "Kapan pulih?").await.unwrap();
    world
        .simulator
        .set_limits(OWN, AccountLimits { new_chats: Some(2), ..AccountLimits::default() });
    let campaign = world.send(1..=4).await;
    world.count(campaign, "retry_wait", 1).await;
    let status = world.get("/api/whatsapp/status").await;
    assert_eq!(status["limits"]["new_chats_left"], 0, "{status}");
    let reached = |world: &World| [1, 2, 4].iter().all(|n| !world.received(*n).is_empty());
    let patience = crate::harness::served::PATIENCE;
    world.simulator.wait_for(|_| reached(&world), patience).await.unwrap();
    assert_eq!(world.reached(), 3, "who wrote to us is no new chat");

    world.simulator.set_limits(OWN, AccountLimits::default());
    let session = world.app().state.session(DEFAULT_SESSION).await.unwrap().unwrap();
    world.clock.advance(session.reach_out_until.since(world.now()));
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.reached(), 4);
}
