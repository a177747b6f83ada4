//! Sends at the settings that users have: 2 s and up to 1 s more between messages, leases of 15 s,
//! batches of one, several campaigns at once. The clock runs fast; nothing is restarted at the end.

use super::faults::{silence, stanzas};
use crate::harness::database::Engine;
use crate::harness::running_clock::RunningClock;
use crate::harness::world::{OWN, World, assert_report_is_true, ordinary_pace, phone};
use kabari::clock::Clock;
use kabari_domain::session::DEFAULT_SESSION;
use serde_json::{Value, json};
use std::time::Duration;
use wa_sim::{Action, FaultRule, Stanza};

/// A second number of ours.
const SECOND: &str = "6281299990001";

super::on_both_engines! {
    deliveries_of_a_lost_number_do_not_stop_other_campaigns,
    the_breaker_trips_for_each_of_two_campaigns,
    a_daily_cap_stretches_a_send_over_days,
    two_numbers_share_a_send,
}

async fn deliveries_of_a_lost_number_do_not_stop_other_campaigns(engine: Engine) {
    let world = World::ordinary(engine, |_| {}).await;
    silence(&world, 1);
    world.faults([FaultRule::on(Stanza::Message, Action::DropBeforeAck).to(phone(1)).times(1)]);
    let leftover = world.send([1]).await;
    world.count(leftover, "retry_wait", 1).await;
    world.unlink(OWN);
    world.until("unlinked", |link| link.qr.is_some()).await;
    world.scan_with(SECOND).await;
    world.until("connected", |link| link.is_connected()).await;
    let others = [world.send([2, 3]).await, world.send([4, 5]).await];
    for campaign in others {
        let report = world.completed(campaign).await;
        assert_eq!(report["counts"]["failed"], Value::Null, "{report}");
    }
    let report = world.completed(leftover).await;
    assert_eq!(report["counts"], json!({ "uncertain": 1 }), "nobody else may send it");
}

async fn the_breaker_trips_for_each_of_two_campaigns(engine: Engine) {
    let world = World::ordinary(engine, |_| {}).await;
    world.faults([FaultRule::on(Stanza::Message, Action::AckError { code: 400 })]);
    let campaigns = [world.send(1..=12).await, world.send(13..=24).await];
    for campaign in campaigns {
        let paused = world.paused(campaign, "breaker").await;
        assert_eq!(paused["counts"]["failed"], 10, "{paused}");
    }
}

async fn a_daily_cap_stretches_a_send_over_days(engine: Engine) {
    let mut world = World::ordinary(engine, |settings| settings.quotas.daily_cap = Some(3)).await;
    let request = json!({
        "message": "Halo {nama}", "customer_ids": (1..=8).collect::<Vec<i64>>(), "dry_run": true,
    });
    let dry_run = world.post("/api/send/custom", request).await;
    let days = dry_run["duration_seconds"].as_u64().unwrap() / (24 * 3600);
    assert!((1..=2).contains(&days), "8 at 3 a day end on the third: {dry_run}");

    let campaign = world.send(1..=8).await;
    for day in 1..3u64 {
        world.count(campaign, "read", 3 * day).await;
        let waiting = world.waits_for(campaign, "daily_cap").await;
        let until = waiting["waiting"]["until"].as_str().unwrap();
        assert!(until.ends_with("T17:00:00.000Z"), "midnight in Jakarta: {until}");
        let session = world.get("/api/whatsapp/sessions/default").await;
        assert_eq!(
            (&session["waiting_for"], &session["sent_today"]),
            (&json!("daily_cap"), &json!(3)),
            "{session}"
        );
        world.clock.advance(Duration::from_secs(24 * 3600));
    }
    world.completed(campaign).await;
    world.stop_clock();
    assert_eq!(world.reached(), 8);
    world.assert_report_is_true(campaign).await;
}

async fn two_numbers_share_a_send(engine: Engine) {
    let world = World::ordinary(engine, |_| {}).await;
    world.add_session("second", SECOND).await;
    let campaign = world.send(1..=20).await;
    world.completed(campaign).await;
    let senders: Vec<_> = world
        .simulator
        .ledger(0)
        .into_iter()
        .filter(|entry| entry.owner == entry.to)
        .map(|entry| entry.from)
        .collect();
    for number in [OWN, SECOND] {
        let share = senders.iter().filter(|sender| *sender == number).count();
        assert!((5..=15).contains(&share), "{number} sent {share} of 20");
    }

    // Next time everybody is written to by the number that they know.
    let everybody: Vec<i64> = (1..=20).collect();
    let again = world.try_send(&everybody, "again").await.unwrap();
    world.completed(again).await;
    let first = world.deliveries(campaign).await;
    let second = world.deliveries(again).await;
    for customer in 1..=20 {
        assert_eq!(first[&customer]["sender"], second[&customer]["sender"], "{customer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_number_does_not_stop_others() {
    let world = World::ordinary(Engine::Sqlite, |_| {}).await;
    world.add_session("second", SECOND).await;
    let ban = Action::Failure { reason: 402, code: Some(101), expire: Some(3600) };
    world.faults([FaultRule::on(Stanza::Message, ban).from(SECOND).times(1)]);
    let campaign = world.send(1..=12).await;
    let banned = |session: &Value| session["waiting_for"] == "banned";
    world.wait_for("/api/whatsapp/sessions/second", banned).await;
    let running = world.get(&format!("/api/campaigns/{campaign}")).await;
    assert_eq!((&running["status"], &running["waiting"]), (&json!("running"), &Value::Null));
    // All but what the banned one may have sent.
    world.campaign(campaign, |campaign| campaign["counts"]["read"].as_u64() >= Some(11)).await;

    world.post("/api/whatsapp/sessions/default/pause", Value::Null).await;
    let next = world.send([15]).await;
    let waiting = world.campaign(next, |campaign| campaign["waiting"].is_object()).await;
    assert_eq!(waiting["waiting"]["reason"], "banned", "the wait that ends by itself");
    world.post("/api/whatsapp/sessions/default/resume", Value::Null).await;
    world.completed(next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_goes_out_from_the_sessions_that_it_names() {
    let world = World::ordinary(Engine::Sqlite, |_| {}).await;
    world.add_session("second", SECOND).await;
    let request = json!({
        "message": "Halo {nama}, jaringan sudah pulih.", "customer_ids": [1, 2, 3],
        "sessions": ["second"],
    });
    let report = world.post("/api/send/custom", request).await;
    assert_eq!(report["sent_count"], 3, "{report}");
    let ledger = world.simulator.ledger(0);
    assert!(ledger.iter().all(|entry| entry.from == SECOND), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_fails_after_a_claim_leaves_nothing_leased() {
    let world = World::ordinary(Engine::Sqlite, |_| {}).await;
    world
        .execute(
            "CREATE TRIGGER not_now BEFORE UPDATE OF attempts ON deliveries \
             WHEN NEW.state = 'sending' BEGIN SELECT RAISE(ABORT, 'not now'); END",
        )
        .await;
    let campaigns = [world.send(1..=4).await, world.send(5..=8).await];
    for campaign in campaigns {
        world.campaign(campaign, |campaign| campaign["counts"]["leased"].is_u64()).await;
    }
    world.execute("DROP TRIGGER not_now").await;
    for campaign in campaigns {
        world.completed(campaign).await;
        world.assert_report_is_true(campaign).await;
    }
    assert_eq!(world.reached(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_recipients_failure_does_not_delay_others() {
    /// The pace, doubled after a new connection.
    const LONGEST_GAP: Duration = Duration::from_secs(6);
    let clock = Clock::manual(Clock::System.now());
    let world = World::linked_to(Engine::Sqlite, clock, |_| {}, ordinary_pace).await;
    let no_keys = FaultRule::on(Stanza::Prekeys, Action::Error { code: 500, text: String::new() });
    world.faults([no_keys.to(phone(1)).times(2)]);
    let campaign = world.send(1..=6).await;
    let report = format!("/api/campaigns/{campaign}/deliveries");
    // No time passes but what the pace takes: twice the first may be tried, and all others.
    for gaps in 1..=7 {
        world.clock.advance(LONGEST_GAP);
        let answered = |page: &Value| {
            let deliveries = page["deliveries"].as_array().unwrap().iter();
            let attempts = deliveries.clone().map(|delivery| delivery["attempts"].as_i64());
            let mut states = deliveries.map(|delivery| &delivery["state"]);
            attempts.flatten().sum::<i64>() == gaps && states.all(|state| state != "sending")
        };
        world.wait_for(&report, answered).await;
    }
    world.count(campaign, "read", 5).await;
    let _running = RunningClock::start(&world.clock);
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
    assert_eq!(world.reached(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_spoils_a_check_fails_alone() {
    let world = World::ordinary(Engine::Sqlite, |_| {}).await;
    let refusal = FaultRule::on(Stanza::Usync, Action::Error { code: 400, text: String::new() });
    // The question about all of them, then the one about the first alone.
    world.faults([refusal.times(2)]);
    let campaign = world.send(1..=4).await;
    world.count(campaign, "read", 3).await;
    world.count(campaign, "failed", 1).await;
    assert_eq!(stanzas(&world, 1), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_numbers_are_checked_in_one_question() {
    let world = World::ordinary(Engine::Sqlite, |_| {}).await;
    let campaign = world.send(1..=10).await;
    world.count(campaign, "read", 1).await;
    let phones: Vec<_> = (1..=10).map(|n| kabari_domain::Phone::from_stored(phone(n))).collect();
    let known = world.app().state.known_numbers(&phones).await.unwrap();
    assert!(known.iter().all(Option::is_some), "all were asked about before the second message");
    world.completed(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_hours_let_only_urgent_messages_out() {
    let world = World::ordinary(Engine::Sqlite, |settings| {
        // From now on, for an hour.
        let now = settings.quotas.local_time(kabari::clock::Clock::System.now());
        let later = now + chrono::TimeDelta::hours(1);
        let hours = format!("{}-{}", now.format("%H:%M"), later.format("%H:%M"));
        settings.quotas.quiet_hours = Some(hours.parse().unwrap());
    })
    .await;
    let campaign = world.send(1..=3).await;
    let waiting = world.waits_for(campaign, "quiet_hours").await;
    assert_eq!(waiting["counts"], json!({ "queued": 3 }));
    let eta = waiting["eta"].as_str().unwrap().to_owned();
    assert!(eta.as_str() >= waiting["waiting"]["until"].as_str().unwrap(), "{waiting}");
    let request = json!({ "phone": phone(9), "message": "Penting", "urgent": true });
    let urgent = world.post("/api/send/phone", request).await;
    assert_eq!(urgent["success"], true, "{urgent}");
    assert_eq!(world.reached(), 1);
    world.clock.advance(Duration::from_secs(3600));
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_may_not_send_leave_the_database_alone() {
    let world = World::ordinary(Engine::Sqlite, |settings| {
        settings.quotas.quiet_hours = Some("00:00-23:59".parse().unwrap());
    })
    .await;
    world.add_session("second", SECOND).await;
    let campaign = world.send(1..=3).await;
    world.waits_for(campaign, "quiet_hours").await;
    let commits = || *world.app().state.changes().borrow();
    let (before, begun) = (commits(), world.now());
    let minutes = Duration::from_secs(180);
    world.clock.sleep_until(begun + minutes).await;
    // Two numbers renew their leases every 5 s in one commit.
    let renewals = 180 / 5;
    assert!(commits() - before <= 2 * renewals, "{} commits in 3 minutes", commits() - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_node_takes_the_number_over_and_fails_nothing() {
    let mut world = World::ordinary(Engine::MariaDb, |_| {}).await;
    let standby = world.another_node().await;
    world.stop().await;
    let campaign = standby.send(1..=4).await;
    standby.completed(campaign).await;
    assert_report_is_true(&world.simulator, &standby.deliveries(campaign).await);
    assert_eq!(world.reached(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_link_is_written_while_a_message_waits_for_its_time() {
    // It stands still: that time never comes.
    let clock = Clock::manual(Clock::System.now());
    let world = World::linked_to(Engine::Sqlite, clock, |_| {}, ordinary_pace).await;
    let campaign = world.send([1]).await;
    world.count(campaign, "leased", 1).await;
    world.unlink(OWN);
    world.waits_for(campaign, "logged_out").await;
    world.count(campaign, "queued", 1).await;
}

/// At either question that WhatsApp is asked before a message, and gets no answer to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_is_written_while_a_message_is_prepared() {
    for question in [Stanza::Usync, Stanza::Prekeys] {
        let world = World::ordinary(Engine::Sqlite, |_| {}).await;
        let conflict = Some("replaced".to_owned());
        let replaced = Action::StreamError { code: None, conflict };
        world.faults([FaultRule::on(question, replaced).times(1)]);
        let campaign = world.send([1]).await;
        world.waits_for(campaign, "replaced").await;
        world.count(campaign, "queued", 1).await;
        assert_eq!(world.reached(), 0, "{question:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relinked_number_begins_its_warm_up_anew() {
    let world = World::ordinary(Engine::Sqlite, |settings| settings.quotas.warm_up = true).await;
    let state = &world.app().state;
    let linked_at = async || state.session(DEFAULT_SESSION).await.unwrap().unwrap().linked_at;
    let first = linked_at().await.unwrap();
    world.clock.advance(Duration::from_secs(3 * 24 * 3600));
    world.unlink(OWN);
    world.until("unlinked", |link| link.qr.is_some()).await;
    world.scan().await;
    world.until("connected", |link| link.is_connected()).await;
    let connected = |session: &Value| session["state"] == "connected";
    world.wait_for("/api/whatsapp/sessions/default", connected).await;
    world.wait_for("/api/whatsapp/sessions/default", |s| s["linked_at"].is_string()).await;
    let campaign = world.send(1..=21).await;
    let waiting = world.waits_for(campaign, "daily_cap").await;
    assert_eq!(waiting["counts"]["queued"], 1, "20 on the first day: {waiting}");
    assert!(linked_at().await.unwrap() > first);
}
