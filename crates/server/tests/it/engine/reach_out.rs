//! WhatsApp's limit for people who never wrote to us: a repeat would count against the number.

use crate::harness::database::Engine;
use crate::harness::world::{OWN, World, phone};
use serde_json::json;
use std::time::Duration;
use wa_sim::AccountLimits;

const LIMIT: Duration = Duration::from_secs(3600);

super::on_both_engines! {
    strangers_wait_while_contacts_are_sent_to,
    a_limit_that_the_server_tells_costs_no_refusal,
}

async fn strangers_wait_while_contacts_are_sent_to(engine: Engine) {
    let mut world = World::linked_with(engine, manual(), |_| {}).await;
    world.simulator.write(&phone(2), OWN, "Kapan pulih?").await.unwrap();
    // By the end of this one kabari has asked for the limits.
    let before = world.send([5]).await;
    world.completed(before).await;
    limit(&world);
    let campaign = world.send(1..=4).await;
    world.waits_for(campaign, "reach_out_limit").await;
    assert_eq!(stanzas(&world), [1, 1, 0, 0], "one refusal is enough");
    world.count(campaign, "read", 1).await;
    assert_eq!(world.delivery(campaign, 1).await["state"], "retry_wait");

    // Who writes meanwhile is a stranger no more, whether they were tried or not.
    for customer in [1, 3] {
        world.simulator.write(&phone(customer), OWN, "Halo?").await.unwrap();
        world.count(campaign, "read", if customer == 1 { 2 } else { 3 }).await;
    }
    world.waits_for(campaign, "reach_out_limit").await;

    // A restart does not forget.
    world.stop().await;
    world.start().await;
    world.until_link(kabari_gateway::LinkState::Connected).await;
    let report = world.waits_for(campaign, "reach_out_limit").await;
    assert_eq!(report["counts"], json!({ "queued": 1, "read": 3 }));
    assert_eq!(stanzas(&world), [2, 1, 1, 0]);

    world.simulator.set_limits(OWN, AccountLimits::default());
    // kabari's clock stands still since the beginning.
    world.clock.advance(LIMIT * 2);
    world.completed(campaign).await;
    assert_eq!(stanzas(&world), [2, 1, 1, 1]);
    world.assert_report_is_true(campaign).await;
}

async fn a_limit_that_the_server_tells_costs_no_refusal(engine: Engine) {
    let mut world = World::linked_with(engine, manual(), |_| {}).await;
    world.stop().await;
    limit(&world);
    world.start().await;
    world.until_link(kabari_gateway::LinkState::Connected).await;
    let campaign = world.send(1..=2).await;
    world.waits_for(campaign, "reach_out_limit").await;
    assert_eq!(stanzas(&world)[..2], [0, 0]);
    world.simulator.set_limits(OWN, AccountLimits::default());
    // kabari's clock stands still since the beginning.
    world.clock.advance(LIMIT * 2);
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_cannot_be_written_at_once_is_not_forgotten() {
    let world = World::linked_with(Engine::Sqlite, manual(), |_| {}).await;
    let before = world.send([5]).await;
    world.completed(before).await;
    limit(&world);
    // FAIL keeps what came before it in the statement, so this refuses once.
    world
        .execute(
            "CREATE TABLE refused (times INTEGER); \
             CREATE TRIGGER not_now BEFORE UPDATE OF reach_out_until ON sessions \
             WHEN NOT EXISTS (SELECT 1 FROM refused) \
             BEGIN INSERT INTO refused VALUES (1); SELECT RAISE(FAIL, 'not now'); END",
        )
        .await;
    let campaign = world.send(1..=3).await;
    world.waits_for(campaign, "reach_out_limit").await;
    assert_eq!(stanzas(&world), [1, 0, 0, 0]);
}

fn manual() -> kabari::clock::Clock {
    kabari::clock::Clock::manual(kabari::clock::Clock::System.now())
}

fn limit(world: &World) {
    let until = world.simulator.now_ms() / 1000 + LIMIT.as_secs();
    world
        .simulator
        .set_limits(OWN, AccountLimits { reachout_until: Some(until), ..AccountLimits::default() });
}

/// How many stanzas went to each of the first four customers, refused ones included.
fn stanzas(world: &World) -> [usize; 4] {
    [1, 2, 3, 4].map(|customer| super::faults::stanzas(world, customer))
}
