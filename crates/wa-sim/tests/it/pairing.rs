use wa_sim::{Config, PairError, PairingOutcome, Simulator};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::prelude::Event;

use crate::client::{OWN, TestClient};

#[tokio::test]
async fn a_scanned_qr_links_the_client_and_it_logs_in() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::new(&simulator).await;
    let pairing = simulator.scan(&client.qr().await, OWN).await.unwrap();
    let PairingOutcome::Linked(linked) = pairing else { panic!("{pairing:?}") };
    assert_eq!((linked.phone.as_str(), linked.device), (OWN, 1));
    client.connected().await;
    let account = simulator.accounts().into_iter().find(|account| account.phone == OWN).unwrap();
    assert!(account.devices[0].connected);
    assert!(account.devices[0].prekeys > 0);
    assert_eq!(client.client().pn().unwrap().to_string(), format!("{OWN}:1@s.whatsapp.net"));
}

#[tokio::test]
async fn a_qr_after_a_link_is_read_too_and_others_are_refused() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::new(&simulator).await;
    let qr = client.qr().await;
    assert!(matches!(simulator.scan("nonsense", OWN).await, Err(PairError::Malformed)));
    let other = qr.replacen("2@", "2@0", 1);
    assert!(matches!(simulator.scan(&other, OWN).await, Err(PairError::Unknown(_))));
    let unregistered = "6281200000009";
    assert!(matches!(simulator.scan(&qr, unregistered).await, Err(PairError::NotRegistered(_))));
    simulator.scan(&format!("https://wa.me/settings/linked_devices#{qr}"), OWN).await.unwrap();
    client.connected().await;
}

#[tokio::test]
async fn a_typed_code_links_the_client() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::new(&simulator).await;
    client.qr().await;
    let options = PairCodeOptions { phone_number: OWN.to_owned(), ..Default::default() };
    let code = client.client().pair_with_code(options).await.unwrap();
    simulator.pair(&code, OWN).await.unwrap();
    client.connected().await;
}

#[tokio::test]
async fn a_client_comes_back_with_its_session_and_after_the_server_was_away() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let store = client.stop().await;
    let client = TestClient::with_store(&simulator, store).await;
    client.connected().await;
    assert!(client.all(|event| matches!(event, Event::PairingQrCode(_)).then_some(())).is_empty());

    simulator.pause().await;
    client
        .wait("disconnection", |event| matches!(event, Event::Disconnected(_)).then_some(()))
        .await;
    simulator.resume().await.unwrap();
    client.connected_nth(2).await;
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn an_unlinked_client_is_logged_out() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    assert!(simulator.unlink(OWN, 1));
    client.wait("logout", |event| matches!(event, Event::LoggedOut(_)).then_some(())).await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let run = |seed| async move {
        let simulator = Simulator::start(Config { seed, ..Config::default() }).await.unwrap();
        let written = simulator.write("6281200000001", OWN, "halo").await.unwrap();
        (simulator.accounts(), written.id)
    };
    assert_eq!(run(5).await, run(5).await);
    assert_ne!(run(5).await, run(6).await);
}
