//! What a linked client still has to acknowledge. The server keeps a stanza until then, and sends
//! it again when the client comes back.

use std::collections::VecDeque;

use wacore_binary::{Node, OwnedNodeRef, marshal};

use crate::base64_bytes::{decode, encode};

/// How long a client on a working connection may take to acknowledge, in nanoseconds.
const UNACKED_NS: u64 = 30_000_000_000;

/// One stanza on its way to a client.
pub(crate) struct Item {
    pub node: Node,
    /// When it last went out, in wire nanoseconds, and on which connection.
    sent: Option<(u64, u64)>,
}

/// The stanzas of one client that are not acknowledged, oldest first.
#[derive(Default)]
pub(crate) struct Outbox(VecDeque<Item>);

impl Outbox {
    /// Keeps a stanza. `sent` tells the connection it has just gone out on, and when.
    pub fn push(&mut self, node: Node, sent: Option<(u64, u64)>) {
        self.0.push_back(Item { node, sent });
    }

    /// Removes what an `<ack>` or a message receipt acknowledges; false if there is no such thing.
    pub fn acknowledge(&mut self, class: &str, id: &str, kind: Option<&str>) -> bool {
        let found = self.0.iter().position(|item| {
            item.node.tag == class
                && item.node.attrs.get("id").is_some_and(|value| *value == *id)
                && (class == "message" || kind_of(&item.node).as_deref() == kind)
        });
        found.and_then(|index| self.0.remove(index)).is_some()
    }

    /// Everything that waits, marked as sent on this connection.
    pub fn resend(&mut self, connection: u64, now_ns: u64) -> Vec<Node> {
        self.0
            .iter_mut()
            .map(|item| {
                item.sent = Some((connection, now_ns));
                let mut node = item.node.clone();
                node.attrs.insert("offline", "0");
                node
            })
            .collect()
    }

    /// What has waited too long on a connection that works.
    pub fn overdue(&self, connection: u64, now_ns: u64) -> impl Iterator<Item = &Node> {
        self.0.iter().filter_map(move |item| match item.sent {
            Some((on, at)) if on == connection && now_ns.saturating_sub(at) > UNACKED_NS => {
                Some(&item.node)
            }
            _ => None,
        })
    }

    /// The stanzas as base64 of their wire form.
    pub fn save(&self) -> anyhow::Result<Vec<String>> {
        self.0.iter().map(|item| Ok(encode(&marshal(&item.node)?))).collect()
    }

    pub fn restore(saved: &[String]) -> anyhow::Result<Self> {
        let node = |text: &String| {
            // The first byte tells how the rest is packed: not at all.
            let bytes = decode(text)?.split_off(1);
            let node = OwnedNodeRef::new(bytes)?.to_owned_node();
            Ok(Item { node, sent: None })
        };
        saved.iter().map(node).collect::<anyhow::Result<_>>().map(Self)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn kind_of(node: &Node) -> Option<String> {
    node.attrs.get("type").map(|kind| kind.as_str().into_owned())
}
