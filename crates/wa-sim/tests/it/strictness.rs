//! What a real server would refuse.

use std::time::Duration;

use wa_sim::{Action, Config, CopyOutcome, FaultRule, Simulator, Stanza, ViolatedRule};
use whatsapp_rust::prelude::Jid;
use whatsapp_rust::wacore::store::traits::DeviceStore;
use whatsapp_rust::wacore_binary::Node;
use whatsapp_rust::wacore_binary::builder::NodeBuilder;

use crate::client::{FRIEND, OWN, PATIENCE, TestClient};

/// Sends a hand-made message and tells the error the server answers with, and the rule it names.
async fn refused(to: &str, id: &str, copies: &[Jid]) -> (Option<String>, Vec<ViolatedRule>) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let participants = copies.iter().map(|jid| {
        let enc =
            NodeBuilder::new("enc").attr("v", 2).attr("type", "pkmsg").bytes([1u8, 2, 3]).build();
        NodeBuilder::new("to").attr("jid", jid).children([enc]).build()
    });
    let message = NodeBuilder::new("message")
        .attr("to", to)
        .attr("id", id)
        .attr("type", "text")
        .children([NodeBuilder::new("participants").children(participants).build()])
        .build();
    client.client().send_node(message).await.unwrap();
    let error = client.ack(id).await;
    (error, simulator.violations().into_iter().map(|violation| violation.rule).collect())
}

#[tokio::test]
async fn a_missing_copy_is_a_violation() {
    let to = format!("{FRIEND}@s.whatsapp.net");
    let answer = refused(&to, "3EB0000000000001", &[Jid::pn(OWN)]).await;
    assert_eq!(answer, (Some("400".to_owned()), vec![ViolatedRule::MissingCopy]));
}

#[tokio::test]
async fn a_message_to_an_unregistered_number_is_a_violation() {
    let nobody = "6281200000009";
    let to = format!("{nobody}@s.whatsapp.net");
    let answer = refused(&to, "3EB0000000000001", &[Jid::pn(nobody)]).await;
    assert_eq!(answer, (Some("404".to_owned()), vec![ViolatedRule::UnknownRecipient]));
}

#[tokio::test]
async fn a_copy_for_an_unknown_device_is_a_violation() {
    let to = format!("{FRIEND}@s.whatsapp.net");
    let answer = refused(&to, "3EB0000000000001", &[Jid::pn_device(FRIEND, 7)]).await;
    assert_eq!(answer, (Some("400".to_owned()), vec![ViolatedRule::UnknownDevice]));
}

#[tokio::test]
async fn malformed_ids_and_addresses_are_violations() {
    let friend = format!("{FRIEND}@s.whatsapp.net");
    let long = "A".repeat(129);
    let malformed = [
        (friend.as_str(), "not an id", ViolatedRule::MalformedId, "479"),
        (friend.as_str(), "3EB0\u{e9}", ViolatedRule::MalformedId, "479"),
        (friend.as_str(), long.as_str(), ViolatedRule::MalformedId, "479"),
        ("tetangga@s.whatsapp.net", "3EB0000000000001", ViolatedRule::MalformedId, "479"),
        ("123456789012345@lid", "3EB0000000000001", ViolatedRule::UnknownRecipient, "404"),
    ];
    for (to, id, rule, code) in malformed {
        let answer = refused(to, id, &[Jid::pn(FRIEND)]).await;
        assert_eq!(answer, (Some(code.to_owned()), vec![rule]), "{to} {id:?}");
    }
}

/// Sends nonsense as this type of ciphertext, and tells the first rule it breaks. The server acks
/// it, as it cannot see into it.
async fn nonsense(kind: &str) -> ViolatedRule {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let enc = NodeBuilder::new("enc").attr("v", 2).attr("type", kind).bytes([1u8, 2, 3]).build();
    let to = NodeBuilder::new("to").attr("jid", Jid::pn(FRIEND)).children([enc]).build();
    let message = NodeBuilder::new("message")
        .attr("to", Jid::pn(FRIEND))
        .attr("id", "3EB0000000000001")
        .attr("type", "text")
        .children([NodeBuilder::new("participants").children([to]).build()])
        .build();
    client.client().send_node(message).await.unwrap();
    assert_eq!(client.ack("3EB0000000000001").await, None);
    simulator.wait_for(|simulator| !simulator.violations().is_empty(), PATIENCE).await.unwrap();
    simulator.violations()[0].rule
}

#[tokio::test]
async fn an_undecryptable_copy_is_a_violation() {
    assert_eq!(nonsense("msg").await, ViolatedRule::Undecryptable);
}

#[tokio::test]
async fn a_session_without_device_identity_is_a_violation() {
    assert_eq!(nonsense("pkmsg").await, ViolatedRule::BadSignature);
}

/// A client's keys, as it uploads them: a signed prekey, and one-time keys with these ids.
async fn upload(client: &TestClient, signature: &[u8], one_time: &[(u32, u8)]) -> Node {
    let device = client.store.load().await.unwrap().unwrap();
    let leaf = |tag: &'static str, bytes: &[u8]| NodeBuilder::new(tag).bytes(bytes).build();
    let id = |id: u32| leaf("id", &id.to_be_bytes()[1..]);
    let keys = one_time.iter().map(|(number, filling)| {
        NodeBuilder::new("key").children([id(*number), leaf("value", &[*filling; 32])]).build()
    });
    let signed = NodeBuilder::new("skey").children([
        id(device.signed_pre_key_id),
        leaf("value", device.signed_pre_key.public_key.public_key_bytes()),
        leaf("signature", signature),
    ]);
    NodeBuilder::new("iq")
        .attr("type", "set")
        .attr("xmlns", "encrypt")
        .attr("to", "s.whatsapp.net")
        .children([
            leaf("registration", &device.registration_id.to_be_bytes()),
            leaf("type", &[5]),
            leaf("identity", device.identity_key.public_key.public_key_bytes()),
            NodeBuilder::new("list").children(keys).build(),
            signed.build(),
        ])
        .build()
}

fn rules(simulator: &Simulator) -> Vec<ViolatedRule> {
    simulator.violations().into_iter().map(|violation| violation.rule).collect()
}

#[tokio::test]
async fn a_repeated_prekey_id_is_a_violation() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let signature = client.store.load().await.unwrap().unwrap().signed_pre_key_signature;
    for (keys, broken) in [
        ([(900_001, 1), (900_002, 2)], vec![]),
        // After a lost answer a client uploads the same keys once more.
        ([(900_001, 1), (900_002, 2)], vec![]),
        ([(900_002, 3), (900_003, 4)], vec![ViolatedRule::RepeatedPrekey]),
    ] {
        let upload = upload(&client, &signature, &keys).await;
        client.client().send_iq_node(upload, None).await.unwrap();
        assert_eq!(rules(&simulator), broken);
    }
}

#[tokio::test]
async fn a_badly_signed_prekey_is_a_violation() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let upload = upload(&client, &[7; 64], &[(900_001, 1)]).await;
    let refused = client.client().send_iq_node(upload, None).await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("400"));
    assert_eq!(rules(&simulator), [ViolatedRule::BadSignature]);
}

#[tokio::test]
async fn an_unacknowledged_notification_is_a_violation() {
    /// The server waits 15 s for an acknowledgement.
    const LONG: Duration = Duration::from_secs(60);
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    client.send(FRIEND, "3EB0000000000001", "halo").await;
    client.receipt("3EB0000000000001", "Read").await;
    let acknowledged = |simulator: &Simulator| {
        let accounts = simulator.accounts();
        let own = accounts.iter().find(|account| account.phone == OWN).unwrap();
        own.devices[0].unacknowledged == 0
    };
    simulator.wait_for(acknowledged, PATIENCE).await.unwrap();
    client.mute();
    assert!(simulator.reinstall(FRIEND));
    let overdue = async {
        let mut looks = tokio::time::interval(Duration::from_millis(200));
        while rules(&simulator).is_empty() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(LONG, overdue).await.expect("a violation in time");
    let violation = simulator.violations().remove(0);
    assert_eq!(violation.rule, ViolatedRule::Unacked);
    assert!(violation.stanza.starts_with("notification "), "{violation:?}");
}

#[tokio::test]
async fn a_client_on_a_silent_connection_owes_no_ack() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::Silence).times(1)]);
    client.send(FRIEND, "3EB0000000000001", "sunyi").await;
    let swallowed = |simulator: &Simulator| !simulator.ledger(0).is_empty();
    simulator.wait_for(swallowed, PATIENCE).await.unwrap();
    // The server knows that nothing gets through, and keeps it for the next connection.
    simulator.write(FRIEND, OWN, "menunggu").await.unwrap();
    let written = simulator.ledger(1).remove(0);
    assert_eq!(written.outcome, CopyOutcome::Queued);
    simulator.pause().await;
    simulator.resume().await.unwrap();
    client.text("menunggu").await;
    assert_eq!(rules(&simulator), []);
}

#[tokio::test]
async fn an_unexpected_stanza_is_a_violation() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    client.client().send_node(NodeBuilder::new("weather").build()).await.unwrap();
    simulator.wait_for(|simulator| !rules(simulator).is_empty(), PATIENCE).await.unwrap();
    assert_eq!(rules(&simulator), [ViolatedRule::Unexpected]);
}
