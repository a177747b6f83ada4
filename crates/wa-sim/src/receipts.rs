//! Receipts and acks, from simulated phones to clients and from clients to others.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::connection::{ClientConnection, Flow};
use crate::core::Core;
use crate::device::DeviceId;
use crate::device::{PRIMARY, address};
use crate::faults::{Action, Facts, Stanza};
use crate::ledger::{CopyOutcome, LedgerEntry};
use crate::message::Arrival;
use crate::message::{MessageKey, MessageStatus};
use crate::stanza;
use crate::state::ServerState;
use crate::violations::ViolatedRule;

impl Core {
    /// Tells the sender's clients how far a message got on a simulated phone: arrived, or `read`.
    pub(crate) fn phone_receipt(self: &Arc<Self>, copy: &Arrival, kind: Option<&str>) {
        let status =
            if kind == Some("read") { MessageStatus::Read } else { MessageStatus::Delivered };
        let node = self.receipt(copy, kind).build();
        let facts = Facts {
            stanza: Stanza::Receipt,
            from: Some(&copy.owner.number),
            to: Some(&copy.from.number),
            id: Some(&copy.id),
        };
        let mut state = self.state();
        state.raise(&copy.key(), status);
        let action = state.faults.strike(facts);
        let devices: Vec<DeviceId> = state
            .accounts
            .get(&copy.from.number)
            .into_iter()
            .flat_map(|account| account.clients())
            .map(|device| DeviceId { number: copy.from.number.clone(), device })
            .collect();
        let wait = match action {
            Some(Action::Swallow) => return,
            Some(Action::Hold { ms }) => ms,
            Some(Action::Delay { ms, jitter_ms }) => state.faults.jittered(ms, jitter_ms),
            _ => 0,
        };
        if action == Some(Action::Reorder) {
            for device in devices {
                state.held.entry(device).or_default().push(node.clone());
            }
            return;
        }
        drop(state);
        let times = match action {
            Some(Action::Duplicate { copies }) => copies + 1,
            _ => 1,
        };
        let core = Arc::clone(self);
        let send = move || {
            for device in &devices {
                for _ in 0..times {
                    core.deliver(device, node.clone());
                }
                let held = core.state().held.remove(device).unwrap_or_default();
                held.into_iter().for_each(|node| core.deliver(device, node));
            }
        };
        if wait == 0 {
            send();
        } else {
            let core = Arc::clone(self);
            let until = self.clock.now_ms() + wait;
            tokio::spawn(async move {
                core.clock.sleep_until(until).await;
                send();
                core.notify();
            });
        }
    }
}

impl ClientConnection {
    /// Returns an `<ack>`: the client has what the server sent.
    pub(crate) fn handle_ack(&mut self, node: &Node) -> Flow {
        let (Some(device), Some(id)) = (&self.device, stanza::attr(node, "id")) else {
            return Flow::Continue;
        };
        let class = stanza::attr(node, "class").unwrap_or_default();
        let kind = stanza::attr(node, "type");
        if let Some(companion) = self.core.state().companion(device) {
            companion.outbox.acknowledge(&class, &id, kind.as_deref());
        }
        if let Some(error) = stanza::attr(node, "error") {
            self.violation(
                node,
                ViolatedRule::Unexpected,
                format!("the client refused it with {error}"),
            );
        }
        Flow::Continue
    }

    /// Returns a `<receipt>`: it acknowledges messages, and goes on to whoever wrote them.
    pub(crate) fn handle_receipt(&mut self, node: &Node) -> Flow {
        let Some(device) = self.device.clone() else { return Flow::Continue };
        let kind = stanza::attr(node, "type");
        let first = stanza::attr(node, "id").unwrap_or_default();
        let more = node.get_optional_child("list").into_iter().flat_map(|list| {
            list.get_children_by_tag("item").filter_map(|item| stanza::attr(item, "id"))
        });
        let ids: Vec<String> = std::iter::once(first).chain(more).collect();
        let to = stanza::jid(node, "to");
        self.send(receipt_ack(node));

        let mut state = self.core.state();
        if let Some(companion) = state.companion(&device) {
            for id in &ids {
                companion.outbox.acknowledge("message", id, None);
            }
        }
        let writer = to.as_ref().and_then(|jid| state.resolve(jid));
        drop(state);
        let status = match kind.as_deref() {
            None | Some("inactive") => Some(MessageStatus::Delivered),
            Some("read" | "played") => Some(MessageStatus::Read),
            Some("retry") => None,
            // Between the devices of one account: nobody else's business.
            _ => return Flow::Continue,
        };
        let Some(writer) = writer else {
            self.violation(node, ViolatedRule::MalformedId, "a receipt for nobody");
            return Flow::Continue;
        };
        let Some(status) = status else {
            self.retry(node, &device, &writer, &ids);
            return Flow::Continue;
        };
        if writer.number != device.number {
            for id in &ids {
                let key = (writer.number.clone(), device.number.clone(), id.clone());
                let mut state = self.core.state();
                state.raise(&key, status);
                if status == MessageStatus::Delivered {
                    let entry = self.confirmation(&state, &key, &writer, &device);
                    state.log(entry);
                }
            }
            self.pass_on(node, &device, &writer, to.as_ref());
        }
        Flow::Continue
    }

    fn confirmation(
        &self,
        state: &ServerState,
        key: &MessageKey,
        writer: &DeviceId,
        reader: &DeviceId,
    ) -> LedgerEntry {
        LedgerEntry {
            seq: 0,
            wire_ns: self.core.clock.wire_ns(),
            id: key.2.clone(),
            from: writer.number.clone(),
            from_device: writer.device,
            to: reader.number.clone(),
            owner: reader.number.clone(),
            device: reader.device,
            copy: state.copies.get(key).copied().unwrap_or(1),
            outcome: CopyOutcome::Confirmed,
            text: None,
            error: None,
        }
    }

    /// Passes a receipt on to the linked clients of whoever wrote the message.
    fn pass_on(&self, node: &Node, reader: &DeviceId, writer: &DeviceId, to: Option<&Jid>) {
        let mut passed = node.clone();
        passed.attrs.0.retain(|(name, _)| !matches!(name.as_ref(), "to" | "from" | "t"));
        let from = if to.is_some_and(Jid::is_lid) {
            Jid::lid_device(self.core.state().lid(&reader.number), reader.device)
        } else {
            Jid::pn_device(reader.number.as_str(), reader.device)
        };
        passed.attrs.insert("from", from);
        passed.attrs.insert("t", self.core.clock.now_s());
        if stanza::attr(node, "type").as_deref() == Some("inactive") {
            passed.attrs.0.retain(|(name, _)| name != "type");
        }
        let retry = stanza::attr(node, "type").as_deref() == Some("retry");
        let devices: Vec<u16> = self
            .core
            .state()
            .accounts
            .get(&writer.number)
            .map(|account| account.clients().collect())
            .unwrap_or_default();
        for device in devices {
            if !retry || device == writer.device {
                let to = DeviceId { number: writer.number.clone(), device };
                self.core.deliver(&to, passed.clone());
            }
        }
    }

    /// Handles a message that the client could not decrypt. A simulated phone writes it again under
    /// the same id in a new session; another client is told.
    fn retry(&self, node: &Node, reader: &DeviceId, writer: &DeviceId, ids: &[String]) {
        if writer.device != PRIMARY {
            self.pass_on(node, reader, writer, stanza::jid(node, "to").as_ref());
            return;
        }
        for id in ids {
            let mut state = self.core.state();
            let recipient = stanza::jid(node, "recipient")
                .and_then(|jid| state.resolve(&jid))
                .map_or_else(|| reader.number.clone(), |recipient| recipient.number);
            let key = (writer.number.clone(), recipient.clone(), id.clone());
            let Some(text) = state.message(&key).map(|message| message.text.clone()) else {
                continue;
            };
            let Some(account) = state.accounts.get(&writer.number) else { continue };
            account.lock_phone().forget_session(&address(&reader.number, reader.device));
            drop(state);
            if let Err(error) =
                self.core.send_written(&writer.number, &recipient, id, &text, reader)
            {
                tracing::error!("could not write a message again: {error:#}");
            }
        }
    }
}

fn receipt_ack(node: &Node) -> Node {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", "receipt")
        .attr("id", stanza::attr(node, "id").unwrap_or_default())
        .attr("from", stanza::attr(node, "to").unwrap_or_default());
    if let Some(kind) = stanza::attr(node, "type") {
        ack = ack.attr("type", kind);
    }
    ack.build()
}
