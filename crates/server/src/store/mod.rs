//! The two databases: the only module that names the database crates.
//!
//! [`billing`] reads the provider's own tables and never writes. [`state`] holds what kabari
//! knows: campaigns, deliveries, senders. Both run on SQLite and on MariaDB/MySQL with the same
//! SQL; [`Engine`](engine::Engine) names the few places where the engines differ.

mod batch;
pub mod billing;
mod connections;
mod database;
mod engine;
mod error;
mod legacy_session;
mod lists;
mod row;
mod search;
mod servers;
mod snapshot;
pub mod state;
mod transaction;

pub use billing::{Billing, BillingTarget, CustomerFilter};
pub use error::{Missing, StoreError, Which};
pub use legacy_session::read_legacy_session;
pub use snapshot::{Cell, Snapshot, TablePart};
pub use state::{Campaign, LeasedDelivery, Session, SessionLease, StateStore, StateTarget};
