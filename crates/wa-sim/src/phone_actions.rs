//! What simulated phones do: they decrypt, show, answer with receipts, and write.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use wacore::adv::{AdvValidation, validate_adv_with_identity_key};
use wacore::messages::{MessageUtils, decode_plaintext, unwrap_device_sent, wrap_device_sent};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;

use crate::account::{Receipts, bundle, lock};
use crate::core::Core;
use crate::device::DeviceId;
use crate::device::{PRIMARY, address, pn};
use crate::faults::Action;
use crate::iq::{KEY_TYPE, key_node, skey_node};
use crate::ledger::{CopyOutcome, LedgerEntry};
use crate::message::Arrival;
use crate::message::{Message, MessageStatus};
use crate::phone::Phone;
use crate::stanza;
use crate::violations::ViolatedRule;

/// The padding that `<enc v="2">` stands for.
const PADDING_VERSION: u8 = 2;

/// A message a simulated phone has written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WrittenMessage {
    /// Its message id.
    pub id: String,
    /// How many linked clients it went to.
    pub devices: usize,
}

/// Why a simulated phone cannot write.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// One of the two is not on WhatsApp.
    #[error("{0} is not on WhatsApp; register it with PUT /control/numbers/{0}")]
    NotRegistered(String),
    /// Encryption failed.
    #[error("could not write: {0}")]
    Failed(#[from] anyhow::Error),
}

impl Core {
    /// Receives a copy on a simulated phone.
    pub(crate) fn phone_receives(self: &Arc<Self>, copy: Arrival, phone: &Mutex<Phone>) {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let Some(account) = state.account_mut(&copy.owner.number) else { return };
        let own = copy.owner.number == copy.from.number;
        if !own && account.offline_until.is_some_and(|until| until > now_ms) {
            let entry = copy.entry(CopyOutcome::Queued);
            account.waiting.push_back(copy);
            state.log(entry);
            return;
        }
        let reinstalled = account.installation > 0;
        drop(state);

        let decrypted = if self.vouched_for(&copy) {
            decrypt(&mut lock(phone), &copy)
        } else {
            let detail = format!("{} does not prove that it belongs to its account", copy.from);
            self.violation(Some(&copy.from), &name(&copy), ViolatedRule::BadSignature, detail);
            Err(anyhow::anyhow!("not vouched for"))
        };
        match decrypted {
            Ok(message) => self.phone_shows(copy, message),
            Err(error) => {
                tracing::debug!("a phone could not decrypt a message");
                if !reinstalled {
                    let device = Some(&copy.from);
                    let detail = format!("copy for {}: {error:#}", copy.owner);
                    self.violation(device, &name(&copy), ViolatedRule::Undecryptable, detail);
                }
                self.state().log(copy.entry(CopyOutcome::Undecryptable));
                self.ask_retry(&copy);
            }
        }
    }

    /// Returns whether a new session comes with the account's word for the device that starts it.
    fn vouched_for(&self, copy: &Arrival) -> bool {
        if stanza::attr(&copy.enc, "type").as_deref() != Some("pkmsg") {
            return true;
        }
        let state = self.state();
        let Some(account) = state.accounts.get(&copy.from.number) else { return false };
        let Some(companion) = account.companions.get(&copy.from.device) else { return false };
        let account_key = account.lock_phone().identity_public();
        let proof = copy.device_identity.as_ref().and_then(stanza::bytes).unwrap_or_default();
        let verdict =
            validate_adv_with_identity_key(proof, &companion.identity, Some(&account_key));
        matches!(verdict, AdvValidation::Valid)
    }

    fn phone_shows(self: &Arc<Self>, copy: Arrival, message: wa::Message) {
        let own = copy.owner.number == copy.from.number;
        let text = text_of(&unwrap_device_sent(message));
        let mut state = self.state();
        let first = match state.account_mut(&copy.owner.number) {
            Some(account) => account.shows(copy.owner.device, &copy.from.number, &copy.id),
            None => return,
        };
        let mut entry =
            copy.entry(if first { CopyOutcome::Decrypted } else { CopyOutcome::Duplicate });
        entry.text.clone_from(&text);
        state.log(entry);
        if own || copy.owner.device != PRIMARY {
            return;
        }
        if first && let Some(text) = text {
            state.record_message(Message {
                id: copy.id.clone(),
                from: copy.from.number.clone(),
                to: copy.to.clone(),
                text,
                at: self.clock.now_ms(),
                copies: copy.copy,
                status: MessageStatus::Sent,
            });
        }
        let receipts = state.settings(&copy.owner.number).receipts;
        drop(state);
        if copy.ask_retry {
            self.ask_retry(&copy);
        }
        if receipts != Receipts::None {
            self.phone_receipt(&copy, None);
        }
        if receipts == Receipts::Read {
            self.phone_receipt(&copy, Some("read"));
        }
        self.notify();
    }

    /// Tells the sender that the phone could not read a copy. The keys go with it, so that the
    /// sender can start a new session.
    fn ask_retry(&self, copy: &Arrival) {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let Some(account) = state.account_mut(&copy.owner.number) else { return };
        let Ok(keys) = account.lock_phone().publish(true) else { return };
        drop(state);
        let retry = NodeBuilder::new("retry")
            .attr("v", 1)
            .attr("id", &copy.id)
            .attr("t", now_s)
            .attr("count", copy.copy.max(1))
            .build();
        let registration =
            NodeBuilder::new("registration").bytes(keys.registration_id.to_be_bytes()).build();
        let key_nodes = keys.one_time.iter().map(|key| key_node("key", key, None));
        let key_nodes = [
            NodeBuilder::new("type").bytes([KEY_TYPE]).build(),
            NodeBuilder::new("identity").bytes(keys.identity).build(),
        ]
        .into_iter()
        .chain(key_nodes)
        .chain([skey_node(&keys.signed_prekey, &keys.signature)]);
        let key_nodes = NodeBuilder::new("keys").children(key_nodes).build();
        let node =
            self.receipt(copy, Some("retry")).children([retry, registration, key_nodes]).build();
        self.deliver(&copy.from, node);
        self.notify();
    }

    /// Returns a receipt for a message, without its children. No kind means that it has arrived.
    pub(crate) fn receipt(&self, copy: &Arrival, kind: Option<&str>) -> NodeBuilder {
        // Receipts come from the address the sender wrote to.
        let from = if copy.chat.is_lid() {
            Jid::lid(self.state().lid(&copy.owner.number))
        } else {
            pn(&copy.owner.number, PRIMARY)
        };
        let receipt = NodeBuilder::new("receipt")
            .attr("from", from)
            .attr("id", &copy.id)
            .attr("t", self.clock.now_s());
        match kind {
            Some(kind) => receipt.attr("type", kind),
            None => receipt,
        }
    }

    /// Applies fault rules about the recipient, before its message arrives.
    pub(crate) fn change_recipient(self: &Arc<Self>, action: &Action, number: &str) {
        match action {
            Action::Reinstall => {
                self.reinstall(number);
            }
            Action::AddDevice => {
                if let Err(error) = self.add_device(number) {
                    tracing::error!("could not add a device: {error:#}");
                }
            }
            Action::RemoveDevice => {
                let last = self
                    .state()
                    .accounts
                    .get(number)
                    .and_then(|account| account.companions.keys().next_back().copied());
                if let Some(device) = last {
                    self.unlink(&DeviceId { number: number.to_owned(), device });
                }
            }
            Action::Offline { ms } => self.go_offline(number, *ms),
            _ => {}
        }
    }

    /// Installs the phone's app anew: other keys, no sessions, no linked devices. Returns false if
    /// there is no account.
    pub(crate) fn reinstall(&self, number: &str) -> bool {
        let mut state = self.state();
        let seed = state.seed;
        let Some(account) = state.account_mut(number) else { return false };
        let linked: Vec<u16> = account.companions.keys().copied().collect();
        if let Err(error) = account.reinstall(seed) {
            tracing::error!("could not make new keys: {error:#}");
            return false;
        }
        drop(state);
        for device in linked {
            self.unlink(&DeviceId { number: number.to_owned(), device });
        }
        self.announce_identity(number);
        self.notify();
        true
    }

    /// Puts the phone out of reach for so many simulated milliseconds; what comes meanwhile waits.
    pub(crate) fn go_offline(self: &Arc<Self>, number: &str, ms: u64) {
        let until = self.clock.now_ms() + ms;
        let now_s = self.clock.now_s();
        if let Ok(Some(account)) = self.state().account(number, now_s) {
            account.offline_until = Some(until);
        }
        let core = Arc::clone(self);
        let number = number.to_owned();
        tokio::spawn(async move {
            core.clock.sleep_until(until).await;
            core.come_back(&number);
        });
    }

    fn come_back(self: &Arc<Self>, number: &str) {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let Some(account) = state.account_mut(number) else { return };
        if account.offline_until.is_some_and(|until| until > now_ms) {
            return;
        }
        account.offline_until = None;
        let waiting = std::mem::take(&mut account.waiting);
        drop(state);
        for copy in waiting {
            self.bring(copy);
        }
        self.notify();
    }

    /// Returns a simulated phone writes to somebody. Linked clients of both sides get their copies.
    pub(crate) fn write(
        &self,
        from: &str,
        to: &str,
        text: &str,
    ) -> Result<WrittenMessage, WriteError> {
        let (now_ms, now_s) = (self.clock.now_ms(), self.clock.now_s());
        let mut state = self.state();
        for number in [from, to] {
            if state.account(number, now_s)?.is_none() {
                return Err(WriteError::NotRegistered(number.to_owned()));
            }
        }
        let id = state.fresh_id("3A");
        let devices: Vec<DeviceId> = [to, from]
            .iter()
            .filter_map(|number| state.accounts.get(*number))
            .flat_map(|account| {
                account.clients().map(|device| DeviceId { number: account.number.clone(), device })
            })
            .collect();
        let theirs = devices.iter().filter(|device| device.number == to).count();
        state.copies.insert((from.to_owned(), to.to_owned(), id.clone()), 1);
        state.record_message(Message {
            id: id.clone(),
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
            at: now_ms,
            copies: 1,
            status: if theirs == 0 { MessageStatus::Delivered } else { MessageStatus::Sent },
        });
        drop(state);
        self.give_token(from, to);
        for device in &devices {
            self.send_written(from, to, &id, text, device)?;
        }
        self.notify();
        Ok(WrittenMessage { id, devices: theirs })
    }

    /// Encrypts what a phone wrote for one linked client, and sends it.
    pub(crate) fn send_written(
        &self,
        from: &str,
        to: &str,
        id: &str,
        text: &str,
        device: &DeviceId,
    ) -> anyhow::Result<()> {
        let own = device.number == from;
        let message = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
        let message =
            if own { wrap_device_sent(message, pn(to, PRIMARY).to_string()) } else { message };
        let plaintext = MessageUtils::encode_and_pad(&message);
        let there = address(&device.number, device.device);

        let mut state = self.state();
        let phone = state.accounts.get(from).context("no such account")?.phone();
        let lid = state.lid(from);
        let needs_keys = !lock(&phone).has_session(&there);
        let keys = match state.companion(device) {
            Some(companion) if needs_keys => Some(companion.publish(true)),
            Some(_) => None,
            None => return Ok(()),
        };
        drop(state);
        let ciphertext = {
            let mut phone = lock(&phone);
            if let Some(keys) = keys {
                phone.start_session(&there, &bundle(device.device, &keys)?)?;
            }
            phone.encrypt(&there, &plaintext)?
        };
        let enc = NodeBuilder::new("enc")
            .attr("v", PADDING_VERSION)
            .attr("type", ciphertext.kind)
            .bytes(ciphertext.bytes)
            .build();
        let mut node = NodeBuilder::new("message")
            .attr("from", pn(from, PRIMARY))
            .attr("id", id)
            .attr("type", "text")
            .attr("t", self.clock.now_s())
            .attr("notify", from);
        node = if own {
            node.attr("recipient", pn(to, PRIMARY))
        } else {
            node.attr("sender_lid", Jid::lid(lid))
        };
        self.deliver(device, node.children([enc]).build());
        self.ask_for_prekeys(device);
        let mut state = self.state();
        // The phone's session has moved on.
        state.account_mut(from);
        let there = state.companion(device).is_some_and(|companion| companion.active);
        let key = (from.to_owned(), to.to_owned(), id.to_owned());
        let copy = state.copies.get(&key).copied().unwrap_or(1);
        state.log(LedgerEntry {
            seq: 0,
            wire_ns: self.clock.wire_ns(),
            id: id.to_owned(),
            from: from.to_owned(),
            from_device: PRIMARY,
            to: to.to_owned(),
            owner: device.number.clone(),
            device: device.device,
            copy,
            outcome: if there { CopyOutcome::Forwarded } else { CopyOutcome::Queued },
            text: Some(text.to_owned()),
            error: None,
        });
        Ok(())
    }
}

fn decrypt(phone: &mut Phone, copy: &Arrival) -> anyhow::Result<wa::Message> {
    let kind = stanza::attr(&copy.enc, "type").context("an <enc> without type")?;
    let bytes = stanza::bytes(&copy.enc).context("an empty <enc>")?;
    let plaintext = phone.decrypt(&address(&copy.from.number, copy.from.device), &kind, bytes)?;
    decode_plaintext(&plaintext, PADDING_VERSION)
}

/// Returns the text of a message, or none for what is not shown as a bubble.
fn text_of(message: &wa::Message) -> Option<String> {
    if let Some(text) = &message.conversation {
        return Some(text.clone());
    }
    message.extended_text_message.as_option().and_then(|extended| extended.text.clone())
}

/// Returns the stanza a copy came in, as violations name it.
fn name(copy: &Arrival) -> Node {
    NodeBuilder::new("message").attr("id", &copy.id).build()
}
