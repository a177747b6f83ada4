//! Who may come in: what the API and the operator's page have in common. Passwords and secret
//! tokens, where a request comes from, and how fast somebody may guess.
//!
//! Users, logins, keys and the audit are rows: see `store/state/users.rs`, `logins.rs`,
//! `api_keys.rs` and `audit.rs`.

pub mod attempts;
pub mod password;
pub mod peer;
pub mod token;
