//! Many accounts and many clients at once.

use wa_sim::{Config, CopyOutcome, MessageFilter, Simulator};
use whatsapp_rust::prelude::Jid;

use crate::client::{OWN, PATIENCE, TestClient};

const CLIENTS: u32 = 100;
const RECIPIENTS: u32 = 20;
const NUMBERS: u32 = 2000;

fn recipient(client: u32, n: u32) -> String {
    format!("62813{client:04}{n:04}1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_write_to_two_thousand_people_at_once() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let clients = (0..CLIENTS).map(|client| {
        let simulator = simulator.clone();
        tokio::spawn(async move {
            let own = format!("62812{client:07}0");
            let linked = TestClient::linked(&simulator, &own).await;
            for n in 0..RECIPIENTS {
                linked
                    .send(&recipient(client, n), &format!("3EB0{client:06}{n:06}"), "semua")
                    .await;
            }
            linked
        })
    });
    let mut running = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        running.push(client.await.unwrap());
    }
    let expected = (CLIENTS * RECIPIENTS) as usize;
    simulator
        .wait_for(
            |simulator| simulator.messages(MessageFilter::default()).len() == expected,
            PATIENCE,
        )
        .await
        .unwrap();
    let ledger = simulator.ledger(0);
    assert!(ledger.iter().all(|entry| entry.outcome == CopyOutcome::Decrypted));
    assert!(ledger.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    for client in 0..CLIENTS {
        let from = format!("62812{client:07}0");
        let sent: Vec<String> = simulator
            .messages(MessageFilter { from: Some(from), to: None })
            .into_iter()
            .map(|message| message.to)
            .collect();
        assert_eq!(sent, (0..RECIPIENTS).map(|n| recipient(client, n)).collect::<Vec<_>>());
    }
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn thousands_of_numbers_are_checked_without_making_accounts() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let numbers: Vec<Jid> = (0..NUMBERS).map(|n| Jid::pn(format!("62813{n:07}0"))).collect();
    let results = client.client().contacts().is_on_whatsapp(&numbers).await.unwrap();
    assert_eq!(results.iter().filter(|result| result.is_registered).count(), NUMBERS as usize);
    assert_eq!(simulator.accounts().len(), 1);
}

#[tokio::test]
async fn a_client_that_many_write_to_uploads_more_keys() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let prekeys = |simulator: &Simulator| {
        let accounts = simulator.accounts();
        accounts.iter().find(|account| account.phone == OWN).unwrap().devices[0].prekeys
    };
    let uploaded = prekeys(&simulator);
    for n in 0..uploaded {
        let text = format!("pesan {n}");
        simulator.write(&format!("62813{n:07}0"), OWN, &text).await.unwrap();
        client.text(&text).await;
        if prekeys(&simulator) > uploaded - n {
            break;
        }
    }
    simulator.wait_for(|simulator| prekeys(simulator) > uploaded / 2, PATIENCE).await.unwrap();
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}
