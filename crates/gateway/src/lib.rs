//! The ways to WhatsApp.
//!
//! [`Gateway`] is what the rest of kabari knows of it. Two things here implement it: `embedded`,
//! the WhatsApp client in this process, and `remote`, an HTTP client of another gateway, ours or
//! somebody else's. Their HTTP contract is in `contract`.

pub mod contract;
pub mod embedded;
pub mod http;
pub mod qr;
pub mod remote;

mod passkey;
mod session_store;

pub use embedded::{Embedded, EmbeddedConfig};
pub use passkey::{Assertion, InvalidAssertion, MAX_ASSERTION_BYTES, PasskeyStep, WHATSAPP_ORIGIN};
pub use remote::{Remote, RemoteConfig};
pub use session_store::{Change, Entry, Key, MemoryStore, SessionStore, SessionStoreError};

use async_trait::async_trait;
pub use kabari_domain::LinkState;
use kabari_domain::{MessageId, Phone, ReceiptRank, Timestamp};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// One WhatsApp number, however it is reached. Every call has a time limit of its own.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Returns how the link to WhatsApp is, now and at every change.
    fn link(&self) -> watch::Receiver<Link>;

    /// Returns how the link is, asked anew where [`link`](Gateway::link) lags behind.
    async fn look(&self) -> Link {
        self.link().borrow().clone()
    }

    /// Returns whether a message that is sent again under its id arrives once, and receipts are
    /// told. `false` for gateways of others, which make a second message of a repeat.
    fn knows_ids(&self) -> bool;

    /// Returns how many milliseconds WhatsApp's clock is ahead of this machine's, by its last ack;
    /// `None` where that is not known.
    fn clock_offset(&self) -> Option<i64> {
        None
    }

    /// Acks that came late, receipts, and who wrote to us, in order of arrival. There is one
    /// stream: the first call gets it, every later one `None`.
    fn take_events(&self) -> Option<mpsc::UnboundedReceiver<Event>>;

    /// Returns which of these numbers are on WhatsApp, in the order given. A gateway that can only
    /// tell by sending answers [`Registration::Unknown`].
    async fn check(&self, phones: &[Phone]) -> Result<Vec<Registration>, SendError>;

    /// Makes ready to send to these addresses soon, as far as that saves time then.
    async fn prepare(&self, addresses: &[String]) {
        let _ = addresses;
    }

    /// Sends one message and waits for the server's word. `Ok` means that the server has
    /// acknowledged it without an error.
    async fn send(&self, message: &OutgoingMessage) -> Result<(), SendError>;

    /// Returns what WhatsApp itself says about the limits of this number.
    async fn limits(&self) -> Result<Limits, GatewayError>;

    /// Returns a code to type into the phone with this number instead of scanning the QR.
    async fn pair(&self, phone: &Phone) -> Result<String, GatewayError>;

    /// Gives WhatsApp a browser's answer to its request for a passkey. `Ok` means that WhatsApp has
    /// taken it.
    async fn answer_passkey(&self, assertion: &Assertion) -> Result<(), GatewayError>;

    /// Says that the phone shows the code of [`PasskeyStep::Compare`].
    async fn confirm_passkey(&self) -> Result<(), GatewayError>;

    /// Drops the connection and makes a new one; the session is kept.
    async fn restart(&self) -> Result<(), GatewayError>;

    /// Unlinks the phone, wipes the session, and offers a new QR.
    async fn logout(&self) -> Result<(), GatewayError>;

    /// Leaves WhatsApp in order, keeping the session. Nothing can be sent afterwards.
    async fn close(&self);
}

/// One message on its way out.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The same on every repeat.
    pub message_id: MessageId,
    /// Whom it is for.
    pub phone: Phone,
    /// The recipient's address as [`Gateway::check`] gave it, if it did.
    pub jid: Option<String>,
    /// The text, ready to read.
    pub text: String,
    /// The span of this attempt, as a W3C `traceparent`, if there is one.
    pub traceparent: Option<String>,
}

/// Whether a number is on WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// It is, under this address.
    Registered {
        /// The address messages go to.
        jid: String,
    },
    /// It is not.
    NotRegistered,
    /// Nobody knows before a send.
    Unknown,
}

/// The link between kabari and WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// How it is.
    pub state: LinkState,
    /// The linked number, E.164 digits without `+`.
    pub phone: Option<String>,
    /// The text of the QR code to scan, while there is one.
    pub qr: Option<String>,
    /// The same as `data:image/png;base64,...`.
    pub qr_png: Option<String>,
    /// What is to be done next where WhatsApp wants a passkey.
    pub passkey: Option<PasskeyStep>,
    /// What is wrong, for people; gone when it is over.
    pub error: Option<String>,
}

impl Link {
    /// Returns a link about which nothing is known yet.
    pub fn starting() -> Link {
        Link {
            state: LinkState::Starting,
            phone: None,
            qr: None,
            qr_png: None,
            passkey: None,
            error: None,
        }
    }

    /// Returns whether messages can be sent.
    pub fn is_connected(&self) -> bool {
        self.state == LinkState::Connected
    }
}

/// What comes from WhatsApp without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server's ack of a message whose `send` no longer waits for it.
    Acked {
        /// Which message.
        message_id: MessageId,
    },
    /// A recipient's device, or the recipient, has these messages.
    Receipt {
        /// Which messages.
        message_ids: Vec<MessageId>,
        /// What it proves.
        rank: ReceiptRank,
        /// When, by the server's clock.
        at: Timestamp,
    },
    /// A person wrote to the linked number.
    Wrote {
        /// Who.
        phone: Phone,
        /// When, by the server's clock.
        at: Timestamp,
    },
    /// People have written to the number before it was linked here.
    WroteBefore {
        /// Who, and when for the last time.
        people: Vec<(Phone, Timestamp)>,
    },
    /// How much the phone has told of the chats from before it was linked here.
    HistoryProgress {
        /// In percent, with the part that was told last. With 100 comes the last part; others may
        /// still be under way.
        percent: u8,
    },
    /// Everything up to here need not be told again. Only of gateways that keep what they tell.
    Mark {
        /// What to begin after the next time: see [`RemoteConfig::heard`].
        heard: String,
    },
}

/// Limits that WhatsApp puts on a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Until when people who never wrote to us cannot be written to.
    pub reach_out_until: Option<Timestamp>,
    /// How many new chats are left in the current period.
    pub new_chats_left: Option<u32>,
}

/// Why a message is not known to be sent, and so what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No phone is linked. Nothing went out.
    #[error("no phone is linked: scan the QR code first")]
    NotLinked,
    /// There is no connection. Nothing went out; try again when there is one.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// The number is not on WhatsApp.
    #[error("the number is not on WhatsApp")]
    NotRegistered,
    /// The server's limit for people who never wrote to us (463). A repeat would count against
    /// the number: not before the limit ends.
    #[error("WhatsApp's limit for new chats is reached")]
    ReachOutLimit {
        /// When it ends, if the server told.
        until: Option<Timestamp>,
    },
    /// The server wants a token with messages to this recipient, who has given us none, or none
    /// that holds (463 as well). Nothing is wrong with the number: others can be written to.
    #[error("WhatsApp wants a token that the recipient has not given us")]
    MissingToken {
        /// The shortest wait.
        after: Duration,
    },
    /// The server said not now.
    #[error("WhatsApp asks to wait: {reason}")]
    Retry {
        /// The shortest wait.
        after: Duration,
        /// What it said.
        reason: String,
    },
    /// This recipient cannot be written to for now: their keys cannot be had, or nothing can be
    /// encrypted for them. Nothing went out, and others can be written to.
    #[error("the recipient cannot be written to for now: {reason}")]
    Recipient {
        /// The shortest wait.
        after: Duration,
        /// What is wrong.
        reason: String,
    },
    /// The server said no for good.
    #[error("WhatsApp refused the message: {0}")]
    Permanent(String),
    /// It may have gone out: no answer came in time.
    #[error("no answer: {0}")]
    Unknown(String),
}

/// Why something else than a send did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Not possible in the state the link is in.
    #[error("{0}")]
    NotPossible(String),
    /// WhatsApp said no.
    #[error("WhatsApp refused: {0}")]
    Refused(String),
    /// No connection, or no answer in time.
    #[error("no answer from WhatsApp: {0}")]
    Unavailable(String),
    /// The session cannot be read or written.
    #[error("session storage: {0}")]
    Storage(String),
    /// Another node holds the number: this one writes nothing more.
    #[error("another node holds this number now")]
    Fenced,
}

impl From<SessionStoreError> for GatewayError {
    fn from(error: SessionStoreError) -> GatewayError {
        match error {
            SessionStoreError::Fenced => GatewayError::Fenced,
            SessionStoreError::Unavailable(reason) => GatewayError::Storage(reason),
        }
    }
}
