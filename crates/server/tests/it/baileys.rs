//! A second opinion: a WhatsApp client by other people, with a Noise, a codec and a Signal of its
//! own, on the other side of the simulator. What it decrypts was really encrypted for it.

use kabari_domain::{MessageId, Phone, ReceiptRank};
use kabari_gateway::embedded::{ACK_TIMEOUT, LONGEST_RECONNECT};
use kabari_gateway::embedded::{Embedded, EmbeddedConfig};
use kabari_gateway::{Event, Gateway, Outgoing};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use wa_sim::{Config, MessageFilter, NumberSettings, Receipts, Simulator};

/// The longest wait for anything here; Node alone takes a second or two to start.
const PATIENCE: Duration = Duration::from_secs(60);

const KABARI: &str = "6281299990000";
const RECIPIENT: &str = "6281234567890";
const BYSTANDER: &str = "6281234567891";

/// What is easily damaged on the way: several lines, emoji, formatting, quotes, what looks like a
/// placeholder, and an address.
const TEXT: &str = "🔧 *GANGGUAN JARINGAN* 🔧\n\nHalo \"Bu Siti\" {nama} $& \\n,\n\nODP–01 🇮🇩 é\u{301}\nhttps://example.net/status?a=1&b=2";

/// A running Baileys.
struct Baileys {
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    /// Came before anybody asked for it.
    early: Vec<Value>,
    _process: Child,
    _session: TempDir,
}

impl Baileys {
    async fn start(simulator: &Simulator) -> Baileys {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wa-sim/baileys"));
        assert!(
            directory.join("node_modules/baileys").exists(),
            "Baileys is not installed: run `cargo xtask test`, or `npm ci` in crates/wa-sim/baileys"
        );
        let session = TempDir::new().unwrap();
        let mut process = Command::new("node")
            .arg(directory.join("client.mjs"))
            .arg(simulator.ws_url())
            .arg(session.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        Baileys {
            commands: process.stdin.take().unwrap(),
            events: BufReader::new(process.stdout.take().unwrap()).lines(),
            early: Vec::new(),
            _process: process,
            _session: session,
        }
    }

    /// Links it to the account of a number.
    async fn linked(simulator: &Simulator, phone: &str) -> Baileys {
        let mut baileys = Baileys::start(simulator).await;
        let qr = baileys.event("qr", |_| true).await;
        simulator.scan(qr["qr"].as_str().unwrap(), phone).await.unwrap();
        baileys.event("open", |_| true).await;
        baileys
    }

    /// An event of this kind that fits, once each; fails when the client says that it cannot go on.
    async fn event(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let fits = |event: &Value| event["event"] == kind && fits(event);
        if let Some(at) = self.early.iter().position(fits) {
            return self.early.remove(at);
        }
        let found = timeout(PATIENCE, async {
            loop {
                let line = self.events.next_line().await.unwrap().expect("Baileys has ended");
                let event: Value = serde_json::from_str(&line).unwrap();
                if fits(&event) {
                    return event;
                }
                let trouble = ["failed", "closed", "undecryptable"];
                assert!(!trouble.iter().any(|trouble| event["event"] == *trouble), "{event}");
                self.early.push(event);
            }
        });
        found.await.unwrap_or_else(|_| panic!("Baileys had no event '{kind}' in time"))
    }

    async fn command(&mut self, command: Value) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    /// Sends a text and gives its message id.
    async fn send(&mut self, to: &str, text: &str) -> String {
        self.command(json!({ "command": "send", "to": to, "text": text })).await;
        let sent = self.event("sent", |_| true).await;
        sent["id"].as_str().unwrap().to_owned()
    }
}

/// kabari's own client, linked to its number.
struct Linked {
    gateway: Embedded,
    events: UnboundedReceiver<Event>,
    _data: TempDir,
}

async fn kabari(simulator: &Simulator) -> Linked {
    let data = TempDir::new().unwrap();
    let config = EmbeddedConfig {
        data_dir: data.path().to_owned(),
        websocket_url: Some(simulator.ws_url()),
        ack_timeout: ACK_TIMEOUT,
        longest_reconnect: LONGEST_RECONNECT,
    };
    let gateway = Embedded::start(config).await.unwrap();
    let events = gateway.take_events().unwrap();
    let mut link = gateway.link();
    let offered = timeout(PATIENCE, link.wait_for(|link| link.qr.is_some())).await;
    let qr = offered.expect("a QR in time").unwrap().qr.clone().unwrap();
    simulator.scan(&qr, KABARI).await.unwrap();
    let connected = timeout(PATIENCE, link.wait_for(|link| link.is_connected())).await;
    connected.expect("connected in time").unwrap();
    Linked { gateway, events, _data: data }
}

impl Linked {
    async fn send(&self, id: &str, to: &str, text: &str) {
        let phone = Phone::parse(to).unwrap();
        let message = Outgoing {
            message_id: MessageId::from_stored(id),
            phone,
            jid: None,
            text: text.into(),
        };
        self.gateway.send(&message).await.unwrap();
    }

    async fn receipt(&mut self, id: &str, wanted: ReceiptRank) {
        let seen = timeout(PATIENCE, async {
            while let Some(event) = self.events.recv().await {
                if let Event::Receipt { message_ids, rank, .. } = event
                    && rank == wanted
                    && message_ids.iter().any(|one| one.as_str() == id)
                {
                    return;
                }
            }
            panic!("the gateway's events ended");
        });
        seen.await.unwrap_or_else(|_| panic!("no {wanted:?} receipt of {id} in time"));
    }
}

/// The phone itself says nothing: what comes back comes from the companion.
fn silence(simulator: &Simulator, phone: &str) {
    simulator.set_number(phone, NumberSettings { registered: true, receipts: Receipts::None });
}

fn assert_no_violations(simulator: &Simulator) {
    let violations = simulator.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_of_a_recipient_gets_the_text_and_its_receipts_come_back() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    silence(&simulator, RECIPIENT);
    silence(&simulator, KABARI);
    let mut baileys = Baileys::linked(&simulator, RECIPIENT).await;
    let mut kabari = kabari(&simulator).await;

    for id in ["3EB0000000000000000001", "3EB0000000000000000002"] {
        kabari.send(id, RECIPIENT, TEXT).await;
        let message = baileys.event("message", |message| message["id"] == id).await;
        assert_eq!(message["text"], TEXT);
        assert_eq!(message["fromMe"], false);
        kabari.receipt(id, ReceiptRank::Delivered).await;
        baileys.command(json!({ "command": "read", "id": id, "chat": message["chat"] })).await;
        kabari.receipt(id, ReceiptRank::Read).await;
    }

    // The other way round: kabari's receipt says that it has decrypted the answer.
    let answer = baileys.send(KABARI, TEXT).await;
    baileys
        .event("status", |status| {
            status["id"] == answer.as_str() && status["status"].as_u64() >= Some(3)
        })
        .await;
    // And after it, kabari writes into a session that the other side has used.
    kabari.send("3EB0000000000000000003", RECIPIENT, "Sudah pulih").await;
    let message =
        baileys.event("message", |message| message["id"] == "3EB0000000000000000003").await;
    assert_eq!(message["text"], "Sudah pulih");
    assert_no_violations(&simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_sender_of_its_own_it_writes_to_phones_and_to_kabari() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let kabari = kabari(&simulator).await;
    let mut baileys = Baileys::linked(&simulator, RECIPIENT).await;

    let id = baileys.send(BYSTANDER, TEXT).await;
    baileys
        .event("status", |status| {
            status["id"] == id.as_str() && status["status"].as_u64() >= Some(4)
        })
        .await;
    let to = |phone: &str| MessageFilter { to: Some(phone.into()), from: Some(RECIPIENT.into()) };
    let arrived = simulator.messages(to(BYSTANDER));
    assert_eq!(arrived.len(), 1);
    assert_eq!((arrived[0].id.as_str(), arrived[0].text.as_str()), (id.as_str(), TEXT));

    silence(&simulator, KABARI);
    let id = baileys.send(KABARI, TEXT).await;
    baileys
        .event("status", |status| {
            status["id"] == id.as_str() && status["status"].as_u64() >= Some(3)
        })
        .await;
    kabari.gateway.close().await;
    assert_no_violations(&simulator);
}
