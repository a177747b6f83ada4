//! Requests: which part of the server answers which namespace.

mod account_data;
mod encrypt;
mod mex;
mod usync;

use std::sync::Arc;

pub(crate) use encrypt::{KEY_TYPE, key_node, skey_node};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::connection::{ClientConnection, Flow};
use crate::faults::{Action, Facts, Stanza};
use crate::stanza;
use crate::state::ServerState;
use crate::violations::ViolatedRule;

/// Not implemented: what a server answers to a request it does not know.
const NOT_IMPLEMENTED: u16 = 501;

impl ClientConnection {
    pub(crate) fn handle_iq(&mut self, node: &Node) -> Flow {
        match stanza::attr(node, "type").as_deref() {
            Some("get" | "set") => self.request(node),
            Some("result") => {
                if node.get_optional_child("pair-device-sign").is_some() {
                    self.finish_pairing(node);
                }
                Flow::Continue
            }
            Some("error") => {
                self.violation(
                    node,
                    ViolatedRule::Unexpected,
                    "the client refused a request of the server",
                );
                Flow::Continue
            }
            _ => {
                self.violation(
                    node,
                    ViolatedRule::Unexpected,
                    "an iq needs type get, set, result or error",
                );
                Flow::Continue
            }
        }
    }

    fn request(&mut self, node: &Node) -> Flow {
        let Some(id) = stanza::attr(node, "id") else {
            self.violation(node, ViolatedRule::MalformedId, "a request without an id");
            return Flow::Continue;
        };
        let kind = kind(node);
        let to = first_number(&self.core.state(), node);
        let facts = Facts { stanza: kind, from: self.number(), to: to.as_deref(), id: Some(&id) };
        let action = self.strike(facts);
        match &action {
            Some(Action::Error { code, text }) => {
                self.send(stanza::error(node, *code, text));
                return Flow::Continue;
            }
            Some(Action::Delay { ms, jitter_ms }) => {
                let ms = self.core.state().faults.jittered(*ms, *jitter_ms);
                let until = self.core.clock.now_ms() + ms;
                let core = Arc::clone(&self.core);
                let (connection, replies) = (self.id, self.answer(node, None));
                tokio::spawn(async move {
                    core.clock.sleep_until(until).await;
                    let state = core.state();
                    replies.into_iter().for_each(|reply| state.send(connection, reply));
                });
                return Flow::Continue;
            }
            Some(action) => {
                if let Some(flow) = self.break_off(action) {
                    return flow;
                }
            }
            None => {}
        }
        let replies = self.answer(node, action.as_ref());
        let state = self.core.state();
        replies.into_iter().for_each(|reply| state.send(self.id, reply));
        Flow::Continue
    }

    /// Returns what the server says to a request. The first stanza answers it, others may follow.
    fn answer(&mut self, node: &Node, action: Option<&Action>) -> Vec<Node> {
        let namespace = stanza::attr(node, "xmlns").unwrap_or_default();
        if self.device.is_none() && !matches!(namespace.as_str(), "md" | "w:p" | "encrypt") {
            self.violation(node, ViolatedRule::Unexpected, format!("{namespace} before login"));
            return vec![stanza::error(node, 401, "not-authorized")];
        }
        match namespace.as_str() {
            "w:p" | "urn:xmpp:ping" => vec![stanza::result(node, [])],
            "md" => self.link(node),
            "passive" => {
                self.send(stanza::result(node, []));
                if node.get_optional_child("active").is_some() {
                    self.activate();
                }
                Vec::new()
            }
            "encrypt" => vec![self.encrypt(node, action)],
            "usync" => vec![self.usync(node)],
            "abt"
            | "w"
            | "blocklist"
            | "privacy"
            | "w:sync:app:state"
            | "w:m"
            | "w:profile:picture"
            | "status"
            | "disappearing_mode"
            | "urn:xmpp:whatsapp:dirty"
            | "w:biz"
            | "w:stats"
            | "urn:xmpp:whatsapp:push"
            | "urn:xmpp:whatsapp:account"
            | "tos"
            | "spam" => {
                vec![self.account_data(&namespace, node)]
            }
            "w:mex" => vec![self.mex(node)],
            "w:g2" => vec![stanza::result(node, [NodeBuilder::new("groups").build()])],
            other => {
                tracing::warn!(namespace = other, "a request this server does not know");
                vec![stanza::error(node, NOT_IMPLEMENTED, "feature-not-implemented")]
            }
        }
    }

    /// Answers requests of the namespace `md`: linking by code or with a passkey, and a device that
    /// leaves.
    fn link(&mut self, node: &Node) -> Vec<Node> {
        if let Some(registration) = node.get_optional_child("link_code_companion_reg") {
            self.link_code(node, registration);
            return Vec::new();
        }
        if let Some(answer) = self.passkey_step(node) {
            return answer;
        }
        if node.get_optional_child("remove-companion-device").is_some() {
            if let Some(device) = self.device.clone() {
                self.send(stanza::result(node, []));
                self.core.unlink(&device);
            }
            return Vec::new();
        }
        self.violation(node, ViolatedRule::Unexpected, "unknown request about linking");
        vec![stanza::error(node, 400, "bad-request")]
    }
}

fn kind(node: &Node) -> Stanza {
    match stanza::attr(node, "xmlns").as_deref() {
        Some("usync") => Stanza::Usync,
        Some("encrypt") if node.get_optional_child("key").is_some() => Stanza::Prekeys,
        Some("w:mex") => Stanza::AccountLimits,
        Some("md") if node.get_optional_child("passkey_prologue").is_some() => Stanza::Passkey,
        _ => Stanza::Iq,
    }
}

/// Returns the number of the first user a request is about, be it named by address or as a contact.
fn first_number(state: &ServerState, node: &Node) -> Option<String> {
    let list = node
        .get_optional_child("key")
        .or_else(|| node.get_optional_child_by_tag(&["usync", "list"]))?;
    let user = list.children()?.first()?;
    match stanza::jid(user, "jid") {
        Some(jid) => state.resolve(&jid).map(|device| device.number),
        None => Some(stanza::digits(&user.get_optional_child("contact")?.content_as_string()?)),
    }
}
