//! What clients did that a real server would not have accepted.

use serde::Serialize;

/// One thing a client did wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    /// When, in simulated Unix milliseconds.
    pub at: u64,
    /// The device that did it, `number:device`, or empty before it logged in.
    pub device: String,
    /// The stanza concerned: its tag and id.
    pub stanza: String,
    /// Which rule was broken, as a short fixed name.
    pub rule: ViolatedRule,
    /// What was found.
    pub detail: String,
}

/// The rules a client is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolatedRule {
    /// A `<message>` has no copy for a device it was meant for.
    MissingCopy,
    /// A `<message>` has a copy for a device its recipient does not have.
    UnknownDevice,
    /// An id that is no WhatsApp message id, or an address that is none.
    MalformedId,
    /// A message to a number that is not on WhatsApp.
    UnknownRecipient,
    /// A signature that does not verify.
    BadSignature,
    /// Something the server sent was never acknowledged.
    Unacked,
    /// A one-time prekey uploaded under an id that was uploaded before.
    RepeatedPrekey,
    /// An `<enc>` that the device it is for could not decrypt.
    Undecryptable,
    /// A stanza that makes no sense where it came.
    Unexpected,
}
