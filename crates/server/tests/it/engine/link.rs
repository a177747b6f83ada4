//! The link to WhatsApp breaks in mid-send, in every way there is.

use crate::harness::database::Engine;
use crate::harness::world::{OWN, World};
use kabari::clock::Clock;
use kabari_domain::{Timestamp, wording};
use kabari_gateway::LinkState;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wa_sim::{Action, FaultRule, Stanza};

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
    world.waits_for(campaign, "logged_out").await;
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
    world.faults([FaultRule::on(Stanza::Message, replaced).nth(3).times(1)]);
    let campaign = world.send(1..=6).await;
    world.waits_for(campaign, "replaced").await;
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
    world.faults([FaultRule::on(Stanza::Message, ban).nth(3).times(1)]);
    let campaign = world.send(1..=6).await;
    world.waits_for(campaign, "banned").await;
    let status = world.get("/api/whatsapp/status").await;
    assert!(status["banned_until"].is_string(), "{status}");
    world.completed(campaign).await;
    assert_eq!(world.reached(), 6);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_begun_during_a_ban_waits_for_its_end() {
    let world = slow(Engine::Sqlite).await;
    let length = Duration::from_secs(4);
    let expire = Some(length.as_secs());
    let ban = Action::Failure { reason: 402, code: Some(104), expire };
    let before = world.now();
    break_then(&world, FaultRule::on(Stanza::Login, ban).times(1)).await;
    world.until("a ban", |link| matches!(link.state, LinkState::Banned { .. })).await;
    let status = world.get("/api/whatsapp/status").await;
    let until = status["banned_until"].as_str().unwrap();
    let end = |from: Timestamp| (from + length).to_rfc3339();
    assert!((end(before).as_str()..=end(world.now()).as_str()).contains(&until), "{status}");
    let campaign = world.send(1..=3).await;
    let paused = world.waits_for(campaign, "banned").await;
    assert_eq!(paused["counts"], json!({ "queued": 3 }));
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.reached(), 3);
}

/// Breaks the connection, so that the client meets this rule when it comes back.
async fn break_then(world: &World, rule: FaultRule) {
    world.faults([rule]);
    world.simulator.pause().await;
    world.until("no connection", |link| !link.is_connected()).await;
    world.simulator.resume().await.unwrap();
}

fn failure(reason: u16) -> Action {
    Action::Failure { reason, code: None, expire: None }
}

fn stream_error(code: u16, conflict: Option<&str>) -> Action {
    Action::StreamError { code: Some(code), conflict: conflict.map(str::to_owned) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_unlink_waits_for_a_new_scan() {
    let at_login = |reason| (Stanza::Login, failure(reason));
    let at_work = |action| (Stanza::Message, action);
    for (stanza, action) in [
        at_login(401),
        at_login(403),
        at_login(406),
        at_work(stream_error(401, Some("device_removed"))),
        at_work(Action::Revoke),
    ] {
        let told = format!("{stanza:?} {action:?}");
        let world = slow(Engine::Sqlite).await;
        let campaign = world.send(1..=6).await;
        world.until_reached(2).await;
        match stanza {
            Stanza::Login => break_then(&world, FaultRule::on(stanza, action).times(1)).await,
            _ => world.faults([FaultRule::on(stanza, action).times(1)]),
        }
        let paused = world.waits_for(campaign, "logged_out").await;
        assert!(paused["counts"]["failed"].is_null(), "{told}: {paused}");
        assert!(world.reached() < 6, "{told}");
        world.scan().await;
        world.completed(campaign).await;
        world.assert_report_is_true(campaign).await;
        assert_eq!(world.reached(), 6, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_pauses_and_a_restart_tries_again_at_once() {
    for (code, reason, state) in
        [(405, "client_outdated", "client_outdated"), (400, "disconnected", "connecting")]
    {
        let world = slow(Engine::Sqlite).await;
        let campaign = world.send(1..=6).await;
        world.until_reached(2).await;
        break_then(&world, FaultRule::on(Stanza::Login, failure(code)).times(1)).await;
        let refused =
            |error: &str| [wording::CLIENT_OUTDATED, wording::CONNECTION_REFUSED].contains(&error);
        world.until("a refusal", |link| link.error.as_deref().is_some_and(refused)).await;
        world.waits_for(campaign, reason).await;
        let status = world.get("/api/whatsapp/status").await;
        assert_eq!(status["state"], state, "{code}: {status}");
        assert!(world.reached() < 6);
        world.post("/api/whatsapp/restart", Value::Null).await;
        world.completed(campaign).await;
        world.assert_report_is_true(campaign).await;
        assert_eq!(world.reached(), 6);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_failures_reconnect_by_themselves() {
    let at_login = |action| (Stanza::Login, action);
    let at_work = |action| (Stanza::Message, action);
    for (stanza, action) in [
        at_login(failure(500)),
        at_login(failure(503)),
        at_work(stream_error(503, None)),
        at_work(stream_error(515, None)),
        (Stanza::Connect, Action::Drop),
        (Stanza::Connect, Action::RefuseIk),
        (Stanza::Connect, Action::Silence),
    ] {
        let trouble = format!("{stanza:?} {action:?}");
        let world = slow(Engine::Sqlite).await;
        let campaign = world.send(1..=6).await;
        world.until_reached(2).await;
        let rule = FaultRule::on(stanza, action).times(1);
        match stanza {
            Stanza::Message => world.faults([rule]),
            _ => break_then(&world, rule).await,
        }
        world.completed(campaign).await;
        assert_eq!(world.simulator.struck(), [1], "{trouble}");
        assert_eq!(world.reached(), 6, "{trouble}");
        world.assert_report_is_true(campaign).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_down_at_the_start_is_waited_for() {
    let mut world = slow(Engine::Sqlite).await;
    world.stop().await;
    world.simulator.pause().await;
    world.start().await;
    let campaign = world.send(1..=3).await;
    let paused = world.waits_for(campaign, "disconnected").await;
    assert_eq!(paused["counts"], json!({ "queued": 3 }));
    let status = world.get("/api/whatsapp/status").await;
    assert_eq!(status["message"], wording::WHATSAPP_UNREACHABLE, "{status}");

    world.simulator.resume().await.unwrap();
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.reached(), 3);
    let attempts: Vec<_> = world.deliveries(campaign).await.into_values().collect();
    assert!(attempts.iter().all(|delivery| delivery["attempts"] == 1), "{attempts:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_is_replaced_and_the_message_repeated() {
    let world = World::linked(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::Silence).times(1)]);
    // With nothing else to ask the server, only the missing ack tells.
    let campaign = world.send([1]).await;
    world.completed(campaign).await;
    world.count(campaign, "read", 1).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.delivery(campaign, 1).await["attempts"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flapping_network_is_reconnected_within_a_minute() {
    const LONGEST: Duration = Duration::from_secs(2);
    /// Left to itself, the library would pause 8 s before the sixth connection, then 13 s.
    const BREAKS: usize = 7;
    /// For the connection itself.
    const GRACE: Duration = Duration::from_secs(4);
    let world = World::linked_with(Engine::Sqlite, Clock::System, |settings| {
        settings.pace.delay = DELAY;
        settings.timeouts.reconnect = LONGEST;
    })
    .await;
    let campaign = world.send(1..=10).await;
    for _ in 0..BREAKS {
        world.simulator.pause().await;
        world.until("no connection", |link| !link.is_connected()).await;
        world.simulator.resume().await.unwrap();
        let back = Instant::now();
        world.until_link(LinkState::Connected).await;
        assert!(back.elapsed() < LONGEST + GRACE, "{:?}", back.elapsed());
    }
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.reached(), 10);
}
