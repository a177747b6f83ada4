//! The link to WhatsApp breaks in mid-send, in every way there is.

use crate::harness::database::Engine;
use crate::harness::world::{OWN, World};
use kabari::clock::Clock;
use kabari_gateway::LinkState;
use serde_json::Value;
use std::time::Duration;
use wa_sim::{Action, Rule, Stanza};

super::on_both_engines! {
    a_lost_connection_is_made_anew_and_the_send_goes_on,
    after_a_logout_the_send_waits_for_a_new_scan,
}

const DELAY: Duration = Duration::from_millis(100);

async fn slow(engine: Engine) -> World {
    World::linked_with(engine, Clock::System, |settings| settings.pace.delay = DELAY).await
}

async fn a_lost_connection_is_made_anew_and_the_send_goes_on(engine: Engine) {
    let world = slow(engine).await;
    let campaign = world.send(1..=8).await;
    world.until_reached(2).await;
    world.simulator.pause().await;
    world.until("no connection", |link| !link.is_connected()).await;
    world.simulator.resume().await.unwrap();
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.reached(), 8);
}

async fn after_a_logout_the_send_waits_for_a_new_scan(engine: Engine) {
    let world = slow(engine).await;
    let campaign = world.send(1..=8).await;
    world.until_reached(2).await;
    let own = world.simulator.accounts().into_iter().find(|a| a.phone == OWN).unwrap();
    assert!(world.simulator.unlink(OWN, own.devices[0].device));
    world.paused(campaign, "logged_out").await;
    assert!(world.reached() < 8);

    world.scan().await;
    world.until_link(LinkState::Connected).await;
    world.completed(campaign).await;
    assert_eq!(world.reached(), 8);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_opened_elsewhere_pauses_until_it_is_taken_back() {
    let world = slow(Engine::Sqlite).await;
    let conflict = Some("replaced".to_owned());
    let replaced = Action::StreamError { code: None, conflict };
    world.faults([Rule::on(Stanza::Message, replaced).nth(3).times(1)]);
    let campaign = world.send(1..=6).await;
    world.paused(campaign, "replaced").await;
    assert!(world.reached() < 6);
    world.post("/api/whatsapp/restart", Value::Null).await;
    world.completed(campaign).await;
    assert_eq!(world.reached(), 6);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_pauses_until_it_ends() {
    let world = slow(Engine::Sqlite).await;
    let ban = Action::Failure { reason: 402, code: Some(101), expire: Some(3) };
    world.faults([Rule::on(Stanza::Message, ban).nth(3).times(1)]);
    let campaign = world.send(1..=6).await;
    world.paused(campaign, "banned").await;
    let status = world.get("/api/whatsapp/status").await;
    assert!(status["banned_until"].is_string(), "{status}");
    world.completed(campaign).await;
    assert_eq!(world.reached(), 6);
    world.assert_report_is_true(campaign).await;
}
