//! Two kabaris, one in front of the other, and the real client behind them: as truthful as one.

use super::Api;
use crate::harness::database::Engine;
use crate::harness::node::Setup;
use crate::harness::running_clock::RunningClock;
use crate::harness::served::PATIENCE;
use crate::harness::world::{
    OWN, TEMPLATE, UNREGISTERED, World, ZERO, options, ordinary_pace, phone,
};
use kabari::clock::Clock;
use kabari::config::Settings;
use kabari::gateway_app::GatewayApp;
use kabari_domain::{MessageId, Phone, Timestamp, wording};
use kabari_gateway::{
    Gateway, Link, LinkState, OutgoingMessage, Remote, RemoteConfig, SendError, http,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;
use wa_sim::{AccountLimits, Action, Config, FaultRule, MessageFilter, Simulator, Stanza};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_kabari_in_front_of_a_kabari_tells_troubles_apart() {
    let api = Api::connected().await;
    let config = RemoteConfig { url: api.gateway.url(), key: None, heard: None };
    let remote = Remote::start(config).await.unwrap();
    let friend = "6281234567801";
    let retry = |seconds, reason: &str| SendError::Retry {
        after: Duration::from_secs(seconds),
        reason: reason.into(),
    };
    let cases = [
        (SendError::NotLinked, SendError::NotLinked),
        (
            SendError::NotConnected("socket".into()),
            SendError::NotConnected(wording::RECONNECTING.into()),
        ),
        (
            SendError::ReachOutLimit { until: Some(Timestamp(5)) },
            SendError::ReachOutLimit { until: Some(Timestamp(5)) },
        ),
        (retry(60, "429"), retry(60, wording::TRY_LATER)),
        (SendError::Unknown("no ack".into()), SendError::Unknown(wording::UNCERTAIN.into())),
        (SendError::NotRegistered, SendError::NotRegistered),
        (SendError::Permanent("479".into()), SendError::Permanent("479".into())),
    ];
    for (number, (there, here)) in cases.into_iter().enumerate() {
        api.behind.fail(friend, there);
        let message = OutgoingMessage {
            message_id: MessageId::from_random([u8::try_from(number).unwrap(); 9]),
            phone: Phone::from_stored(friend),
            jid: None,
            text: "Halo".to_owned(),
            traceparent: None,
        };
        assert_eq!(remote.send(&message).await, Err(here));
    }
    assert_eq!(remote.limits().await.unwrap().new_chats_left, Some(40));
    api.behind.show(Link { state: LinkState::Replaced, ..Link::starting() });
    let mut link = remote.link();
    let replaced = link.wait_for(|link| link.state == LinkState::Replaced);
    timeout(PATIENCE, replaced).await.expect("the other's state").unwrap();
}

/// A gateway with a real client and the kabari in front of it, at the settings that users have.
struct Pair {
    world: World,
    gateway: Option<GatewayApp>,
    settings: Settings,
    clock: Clock,
    _turning: RunningClock,
    _directory: TempDir,
}

impl Pair {
    async fn linked() -> Pair {
        let clock = Clock::manual(Clock::System.now());
        let running_clock = RunningClock::start(&clock);
        let simulator = Simulator::start(Config::default()).await.unwrap();
        let directory = TempDir::new().unwrap();
        let mut settings = options(directory.path()).check().unwrap();
        settings.websocket_url = Some(simulator.ws_url());
        ordinary_pace(&mut settings);
        let gateway = GatewayApp::start(settings.clone(), clock.clone()).await.unwrap();
        // Where it is found after a restart, too.
        settings.gateway_port = gateway.address.port();
        let url = format!("http://{}", gateway.address);
        let world = World::on(simulator, Engine::Sqlite, clock.clone(), |settings| {
            ordinary_pace(settings);
            settings.gateway_url = Some(url);
        })
        .await;
        let gateway = Some(gateway);
        Pair { world, gateway, settings, clock, _turning: running_clock, _directory: directory }
    }

    async fn stop_gateway(&mut self) {
        self.gateway.take().unwrap().stop().await;
    }

    async fn start_gateway(&mut self) {
        let started = GatewayApp::start(self.settings.clone(), self.clock.clone()).await;
        self.gateway = Some(started.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_through_a_gateway_gets_receipts() {
    let pair = Pair::linked().await;
    let world = &pair.world;
    let customers: Vec<i64> = (1..=5).chain([UNREGISTERED, ZERO]).collect();
    let body = json!({ "message": TEMPLATE, "customer_ids": customers });
    let report = world.post("/api/send/custom", body).await;
    let counts = ["total_customers", "sent_count", "failed_count", "skipped_count"];
    assert_eq!(counts.map(|name| report[name].as_u64()), [Some(7), Some(5), Some(1), Some(1)]);
    let campaign = report["campaign_id"].as_i64().unwrap();
    world.count(campaign, "read", 5).await;
    world.assert_report_is_true(campaign).await;
    for customer in 1..=5 {
        assert_eq!(world.received(customer)[0].copies, 1);
    }
    let status = world.get("/api/whatsapp/status").await;
    assert_eq!(
        (&status["receipts"], &status["limits"]["reach_out_until"]),
        (&json!(true), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_ack_repeats_the_same_id() {
    let pair = Pair::linked().await;
    let world = &pair.world;
    world.faults([FaultRule::on(Stanza::Message, Action::DropBeforeAck).to(phone(2)).times(1)]);
    let campaign = world.send(1..=3).await;
    world.completed(campaign).await;
    world.count(campaign, "read", 3).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_come_while_nobody_listens_are_not_lost() {
    let mut pair = Pair::linked().await;
    let held = FaultRule::on(Stanza::Receipt, Action::Hold { ms: HOUR.as_millis() as u64 });
    pair.world.faults([held]);
    let campaign = pair.world.send(1..=3).await;
    let report = pair.world.completed(campaign).await;
    assert_eq!(report["counts"], json!({ "accepted": 3 }));

    pair.world.stop().await;
    let state = pair.gateway.as_ref().unwrap().state.clone();
    let read = async || {
        let kept = state.events_after("default", None, 100).await.unwrap();
        let read = kept.iter().filter(|kept| kept.event.contains(r#""read""#));
        read.map(|kept| kept.event.matches("3EB0").count()).sum::<usize>()
    };
    assert_eq!(read().await, 0);
    pair.world.simulator.advance(HOUR);
    let mut changes = state.changes();
    let arrived = async {
        while read().await < 3 {
            changes.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, arrived).await.expect("all receipts arrive at the gateway");
    pair.stop_gateway().await;
    pair.start_gateway().await;
    pair.world.start().await;
    pair.world.count(campaign, "read", 3).await;
    pair.world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_are_sent_to_while_strangers_wait() {
    let pair = Pair::linked().await;
    let world = &pair.world;
    world.simulator.write(&phone(2), OWN, "Kapan pulih?").await.unwrap();
    let until = world.simulator.now_ms() / 1000 + HOUR.as_secs();
    let limits = AccountLimits { reachout_until: Some(until), ..AccountLimits::default() };
    world.simulator.set_limits(OWN, limits);
    let campaign = world.send(1..=3).await;
    world.waits_for(campaign, "reach_out_limit").await;
    world.count(campaign, "read", 1).await;
    assert_eq!(world.delivery(campaign, 2).await["state"], "read");
    assert_eq!(world.reached(), 1);
}

/// A gateway process, with a pause between its messages that leaves time to kill it.
async fn bulk_setup(directory: &TempDir, simulator: &Simulator) -> Setup {
    let setup = Setup::gateway(directory.path(), simulator).with("SEND_DELAY_MS", "150");
    setup.link(simulator, OWN).await;
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_send_survives_the_end_of_the_gateway() {
    const RECIPIENTS: i64 = 10;
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    let setup = bulk_setup(&directory, &simulator).await;
    let recipients: Vec<_> =
        (1..=RECIPIENTS).map(|n| json!({ "phone": phone(n), "name": format!("P{n}") })).collect();
    let body = json!({ "recipients": recipients, "message": "Halo {nama}" });
    let ask = async |address| {
        let url = format!("http://{address}/send-bulk");
        let client = http::client(&url).timeout(PATIENCE).build().unwrap();
        client.post(url).json(&body).send().await
    };
    let reached =
        |number| move |s: &Simulator| s.messages(MessageFilter::default()).len() >= number;

    let mut node = setup.start();
    let address = node.address().await.unwrap();
    let asking = ask(address);
    let killing = async {
        simulator.wait_for(reached(3), PATIENCE).await.unwrap();
        node.kill().await;
    };
    let (lost, ()) = tokio::join!(asking, killing);
    assert!(lost.is_err(), "the client has lost its answer");
    assert!(!reached(10)(&simulator), "it was killed in the middle");

    let mut node = setup.start();
    let address = node.address().await.unwrap();
    node.logged("connected").await;
    // The client asks for the same once more, and gets the report of the first.
    let (status, report) = answer_of(ask(address).await.unwrap()).await;
    assert_eq!((status, &report["sent"]), (200, &json!(RECIPIENTS)), "{report}");
    let shown: BTreeMap<String, Vec<String>> = simulator
        .messages(MessageFilter::default())
        .into_iter()
        .fold(BTreeMap::new(), |mut shown, message| {
            shown.entry(message.to).or_default().push(message.text);
            shown
        });
    for n in 1..=RECIPIENTS {
        assert_eq!(shown[&phone(n)], [format!("Halo P{n}")], "once each");
    }
}

async fn answer_of(response: reqwest::Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}
