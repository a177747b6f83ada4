//! What a real server would refuse.

use wa_sim::{Config, Simulator, ViolatedRule};
use whatsapp_rust::prelude::Jid;
use whatsapp_rust::wacore_binary::builder::NodeBuilder;

use crate::client::{FRIEND, OWN, TestClient};

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
async fn a_message_without_a_copy_for_the_recipient() {
    let to = format!("{FRIEND}@s.whatsapp.net");
    let answer = refused(&to, "3EB0000000000001", &[Jid::pn(OWN)]).await;
    assert_eq!(answer, (Some("400".to_owned()), vec![ViolatedRule::MissingCopy]));
}

#[tokio::test]
async fn a_message_to_somebody_who_is_not_there() {
    let nobody = "6281200000009";
    let to = format!("{nobody}@s.whatsapp.net");
    let answer = refused(&to, "3EB0000000000001", &[Jid::pn(nobody)]).await;
    assert_eq!(answer, (Some("404".to_owned()), vec![ViolatedRule::UnknownRecipient]));
}

#[tokio::test]
async fn a_copy_for_a_device_that_never_was() {
    let to = format!("{FRIEND}@s.whatsapp.net");
    let answer = refused(&to, "3EB0000000000001", &[Jid::pn_device(FRIEND, 7)]).await;
    assert_eq!(answer, (Some("400".to_owned()), vec![ViolatedRule::UnknownDevice]));
}

#[tokio::test]
async fn a_malformed_id() {
    let to = format!("{FRIEND}@s.whatsapp.net");
    let answer = refused(&to, "not an id", &[Jid::pn(FRIEND)]).await;
    assert_eq!(answer, (Some("479".to_owned()), vec![ViolatedRule::MalformedId]));
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
    simulator
        .wait_for(|simulator| !simulator.violations().is_empty(), crate::client::PATIENCE)
        .await
        .unwrap();
    simulator.violations()[0].rule
}

#[tokio::test]
async fn a_copy_nobody_can_decrypt() {
    assert_eq!(nonsense("msg").await, ViolatedRule::Undecryptable);
}

#[tokio::test]
async fn a_new_session_without_the_word_of_the_account() {
    assert_eq!(nonsense("pkmsg").await, ViolatedRule::BadSignature);
}
