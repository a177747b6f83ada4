//! The chats that a phone tells of when a client is linked to it.

use serde::{Deserialize, Serialize};

/// A chat from before a client was linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryChat {
    /// The number of the other person, digits only.
    pub with: String,
    /// Whether that person has written; if not, only the account itself has.
    #[serde(default)]
    pub wrote: bool,
    /// Whether that person has given the account a token.
    #[serde(default)]
    pub token: ChatToken,
}

/// The token of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatToken {
    /// There is none.
    #[default]
    None,
    /// It was given a day ago.
    Valid,
    /// It is too old.
    Expired,
}
