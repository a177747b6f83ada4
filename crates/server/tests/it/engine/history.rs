//! What old chats are worth: the history that the phone sends at linking, and the two refusals
//! that share the code 463.

use super::faults::stanzas;
use crate::harness::caller::Caller;
use crate::harness::database::{Engine, billing_file};
use crate::harness::driven_client::assert_no_violations;
use crate::harness::node::Setup;
use crate::harness::served::PATIENCE;
use crate::harness::world::{OWN, World, billing_sql, phone};
use kabari::clock::Clock;
use kabari_domain::session::DEFAULT_SESSION;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{AccountLimits, Action, ChatToken, Config, FaultRule, HistoryChat, Simulator, Stanza};

const SESSION: &str = "/api/whatsapp/sessions/default";
/// Longer than any clock here is turned.
const LOCKED_FOR: Duration = Duration::from_secs(365 * 24 * 3600);

super::on_both_engines! {
    contacts_from_the_history_are_sent_to_while_strangers_wait,
    a_history_served_twice_counts_once,
}

/// A chat in which the customer has written.
fn chat(customer: i64, token: ChatToken) -> HistoryChat {
    HistoryChat { with: phone(customer), wrote: true, token }
}

fn chats(customers: impl IntoIterator<Item = i64>) -> Vec<HistoryChat> {
    customers.into_iter().map(|customer| chat(customer, ChatToken::Valid)).collect()
}

fn lock(simulator: &Simulator) {
    let until = simulator.now_ms() / 1000 + LOCKED_FOR.as_secs();
    simulator
        .set_limits(OWN, AccountLimits { reachout_until: Some(until), ..AccountLimits::default() });
}

/// Waits until the phone has told all of its chats.
async fn told(world: &Caller) -> Value {
    world.wait_for(SESSION, |session| session["history"]["done"] == true).await
}

async fn contacts_from_the_history_are_sent_to_while_strangers_wait(engine: Engine) {
    let prepare = |simulator: &Simulator| {
        let never_wrote = HistoryChat { wrote: false, ..chat(21, ChatToken::None) };
        let told: Vec<HistoryChat> = chats(1..=20).into_iter().chain([never_wrote]).collect();
        simulator.set_history(OWN, told);
        lock(simulator);
    };
    let world = World::ordinary_to(engine, prepare, |_| {}).await;
    let session = told(&world).await;
    assert_eq!(session["contacts"], 20, "{session}");
    let status = world.get("/api/whatsapp/status").await;
    assert_eq!(status["history"], json!({ "progress": 100, "done": true }), "{status}");

    let customers: Vec<i64> = (1..=25).collect();
    let request = json!({ "message": "x", "customer_ids": customers, "dry_run": true });
    let forecast = world.post("/api/send/custom", request).await;
    assert_eq!(forecast["recipients"], json!({ "warm": 20, "cold": 5 }), "{forecast}");
    let campaign = world.send(customers).await;
    world.count(campaign, "read", 20).await;
    let report = world.waits_for(campaign, "reach_out_limit").await;
    assert_eq!(report["counts"], json!({ "read": 20, "queued": 5 }), "{report}");
    assert_eq!(report["recipients"], json!({ "warm": 20, "cold": 5 }), "{report}");
    for customer in 1..=25 {
        let expected = usize::from(customer <= 20);
        assert_eq!(stanzas(&world, customer), expected, "customer {customer}");
    }
    world.assert_report_is_true(campaign).await;
}

async fn a_history_served_twice_counts_once(engine: Engine) {
    let twice = FaultRule::on(Stanza::History, Action::Duplicate { copies: 1 });
    let counted = FaultRule::on(Stanza::Media, Action::Delay { ms: 0, jitter_ms: 0 });
    let prepare = |simulator: &Simulator| {
        simulator.set_history(OWN, chats(1..=5));
        simulator.set_faults(vec![twice, counted]);
    };
    let world = World::linked_to(engine, Clock::System, prepare, |_| {}).await;
    let downloaded = |simulator: &Simulator| simulator.struck() == [1, 2];
    world.simulator.wait_for(downloaded, PATIENCE).await.unwrap();
    told(&world).await;
    world.simulator.write(&phone(6), OWN, "Kapan pulih?").await.unwrap();
    let session = world.wait_for(SESSION, |session| session["contacts"] == 6).await;
    assert_eq!(session["history"], json!({ "progress": 100, "done": true }), "{session}");
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_late_or_missing_history_delays_no_send() {
    let not_found = Action::Error { code: 404, text: String::new() };
    let late = || Action::Delay { ms: 3_600_000, jitter_ms: 0 };
    for (stanza, action) in [
        (Stanza::History, Action::Swallow),
        (Stanza::History, late()),
        (Stanza::Media, Action::Swallow),
        (Stanza::Media, late()),
        (Stanza::Media, Action::Corrupt),
        (Stanza::Media, not_found),
    ] {
        let rule = FaultRule::on(stanza, action.clone());
        let prepare = |simulator: &Simulator| {
            simulator.set_history(OWN, chats(1..=3));
            simulator.set_faults(vec![rule]);
        };
        let world = World::linked_to(Engine::Sqlite, Clock::System, prepare, |_| {}).await;
        let campaign = world.send(1..=4).await;
        world.completed(campaign).await;
        world.count(campaign, "read", 4).await;
        let session = world.get(SESSION).await;
        assert_eq!((&session["history"], &session["contacts"]), (&Value::Null, &json!(0)));
        if action == late() {
            world.simulator.advance(Duration::from_secs(3600));
            told(&world).await;
        }
        world.assert_report_is_true(campaign).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_lacked_its_token_goes_out_with_it() {
    let prepare = |simulator: &Simulator| {
        simulator.set_history(OWN, vec![chat(1, ChatToken::Expired), chat(2, ChatToken::Valid)]);
        simulator
            .set_limits(OWN, AccountLimits { token_required: true, ..AccountLimits::default() });
    };
    let clock = Clock::manual(Clock::System.now());
    let world = World::linked_to(Engine::Sqlite, clock, prepare, |_| {}).await;
    told(&world).await;
    let campaign = world.send(1..=3).await;
    world.count(campaign, "read", 2).await;
    let delivery = world.delivery(campaign, 1).await;
    assert_eq!(delivery["state"], "retry_wait", "one recipient waits, and not the number");
    let session = world.app().state.session(DEFAULT_SESSION).await.unwrap().unwrap();
    assert_eq!(session.reach_out_until, kabari_domain::Timestamp(0));
    // Whoever is given a token gives one back.
    let given = |simulator: &Simulator| {
        let accounts = simulator.accounts();
        let own = accounts.iter().find(|account| account.phone == OWN).unwrap();
        simulator.has_token(OWN, &phone(1))
            && own.devices.iter().all(|device| device.unacknowledged == 0)
    };
    world.simulator.wait_for(given, PATIENCE).await.unwrap();
    world.clock.advance(Duration::from_secs(3600));
    world.completed(campaign).await;
    assert_eq!(stanzas(&world, 1), 2);
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_token_is_distinguished_from_a_limit() {
    let world = World::with_manual_clock(Engine::Sqlite).await;
    world.faults([FaultRule::on(Stanza::Message, Action::AckError { code: 463 }).to(phone(1))]);
    let campaign = world.send(1..=3).await;
    world.count(campaign, "read", 2).await;
    for attempts in 1..=2 {
        let deliveries = format!("/api/campaigns/{campaign}/deliveries");
        let waits = |page: &Value| {
            let first = &page["deliveries"][0];
            first["state"] == "retry_wait" && first["attempts"] == attempts
        };
        world.wait_for(&deliveries, waits).await;
        world.clock.advance(Duration::from_secs(3600));
    }
    let report = world.completed(campaign).await;
    assert_eq!(report["counts"], json!({ "read": 2, "failed": 1 }), "{report}");
    let delivery = world.delivery(campaign, 1).await;
    assert_eq!(delivery["error"], kabari_domain::wording::MISSING_TOKEN);
    assert_eq!(stanzas(&world, 1), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_with_an_expired_token_waits_as_a_stranger() {
    let prepare = |simulator: &Simulator| {
        simulator.set_history(OWN, vec![chat(1, ChatToken::Expired), chat(2, ChatToken::Valid)]);
        lock(simulator);
    };
    let world = World::ordinary_to(Engine::Sqlite, prepare, |_| {}).await;
    told(&world).await;
    let campaign = world.send(1..=3).await;
    world.count(campaign, "read", 1).await;
    world.waits_for(campaign, "reach_out_limit").await;
    // Whoever writes is none any more.
    world.simulator.write(&phone(1), OWN, "Kapan pulih?").await.unwrap();
    world.count(campaign, "read", 2).await;
    world.waits_for(campaign, "reach_out_limit").await;
    assert_eq!([1, 2, 3].map(|customer| stanzas(&world, customer)), [2, 1, 0]);
    world.assert_report_is_true(campaign).await;
}

const MANY: usize = 20_000;
/// Ten times what it takes unoptimized on a small machine that does nothing else.
const READ_WITHIN: Duration = Duration::from_secs(180);
/// What a process that reads so many chats may take, in MiB.
const MEMORY: u64 = 160;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_twenty_thousand_chats_stays_bounded() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let many = (0..MANY).map(|n| HistoryChat {
        with: format!("6285{n:08}0"),
        wrote: true,
        token: ChatToken::Valid,
    });
    simulator.set_history(OWN, many.collect());
    let directory = TempDir::new().unwrap();
    billing_file(&directory, &billing_sql(40)).await;
    let mut node = Setup::new(directory.path(), &simulator).start();
    let world = node.caller().await.unwrap();
    let qr = world.wait_for(&format!("{SESSION}/qr"), |qr| qr["text"].is_string()).await;
    simulator.scan(qr["text"].as_str().unwrap(), OWN).await.unwrap();

    // Nothing waits for it.
    let campaign = world.send(1..=10).await;
    world.completed(campaign).await;
    let is_read =
        |session: &Value| session["contacts"] == MANY && session["history"]["done"] == true;
    world.wait_within(READ_WITHIN, SESSION, is_read).await;
    let peak = node.peak_memory();
    println!("{MANY} chats: {peak:?} MiB at most");
    assert!(peak.is_none_or(|peak| peak < MEMORY), "{peak:?} MiB");
    assert_no_violations(&simulator);
}
