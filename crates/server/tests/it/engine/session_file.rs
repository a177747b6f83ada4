//! The session file of an earlier kabari is taken over. The one of these tests was written by
//! whatsapp-rust's own SQLite store and is kept as the statements that make it; of its 812 one-time
//! keys, and of those that the simulator beside it knows, it has twenty.

use crate::harness::database::execute_on_file;
use crate::harness::gateway::opened;
use crate::harness::served::PATIENCE;
use crate::harness::world::{OWN, options, phone};
use kabari::clock::Clock;
use kabari::config::Settings;
use kabari::gateway_app::GatewayApp;
use kabari_domain::{MessageId, Phone};
use kabari_gateway::{Gateway, Link, OutgoingMessage};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use wa_sim::{Config, CopyOutcome, Simulator};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/session-file");

/// A data directory as an earlier kabari left it, and the simulator that knows its session.
async fn left_behind() -> (TempDir, Simulator, Settings) {
    let directory = TempDir::new().unwrap();
    let fixture = Path::new(FIXTURE);
    copy(&fixture.join("wa-sim"), &directory.path().join("wa-sim"));
    fs::create_dir(directory.path().join("whatsapp")).unwrap();
    let statements = fs::read_to_string(fixture.join("session.sql")).unwrap();
    let file = directory.path().join("whatsapp/session.db");
    execute_on_file(&file, &format!("PRAGMA journal_mode = WAL; {statements}")).await;
    let data = Some(directory.path().join("wa-sim"));
    let simulator = Simulator::start(Config { data, ..Config::default() }).await.unwrap();
    let mut options = options(directory.path());
    options.wa_websocket_url = Some(simulator.ws_url());
    let settings = options.check().unwrap();
    (directory, simulator, settings)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

async fn open(settings: &Settings) -> anyhow::Result<(GatewayApp, Arc<dyn Gateway>)> {
    let app = GatewayApp::start(settings.clone(), Clock::System).await?;
    let gateway = opened(&app.sessions, &settings.session).await;
    Ok((app, gateway))
}

async fn connected(gateway: &Arc<dyn Gateway>) -> Link {
    let mut link = gateway.link();
    let connected = link.wait_for(|link| {
        assert_eq!(link.qr, None, "there is nothing to scan");
        link.is_connected()
    });
    tokio::time::timeout(PATIENCE, connected).await.unwrap().unwrap().clone()
}

async fn send(gateway: &Arc<dyn Gateway>, customer: i64, number: u8) {
    let message = OutgoingMessage {
        message_id: MessageId::from_random([number; 9]),
        phone: Phone::from_e164(&phone(customer)).unwrap(),
        jid: None,
        text: "Jaringan sudah pulih".to_owned(),
        traceparent: None,
    };
    let sent = tokio::time::timeout(PATIENCE, gateway.send(&message)).await.unwrap();
    assert_eq!(sent, Ok(()), "customer {customer}");
}

fn assert_everything_could_be_read(simulator: &Simulator) {
    let ledger = simulator.ledger(0);
    let lost: Vec<_> = ledger.iter().filter(|e| e.outcome == CopyOutcome::Undecryptable).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    let violations = simulator.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_file_is_taken_over_without_a_qr() {
    let (directory, simulator, settings) = left_behind().await;
    let (app, gateway) = open(&settings).await.unwrap();
    assert_eq!(connected(&gateway).await.phone.as_deref(), Some(OWN));
    // The first two have ratchets with it already.
    for customer in 1..=3 {
        send(&gateway, customer, 100 + customer as u8).await;
    }
    assert_everything_could_be_read(&simulator);
    app.stop().await;
    assert!(!directory.path().join("whatsapp").exists());
    assert!(directory.path().join("whatsapp.imported/session.db").exists());

    // As if the process had died before the directory was renamed: what was taken over counts.
    fs::rename(directory.path().join("whatsapp.imported"), directory.path().join("whatsapp"))
        .unwrap();
    let (app, gateway) = open(&settings).await.unwrap();
    connected(&gateway).await;
    send(&gateway, 1, 111).await;
    assert_everything_could_be_read(&simulator);
    assert!(!directory.path().join("whatsapp").exists());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_file_that_cannot_be_read_is_named_and_kept() {
    let (directory, _simulator, settings) = left_behind().await;
    let file = directory.path().join("whatsapp/session.db");
    fs::write(&file, "no database").unwrap();
    let error = open(&settings).await.err().unwrap().to_string();
    assert!(error.contains("session.db"), "{error}");
    assert!(file.exists());
}
