//! A client's `<message>`: checked, acked, and brought to every device it has a copy for.

use std::collections::BTreeSet;
use std::sync::Arc;

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::connection::{ClientConnection, Flow};
use crate::core::Core;
use crate::device::DeviceId;
use crate::device::{PRIMARY, lid_of};
use crate::faults::{Action, Facts, Stanza};
use crate::ledger::{CopyOutcome, LedgerEntry};
use crate::message::Arrival;
use crate::stanza;
use crate::state::ServerState;
use crate::violations::ViolatedRule;

/// The server's answers to messages it does not deliver.
const BAD_REQUEST: u16 = 400;
const NOT_FOUND: u16 = 404;
const REACHOUT_LIMIT: u16 = 463;
const MALFORMED: u16 = 479;
/// Message ids are made of these, and not longer than this.
const MAX_ID: usize = 128;

/// A message that passed the checks.
struct Accepted {
    copies: Vec<Arrival>,
    to: DeviceId,
    /// The hash of the devices it should have been for, if the client's list is out of date.
    device_hash: Option<String>,
}

/// Why the server does not take a message.
struct Refusal {
    code: u16,
    violation: Option<(ViolatedRule, String)>,
}

impl Refusal {
    fn new(code: u16, rule: ViolatedRule, detail: impl Into<String>) -> Self {
        Self { code, violation: Some((rule, detail.into())) }
    }
}

impl ClientConnection {
    pub(crate) fn handle_message(&mut self, node: &Node, arrived: u64) -> Flow {
        let Some(sender) = self.device.clone() else {
            self.violation(node, ViolatedRule::Unexpected, "a message before login");
            return Flow::Drop;
        };
        let to = stanza::jid(node, "to").and_then(|jid| self.core.state().resolve(&jid));
        let id = stanza::attr(node, "id").unwrap_or_default();
        let facts = Facts {
            stanza: Stanza::Message,
            from: Some(&sender.number),
            to: to.as_ref().map(|to| to.number.as_str()),
            id: Some(&id),
        };
        // Rules are about messages between people, not about what an account's devices tell each
        // other.
        let peer = stanza::attr(node, "category").as_deref() == Some("peer");
        let action = if peer { None } else { self.strike(facts) };
        if let Some(Action::Delay { ms, jitter_ms }) = action {
            let ms = self.core.state().faults.jittered(ms, jitter_ms);
            let until = self.core.clock.now_ms() + ms;
            let core = Arc::clone(&self.core);
            let (connection, node) = (self.id, node.clone());
            tokio::spawn(async move {
                core.clock.sleep_until(until).await;
                let mut client = ClientConnection { core, id: connection, device: Some(sender) };
                client.take_message(&node, arrived, None);
                client.core.notify();
            });
            return Flow::Continue;
        }
        self.take_message(node, arrived, action)
    }

    fn take_message(&mut self, node: &Node, arrived: u64, action: Option<Action>) -> Flow {
        if let Some(flow) = action.as_ref().and_then(|action| self.break_off(action)) {
            self.log_only(node, arrived, CopyOutcome::Swallowed, None);
            return flow;
        }
        if let Some(Action::AckError { code }) = action {
            self.log_only(node, arrived, CopyOutcome::Refused, Some(code));
            self.send(ack(node, Some(code), self.core.clock.now_s()));
            return Flow::Continue;
        }
        let to = stanza::jid(node, "to").and_then(|jid| self.core.state().resolve(&jid));
        if let (Some(action), Some(to)) = (&action, &to) {
            self.core.change_recipient(action, &to.number);
        }
        let mut accepted = match self.check(node, arrived, to) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                if let Some((rule, detail)) = refusal.violation {
                    self.violation(node, rule, detail);
                }
                self.log_only(node, arrived, CopyOutcome::Refused, Some(refusal.code));
                self.send(ack(node, Some(refusal.code), self.core.clock.now_s()));
                return Flow::Continue;
            }
        };
        if action == Some(Action::AskRetry) {
            for copy in &mut accepted.copies {
                copy.ask_retry = copy.owner.number == accepted.to.number;
            }
        }
        let mut ack = ack(node, None, self.core.clock.now_s());
        if let Some(hash) = accepted.device_hash {
            ack.attrs.insert("phash", hash);
        }
        let flow = self.acknowledge(ack, action);
        for copy in accepted.copies {
            self.core.bring(copy);
        }
        flow
    }

    /// Acks the message, or does what a rule says instead, before anybody sees it: receipts must
    /// not overtake the ack.
    fn acknowledge(&mut self, ack: Node, action: Option<Action>) -> Flow {
        match action {
            Some(Action::NoAck) => Flow::Continue,
            Some(Action::LateAck { ms }) => {
                let until = self.core.clock.now_ms() + ms;
                let core = Arc::clone(&self.core);
                let connection = self.id;
                tokio::spawn(async move {
                    core.clock.sleep_until(until).await;
                    core.state().send(connection, ack);
                });
                Flow::Continue
            }
            Some(Action::DropBeforeAck) => {
                self.detach();
                Flow::Drop
            }
            Some(Action::DropAfterAck) => {
                self.send(ack);
                self.detach();
                Flow::Drop
            }
            _ => {
                self.send(ack);
                Flow::Continue
            }
        }
    }

    /// Notes a message in the ledger that goes no further.
    fn log_only(&self, node: &Node, arrived: u64, outcome: CopyOutcome, error: Option<u16>) {
        let Some(sender) = &self.device else { return };
        let mut state = self.core.state();
        let to = stanza::jid(node, "to");
        let number = to
            .and_then(|jid| state.resolve(&jid))
            .map(|to| to.number)
            .or_else(|| stanza::attr(node, "to"))
            .unwrap_or_default();
        let id = stanza::attr(node, "id").unwrap_or_default();
        let copy = state.count_copy(&(sender.number.clone(), number.clone(), id.clone()));
        state.log(LedgerEntry {
            seq: 0,
            wire_ns: arrived,
            id,
            from: sender.number.clone(),
            from_device: sender.device,
            to: number.clone(),
            owner: number,
            device: PRIMARY,
            copy,
            outcome,
            text: None,
            error,
        });
    }

    /// Returns what a real server looks at before it takes a message.
    fn check(&self, node: &Node, arrived: u64, to: Option<DeviceId>) -> Result<Accepted, Refusal> {
        let Some(sender) = self.device.clone() else {
            return Err(Refusal::new(BAD_REQUEST, ViolatedRule::Unexpected, "not logged in"));
        };
        let id = stanza::attr(node, "id").unwrap_or_default();
        if id.is_empty() || id.len() > MAX_ID || !id.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Refusal::new(
                MALFORMED,
                ViolatedRule::MalformedId,
                format!("message id {id:?}"),
            ));
        }
        let chat = stanza::jid(node, "to").ok_or_else(|| {
            Refusal::new(MALFORMED, ViolatedRule::MalformedId, "a message without to")
        })?;
        let to = to.ok_or_else(|| {
            Refusal::new(NOT_FOUND, ViolatedRule::UnknownRecipient, format!("nobody is {chat}"))
        })?;
        if to.number.is_empty() || !to.number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::new(
                MALFORMED,
                ViolatedRule::MalformedId,
                format!("recipient {chat}"),
            ));
        }
        let now_s = self.core.clock.now_s();
        let mut state = self.core.state();
        let known = state.account(&to.number, now_s).ok().flatten().is_some();
        if !known {
            let detail = format!("{} is not on WhatsApp", to.number);
            return Err(Refusal::new(NOT_FOUND, ViolatedRule::UnknownRecipient, detail));
        }
        let peer = stanza::attr(node, "category").as_deref() == Some("peer");
        let token = node.get_optional_child("tctoken").and_then(stanza::bytes);
        if !peer && !state.may_write(&sender.number, &to.number, token, now_s) {
            return Err(Refusal { code: REACHOUT_LIMIT, violation: None });
        }
        let encs = copies_in(node, &chat);
        let copy = state.count_copy(&(sender.number.clone(), to.number.clone(), id.clone()));
        let device_identity = node.get_optional_child("device-identity").cloned();
        let mut copies = Vec::with_capacity(encs.len());
        for (jid, enc) in encs {
            let Some(owner) = state.resolve(&jid) else {
                return Err(Refusal::new(
                    MALFORMED,
                    ViolatedRule::MalformedId,
                    format!("copy for {jid}"),
                ));
            };
            if let Some(problem) = wrong_device(&state, &owner, &to, &sender) {
                return Err(Refusal::new(BAD_REQUEST, ViolatedRule::UnknownDevice, problem));
            }
            copies.push(Arrival {
                wire_ns: arrived,
                id: id.clone(),
                from: sender.clone(),
                chat: chat.clone(),
                to: to.number.clone(),
                owner,
                copy,
                enc,
                device_identity: device_identity.clone(),
                kind: stanza::attr(node, "type").unwrap_or_else(|| "text".to_owned()),
                category: stanza::attr(node, "category"),
                ask_retry: false,
            });
        }
        if !copies.iter().any(|copy| copy.owner.number == to.number) {
            let detail = format!("no copy for any device of {}", to.number);
            return Err(Refusal::new(BAD_REQUEST, ViolatedRule::MissingCopy, detail));
        }
        state.chats.insert((sender.number.clone(), to.number.clone()));
        let whole = node.get_optional_child("participants").is_some();
        let device_hash =
            if whole { stale_devices(&state, &copies, &sender, &to, &chat) } else { None };
        Ok(Accepted { copies, to, device_hash })
    }
}

/// Returns the copies a message carries: one for each of `<participants>`, or a single one for
/// `to`.
fn copies_in(node: &Node, to: &Jid) -> Vec<(Jid, Node)> {
    let single = node.get_optional_child("enc").map(|enc| (to.clone(), enc.clone()));
    let participants =
        node.get_optional_child("participants").into_iter().flat_map(|participants| {
            participants.get_children_by_tag("to").filter_map(|to| {
                Some((stanza::jid(to, "jid")?, to.get_optional_child("enc")?.clone()))
            })
        });
    single.into_iter().chain(participants).collect()
}

/// Returns why a copy for this device makes no sense. A device that was there once may still be
/// written to.
fn wrong_device(
    state: &ServerState,
    owner: &DeviceId,
    to: &DeviceId,
    sender: &DeviceId,
) -> Option<String> {
    if owner == sender {
        return Some("a copy for the sending device itself".to_owned());
    }
    if owner.number != to.number && owner.number != sender.number {
        return Some(format!("a copy for {owner}, who has no part in this chat"));
    }
    let account = state.accounts.get(&owner.number)?;
    (owner.device >= account.next_device)
        .then(|| format!("a copy for {owner}, a device that never was"))
}

/// Returns the hash of the devices a message should have been for, if it was for others. It makes
/// the client ask for the device lists again.
fn stale_devices(
    state: &ServerState,
    copies: &[Arrival],
    sender: &DeviceId,
    to: &DeviceId,
    chat: &Jid,
) -> Option<String> {
    let numbers: BTreeSet<&str> = [to.number.as_str(), sender.number.as_str()].into();
    let should: Vec<DeviceId> = numbers
        .into_iter()
        .filter_map(|number| state.accounts.get(number))
        .flat_map(|account| {
            account.devices().map(|device| DeviceId { number: account.number.clone(), device })
        })
        .filter(|device| device != sender)
        .collect();
    let missing = should.iter().any(|device| copies.iter().all(|copy| copy.owner != *device));
    if !missing && copies.len() == should.len() {
        return None;
    }
    let jids: Vec<Jid> = should
        .iter()
        .map(|id| {
            if chat.is_lid() {
                Jid::lid_device(lid_of(state.seed, &id.number), id.device)
            } else {
                Jid::pn_device(id.number.as_str(), id.device)
            }
        })
        .collect();
    MessageUtils::participant_list_hash(&jids).ok()
}

fn ack(node: &Node, error: Option<u16>, now_s: u64) -> Node {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", stanza::attr(node, "id").unwrap_or_default())
        .attr("from", stanza::attr(node, "to").unwrap_or_default())
        .attr("t", now_s);
    if let Some(code) = error {
        ack = ack.attr("error", code);
    }
    ack.build()
}

impl Core {
    /// Brings one copy to its device: the simulated phone, or a linked client.
    pub(crate) fn bring(self: &Arc<Self>, copy: Arrival) {
        let simulated = self
            .state()
            .accounts
            .get(&copy.owner.number)
            .and_then(|account| account.simulated(copy.owner.device));
        match simulated {
            Some(phone) => self.phone_receives(copy, &phone),
            None => self.forward(&copy),
        }
    }

    fn forward(&self, copy: &Arrival) {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let sender_lid = state.lid(&copy.from.number);
        let Some(companion) = state.companion(&copy.owner) else { return };
        let there = companion.connection.is_some() && companion.active;
        state.log(copy.entry(if there { CopyOutcome::Forwarded } else { CopyOutcome::Queued }));
        drop(state);
        let by_lid = copy.chat.is_lid();
        let pn = Jid::pn_device(copy.from.number.as_str(), copy.from.device);
        let lid = Jid::lid_device(sender_lid, copy.from.device);
        let mut node = NodeBuilder::new("message")
            .attr("from", if by_lid { &lid } else { &pn })
            .attr("id", &copy.id)
            .attr("type", &copy.kind)
            .attr("t", now_s)
            .attr("notify", &copy.from.number);
        if copy.owner.number == copy.from.number {
            node = node.attr("recipient", copy.chat.to_non_ad());
        } else if by_lid {
            node = node.attr("sender_pn", pn.to_non_ad()).attr("addressing_mode", "lid");
        } else {
            node = node.attr("sender_lid", lid.to_non_ad());
        }
        if let Some(category) = &copy.category {
            node = node.attr("category", category);
        }
        let children = std::iter::once(copy.enc.clone()).chain(copy.device_identity.clone());
        self.deliver(&copy.owner, node.children(children).build());
    }
}
