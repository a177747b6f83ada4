//! Faults of messages, receipts, requests and recipients.

use std::time::Duration;

use wa_sim::{
    AccountLimits, Action, Config, CopyOutcome, FaultRule, MessageFilter, Simulator, Stanza,
};
use whatsapp_rust::prelude::{Event, Jid};

use crate::client::{FRIEND, OWN, PATIENCE, TestClient};

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: u64 = 3_600_000;

async fn linked() -> (Simulator, TestClient) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    (simulator, client)
}

fn received(simulator: &Simulator) -> Vec<(String, u32)> {
    let filter = MessageFilter { to: Some(FRIEND.to_owned()), from: None };
    simulator.messages(filter).into_iter().map(|message| (message.id, message.copies)).collect()
}

fn acks(client: &TestClient, id: &str) -> usize {
    client
        .all(|event| match event {
            Event::ServerAck(ack) if ack.id == id && ack.class.as_deref() == Some("message") => {
                Some(())
            }
            _ => None,
        })
        .len()
}

#[tokio::test]
async fn errors_in_acks() {
    let (simulator, client) = linked().await;
    for code in [463, 479, 400, 404, 429, 503] {
        simulator
            .set_faults(vec![FaultRule::on(Stanza::Message, Action::AckError { code }).times(1)]);
        let id = format!("3EB0000000000{code}");
        client.send(FRIEND, &id, "tidak sampai").await;
        assert_eq!(client.ack(&id).await, Some(code.to_string()));
    }
    client.send(FRIEND, "3EB0000000000001", "sampai").await;
    client.receipt("3EB0000000000001", "Read").await;
    assert_eq!(received(&simulator), [("3EB0000000000001".to_owned(), 1)]);
    let refused = simulator
        .ledger(0)
        .into_iter()
        .filter(|entry| entry.outcome == CopyOutcome::Refused)
        .count();
    assert_eq!(refused, 6);
}

#[tokio::test]
async fn a_lost_ack_and_a_late_one() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![
        FaultRule::on(Stanza::Message, Action::NoAck).id("3EB0000000000001"),
        FaultRule::on(Stanza::Message, Action::LateAck { ms: HOUR_MS }).id("3EB0000000000002"),
    ]);
    client.send(FRIEND, "3EB0000000000001", "tanpa ack").await;
    client.receipt("3EB0000000000001", "Read").await;
    client.send(FRIEND, "3EB0000000000002", "ack terlambat").await;
    client.receipt("3EB0000000000002", "Read").await;
    assert_eq!((acks(&client, "3EB0000000000001"), acks(&client, "3EB0000000000002")), (0, 0));
    simulator.advance(HOUR);
    assert_eq!(client.ack("3EB0000000000002").await, None);
    assert_eq!(acks(&client, "3EB0000000000001"), 0);
}

#[tokio::test]
async fn the_connection_breaks_around_the_ack() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::DropBeforeAck).times(1)]);
    client.send(FRIEND, "3EB0000000000001", "putus sebelum ack").await;
    client.connected_nth(2).await;
    // The receipts waited for the new connection; the ack never comes.
    client.receipt("3EB0000000000001", "Read").await;
    assert_eq!(acks(&client, "3EB0000000000001"), 0);

    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::DropAfterAck).times(1)]);
    client.send(FRIEND, "3EB0000000000002", "putus setelah ack").await;
    assert_eq!(client.ack("3EB0000000000002").await, None);
    client.connected_nth(3).await;
    client.receipt("3EB0000000000002", "Read").await;

    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::Drop).times(1)]);
    client.send(FRIEND, "3EB0000000000003", "hilang").await;
    client.connected_nth(4).await;
    assert_eq!(received(&simulator).len(), 2, "the third had no effect");
}

#[tokio::test]
async fn messages_vanish_or_are_delayed() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![
        FaultRule::on(Stanza::Message, Action::Swallow).id("3EB0000000000001"),
        FaultRule::on(Stanza::Message, Action::Delay { ms: HOUR_MS, jitter_ms: 1000 })
            .id("3EB0000000000002"),
    ]);
    client.send(FRIEND, "3EB0000000000001", "ditelan").await;
    client.send(FRIEND, "3EB0000000000002", "lambat").await;
    client.send(FRIEND, "3EB0000000000003", "biasa").await;
    client.receipt("3EB0000000000003", "Read").await;
    assert_eq!(received(&simulator), [("3EB0000000000003".to_owned(), 1)]);
    simulator.advance(HOUR + Duration::from_secs(1));
    assert_eq!(client.ack("3EB0000000000002").await, None);
    client.receipt("3EB0000000000002", "Read").await;
    assert_eq!(received(&simulator).len(), 2);
    assert_eq!(acks(&client, "3EB0000000000001"), 0);
}

#[tokio::test]
async fn receipts_come_twice_in_disorder_late_or_never() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![
        FaultRule::on(Stanza::Receipt, Action::Duplicate { copies: 1 })
            .id("3EB0000000000001")
            .nth(1),
        FaultRule::on(Stanza::Receipt, Action::Reorder).id("3EB0000000000002").nth(1),
        FaultRule::on(Stanza::Receipt, Action::Hold { ms: HOUR_MS }).id("3EB0000000000003"),
        FaultRule::on(Stanza::Receipt, Action::Swallow).id("3EB0000000000004"),
    ]);
    for (id, text) in [
        ("3EB0000000000003", "ditahan"),
        ("3EB0000000000004", "hilang"),
        ("3EB0000000000001", "dua kali"),
        ("3EB0000000000002", "terbalik"),
    ] {
        client.send(FRIEND, id, text).await;
    }
    client.receipt("3EB0000000000001", "Read").await;
    assert_eq!(client.receipts("3EB0000000000001"), ["Delivered", "Delivered", "Read"]);
    client.receipt("3EB0000000000002", "Delivered").await;
    assert_eq!(client.receipts("3EB0000000000002"), ["Read", "Delivered"]);
    assert!(client.receipts("3EB0000000000003").is_empty());
    simulator.advance(HOUR);
    client.receipt("3EB0000000000003", "Read").await;
    client.receipt("3EB0000000000003", "Delivered").await;
    assert!(client.receipts("3EB0000000000004").is_empty());
}

#[tokio::test]
async fn requests_fail() {
    let (simulator, client) = linked().await;
    let error = |code: u16| Action::Error { code, text: "sim".to_owned() };
    simulator.set_faults(vec![FaultRule::on(Stanza::Usync, error(429)).times(1)]);
    let check = client.client();
    let refused = check.contacts().is_on_whatsapp(&[Jid::pn(FRIEND)]).await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("429"));
    assert!(check.contacts().is_on_whatsapp(&[Jid::pn(FRIEND)]).await.unwrap()[0].is_registered);

    simulator.set_faults(vec![FaultRule::on(Stanza::Prekeys, error(500)).to(FRIEND).times(1)]);
    let sent = client.client().send_text(Jid::pn(FRIEND), "gagal").await;
    assert!(format!("{:?}", sent.unwrap_err()).contains("500"));
    client.send(FRIEND, "3EB0000000000001", "berhasil").await;
    client.receipt("3EB0000000000001", "Read").await;
}

#[tokio::test]
async fn an_answer_comes_late() {
    let (simulator, client) = linked().await;
    let late = Duration::from_millis(200);
    simulator.set_faults(vec![
        FaultRule::on(Stanza::Usync, Action::Delay { ms: 200, jitter_ms: 10 }).times(1),
    ]);
    let asked = std::time::Instant::now();
    let found = client.client().contacts().is_on_whatsapp(&[Jid::pn(FRIEND)]).await.unwrap();
    assert!(found[0].is_registered);
    assert!(asked.elapsed() >= late);
}

#[tokio::test]
async fn one_time_keys_are_used_up() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Prekeys, Action::NoOneTimeKey)]);
    client.send(FRIEND, "3EB0000000000001", "tanpa kunci sekali pakai").await;
    client.receipt("3EB0000000000001", "Read").await;
    assert_eq!(received(&simulator), [("3EB0000000000001".to_owned(), 1)]);
}

#[tokio::test]
async fn the_recipient_reinstalls_and_asks_again() {
    let (simulator, client) = linked().await;
    client.send(FRIEND, "3EB0000000000001", "sebelum").await;
    client.receipt("3EB0000000000001", "Read").await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::Reinstall).times(1)]);
    client.send(FRIEND, "3EB0000000000002", "sesudah").await;
    client.receipt("3EB0000000000002", "Read").await;
    assert_eq!(
        received(&simulator),
        [("3EB0000000000001".to_owned(), 1), ("3EB0000000000002".to_owned(), 2)]
    );
    let changed = |event: &Event| matches!(event, Event::IdentityChange(_)).then_some(());
    client.wait("identity change", changed).await;
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn the_recipient_asks_for_a_message_again() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::AskRetry).times(1)]);
    client.send(FRIEND, "3EB0000000000001", "ulangi").await;
    simulator
        .wait_for(|simulator| received(simulator) == [("3EB0000000000001".to_owned(), 2)], PATIENCE)
        .await
        .unwrap();
    let outcomes: Vec<CopyOutcome> = simulator
        .ledger(0)
        .into_iter()
        .filter(|entry| entry.owner == FRIEND)
        .map(|entry| entry.outcome)
        .collect();
    assert_eq!(outcomes, [CopyOutcome::Decrypted, CopyOutcome::Duplicate]);
}

#[tokio::test]
async fn the_recipient_is_out_of_reach_for_a_while() {
    let (simulator, client) = linked().await;
    simulator
        .set_faults(vec![FaultRule::on(Stanza::Message, Action::Offline { ms: HOUR_MS }).times(1)]);
    for id in ["3EB0000000000001", "3EB0000000000002"] {
        client.send(FRIEND, id, "nanti").await;
        assert_eq!(client.ack(id).await, None);
    }
    assert!(received(&simulator).is_empty());
    simulator.advance(HOUR);
    client.receipt("3EB0000000000002", "Read").await;
    assert_eq!(received(&simulator).len(), 2);
    let first = simulator.messages(MessageFilter::default()).remove(0);
    assert_eq!(first.id, "3EB0000000000001", "in the order they were sent");
}

#[tokio::test]
async fn the_recipient_links_and_unlinks_a_device() {
    let (simulator, client) = linked().await;
    client.send(FRIEND, "3EB0000000000001", "satu perangkat").await;
    client.receipt("3EB0000000000001", "Read").await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::AddDevice).times(1)]);
    client.send(FRIEND, "3EB0000000000002", "daftar lama").await;
    client.receipt("3EB0000000000002", "Read").await;
    // The ack told the client that its device list is old; once it has asked again, it encrypts
    // for the new device as well.
    let new_device = |simulator: &Simulator| {
        simulator.ledger(0).iter().any(|entry| {
            entry.device == 1 && entry.owner == FRIEND && entry.outcome == CopyOutcome::Decrypted
        })
    };
    for nth in 3..20 {
        let id = format!("3EB00000000000{nth:02}");
        client.send(FRIEND, &id, "daftar baru").await;
        client.receipt(&id, "Read").await;
        if new_device(&simulator) {
            break;
        }
    }
    assert!(new_device(&simulator));
    let updated = |event: &Event| matches!(event, Event::DeviceListUpdate(_)).then_some(());
    client.wait("device list update", updated).await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::RemoveDevice).times(1)]);
    client.send(FRIEND, "3EB0000000000050", "kembali satu").await;
    client.receipt("3EB0000000000050", "Read").await;
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn limits_on_writing_to_strangers() {
    let (simulator, client) = linked().await;
    // Without its settings the client sends no tokens.
    client.client().fetch_props().await.unwrap();
    simulator.write(FRIEND, OWN, "halo").await.unwrap();
    client.text("halo").await;
    // It acknowledges the token once it has stored it.
    let acknowledged = |simulator: &Simulator| {
        let accounts = simulator.accounts();
        let own = accounts.iter().find(|account| account.phone == OWN).unwrap();
        own.devices.iter().all(|device| device.unacknowledged == 0)
    };
    simulator.wait_for(acknowledged, PATIENCE).await.unwrap();
    let until = simulator.now_ms() / 1000 + 3600;
    simulator
        .set_limits(OWN, AccountLimits { reachout_until: Some(until), ..AccountLimits::default() });
    let limit = client.client().mex().fetch_reachout_timelock().await.unwrap();
    assert_eq!(limit.is_active, Some(true));
    assert_eq!(limit.time_enforcement_ends, Some(until.to_string()));

    let stranger = "6281200000002";
    client.send(stranger, "3EB0000000000001", "orang asing").await;
    assert_eq!(client.ack("3EB0000000000001").await.as_deref(), Some("463"));
    client.send(FRIEND, "3EB0000000000002", "yang pernah menulis").await;
    assert_eq!(client.ack("3EB0000000000002").await, None);
    simulator.advance(HOUR);
    client.send(stranger, "3EB0000000000003", "sekarang boleh").await;
    assert_eq!(client.ack("3EB0000000000003").await, None);

    simulator.set_limits(OWN, AccountLimits { new_chats: Some(1), ..AccountLimits::default() });
    client.send("6281200000003", "3EB0000000000004", "chat baru").await;
    assert_eq!(client.ack("3EB0000000000004").await, None);
    client.send("6281200000004", "3EB0000000000005", "satu lagi").await;
    assert_eq!(client.ack("3EB0000000000005").await.as_deref(), Some("463"));
}
