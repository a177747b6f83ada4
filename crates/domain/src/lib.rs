//! What kabari is about, without any I/O.
//!
//! Everything here is a value or a pure function: it needs no database, no network and no clock
//! of its own, so each rule can be read and tested by itself.

pub mod access;
pub mod campaign;
pub mod customer;
pub mod delivery;
pub mod message_id;
pub mod notice;
pub mod phone;
pub mod quiet_hours;
pub mod quota;
pub mod session;
pub mod template;
pub mod timestamp;
pub mod wording;

pub use access::{Role, Scope};
pub use campaign::{CampaignEvent, CampaignStatus, PauseReason};
pub use customer::Customer;
pub use delivery::{DeliveryEvent, DeliveryState, Progress, ReceiptRank};
pub use message_id::MessageId;
pub use notice::Notice;
pub use phone::Phone;
pub use quota::{Capacity, Quotas, Usage};
pub use session::{LinkState, Readiness, WaitReason, Waiting};
pub use timestamp::Timestamp;
