//! What `kabari worker` and `kabari gateway` answer monitoring, where they are asked to.

use crate::harness::caller::Caller;
use crate::harness::gateway::OurGateway;
use crate::harness::scripted_gateway::ScriptedGateway;
use crate::harness::served::PATIENCE;
use crate::harness::world::options;
use kabari::app::{App, NodeRole};
use kabari::clock::Clock;
use kabari::config::{BillingDatabase, Settings};
use reqwest::Method;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const KEY: &str = "0123456789abcdef";

fn answering(settings: &mut Settings) {
    settings.metrics_address = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    settings.api_key = Some(KEY.to_owned());
}

/// Asks without a key, or with it.
async fn ask(caller: &Caller, path: &str, key: Option<&str>) -> (u16, Value) {
    let headers: Vec<_> = key.into_iter().map(|key| ("x-api-key", key)).collect();
    caller.try_request(Method::GET, path, &headers, &Value::Null).await.unwrap()
}

async fn metrics(caller: &Caller) -> String {
    assert_eq!(ask(caller, "/metrics", None).await.0, 401);
    match ask(caller, "/metrics", Some(KEY)).await {
        (200, Value::String(text)) => text,
        other => panic!("{other:?}"),
    }
}

async fn until_ready(caller: &Caller) {
    let mut looks = tokio::time::interval(Duration::from_millis(40));
    let ready = async {
        while ask(caller, "/readyz", None).await.0 != 200 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("it gets ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_answers_monitoring_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let mut settings = options(directory.path()).check().unwrap();
    // Where nobody listens: a worker does not read it.
    settings.billing = BillingDatabase::MySql {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port: 1,
        database: "pembayaran".to_owned(),
        username: "kabari".to_owned(),
        password: String::new(),
    };
    answering(&mut settings);
    let worker = App::start(settings, NodeRole::Worker, Clock::System).await.unwrap();
    let caller = Caller::of(worker.monitoring.unwrap());
    assert_eq!(ask(&caller, "/livez", None).await.0, 200);
    let (status, unready) = ask(&caller, "/readyz", None).await;
    let reasons = unready["reasons"].as_array().unwrap();
    assert_eq!((status, reasons.len()), (503, 1), "{unready}");
    assert_eq!(reasons[0]["reason"], "not_linked");
    let text = metrics(&caller).await;
    for part in [
        r#"kabari_build_info{version=""#,
        r#"kabari_not_ready{reason="not_linked"} 1"#,
        r#"kabari_statement_seconds_count{database="state"}"#,
        r#"kabari_http_request_seconds_count{method="GET",route="/readyz",status="503"} 1"#,
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    assert_eq!(ask(&caller, "/api/campaigns", Some(KEY)).await.0, 404);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_answers_monitoring_apart_from_its_contract() {
    let behind = Arc::new(ScriptedGateway::connected());
    let gateway = OurGateway::with(behind, Clock::System, answering).await;
    let contract = Caller::of(gateway.address);
    assert_eq!(ask(&contract, "/status", Some(KEY)).await.0, 200);
    assert_eq!(ask(&contract, "/metrics", Some(KEY)).await.0, 404);
    let caller = Caller::of(gateway.monitoring.unwrap());
    until_ready(&caller).await;
    let text = metrics(&caller).await;
    for part in [
        r#"kabari_http_request_seconds_count{method="GET",route="/status",status="200"} 1"#,
        r#"kabari_session_connected{session="default"} 1"#,
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
}
