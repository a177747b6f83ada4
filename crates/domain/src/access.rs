//! Who may do what: the roles of users and the scopes of API keys.

use serde::{Deserialize, Serialize};

/// The longest name of a user or of an API key.
pub const MAX_NAME: usize = 64;

/// Returns whether users and API keys can have this name: lower case letters, digits, `.`, `-` and
/// `_`.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed)
}

/// What a user may do on the operator's page. Each role may do all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at everything.
    Viewer,
    /// Sends, and controls campaigns.
    Sender,
    /// Links numbers, changes settings, and decides who may come in.
    Admin,
}

impl Role {
    /// Every role, the one that may do least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Sender, Role::Admin];

    /// Returns the name in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Sender => "sender",
            Role::Admin => "admin",
        }
    }

    /// Returns the role of this name.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// What an API key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reads.
    Read,
    /// Reads, sends, and controls campaigns.
    Send,
    /// Reads, and links and controls WhatsApp numbers.
    Whatsapp,
    /// Everything.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Send, Scope::Whatsapp, Scope::Admin];

    /// Returns the name in the database, the API's documentation and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Send => "send",
            Scope::Whatsapp => "whatsapp",
            Scope::Admin => "admin",
        }
    }

    /// Returns the scope of this name.
    pub fn from_name(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// Returns whether a key of this scope is good for an operation that needs the other one.
    pub fn allows(self, needed: Scope) -> bool {
        self == Scope::Admin || self == needed || needed == Scope::Read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_letters_digits_dots_and_dashes() {
        for name in ["budi", "noc-2", "a.b_c", &"x".repeat(MAX_NAME)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Budi", "budi santoso", "büdi", "a/b", "=1+1", &"x".repeat(MAX_NAME + 1)]
        {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_scope_allows_reading_and_its_own_operations() {
        let allowed = |scope: Scope| {
            Scope::ALL.into_iter().filter(|needed| scope.allows(*needed)).collect::<Vec<_>>()
        };
        assert_eq!(allowed(Scope::Read), [Scope::Read]);
        assert_eq!(allowed(Scope::Send), [Scope::Read, Scope::Send]);
        assert_eq!(allowed(Scope::Whatsapp), [Scope::Read, Scope::Whatsapp]);
        assert_eq!(allowed(Scope::Admin), Scope::ALL);
    }

    #[test]
    fn names_are_read_back() {
        assert!(Role::ALL.into_iter().all(|role| Role::from_name(role.as_str()) == Some(role)));
        assert!(Scope::ALL.into_iter().all(|one| Scope::from_name(one.as_str()) == Some(one)));
        assert_eq!(Role::from_name("root"), None);
    }
}
