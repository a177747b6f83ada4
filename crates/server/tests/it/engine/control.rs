//! The operator pauses, resumes and cancels.

use crate::harness::database::Engine;
use crate::harness::world::{CUSTOMERS, World};
use kabari::clock::Clock;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

super::on_both_engines! {
    a_pause_takes_effect_within_a_second,
    a_cancel_takes_effect_within_a_second,
}

/// Enough that nothing is over before the operator reacts.
const DELAY: Duration = Duration::from_millis(150);
/// How long after its answer a pause or cancel may still let a message through.
const EFFECT: Duration = Duration::from_secs(1);

async fn slow(engine: Engine) -> World {
    World::linked_with(engine, Clock::System, |settings| settings.pace.delay = DELAY).await
}

async fn a_pause_takes_effect_within_a_second(engine: Engine) {
    let world = slow(engine).await;
    let campaign = world.send(1..=CUSTOMERS).await;
    world.until_reached(3).await;
    world.post(&format!("/api/campaigns/{campaign}/pause"), Value::Null).await;
    assert_quiet_within(&world, EFFECT).await;
    world.paused(campaign, "manual").await;

    world.post(&format!("/api/campaigns/{campaign}/resume"), Value::Null).await;
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.reached() as i64, CUSTOMERS);
}

async fn a_cancel_takes_effect_within_a_second(engine: Engine) {
    let world = slow(engine).await;
    let campaign = world.send(1..=CUSTOMERS).await;
    world.until_reached(3).await;
    world.post(&format!("/api/campaigns/{campaign}/cancel"), Value::Null).await;
    assert_quiet_within(&world, EFFECT).await;
    let cancelled = world
        .campaign(campaign, |campaign| {
            let open = ["queued", "leased", "sending", "retry_wait"];
            campaign["status"] == "cancelled"
                && open.iter().all(|state| campaign["counts"][state].is_null())
        })
        .await;
    let unsent = cancelled["counts"]["cancelled"].as_i64().unwrap();
    assert_eq!(unsent, CUSTOMERS - world.reached() as i64);
    world.assert_report_is_true(campaign).await;
    assert_eq!(cancelled["total"], json!(CUSTOMERS));
}

/// Watches the wire for a while longer than the effect may take: the last message must have come
/// before that.
async fn assert_quiet_within(world: &World, effect: Duration) {
    let asked_at = Instant::now();
    let mut last = asked_at;
    let mut reached = world.reached();
    let mut changes = world.simulator.changed();
    let watched = effect + 10 * DELAY;
    while let Some(left) = watched.checked_sub(asked_at.elapsed()) {
        if tokio::time::timeout(left, changes.changed()).await.is_ok() && world.reached() > reached
        {
            reached = world.reached();
            last = Instant::now();
        }
    }
    assert!(last - asked_at < effect, "a message went out {:?} later", last - asked_at);
}
