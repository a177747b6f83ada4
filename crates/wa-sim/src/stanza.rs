//! Reads and builds the parts that stanzas share.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, NodeValue, SERVER_JID, marshal};

/// The attributes that hold an address, in stanzas and in their children.
const ADDRESSES: [&str; 12] = [
    "from",
    "to",
    "participant",
    "recipient",
    "jid",
    "lid",
    "pn_jid",
    "sender_lid",
    "sender_pn",
    "peer_recipient_lid",
    "peer_recipient_pn",
    "val",
];

/// Encodes a stanza for the wire. Addresses go out as addresses, however they were written down: a
/// client need not take the same letters in a string for one.
pub(crate) fn encode(mut node: Node) -> anyhow::Result<Vec<u8>> {
    make_addresses(&mut node);
    Ok(marshal(&node)?)
}

fn make_addresses(node: &mut Node) {
    for (name, value) in &mut node.attrs.0 {
        if ADDRESSES.contains(&name.as_ref())
            && let NodeValue::String(text) = &*value
            && let Ok(address) = text.parse::<Jid>()
        {
            *value = NodeValue::Jid(address);
        }
    }
    if let Some(NodeContent::Nodes(children)) = &mut node.content {
        children.iter_mut().for_each(make_addresses);
    }
}

/// Returns the content of a node that carries bytes, however the client encoded them.
pub(crate) fn bytes(node: &Node) -> Option<&[u8]> {
    match &node.content {
        Some(NodeContent::Bytes(bytes)) => Some(bytes),
        Some(NodeContent::String(text)) => Some(text.as_bytes()),
        _ => None,
    }
}

/// Returns a number sent as big-endian bytes.
pub(crate) fn uint(node: &Node) -> Option<u32> {
    let bytes = bytes(node)?;
    (bytes.len() <= 4).then(|| bytes.iter().fold(0, |n, &byte| (n << 8) | u32::from(byte)))
}

pub(crate) fn attr(node: &Node, name: &str) -> Option<String> {
    node.attrs.get(name).map(|value| value.as_str().into_owned())
}

pub(crate) fn jid(node: &Node, name: &str) -> Option<Jid> {
    node.attrs.get(name).and_then(wacore_binary::NodeValue::to_jid)
}

/// Returns the digits of a phone number, whatever else is written around them.
pub(crate) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// Returns the answer to a request that went well.
pub(crate) fn result(request: &Node, children: impl IntoIterator<Item = Node>) -> Node {
    let children: Vec<Node> = children.into_iter().collect();
    let node = answer(request, "result");
    if children.is_empty() { node.build() } else { node.children(children).build() }
}

/// Returns the answer to a request that did not.
pub(crate) fn error(request: &Node, code: u16, text: &str) -> Node {
    let error = NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    answer(request, "error").children([error]).build()
}

fn answer(request: &Node, kind: &str) -> NodeBuilder {
    let from = attr(request, "to").unwrap_or_else(|| SERVER_JID.to_owned());
    NodeBuilder::new("iq")
        .attr("from", from)
        .attr("type", kind)
        .attr("id", attr(request, "id").unwrap_or_default())
}
