//! The data directory: a simulator goes on where another one stopped.

use wa_sim::{Config, MessageFilter, Outcome, Simulator};

use crate::client::{FRIEND, OWN, PATIENCE, TestClient};

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
    let outcomes: Vec<Outcome> = simulator
        .ledger(ledger.len() as u64)
        .into_iter()
        .filter(|entry| entry.owner == FRIEND)
        .map(|entry| entry.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Duplicate, Outcome::Decrypted]);
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
