//! A WhatsApp server to test against. It speaks the real wire protocol to real clients, and plays
//! the phones of everybody they write to.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let simulator = wa_sim::Simulator::start(wa_sim::Config::default()).await?;
//! println!("point a client at {}", simulator.ws_url());
//! # Ok(()) }
//! ```

mod account;
mod base64_bytes;
mod candidate;
mod chat;
mod clock;
mod connection;
mod control;
mod core;
mod data_directory;
mod device;
mod device_identity;
mod downloads;
mod faults;
mod history;
mod inbox;
mod iq;
mod journal;
mod ledger;
mod limits;
mod link_code;
mod linking;
mod login;
mod media;
mod message;
mod noise;
mod notifications;
mod outbox;
mod pairing;
mod passkey;
mod passkey_exchange;
mod phone;
mod phone_actions;
mod receipts;
mod reports;
mod routing;
mod seed;
mod server;
mod shortcake;
mod simulator;
mod stanza;
mod state;
mod tokens;
mod violations;

pub use account::{NumberSettings, Receipts};
pub use chat::{ChatToken, HistoryChat};
pub use faults::{Action, FaultRule, Match, Stanza};
pub use ledger::{CopyOutcome, LedgerEntry};
pub use limits::AccountLimits;
pub use message::{Message, MessageFilter, MessageStatus};
pub use pairing::{Linked, PairError, PairingOutcome};
pub use phone_actions::{WriteError, WrittenMessage};
pub use reports::{AccountInfo, DeviceInfo};
pub use simulator::{Config, Simulator, TimedOut};
pub use violations::{ViolatedRule, Violation};
