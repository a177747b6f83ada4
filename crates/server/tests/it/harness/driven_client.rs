//! WhatsApp clients by other people, each a process of its own that is driven over JSON lines.

use super::world::{OWN, World, phone};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use wa_sim::{NumberSettings, Receipts, Simulator};

/// The longest wait for anything here; such a client alone takes a second or two to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The customer whose number the client is linked to.
pub const CUSTOMER: i64 = 1;
pub const BYSTANDER: i64 = 2;

/// What is easily damaged on the way: several lines, emoji, formatting, quotes, a placeholder and
/// what looks like one, and an address.
pub const TEXT: &str = "🔧 *GANGGUAN JARINGAN* 🔧\n\nHalo \"Bu Siti\" {nama} $& \\n,\n\nODP–01 🇮🇩 é\u{301}\nhttps://example.net/status?a=1&b=2";

/// A running client.
pub struct DrivenClient {
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    /// Came before anybody asked for it.
    early: Vec<Value>,
    /// The events that end a test which did not ask for them.
    trouble: Vec<&'static str>,
    process: Child,
}

impl DrivenClient {
    pub fn start(command: &mut Command) -> DrivenClient {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        DrivenClient {
            commands: process.stdin.take().unwrap(),
            events: BufReader::new(process.stdout.take().unwrap()).lines(),
            early: Vec::new(),
            trouble: vec!["failed", "closed", "undecryptable"],
            process,
        }
    }

    /// Links it to the account of a number.
    pub async fn link(&mut self, simulator: &Simulator, phone: &str) {
        let qr = self.event("qr", |_| true).await;
        simulator.scan(qr["qr"].as_str().unwrap(), phone).await.unwrap();
        self.event("open", |_| true).await;
    }

    /// An event of this kind that fits, once each; fails when the client says that it cannot go on.
    pub async fn event(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let fits = |event: &Value| event["event"] == kind && fits(event);
        if let Some(at) = self.early.iter().position(fits) {
            return self.early.remove(at);
        }
        let found = timeout(PATIENCE, async {
            loop {
                let line = self.events.next_line().await.unwrap().expect("the client has ended");
                let event: Value = serde_json::from_str(&line).unwrap();
                if fits(&event) {
                    return event;
                }
                assert!(!self.trouble.iter().any(|trouble| event["event"] == *trouble), "{event}");
                self.early.push(event);
            }
        })
        .await;
        found.unwrap_or_else(|_| panic!("no event '{kind}' in time, but {:?}", self.early))
    }

    /// From here on it may find messages that it cannot decrypt yet.
    pub fn expect_undecryptable(&mut self) {
        self.trouble.retain(|trouble| *trouble != "undecryptable");
    }

    pub async fn command(&mut self, command: Value) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    /// Sends a text and gives its message id.
    pub async fn send(&mut self, to: &str, text: &str) -> String {
        self.command(json!({ "command": "send", "to": to, "text": text })).await;
        let sent = self.event("sent", |_| true).await;
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Ends it in order, and answers what it has said that nobody asked for.
    pub async fn stop(mut self) -> Vec<Value> {
        drop(self.commands);
        let ended = timeout(PATIENCE, async {
            while let Some(line) = self.events.next_line().await.unwrap() {
                self.early.push(serde_json::from_str(&line).unwrap());
            }
            self.process.wait().await.unwrap()
        });
        let status = ended.await.expect("the client does not end");
        assert!(status.success(), "{status}");
        self.early
    }
}

/// The phone itself says nothing: what comes back comes from the companion.
pub fn silence(simulator: &Simulator, phone: &str) {
    simulator.set_number(phone, NumberSettings { registered: true, receipts: Receipts::None });
}

/// kabari sends this to the customer, the client gets it, and the report follows what the client
/// does.
pub async fn sent_received_and_read(world: &World, client: &mut DrivenClient, text: &str) {
    let body = json!({ "message": text, "customer_ids": [CUSTOMER] });
    let report = world.post("/api/send/custom", body).await;
    assert_eq!(report["sent_count"], 1, "{report}");
    let campaign = report["campaign_id"].as_i64().unwrap();
    let delivery = world.delivery(campaign, CUSTOMER).await;
    let id = delivery["message_id"].as_str().unwrap();

    let message = client.event("message", |message| message["id"] == id).await;
    assert_eq!(message["text"], text.replace("{nama}", &format!("Pelanggan {CUSTOMER}")));
    assert_eq!((&message["fromMe"], &message["phone"]), (&json!(false), &json!(OWN)));
    world.count(campaign, "delivered", 1).await;
    client.command(json!({ "command": "read", "id": id, "chat": message["chat"] })).await;
    world.count(campaign, "read", 1).await;
}

/// What arrived at the bystander's phone from the client is this message, once.
pub fn assert_shown_once(simulator: &Simulator, id: &str, text: &str) {
    let from = Some(phone(CUSTOMER));
    let filter = wa_sim::MessageFilter { to: Some(phone(BYSTANDER)), from };
    let shown: Vec<_> = simulator.messages(filter).into_iter().map(|m| (m.id, m.text)).collect();
    assert_eq!(shown, [(id.to_owned(), text.to_owned())]);
}

pub fn assert_no_violations(simulator: &Simulator) {
    let violations = simulator.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}
