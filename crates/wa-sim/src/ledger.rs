//! What happened to every stanza of every message: the oracle of delivery tests.

use serde::{Deserialize, Serialize};

/// What became of one copy of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyOutcome {
    /// The simulated phone decrypted it and showed it.
    Decrypted,
    /// The simulated phone decrypted it, but had shown this id before, and dropped it.
    Duplicate,
    /// The simulated phone could not decrypt it.
    Undecryptable,
    /// Handed to a linked client.
    Forwarded,
    /// The linked client said that it has it.
    Confirmed,
    /// Waits for a device that is out of reach.
    Queued,
    /// The server answered with an error instead of delivering.
    Refused,
    /// A fault rule made it vanish.
    Swallowed,
}

/// One copy of a message at one device. A stanza makes one entry for each device it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Position in the ledger, from 1.
    pub seq: u64,
    /// When the stanza came in over the wire, in Unix nanoseconds that never jump.
    pub wire_ns: u64,
    /// The message id.
    pub id: String,
    /// The sender's number and device.
    pub from: String,
    /// The sending device; 0 is the phone.
    pub from_device: u16,
    /// The number the message is for.
    pub to: String,
    /// Whose device this copy is for: `to`, or `from` for the copies of the sender's own devices.
    pub owner: String,
    /// The device this copy is for; 0 is the phone.
    pub device: u16,
    /// How many stanzas came under this id so far, this one included.
    pub copy: u32,
    /// What became of it.
    pub outcome: CopyOutcome,
    /// The text, where it was decrypted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// The error code of the server's answer, if it was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<u16>,
}
