//! What an operator may do.

use serde::{Deserialize, Serialize};

/// What an operator may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Send, and control what is being sent.
    Sender,
    /// Link numbers, and decide who may come in.
    Admin,
}

impl Role {
    /// All roles, from the one that may do least.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Sender, Role::Admin];

    /// The name in the database, on the command line and in pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Sender => "sender",
            Role::Admin => "admin",
        }
    }

    /// Returns the role of this name.
    pub fn from_name(name: &str) -> Option<Role> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}
