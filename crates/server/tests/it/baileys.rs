//! A second opinion: a WhatsApp client by other people, with a Noise, a codec and a Signal of its
//! own, on the other side of the simulator. What it decrypts was really encrypted for it, and what
//! kabari reports about it, it has really said.

use crate::harness::database::Engine;
use crate::harness::world::{OWN, World, phone};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use wa_sim::{MessageFilter, NumberSettings, Receipts, Simulator};

/// The longest wait for anything here; Node alone takes a second or two to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a message's status is for the one who wrote it, as Baileys counts.
const DELIVERED: u64 = 3;
const READ: u64 = 4;

/// The customer whose number Baileys is linked to.
const CUSTOMER: i64 = 1;
const BYSTANDER: i64 = 2;

/// What is easily damaged on the way: several lines, emoji, formatting, quotes, a placeholder and
/// what looks like one, and an address.
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

impl Baileys {
    /// Waits until what it wrote is as far as this.
    async fn status(&mut self, id: &str, reached: u64) {
        let far_enough = |status: &Value| status["status"].as_u64() >= Some(reached);
        self.event("status", |status| status["id"] == id && far_enough(status)).await;
    }
}

/// The phone itself says nothing: what comes back comes from the companion.
fn silence(simulator: &Simulator, phone: &str) {
    simulator.set_number(phone, NumberSettings { registered: true, receipts: Receipts::None });
}

/// kabari sends this to the customer, Baileys gets it, and the report follows what Baileys does.
async fn sent_received_and_read(world: &World, baileys: &mut Baileys, text: &str) {
    let body = json!({ "message": text, "customer_ids": [CUSTOMER] });
    let report = world.post("/api/send/custom", body).await;
    assert_eq!(report["sent_count"], 1, "{report}");
    let campaign = report["campaign_id"].as_i64().unwrap();
    let delivery = world.delivery(campaign, CUSTOMER).await;
    let id = delivery["message_id"].as_str().unwrap();

    let message = baileys.event("message", |message| message["id"] == id).await;
    assert_eq!(message["text"], text.replace("{nama}", &format!("Pelanggan {CUSTOMER}")));
    assert_eq!((&message["fromMe"], &message["phone"]), (&json!(false), &json!(OWN)));
    world.count(campaign, "delivered", 1).await;
    baileys.command(json!({ "command": "read", "id": id, "chat": message["chat"] })).await;
    world.count(campaign, "read", 1).await;
}

fn assert_no_violations(world: &World) {
    let violations = world.simulator.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_of_a_recipient_gets_the_text_and_its_receipts_reach_the_report() {
    let world = World::linked(Engine::Sqlite).await;
    silence(&world.simulator, &phone(CUSTOMER));
    silence(&world.simulator, OWN);
    let mut baileys = Baileys::linked(&world.simulator, &phone(CUSTOMER)).await;
    // The first starts a session, the second is written into it.
    sent_received_and_read(&world, &mut baileys, TEXT).await;
    sent_received_and_read(&world, &mut baileys, "Teknisi di lokasi").await;

    // The other way round: kabari's receipt says that it has decrypted the answer.
    let answer = baileys.send(OWN, TEXT).await;
    baileys.status(&answer, DELIVERED).await;
    // And after it, kabari writes into a session that the other side has used.
    sent_received_and_read(&world, &mut baileys, "Sudah pulih").await;
    assert_no_violations(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_sender_of_its_own_it_writes_to_phones_and_to_kabari_and_gets_its_answer() {
    let world = World::linked(Engine::Sqlite).await;
    silence(&world.simulator, &phone(CUSTOMER));
    silence(&world.simulator, OWN);
    let mut baileys = Baileys::linked(&world.simulator, &phone(CUSTOMER)).await;

    let id = baileys.send(&phone(BYSTANDER), TEXT).await;
    baileys.status(&id, READ).await;
    let between = MessageFilter { to: Some(phone(BYSTANDER)), from: Some(phone(CUSTOMER)) };
    let arrived = world.simulator.messages(between);
    assert_eq!(arrived.len(), 1);
    assert_eq!((&arrived[0].id, arrived[0].text.as_str()), (&id, TEXT));

    let id = baileys.send(OWN, TEXT).await;
    baileys.status(&id, DELIVERED).await;
    // Now it is kabari that answers in a session which Baileys began.
    sent_received_and_read(&world, &mut baileys, TEXT).await;
    assert_no_violations(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_to_the_number_kabari_sends_from_it_sees_what_kabari_has_sent() {
    let world = World::linked(Engine::Sqlite).await;
    let mut baileys = Baileys::linked(&world.simulator, OWN).await;
    let campaign = world.send([CUSTOMER]).await;
    world.count(campaign, "read", 1).await;
    let delivery = world.delivery(campaign, CUSTOMER).await;
    let message = baileys.event("message", |message| message["id"] == delivery["message_id"]).await;
    assert_eq!(message["text"], crate::harness::world::text(CUSTOMER));
    assert_eq!(message["fromMe"], true);
    world.assert_report_is_true(campaign).await;
}
