//! What a linked client still has to acknowledge. The server keeps a stanza until then, and sends
//! it again when the client comes back.

use std::collections::VecDeque;

use wacore_binary::{Node, OwnedNodeRef, marshal};

use crate::base64_bytes::{decode, encode};

/// How long a client on a working connection may take to acknowledge, in nanoseconds. Clients give
/// up a dead connection after 20 s, and with it what can be said about them.
const UNACKED_NS: u64 = 15_000_000_000;

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

    /// Returns everything that waits, marked as sent on this connection.
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

    /// Returns what has waited too long on a connection that works.
    pub fn overdue(&self, connection: u64, now_ns: u64) -> impl Iterator<Item = &Node> {
        self.0.iter().filter_map(move |item| match item.sent {
            Some((on, at)) if on == connection && now_ns.saturating_sub(at) > UNACKED_NS => {
                Some(&item.node)
            }
            _ => None,
        })
    }

    /// Returns the stanzas as base64 of their wire form.
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

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;

    use super::*;

    fn receipt(kind: Option<&'static str>) -> Node {
        let node = NodeBuilder::new("receipt").attr("id", "A");
        kind.into_iter().fold(node, |node, kind| node.attr("type", kind)).build()
    }

    #[test]
    fn receipts_of_one_message_are_acknowledged_one_by_one() {
        let mut outbox = Outbox::default();
        outbox.push(receipt(None), None);
        outbox.push(receipt(Some("read")), None);
        assert!(outbox.acknowledge("receipt", "A", Some("read")));
        assert!(!outbox.acknowledge("receipt", "A", Some("read")));
        assert!(!outbox.acknowledge("message", "A", None));
        assert!(outbox.acknowledge("receipt", "A", None));
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn only_what_went_out_on_the_working_connection_is_overdue() {
        let mut outbox = Outbox::default();
        outbox.push(receipt(None), Some((1, 0)));
        outbox.push(receipt(Some("read")), None);
        let late = UNACKED_NS + 1;
        assert_eq!(outbox.overdue(1, late).count(), 1);
        assert_eq!(outbox.overdue(1, UNACKED_NS).count(), 0);
        assert_eq!(outbox.overdue(2, late).count(), 0);
        assert_eq!(outbox.resend(2, 0).len(), 2);
        assert_eq!(outbox.overdue(2, late).count(), 2);
    }

    #[test]
    fn a_saved_outbox_is_the_same() {
        let mut outbox = Outbox::default();
        outbox.push(receipt(Some("read")), Some((1, 0)));
        let saved = outbox.save().unwrap();
        assert!(Outbox::restore(&saved).unwrap().acknowledge("receipt", "A", Some("read")));
    }
}
