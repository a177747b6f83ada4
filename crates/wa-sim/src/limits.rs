//! What the server limits an account to, and tells it when asked.

use serde::{Deserialize, Serialize};

/// The limits of one account, all off by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountLimits {
    /// Until when the account may only write to people with a token they gave it, in simulated
    /// Unix seconds. Other messages are refused with error 463.
    pub reachout_until: Option<u64>,
    /// How many new chats the account may start. Beyond it, messages are refused with 463.
    pub new_chats: Option<u32>,
    /// How many new chats it has started since the cap was set.
    pub new_chats_used: u32,
    /// Whether messages to people who wrote to it are refused with 463 too unless they come with
    /// the token. The account is told of no limit then.
    pub token_required: bool,
}
