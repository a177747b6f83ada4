//! Namespace `usync`: who is on WhatsApp, under which hidden id, with which devices.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::connection::ClientConnection;
use crate::device::PRIMARY;
use crate::stanza;
use crate::state::ServerState;
use crate::violations::ViolatedRule;

impl ClientConnection {
    pub(super) fn usync(&mut self, node: &Node) -> Node {
        let Some(usync) = node.get_optional_child("usync") else {
            self.violation(node, ViolatedRule::Unexpected, "a usync request without <usync>");
            return stanza::error(node, 400, "bad-request");
        };
        let protocols: Vec<&str> = usync
            .get_optional_child("query")
            .and_then(Node::children)
            .unwrap_or_default()
            .iter()
            .map(|protocol| protocol.tag.as_ref())
            .collect();
        let users = usync.get_optional_child("list").and_then(Node::children).unwrap_or_default();
        let mut state = self.core.state();
        let answers: Vec<Node> = users
            .iter()
            .map(|user| match Asked::read(&state, user) {
                Some(asked) => asked.answer(&mut state, &protocols),
                None => NodeBuilder::new("user")
                    .children([NodeBuilder::new("contact").attr("type", "invalid").build()])
                    .build(),
            })
            .collect();
        drop(state);
        let mut answer = NodeBuilder::new("usync");
        for name in ["sid", "mode", "index", "last", "context"] {
            if let Some(value) = usync.attrs.get(name) {
                answer = answer.attr(name, value.clone());
            }
        }
        let results: Vec<Node> = protocols
            .iter()
            .map(|name| NodeBuilder::new_dynamic((*name).to_owned()).build())
            .collect();
        let answer = answer
            .children([
                NodeBuilder::new("result").children(results).build(),
                NodeBuilder::new("list").children(answers).build(),
            ])
            .build();
        stanza::result(node, [answer])
    }
}

/// One user a client asks about, by number or by address.
struct Asked {
    number: String,
    /// The address to answer under: as it was asked for.
    jid: Jid,
    /// What was written as the contact, to be repeated.
    contact: Option<String>,
}

impl Asked {
    fn read(state: &ServerState, user: &Node) -> Option<Self> {
        if let Some(jid) = stanza::jid(user, "jid") {
            let number = state.resolve(&jid)?.number;
            return Some(Self { number, jid: jid.to_non_ad(), contact: None });
        }
        let contact = user.get_optional_child("contact")?.content_as_string()?.to_string();
        let number = stanza::digits(&contact);
        (!number.is_empty()).then(|| Self {
            jid: Jid::pn(number.as_str()),
            number,
            contact: Some(contact),
        })
    }

    fn answer(&self, state: &mut ServerState, protocols: &[&str]) -> Node {
        let registered = state.settings(&self.number).registered;
        let mut children = Vec::new();
        for protocol in protocols {
            match *protocol {
                "contact" => {
                    let kind = if registered { "in" } else { "out" };
                    let mut contact = NodeBuilder::new("contact").attr("type", kind);
                    if let Some(text) = &self.contact {
                        contact = contact.string_content(text.as_str());
                    }
                    children.push(contact.build());
                }
                "lid" if registered => {
                    let lid = Jid::lid(state.lid(&self.number));
                    children.push(NodeBuilder::new("lid").attr("val", lid).build());
                }
                "devices" if registered => children.push(devices(state, &self.number)),
                "status" => children.push(NodeBuilder::new("status").build()),
                _ => {}
            }
        }
        let mut user = NodeBuilder::new("user").attr("jid", &self.jid);
        if self.jid.is_lid() {
            user = user.attr("pn_jid", Jid::pn(self.number.as_str()));
        }
        user.children(children).build()
    }
}

/// Returns the device list. Asking does not make an account: all numbers have a phone until one
/// links more.
fn devices(state: &ServerState, number: &str) -> Node {
    let account = state.accounts.get(number);
    let primary = NodeBuilder::new("device").attr("id", PRIMARY).build();
    let companions =
        account.into_iter().flat_map(|account| &account.companions).map(|(id, companion)| {
            NodeBuilder::new("device")
                .attr("id", *id)
                .attr("key-index", companion.key_index)
                .build()
        });
    let list = NodeBuilder::new("device-list")
        .children(std::iter::once(primary).chain(companions))
        .build();
    let mut children = vec![list];
    if let Some(account) = account.filter(|account| !account.companions.is_empty())
        && let Ok(signed) = account.key_index_list(state.seed)
    {
        let keys =
            NodeBuilder::new("key-index-list").attr("ts", account.devices_changed).bytes(signed);
        children.push(keys.build());
    }
    NodeBuilder::new("devices").children(children).build()
}
