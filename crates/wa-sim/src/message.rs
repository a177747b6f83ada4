//! Messages, as people see them and as they travel to each device.

use serde::{Deserialize, Serialize};
use wacore_binary::{Jid, Node};

use crate::device::DeviceId;
use crate::ledger::{CopyOutcome, LedgerEntry};

/// Sender, recipient and id: what makes a message one.
pub(crate) type MessageKey = (String, String, String);

/// How far a message got, as its sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// One tick: the server has it.
    Sent,
    /// Two ticks: a device of the recipient has it.
    Delivered,
    /// Two blue ticks.
    Read,
}

/// A message as people see it: one entry per sender, recipient and message id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message id its sender chose.
    pub id: String,
    /// The sender's number, digits only.
    pub from: String,
    /// The recipient's number, digits only.
    pub to: String,
    /// The text, as the recipient decrypted it.
    pub text: String,
    /// When the recipient's phone had it, in simulated Unix milliseconds.
    pub at: u64,
    /// How many stanzas came under this id.
    pub copies: u32,
    /// How far it got.
    pub status: MessageStatus,
}

/// Which messages to list. An absent field matches all.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct MessageFilter {
    /// The recipient's number.
    pub to: Option<String>,
    /// The sender's number.
    pub from: Option<String>,
}

/// One copy of a message on its way to a device.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub wire_ns: u64,
    pub id: String,
    pub from: DeviceId,
    /// The address the message is for, in the form the sender used.
    pub chat: Jid,
    /// The number the message is for.
    pub to: String,
    /// The device this copy is for.
    pub owner: DeviceId,
    /// How many stanzas came under this id so far.
    pub copy: u32,
    /// The `<enc>` and what goes with it.
    pub enc: Node,
    pub device_identity: Option<Node>,
    /// Attributes of the stanza that recipients see.
    pub kind: String,
    pub category: Option<String>,
    /// The recipient's phone asks for the message again, as a fault rule wants.
    pub ask_retry: bool,
}

impl Arrival {
    pub fn key(&self) -> MessageKey {
        (self.from.number.clone(), self.to.clone(), self.id.clone())
    }

    pub fn entry(&self, outcome: CopyOutcome) -> LedgerEntry {
        LedgerEntry {
            seq: 0,
            wire_ns: self.wire_ns,
            id: self.id.clone(),
            from: self.from.number.clone(),
            from_device: self.from.device,
            to: self.to.clone(),
            owner: self.owner.number.clone(),
            device: self.owner.device,
            copy: self.copy,
            outcome,
            text: None,
            error: None,
        }
    }
}
