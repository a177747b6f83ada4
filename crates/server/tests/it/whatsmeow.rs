//! A third opinion: whatsmeow, which most bridges trust. It is stricter than the other two, and
//! was not read while the simulator was written.

use crate::harness::database::Engine;
use crate::harness::driven_client::{
    BYSTANDER, CUSTOMER, DrivenClient, TEXT, assert_no_violations, assert_shown_once,
    sent_received_and_read, silence,
};
use crate::harness::served::PATIENCE;
use crate::harness::world::{OWN, World, phone, text};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;
use wa_sim::{Action, Config, FaultRule, MessageFilter, PairingOutcome, Simulator, Stanza};

/// What a receipt says to the one who wrote the message, as whatsmeow names it.
const DELIVERED: &str = "DELIVERED";
const READ: &str = "READ";

/// Where whatsmeow keeps its session.
struct Session(TempDir);

impl Session {
    /// A whatsmeow that goes on with this session, or has to be linked if there is none.
    fn start(&self, simulator: &Simulator) -> DrivenClient {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wa-sim/whatsmeow"));
        let python = directory.join(".venv/bin/python");
        assert!(
            python.exists(),
            "whatsmeow is not installed: run `cargo xtask test --only test`, which installs it"
        );
        let mut command = Command::new(python);
        command.arg(directory.join("client.py"));
        command.arg(simulator.addr().to_string()).arg(self.0.path());
        DrivenClient::start(&mut command)
    }

    /// A copy, which a whatsmeow that does not run now can go on with later.
    fn backup(&self) -> Session {
        let copy = Session(TempDir::new().unwrap());
        for file in fs::read_dir(self.0.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.0.path().join(file.file_name())).unwrap();
        }
        copy
    }
}

/// A whatsmeow that is linked to a number.
async fn linked(simulator: &Simulator, phone: &str) -> (DrivenClient, Session) {
    let session = Session(TempDir::new().unwrap());
    let mut whatsmeow = session.start(simulator);
    whatsmeow.link(simulator, phone).await;
    (whatsmeow, session)
}

/// kabari and a whatsmeow at the customer's number. The phones say nothing.
async fn world_with_whatsmeow() -> (World, DrivenClient, Session) {
    let world = World::linked(Engine::Sqlite).await;
    silence(&world.simulator, &phone(CUSTOMER));
    silence(&world.simulator, OWN);
    let (whatsmeow, session) = linked(&world.simulator, &phone(CUSTOMER)).await;
    (world, whatsmeow, session)
}

/// Waits until this has come back for what it wrote.
async fn receipt(whatsmeow: &mut DrivenClient, id: &str, kind: &str) {
    whatsmeow.event("receipt", |receipt| receipt["id"] == id && receipt["kind"] == kind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_of_a_recipient_gets_the_text_and_its_receipts_reach_the_report() {
    let (world, mut whatsmeow, _session) = world_with_whatsmeow().await;
    // The first starts a session, the second is written into it.
    sent_received_and_read(&world, &mut whatsmeow, TEXT).await;
    sent_received_and_read(&world, &mut whatsmeow, "Teknisi di lokasi").await;

    // The other way round: kabari's receipt says that it has decrypted the answer.
    let answer = whatsmeow.send(OWN, TEXT).await;
    receipt(&mut whatsmeow, &answer, DELIVERED).await;
    // And after it, kabari writes into a session that the other side has used.
    sent_received_and_read(&world, &mut whatsmeow, "Sudah pulih").await;
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_sender_of_its_own_it_writes_to_phones_and_to_kabari_and_gets_its_answer() {
    let (world, mut whatsmeow, _session) = world_with_whatsmeow().await;
    let id = whatsmeow.send(&phone(BYSTANDER), TEXT).await;
    receipt(&mut whatsmeow, &id, READ).await;
    assert_shown_once(&world.simulator, &id, TEXT);

    let id = whatsmeow.send(OWN, TEXT).await;
    receipt(&mut whatsmeow, &id, DELIVERED).await;
    // Now it is kabari that answers in a session which whatsmeow began.
    sent_received_and_read(&world, &mut whatsmeow, TEXT).await;
    // The phone of the bystander answers too.
    let answer = world.simulator.write(&phone(BYSTANDER), &phone(CUSTOMER), TEXT).await.unwrap();
    let message = whatsmeow.event("message", |message| message["id"] == answer.id.as_str()).await;
    assert_eq!(message["text"], TEXT);
    assert_eq!(message["phone"], phone(BYSTANDER));
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_to_the_number_kabari_sends_from_it_sees_what_kabari_has_sent() {
    let world = World::linked(Engine::Sqlite).await;
    let (mut whatsmeow, _session) = linked(&world.simulator, OWN).await;
    let campaign = world.send([CUSTOMER]).await;
    world.count(campaign, "read", 1).await;
    let delivery = world.delivery(campaign, CUSTOMER).await;
    let message =
        whatsmeow.event("message", |message| message["id"] == delivery["message_id"]).await;
    assert_eq!(message["text"], text(CUSTOMER));
    assert_eq!(message["fromMe"], true);
    assert_eq!(message["phone"], phone(CUSTOMER));
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reinstalled_recipient_and_a_retry_receipt_end_well() {
    let (world, mut whatsmeow, _session) = world_with_whatsmeow().await;
    let first = whatsmeow.send(&phone(BYSTANDER), "Sebelum").await;
    receipt(&mut whatsmeow, &first, READ).await;
    for (action, text) in [(Action::Reinstall, "Ponsel baru"), (Action::AskRetry, "Ulangi")] {
        world.faults([FaultRule::on(Stanza::Message, action).to(phone(BYSTANDER)).times(1)]);
        let id = whatsmeow.send(&phone(BYSTANDER), text).await;
        let filter = || MessageFilter { to: Some(phone(BYSTANDER)), from: Some(phone(CUSTOMER)) };
        let again = |simulator: &Simulator| {
            let messages = simulator.messages(filter());
            let shown: Vec<_> = messages.into_iter().filter(|message| message.id == id).collect();
            shown.len() == 1 && shown[0].copies == 2 && shown[0].text == text
        };
        world.simulator.wait_for(again, PATIENCE).await.unwrap();
        receipt(&mut whatsmeow, &id, READ).await;
    }
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecryptable_message_is_requested_again() {
    let (world, whatsmeow, session) = world_with_whatsmeow().await;
    whatsmeow.stop().await;
    let backup = session.backup();
    let mut whatsmeow = session.start(&world.simulator);
    whatsmeow.event("open", |_| true).await;
    sent_received_and_read(&world, &mut whatsmeow, TEXT).await;
    let answer = whatsmeow.send(OWN, TEXT).await;
    receipt(&mut whatsmeow, &answer, DELIVERED).await;
    whatsmeow.stop().await;

    // Restored from a backup, it knows nothing of the Signal session kabari goes on with.
    let mut whatsmeow = backup.start(&world.simulator);
    whatsmeow.event("open", |_| true).await;
    whatsmeow.expect_undecryptable();
    let campaign = world.send([CUSTOMER]).await;
    let undecryptable = whatsmeow.event("undecryptable", |_| true).await;
    let message = whatsmeow.event("message", |_| true).await;
    assert_eq!(message["id"], undecryptable["id"]);
    assert_eq!(message["text"], text(CUSTOMER));
    world.count(campaign, "delivered", 1).await;
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_id_is_shown_once() {
    let (world, whatsmeow, session) = world_with_whatsmeow().await;
    whatsmeow.stop().await;
    // While it is away nothing comes back, so kabari sends the same id again.
    world.faults([FaultRule::on(Stanza::Message, Action::NoAck).times(1)]);
    let campaign = world.send([CUSTOMER]).await;
    world.completed(campaign).await;
    let delivery = world.delivery(campaign, CUSTOMER).await;
    assert_eq!(delivery["attempts"], 2, "{delivery}");

    let mut whatsmeow = session.start(&world.simulator);
    whatsmeow.event("open", |_| true).await;
    world.count(campaign, "delivered", 1).await;
    // whatsmeow hands both copies up and leaves it to its user to know the id again.
    for _ in 0..2 {
        let message = whatsmeow.event("message", |_| true).await;
        assert_eq!(message["id"], delivery["message_id"]);
        assert_eq!(message["text"], text(CUSTOMER));
    }
    let rest = whatsmeow.stop().await;
    assert!(rest.iter().all(|event| event["event"] != "message"), "{rest:#?}");
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_session_it_logs_in_again_until_the_phone_logs_it_out() {
    let (world, mut whatsmeow, session) = world_with_whatsmeow().await;
    sent_received_and_read(&world, &mut whatsmeow, TEXT).await;
    whatsmeow.stop().await;
    // What is sent meanwhile waits for it.
    let campaign = world.send([CUSTOMER]).await;
    world.completed(campaign).await;

    let mut whatsmeow = session.start(&world.simulator);
    let message = whatsmeow.event("message", |_| true).await;
    assert_eq!(message["text"], text(CUSTOMER));
    world.count(campaign, "delivered", 1).await;
    let account = world.simulator.accounts().into_iter().find(|a| a.phone == phone(CUSTOMER));
    let device = account.unwrap().devices[0].device;
    assert!(world.simulator.unlink(&phone(CUSTOMER), device));
    whatsmeow
        .event("closed", |closed| closed["reason"].as_str().unwrap().contains("LoggedOut"))
        .await;
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_the_request_for_a_passkey_as_one() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    simulator.set_passkey(OWN, true).unwrap();
    let session = Session(TempDir::new().unwrap());
    let mut whatsmeow = session.start(&simulator);
    let qr = whatsmeow.event("qr", |_| true).await;
    let qr = qr["qr"].as_str().unwrap();
    let pairing = simulator.scan(qr, OWN).await.unwrap();
    assert!(matches!(pairing, PairingOutcome::PasskeyAsked { .. }), "{pairing:?}");
    // neonize hands no passkeys up, so what follows cannot be driven. But whoever understands the
    // request has a new secret from then on, and takes the one in the QR no more.
    simulator.set_passkey(OWN, false).unwrap();
    let other_secret = |warning: &serde_json::Value| {
        warning["text"].as_str().is_some_and(|text| text.contains("Invalid HMAC"))
    };
    tokio::select! {
        pairing = simulator.scan(qr, OWN) => panic!("linked without the passkey: {pairing:?}"),
        _ = whatsmeow.event("warning", other_secret) => {}
    }
}
