//! Gateways of others know no ids: what may have gone out through one is sent a second time only if
//! a person wants it.

use crate::harness::caller::Caller;
use crate::harness::database::billing_file;
use crate::harness::node::Setup;
use crate::harness::running_clock::RunningClock;
use crate::harness::served::{PATIENCE, serve};
use crate::harness::world::{CUSTOMERS, billing_sql, options, ordinary_pace, phone};
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use kabari::app::{App, NodeRole};
use kabari::clock::Clock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use wa_sim::{Config, Simulator};

/// What the gateway does after it has sent a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Answers,
    /// The connection breaks before the answer.
    Breaks,
    /// A proxy in between answers this.
    Proxy(u16),
    /// It does not answer.
    Hangs,
}

/// A gateway as the replaced system had it.
#[derive(Clone)]
struct OldGateway {
    /// How often each number was sent something.
    sent: watch::Sender<BTreeMap<String, u32>>,
    script: Arc<Mutex<BTreeMap<String, Then>>>,
    address: SocketAddr,
}

impl OldGateway {
    async fn start() -> OldGateway {
        let mut gateway = OldGateway {
            sent: watch::Sender::default(),
            script: Arc::default(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let status =
            json!({ "ready": true, "phone": "6281299990000", "hasQR": false, "error": null });
        let router = Router::new()
            .route("/status", get(async move || Json(status)))
            .route("/send", post(OldGateway::send))
            .with_state(gateway.clone());
        (gateway.address, _) = serve(router).await;
        gateway
    }

    async fn send(State(gateway): State<OldGateway>, Json(request): Json<Value>) -> Response {
        let phone = request["phone"].as_str().unwrap().to_owned();
        gateway.sent.send_modify(|sent| *sent.entry(phone.clone()).or_default() += 1);
        let then = gateway.script.lock().unwrap().get(&phone).copied();
        match then.unwrap_or(Then::Answers) {
            Then::Answers => Json(json!({ "success": true, "phone": phone })).into_response(),
            Then::Breaks => {
                Body::from_stream(stream::iter([Err::<&str, _>(io::Error::other("broken"))]))
                    .into_response()
            }
            Then::Proxy(status) => StatusCode::from_u16(status).unwrap().into_response(),
            Then::Hangs => std::future::pending().await,
        }
    }

    fn then(&self, customer: i64, then: Then) {
        self.script.lock().unwrap().insert(phone(customer), then);
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn times(&self, customer: i64) -> u32 {
        self.sent.borrow().get(&phone(customer)).copied().unwrap_or(0)
    }

    async fn until_sent_to(&self, customer: i64) {
        let mut sent = self.sent.subscribe();
        let reached = sent.wait_for(|sent| sent.contains_key(&phone(customer)));
        timeout(PATIENCE, reached).await.expect("it is sent").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_cause_no_second_message() {
    let gateway = OldGateway::start().await;
    for (customer, then) in [(2, Then::Breaks), (4, Then::Proxy(502)), (6, Then::Proxy(504))] {
        gateway.then(customer, then);
    }
    let directory = TempDir::new().unwrap();
    billing_file(&directory, &billing_sql(CUSTOMERS)).await;
    let mut settings = options(directory.path()).check().unwrap();
    ordinary_pace(&mut settings);
    settings.gateway_url = Some(gateway.url());
    let clock = Clock::manual(Clock::System.now());
    let _turning = RunningClock::start(&clock);
    let app = App::start(settings, NodeRole::Serve, clock.clone()).await.unwrap();
    let caller = Caller::of(app.api.unwrap());

    let campaign = caller.send(1..=8).await;
    let report = caller.completed(campaign).await;
    assert_eq!(report["counts"], json!({ "accepted": 5, "uncertain": 3 }));
    let ended = clock.now();
    clock.sleep_until(ended + Duration::from_secs(90)).await;
    for customer in 1..=8 {
        assert_eq!(gateway.times(customer), 1, "customer {customer}");
    }

    // What it cannot tell is not known.
    let status = caller.get("/api/whatsapp/status").await;
    assert_eq!((&status["receipts"], &status["limits"]), (&json!(false), &Value::Null));
    let uncertain = caller.delivery(campaign, 2).await;
    assert_eq!((&uncertain["state"], &uncertain["receipts"]), (&json!("uncertain"), &json!(false)));

    // A person may want it all the same.
    gateway.then(2, Then::Answers);
    let resolve = format!("/api/deliveries/{}/resolve", uncertain["id"]);
    caller.post(&resolve, json!({ "decision": "send_again" })).await;
    caller.count(campaign, "accepted", 6).await;
    assert_eq!(gateway.times(2), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kabari_that_dies_while_it_waits_for_the_answer_sends_no_second_message() {
    let gateway = OldGateway::start().await;
    gateway.then(2, Then::Hangs);
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    billing_file(&directory, &billing_sql(CUSTOMERS)).await;
    let setup = Setup::new(directory.path(), &simulator).with("WA_GATEWAY_URL", gateway.url());
    let mut node = setup.start();
    let campaign = node.caller().await.unwrap().send(1..=4).await;
    gateway.until_sent_to(2).await;
    node.kill().await;

    let mut node = setup.start();
    let report = node.caller().await.unwrap().completed(campaign).await;
    assert_eq!(report["counts"], json!({ "accepted": 3, "uncertain": 1 }));
    for customer in 1..=4 {
        assert_eq!(gateway.times(customer), 1, "customer {customer}");
    }
}
