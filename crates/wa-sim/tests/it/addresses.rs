//! Addresses in what the simulator sends are addresses, not text that reads like one.

use std::collections::BTreeSet;

use wa_sim::{Config, Simulator};
use whatsapp_rust::prelude::{Event, Jid};
use whatsapp_rust::wacore_binary::{Node, NodeContent, NodeValue};

use crate::client::{FRIEND, OWN, TestClient};

/// Servers that are an address by themselves. The others are words that mean other things too.
const SERVERS: [&str; 2] = ["s.whatsapp.net", "g.us"];

fn reads_as_an_address(text: &str) -> bool {
    SERVERS.contains(&text) || (text.contains('@') && text.parse::<Jid>().is_ok())
}

/// What a stanza and its children hold: the addresses, as `tag name`, and what is text but should
/// be one.
fn examine(node: &Node, addresses: &mut BTreeSet<String>, text: &mut Vec<String>) {
    for (name, value) in node.attrs.iter() {
        match value {
            NodeValue::Jid(_) => {
                addresses.insert(format!("{} {name}", node.tag));
            }
            NodeValue::String(value) if reads_as_an_address(value) => {
                text.push(format!("{} {name}={value}", node.tag));
            }
            NodeValue::String(_) => {}
        }
    }
    if let Some(NodeContent::Nodes(children)) = &node.content {
        children.iter().for_each(|child| examine(child, addresses, text));
    }
}

#[tokio::test]
async fn no_address_leaves_as_text() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::new(&simulator).await;
    let _lease = client.client().acquire_raw_node_forwarding();
    simulator.scan(&client.qr().await, OWN).await.unwrap();
    client.connected().await;

    client.client().contacts().is_on_whatsapp(&[Jid::pn(FRIEND)]).await.unwrap();
    client.send(FRIEND, "3EB0000000000001", "halo").await;
    client.receipt("3EB0000000000001", "Read").await;
    simulator.write(FRIEND, OWN, "halo juga").await.unwrap();
    client.text("halo juga").await;
    // A companion of the sender sees what the sender writes.
    let companion = TestClient::linked(&simulator, OWN).await;
    companion.send(FRIEND, "3EB0000000000002", "dari perangkat lain").await;
    client.text("dari perangkat lain").await;
    let notified = |kind: &'static str| {
        client.wait(kind, move |event| match event {
            Event::RawNode(node) => {
                let node = node.to_owned_node();
                let is = |value: &NodeValue| *value == *kind;
                (node.tag == "notification" && node.attrs.get("type").is_some_and(is)).then_some(())
            }
            _ => None,
        })
    };
    simulator.add_device(FRIEND).unwrap();
    notified("devices").await;
    simulator.reinstall(FRIEND);
    notified("encrypt").await;

    let nodes = client.all(|event| match event {
        Event::RawNode(node) => Some(node.to_owned_node()),
        _ => None,
    });
    let (mut addresses, mut text) = (BTreeSet::new(), Vec::new());
    nodes.iter().for_each(|node| examine(node, &mut addresses, &mut text));
    assert!(text.is_empty(), "{text:#?}");
    // Enough has come to tell.
    for expected in [
        "ack from",
        "device jid",
        "device lid",
        "ib from",
        "iq from",
        "lid val",
        "message from",
        "message recipient",
        "message sender_lid",
        "notification from",
        "receipt from",
        "success lid",
        "user jid",
    ] {
        assert!(addresses.contains(expected), "no {expected} among {addresses:?}");
    }
}
