//! What a collector is told: one trace from a request to its messages, and nothing of anybody.

use crate::harness::collector::{Collector, Seen};
use crate::harness::database::{Engine, execute_on_file};
use crate::harness::gateway::OurGateway;
use crate::harness::node::Setup;
use crate::harness::scripted_gateway::ScriptedGateway;
use crate::harness::world::{CUSTOMERS, OWN, TEMPLATE, World, billing_sql, phone};
use kabari::clock::Clock;
use kabari::config::Settings;
use kabari_domain::{MessageId, Phone};
use kabari_gateway::{Gateway, OutgoingMessage, Remote, RemoteConfig};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wa_sim::{Config, Simulator};

/// A caller's span, and its trace.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
/// One that nobody wants to be told of.
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c803199-b7ad6b7169203331-00";
/// For how long a collector is waited for: what hangs on it takes longer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

fn sending_to(collector: &Collector) -> impl FnOnce(&mut Settings) {
    let url = collector.traces_url();
    move |settings| settings.trace_collector = Some(url)
}

fn named<'s>(spans: &'s [Seen], name: &str) -> Vec<&'s Seen> {
    spans.iter().filter(|seen| seen.span.name == name).collect()
}

async fn one_trace_leads_from_a_request_to_its_messages_and_names_nobody(engine: Engine) {
    let collector = Collector::start().await;
    let mut world = World::linked_with(engine, Clock::System, sending_to(&collector)).await;
    let body = json!({ "message": TEMPLATE, "customer_ids": [1, 2, 3] });
    let send = async |traceparent| {
        let headers = [("traceparent", traceparent)];
        let answer = world.respond(Method::POST, "/api/send/custom", &headers, &body).await;
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let report: Value = answer.json().await.unwrap();
        assert_eq!(report["sent_count"], 3, "{report}");
        (id, report["campaign_id"].as_i64().unwrap())
    };
    let (id, campaign) = send(CALLER).await;
    assert_eq!(id, TRACE);
    assert_eq!(world.get(&format!("/api/campaigns/{campaign}")).await["request_id"], TRACE);
    send(UNSAMPLED).await;
    world.get("/metrics").await;
    world.stop().await;

    let spans = collector.spans();
    assert!(spans.iter().all(|seen| seen.trace() != UNSAMPLED[3..35]), "{spans:#?}");
    assert!(named(&spans, "GET /metrics").is_empty(), "{spans:#?}");
    assert_eq!(named(&spans, "GET /api/campaigns/{campaign_id}").len(), 1);
    let requests = named(&spans, "POST /api/send/custom");
    let [request] = requests.as_slice() else { panic!("{spans:#?}") };
    assert_eq!((request.trace(), request.parent()), (TRACE.to_owned(), SPAN.to_owned()));
    assert_eq!(request.span.kind(), SpanKind::Server);
    assert_eq!(request.resource["service.name"], "kabari");
    let attributes = request.attributes();
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/send/custom"),
        ("http.response.status_code", "200"),
        ("kabari.request_id", TRACE),
    ] {
        assert_eq!(attributes[name], value);
    }
    let records = named(&spans, "record campaign");
    assert_eq!(records[0].parent(), request.id());
    assert_eq!(named(&spans, "read recipients")[0].parent(), records[0].id());

    let messages = named(&spans, "send message");
    assert_eq!(messages.len(), 3);
    for message in messages {
        assert_eq!((message.trace(), message.parent()), (TRACE.to_owned(), request.id()));
        assert_eq!(message.span.kind(), SpanKind::Client);
        assert!(message.span.status.as_ref().is_none_or(|s| s.code() != StatusCode::Error));
        let attributes = message.attributes();
        for (name, value) in [
            ("kabari.session", "default"),
            ("kabari.campaign", &campaign.to_string()),
            ("kabari.attempt", "1"),
            ("kabari.outcome", "acked"),
            ("kabari.request_id", TRACE),
        ] {
            assert_eq!(attributes[name], value);
        }
    }

    let told = collector.bytes();
    let text = TEMPLATE.split(' ').next_back().unwrap();
    let numbers = [phone(1), phone(2), phone(3), OWN.to_owned()].map(|phone| phone[2..].to_owned());
    for personal in numbers.iter().map(String::as_str).chain(["Pelanggan", text]) {
        let is_told = told.windows(personal.len()).any(|part| part == personal.as_bytes());
        assert!(!is_told, "{personal} is told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_a_request_to_its_messages_sqlite() {
    one_trace_leads_from_a_request_to_its_messages_and_names_nobody(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_a_request_to_its_messages_mariadb() {
    one_trace_leads_from_a_request_to_its_messages_and_names_nobody(Engine::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_delays_neither_a_message_nor_the_end() {
    let collector = Collector::hanging().await;
    let mut world = World::linked_with(Engine::Sqlite, Clock::System, sending_to(&collector)).await;
    let campaign = world.send([1, 2, 3]).await;
    world.completed(campaign).await;
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < EXPORT_TIMEOUT, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_the_id_of_the_trace_and_says_that_spans_are_lost() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    execute_on_file(&directory.path().join("billing.db"), &billing_sql(CUSTOMERS)).await;
    let mut collector = Collector::start().await;
    let setup = Setup::new(directory.path(), &simulator)
        .with("LOG_FORMAT", "json")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .with("OTEL_SERVICE_NAME", "kabari-timur")
        .with("OTEL_BSP_SCHEDULE_DELAY", "50");
    let doctor = async |expected: &str| {
        let said = String::from_utf8(setup.run(&["doctor"]).await.stdout).unwrap();
        assert!(said.contains(expected), "{said}");
    };
    let mut node = setup.start();
    let caller = node.caller().await.unwrap();
    let body = json!({ "message": "Halo", "customer_ids": [1] });
    let headers = [("x-request-id", "cron-7"), ("prefer", "respond-async")];
    let answer = caller.respond(Method::POST, "/api/send/custom", &headers, &body).await;
    assert_eq!(answer.headers()["x-request-id"], "cron-7");
    let request = |seen: &Seen| seen.span.name == "POST /api/send/custom";
    let request = collector.until("of the request", request).await;
    assert_eq!(request.attributes()["kabari.request_id"], "cron-7");
    assert_eq!(request.resource["service.name"], "kabari-timur");
    node.logged("recorded a campaign").await;
    let log = node.log();
    let line = log.lines().find(|line| line.contains("recorded a campaign")).unwrap();
    assert!(line.contains("cron-7") && line.contains(&request.trace()), "{line}");

    doctor("ok    trace collector").await;
    collector.stop().await;
    doctor("note  trace collector").await;
    caller.get("/api/notices").await;
    node.logged("cannot be reached, so spans are lost").await;
}

#[tokio::test]
async fn a_gateway_goes_on_with_the_trace_of_the_message() {
    let collector = Collector::start().await;
    let behind = Arc::new(ScriptedGateway::connected());
    let mut gateway = OurGateway::with(behind, Clock::System, sending_to(&collector)).await;
    let config = RemoteConfig { url: gateway.url(), key: None, heard: None };
    let remote = Remote::start(config).await.unwrap();
    let message = OutgoingMessage {
        message_id: MessageId::from_random([7; 9]),
        phone: Phone::from_stored("6281234567801"),
        jid: None,
        text: "Halo".to_owned(),
        traceparent: Some(CALLER.to_owned()),
    };
    remote.send(&message).await.unwrap();
    remote.close().await;
    gateway.stop().await;
    let spans = collector.spans();
    let sends = named(&spans, "POST /send");
    assert_eq!(sends.len(), 1, "{spans:#?}");
    assert_eq!((sends[0].trace(), sends[0].parent()), (TRACE.to_owned(), SPAN.to_owned()));
}
