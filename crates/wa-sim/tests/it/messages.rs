use wa_sim::{
    Config, CopyOutcome, MessageFilter, MessageStatus, NumberSettings, Receipts, Simulator,
};
use whatsapp_rust::prelude::Jid;

use crate::client::{FRIEND, OWN, PATIENCE, TestClient};

#[tokio::test]
async fn a_message_is_acked_decrypted_once_and_read() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    client.send(FRIEND, "3EB0000000000001", "Halo, ini uji coba").await;
    assert_eq!(client.ack("3EB0000000000001").await, None);
    client.receipt("3EB0000000000001", "Delivered").await;
    client.receipt("3EB0000000000001", "Read").await;

    let messages = simulator.messages(MessageFilter { to: Some(FRIEND.to_owned()), from: None });
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].text, "Halo, ini uji coba");
    assert_eq!(messages[0].from, OWN);
    assert_eq!((messages[0].copies, messages[0].status), (1, MessageStatus::Read));
    let all = simulator.messages(MessageFilter::default());
    assert_eq!(all.len(), 1, "the own phone's copy is no message to somebody");
    assert!(
        simulator
            .ledger(0)
            .iter()
            .any(|entry| entry.owner == OWN && entry.outcome == CopyOutcome::Decrypted)
    );
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn a_repeated_id_is_dropped_by_the_phone_and_counted() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    for _ in 0..2 {
        client.send(FRIEND, "3EB0000000000002", "sekali saja").await;
    }
    let filter = || MessageFilter { to: Some(FRIEND.to_owned()), from: None };
    simulator
        .wait_for(
            |simulator| simulator.messages(filter()).iter().any(|message| message.copies == 2),
            PATIENCE,
        )
        .await
        .unwrap();
    assert_eq!(simulator.messages(filter()).len(), 1);
    let outcomes: Vec<CopyOutcome> = simulator
        .ledger(0)
        .into_iter()
        .filter(|entry| entry.owner == FRIEND)
        .map(|entry| entry.outcome)
        .collect();
    assert_eq!(outcomes, [CopyOutcome::Decrypted, CopyOutcome::Duplicate]);
}

#[tokio::test]
async fn numbers_are_checked_and_their_receipts_obeyed() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let silent = "6281200000009";
    let before = client
        .client()
        .contacts()
        .is_on_whatsapp(&[Jid::pn(FRIEND), Jid::pn(silent)])
        .await
        .unwrap();
    let registered: Vec<bool> = before.iter().map(|result| result.is_registered).collect();
    assert_eq!(registered, [true, false]);

    simulator
        .set_number(silent, NumberSettings { registered: true, receipts: Receipts::Delivered });
    client.send(silent, "3EB0000000000003", "diam").await;
    client.receipt("3EB0000000000003", "Delivered").await;
    client.send(FRIEND, "3EB0000000000004", "jawab").await;
    client.receipt("3EB0000000000004", "Read").await;
    assert_eq!(client.receipts("3EB0000000000003"), ["Delivered"]);
}

#[tokio::test]
async fn a_phone_writes_and_the_client_answers() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let first = simulator.write(FRIEND, OWN, "Kapan internet nyala?").await.unwrap();
    assert_eq!(first.devices, 1);
    assert_eq!(client.text("Kapan internet nyala?").await, first.id);
    simulator
        .wait_for(
            |simulator| {
                simulator.messages(MessageFilter::default())[0].status == MessageStatus::Delivered
            },
            PATIENCE,
        )
        .await
        .unwrap();
    client.send(FRIEND, "3EB0000000000005", "Sebentar lagi").await;
    client.receipt("3EB0000000000005", "Read").await;
    simulator.write(FRIEND, OWN, "Terima kasih").await.unwrap();
    client.text("Terima kasih").await;
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn messages_to_an_offline_client_wait() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let store = client.stop().await;
    simulator
        .wait_for(|simulator| !simulator.accounts()[0].devices[0].connected, PATIENCE)
        .await
        .unwrap();
    simulator.write(FRIEND, OWN, "Ada orang?").await.unwrap();
    let client = TestClient::with_store(&simulator, store).await;
    client.text("Ada orang?").await;
    simulator
        .wait_for(
            |simulator| {
                simulator
                    .accounts()
                    .iter()
                    .all(|account| account.devices.iter().all(|device| device.unacknowledged == 0))
            },
            PATIENCE,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_second_client_of_the_recipient_gets_the_message_too() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let sender = TestClient::linked(&simulator, OWN).await;
    let recipient = TestClient::linked(&simulator, FRIEND).await;
    sender.send(FRIEND, "3EB0000000000006", "untuk semua perangkat").await;
    assert_eq!(recipient.text("untuk semua perangkat").await, "3EB0000000000006");
    sender.receipt("3EB0000000000006", "Read").await;

    recipient.send(OWN, "3EB0000000000007", "balasan").await;
    assert_eq!(sender.text("balasan").await, "3EB0000000000007");
    let answers = simulator.messages(MessageFilter { to: Some(OWN.to_owned()), from: None });
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].text, "balasan");
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}
