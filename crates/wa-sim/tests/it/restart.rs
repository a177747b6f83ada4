//! The data directory: a simulator goes on where another one stopped.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use wa_sim::{Config, CopyOutcome, MessageFilter, Simulator};

use crate::client::{FRIEND, OWN, PATIENCE, TestClient};
use crate::control::request;

#[tokio::test]
async fn accounts_sessions_and_the_ledger_survive() {
    let directory = tempfile::tempdir().unwrap();
    let config =
        || Config { data: Some(directory.path().to_owned()), seed: 7, ..Config::default() };
    let simulator = Simulator::start(config()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    client.send(FRIEND, "3EB0000000000001", "sebelum").await;
    client.receipt("3EB0000000000001", "Read").await;
    simulator.write(FRIEND, OWN, "dari ponsel").await.unwrap();
    client.text("dari ponsel").await;
    let store = client.stop().await;
    simulator
        .wait_for(
            |simulator| {
                simulator
                    .accounts()
                    .iter()
                    .all(|account| account.devices.iter().all(|device| !device.connected))
            },
            PATIENCE,
        )
        .await
        .unwrap();
    simulator.write(FRIEND, OWN, "saat tidak ada").await.unwrap();
    let (messages, ledger) = (simulator.messages(MessageFilter::default()), simulator.ledger(0));
    simulator.stop().await.unwrap();

    let simulator = Simulator::start(config()).await.unwrap();
    assert_eq!(simulator.messages(MessageFilter::default()), messages);
    assert_eq!(simulator.ledger(0), ledger);
    let client = TestClient::with_store(&simulator, store).await;
    client.text("saat tidak ada").await;
    // The phone still has its session, and still knows the id.
    client.send(FRIEND, "3EB0000000000001", "sebelum").await;
    client.send(FRIEND, "3EB0000000000002", "sesudah").await;
    client.receipt("3EB0000000000002", "Read").await;
    let outcomes: Vec<CopyOutcome> = simulator
        .ledger(ledger.len() as u64)
        .into_iter()
        .filter(|entry| entry.owner == FRIEND)
        .map(|entry| entry.outcome)
        .collect();
    assert_eq!(outcomes, [CopyOutcome::Duplicate, CopyOutcome::Decrypted]);
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn a_damaged_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("simulator.json"), "{").unwrap();
    let config = Config { data: Some(directory.path().to_owned()), ..Config::default() };
    let error = Simulator::start(config).await.err().unwrap();
    assert!(format!("{error:#}").contains("simulator.json"), "{error:#}");
}

/// The simulator as a program, killed when dropped.
struct Program {
    process: tokio::process::Child,
    address: SocketAddr,
}

impl Program {
    async fn start(listen: SocketAddr, data: &Path) -> Self {
        let mut process = tokio::process::Command::new(env!("CARGO_BIN_EXE_wa-sim"))
            .arg("--listen")
            .arg(listen.to_string())
            .arg("--data")
            .arg(data)
            .env("NO_COLOR", "1")
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line =
            tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let address = line.split("ws://").nth(1).unwrap().split('/').next().unwrap();
        Self { process, address: address.parse().unwrap() }
    }

    /// SIGKILL: it has no time for anything.
    async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = request(self.address, method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn a_killed_program_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let program = Program::start(listen, directory.path()).await;
    let address = program.address;
    let client = TestClient::at(format!("ws://{address}/ws/chat"), Default::default()).await;
    let scan = json!({ "qr": client.qr().await, "phone": OWN });
    program.json("POST", "/control/scan", scan).await;
    client.connected().await;
    client.send(FRIEND, "3EB0000000000001", "sebelum").await;
    client.receipt("3EB0000000000001", "Read").await;
    program.kill().await;

    let program = Program::start(address, directory.path()).await;
    client.connected_nth(2).await;
    client.send(FRIEND, "3EB0000000000002", "sesudah").await;
    client.receipt("3EB0000000000002", "Read").await;
    let violations = program.json("GET", "/control/violations", Value::Null).await;
    assert_eq!(violations, json!([]), "the session of before is still there");
    let messages = program.json("GET", "/control/messages", Value::Null).await;
    let ids: Vec<&str> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["3EB0000000000001", "3EB0000000000002"]);
}

#[tokio::test]
async fn a_link_is_kept_from_the_moment_the_scan_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start("127.0.0.1:0".parse().unwrap(), directory.path()).await;
    let address = program.address;
    let client = TestClient::at(format!("ws://{address}/ws/chat"), Default::default()).await;
    let scan = json!({ "qr": client.qr().await, "phone": OWN });
    let linked = program.json("POST", "/control/scan", scan).await;
    program.kill().await;

    let program = Program::start(address, directory.path()).await;
    client.connected().await;
    let accounts = program.json("GET", "/control/accounts", Value::Null).await;
    assert_eq!(accounts[0]["phone"], OWN);
    assert_eq!(accounts[0]["devices"][0]["device"], linked["device"]);
    client.send(FRIEND, "3EB0000000000001", "masih terhubung").await;
    client.receipt("3EB0000000000001", "Read").await;
    let violations = program.json("GET", "/control/violations", Value::Null).await;
    assert_eq!(violations, json!([]));
}

#[tokio::test]
async fn what_the_control_api_has_answered_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start("127.0.0.1:0".parse().unwrap(), directory.path()).await;
    let address = program.address;
    let path = format!("/control/numbers/{FRIEND}");
    let settings = json!({ "registered": true, "receipts": "none", "passkey": true });
    program.json("PUT", &path, settings.clone()).await;
    let turned = program.json("POST", "/control/time", json!({ "advance_ms": 86_400_000 })).await;
    program.kill().await;

    let program = Program::start(address, directory.path()).await;
    assert_eq!(program.json("GET", &path, Value::Null).await, settings);
    let now = program.json("GET", "/control/time", Value::Null).await;
    assert!(now["now"].as_u64() >= turned["now"].as_u64(), "{turned} {now}");
}
