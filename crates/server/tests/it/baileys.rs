//! A second opinion: a WhatsApp client by other people, with a Noise, a codec and a Signal of its
//! own, on the other side of the simulator. What it decrypts was really encrypted for it, and what
//! kabari reports about it, it has really said.

use crate::harness::database::Engine;
use crate::harness::driven_client::{
    BYSTANDER, CUSTOMER, DrivenClient, TEXT, assert_no_violations, assert_shown_once,
    sent_received_and_read, silence,
};
use crate::harness::world::{OWN, World, phone};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;
use wa_sim::Simulator;

/// What a message's status is for the one who wrote it, as Baileys counts.
const DELIVERED: u64 = 3;
const READ: u64 = 4;

/// A Baileys that is linked to a number, with the directory of its session.
async fn linked(simulator: &Simulator, phone: &str) -> (DrivenClient, TempDir) {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wa-sim/baileys"));
    assert!(
        directory.join("node_modules/baileys").exists(),
        "Baileys is not installed: run `cargo xtask test`, or `npm ci` in crates/wa-sim/baileys"
    );
    let session = TempDir::new().unwrap();
    let mut command = Command::new("node");
    command.arg(directory.join("client.mjs")).arg(simulator.ws_url()).arg(session.path());
    let mut baileys = DrivenClient::start(&mut command);
    baileys.link(simulator, phone).await;
    (baileys, session)
}

/// Waits until what it wrote is as far as this.
async fn status(baileys: &mut DrivenClient, id: &str, reached: u64) {
    let far_enough = |status: &Value| status["status"].as_u64() >= Some(reached);
    baileys.event("status", |status| status["id"] == id && far_enough(status)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_of_a_recipient_gets_the_text_and_its_receipts_reach_the_report() {
    let world = World::linked(Engine::Sqlite).await;
    silence(&world.simulator, &phone(CUSTOMER));
    silence(&world.simulator, OWN);
    let (mut baileys, _session) = linked(&world.simulator, &phone(CUSTOMER)).await;
    // The first starts a session, the second is written into it.
    sent_received_and_read(&world, &mut baileys, TEXT).await;
    sent_received_and_read(&world, &mut baileys, "Teknisi di lokasi").await;

    // The other way round: kabari's receipt says that it has decrypted the answer.
    let answer = baileys.send(OWN, TEXT).await;
    status(&mut baileys, &answer, DELIVERED).await;
    // And after it, kabari writes into a session that the other side has used.
    sent_received_and_read(&world, &mut baileys, "Sudah pulih").await;
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_sender_of_its_own_it_writes_to_phones_and_to_kabari_and_gets_its_answer() {
    let world = World::linked(Engine::Sqlite).await;
    silence(&world.simulator, &phone(CUSTOMER));
    silence(&world.simulator, OWN);
    let (mut baileys, _session) = linked(&world.simulator, &phone(CUSTOMER)).await;

    let id = baileys.send(&phone(BYSTANDER), TEXT).await;
    status(&mut baileys, &id, READ).await;
    assert_shown_once(&world.simulator, &id, TEXT);

    let id = baileys.send(OWN, TEXT).await;
    status(&mut baileys, &id, DELIVERED).await;
    // Now it is kabari that answers in a session which Baileys began.
    sent_received_and_read(&world, &mut baileys, TEXT).await;
    assert_no_violations(&world.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_to_the_number_kabari_sends_from_it_sees_what_kabari_has_sent() {
    let world = World::linked(Engine::Sqlite).await;
    let (mut baileys, _session) = linked(&world.simulator, OWN).await;
    let campaign = world.send([CUSTOMER]).await;
    world.count(campaign, "read", 1).await;
    let delivery = world.delivery(campaign, CUSTOMER).await;
    let message = baileys.event("message", |message| message["id"] == delivery["message_id"]).await;
    assert_eq!(message["text"], crate::harness::world::text(CUSTOMER));
    assert_eq!(message["fromMe"], true);
    world.assert_report_is_true(campaign).await;
}
