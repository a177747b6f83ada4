//! What kabari says of its health, while it sends and while it cannot.

use crate::harness::database::{Engine, execute_on_file};
use crate::harness::node::Setup;
use crate::harness::promtool::promtool;
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, World, billing_sql, phone};
use kabari::clock::Clock;
use kabari_domain::LinkState;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, Simulator};

super::on_both_engines! {
    ready_when_messages_can_go_out_and_else_says_why,
    metrics_tell_of_every_message_and_of_nobody,
}

const LIMIT: u32 = 100;

/// The reasons that `/readyz` gives, with its status.
async fn reasons(world: &World) -> (u16, Vec<String>) {
    let answer = world.try_request(Method::GET, "/readyz", &[], &Value::Null).await;
    let (status, body) = answer.unwrap();
    let reasons = body["reasons"].as_array().unwrap().iter();
    (status, reasons.map(|one| one["reason"].as_str().unwrap().to_owned()).collect())
}

/// Waits until `/readyz` gives this reason and no other; none for ready.
async fn until_reason(world: &World, reason: Option<&str>) {
    let expected = match reason {
        None => (200, vec![]),
        Some(reason) => (503, vec![reason.to_owned()]),
    };
    let mut looks = tokio::time::interval(Duration::from_millis(40));
    let seen = async {
        while reasons(world).await != expected {
            looks.tick().await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    if seen.is_err() {
        panic!("not {expected:?} but {:?}", reasons(world).await);
    }
}

async fn metrics(world: &World) -> String {
    metrics_with(world, "").await
}

/// Waits until this is in them: what is written is counted a moment later.
async fn metrics_with(world: &World, part: &str) -> String {
    let page = world.wait_for("/metrics", |page| page.as_str().unwrap().contains(part)).await;
    page.as_str().unwrap().to_owned()
}

async fn ready_when_messages_can_go_out_and_else_says_why(engine: Engine) {
    let world = World::unlinked(engine, Clock::System, |_| {}).await;
    until_reason(&world, Some("not_linked")).await;
    assert_eq!(world.get("/livez").await, json!({ "status": "alive" }));
    world.scan().await;
    world.until_link(LinkState::Connected).await;
    until_reason(&world, None).await;
    world.unlink(OWN);
    until_reason(&world, Some("not_linked")).await;
}

async fn metrics_tell_of_every_message_and_of_nobody(engine: Engine) {
    let set = |settings: &mut kabari::config::Settings| settings.quotas.daily_cap = Some(LIMIT);
    let world = World::linked_with(engine, Clock::System, set).await;
    let campaign = world.send(1..=5).await;
    world.count(campaign, "read", 5).await;

    let text = metrics_with(&world, r#"kabari_receipt_seconds_count{rank="read"} 5"#).await;
    for line in [
        r#"kabari_attempts_total{outcome="acked",session="default"} 5"#,
        r#"kabari_ack_seconds_count 5"#,
        r#"kabari_receipts_total{rank="delivered"} 5"#,
        r#"kabari_receipt_seconds_count{rank="delivered"} 5"#,
        r#"kabari_connects_total{session="default"} 1"#,
        r#"kabari_session_quota_left{session="default"} 95"#,
        r#"kabari_session_connected{session="default"} 1"#,
        r#"kabari_session_link{link="connected",session="default"} 1"#,
        r#"kabari_deliveries{session="",state="queued"} 0"#,
        r#"kabari_queue_deliveries 0"#,
        r#"kabari_queue_oldest_seconds 0"#,
        r#"kabari_not_ready{reason="not_linked"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
    }
    for part in [
        r#"kabari_paced_messages_total{pace=""#,
        r#"kabari_http_request_seconds_count{method="POST",route="/api/send/custom",status="202"} 1"#,
        r#"kabari_statement_seconds_count{database="state"}"#,
        r#"kabari_statement_seconds_count{database="billing"}"#,
        "kabari_disk_free_bytes",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    let nobody = (1..=5).map(phone).chain([OWN.to_owned()]).all(|number| !text.contains(&number));
    assert!(nobody, "a phone number is in:\n{text}");
    promtool(&["check", "metrics"], &text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_waits_is_counted_and_timed() {
    let clock = Clock::manual(Clock::System.now());
    let world = World::linked_with(Engine::Sqlite, clock, |_| {}).await;
    world.patch("/api/whatsapp/sessions/default", json!({ "daily_cap": 1 })).await;
    let campaign = world.send(1..=3).await;
    world.count(campaign, "read", 1).await;
    world.waits_for(campaign, "daily_cap").await;
    world.clock.advance(Duration::from_secs(60));
    let text = metrics(&world).await;
    assert!(text.contains("\nkabari_queue_deliveries 2\n"), "{text}");
    assert!(text.contains("\nkabari_queue_oldest_seconds 60"), "{text}");
    assert!(text.contains("kabari_deliveries{session=\"\",state=\"queued\"} 2"), "{text}");
    assert!(text.contains("kabari_session_quota_left{session=\"default\"} 0"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatcher_that_cannot_write_is_called_stuck() {
    let clock = Clock::manual(Clock::System.now());
    let world = World::linked_with(Engine::Sqlite, clock, |_| {}).await;
    until_reason(&world, None).await;
    // A backup program that holds the file: everything can be read, nothing written.
    let file = SqliteConnectOptions::new().filename(world.state_file());
    let mut other: SqliteConnection = file.connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    world.clock.advance(Duration::from_secs(100));
    until_reason(&world, Some("dispatcher_stuck")).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    until_reason(&world, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_goes_through_request_campaign_log_and_answer() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    execute_on_file(&directory.path().join("billing.db"), &billing_sql(CUSTOMERS)).await;
    let setup = Setup::new(directory.path(), &simulator)
        .with("RUST_LOG", "kabari=debug")
        .with("LOG_FORMAT", "json");
    setup.link(&simulator, OWN).await;
    let mut node = setup.start();
    let caller = node.caller().await.unwrap();
    let body = json!({ "message": "Halo", "customer_ids": [1] });
    let headers = [("x-request-id", "cron-7"), ("prefer", "respond-async")];
    let response = caller.respond(Method::POST, "/api/send/custom", &headers, &body).await;
    assert_eq!(response.headers()["x-request-id"], "cron-7");
    let campaign: Value = response.json().await.unwrap();
    assert_eq!(campaign["request_id"], "cron-7");
    let has_both = |words: &'static str| {
        let log = node.log();
        let line = log.lines().find(|line| line.contains(words)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("nothing says {words:?}:\n{log}"))
    };
    caller.completed(campaign["id"].as_i64().unwrap()).await;
    for words in ["recorded a campaign", "\"attempted\""] {
        let line = has_both(words);
        assert!(line.contains("cron-7"), "{line}");
    }
    let response = caller.respond(Method::GET, "/nowhere", &[("x-request-id", "two words")], &body);
    let made = response.await.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(made.len() == 32 && made != "two words", "{made}");
}
