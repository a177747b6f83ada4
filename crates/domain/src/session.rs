//! A session: one WhatsApp number that messages go out from, and why it may have to wait.

use crate::Timestamp;
use crate::quota::{Quotas, Usage};

/// The session that the endpoints of the replaced system act on.
pub const DEFAULT_SESSION: &str = "default";
/// The longest name of a session.
pub const MAX_SESSION_NAME: usize = 64;

/// Returns whether sessions can have this name: lower case letters, digits, `-` and `_`.
pub fn is_session_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    (1..=MAX_SESSION_NAME).contains(&name.len()) && name.chars().all(allowed)
}

/// The state of the link between a session and WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Nothing is known yet.
    Starting,
    /// No phone is linked: a QR waits, or soon will.
    NotLinked,
    /// A phone is being linked whose account wants its passkey first.
    PasskeyRequired {
        /// Until when that is possible.
        until: Timestamp,
    },
    /// Linked, and making a connection.
    Connecting,
    /// Messages can be sent.
    Connected,
    /// The remote gateway does not answer.
    Unreachable,
    /// The phone unlinked the session; a new QR follows.
    LoggedOut,
    /// The same session was opened elsewhere.
    Replaced,
    /// WhatsApp banned the number for a time.
    Banned {
        /// When the ban ends.
        until: Timestamp,
    },
    /// WhatsApp no longer accepts this version of the client.
    ClientOutdated,
}

impl LinkState {
    /// Returns the name in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Starting => "starting",
            LinkState::NotLinked => "not_linked",
            LinkState::PasskeyRequired { .. } => "passkey_required",
            LinkState::Connecting => "connecting",
            LinkState::Connected => "connected",
            LinkState::Unreachable => "unreachable",
            LinkState::LoggedOut => "logged_out",
            LinkState::Replaced => "replaced",
            LinkState::Banned { .. } => "banned",
            LinkState::ClientOutdated => "client_outdated",
        }
    }

    /// Returns the state of this name; `until` is the end of a ban, or of the time for a passkey.
    pub fn from_name(name: &str, until: Option<Timestamp>) -> Option<LinkState> {
        let until = until.unwrap_or_default();
        [
            LinkState::Starting,
            LinkState::NotLinked,
            LinkState::PasskeyRequired { until },
            LinkState::Connecting,
            LinkState::Connected,
            LinkState::Unreachable,
            LinkState::LoggedOut,
            LinkState::Replaced,
            LinkState::Banned { until },
            LinkState::ClientOutdated,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
    }

    /// Returns whether no phone is linked.
    pub fn is_unlinked(self) -> bool {
        matches!(
            self,
            LinkState::NotLinked | LinkState::PasskeyRequired { .. } | LinkState::LoggedOut
        )
    }

    /// Returns why nothing can be sent over such a link; `None` if messages can be sent.
    pub fn waiting(self) -> Option<Waiting> {
        let (reason, until) = match self {
            LinkState::Connected => return None,
            LinkState::Starting | LinkState::Connecting | LinkState::Unreachable => {
                (WaitReason::Disconnected, None)
            }
            LinkState::NotLinked | LinkState::PasskeyRequired { .. } | LinkState::LoggedOut => {
                (WaitReason::LoggedOut, None)
            }
            LinkState::Replaced => (WaitReason::Replaced, None),
            LinkState::Banned { until } => (WaitReason::Banned, Some(until)),
            LinkState::ClientOutdated => (WaitReason::ClientOutdated, None),
        };
        Some(Waiting { reason, until })
    }
}

/// Why a session sends nothing for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitReason {
    /// No connection to WhatsApp or to the gateway, or no node holds the session.
    Disconnected,
    /// No phone is linked: somebody must scan a QR, or find the passkey.
    LoggedOut,
    /// The same session was opened elsewhere.
    Replaced,
    /// WhatsApp banned the number until a certain time.
    Banned,
    /// WhatsApp no longer accepts this version of the client.
    ClientOutdated,
    /// The operator paused the session.
    Paused,
    /// It is night; see `QUIET_HOURS`. Urgent campaigns go on.
    QuietHours,
    /// The number has sent all it may today; see `DAILY_CAP` and `WARM_UP`.
    DailyCap,
    /// WhatsApp's limit for people who never wrote to the number. Those who wrote go on.
    ReachOutLimit,
}

impl WaitReason {
    /// Returns the name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitReason::Disconnected => "disconnected",
            WaitReason::LoggedOut => "logged_out",
            WaitReason::Replaced => "replaced",
            WaitReason::Banned => "banned",
            WaitReason::ClientOutdated => "client_outdated",
            WaitReason::Paused => "paused",
            WaitReason::QuietHours => "quiet_hours",
            WaitReason::DailyCap => "daily_cap",
            WaitReason::ReachOutLimit => "reach_out_limit",
        }
    }
}

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Why it waits.
    pub reason: WaitReason,
    /// When the wait ends by itself, if that is known.
    pub until: Option<Timestamp>,
}

/// What decides whether a session may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// The state of its link; `None` while no node holds the session.
    pub link: Option<LinkState>,
    /// Whether the operator paused it.
    pub paused: bool,
    /// What the number has sent, and may send.
    pub usage: Usage,
    /// Until when WhatsApp takes nothing from the number for people who never wrote to it.
    pub reach_out_until: Timestamp,
}

impl Readiness {
    /// Returns what the session waits for at `now`; `None` if it may write to anybody.
    pub fn waiting(&self, quotas: &Quotas, now: Timestamp) -> Option<Waiting> {
        let absent = Waiting { reason: WaitReason::Disconnected, until: None };
        if let Some(waiting) = self.link.map_or(Some(absent), LinkState::waiting) {
            return Some(waiting);
        }
        if self.paused {
            return Some(Waiting { reason: WaitReason::Paused, until: None });
        }
        if quotas.left_today(&self.usage, now) == Some(0) {
            return Some(Waiting {
                reason: WaitReason::DailyCap,
                until: Some(quotas.next_day(now)),
            });
        }
        if let Some(until) = quotas.quiet_until(now) {
            return Some(Waiting { reason: WaitReason::QuietHours, until: Some(until) });
        }
        (self.reach_out_until > now).then_some(Waiting {
            reason: WaitReason::ReachOutLimit,
            until: Some(self.reach_out_until),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn ready() -> Readiness {
        Readiness {
            link: Some(LinkState::Connected),
            paused: false,
            usage: Usage::default(),
            reach_out_until: Timestamp(0),
        }
    }

    fn reason(readiness: Readiness) -> Option<&'static str> {
        let quotas = Quotas { daily_cap: Some(10), ..Quotas::none() };
        readiness.waiting(&quotas, NOW).map(|waiting| waiting.reason.as_str())
    }

    #[test]
    fn link_states_round_trip_by_name() {
        for name in ["starting", "not_linked", "connecting", "connected", "unreachable"] {
            assert_eq!(LinkState::from_name(name, None).unwrap().as_str(), name);
        }
        let banned = LinkState::Banned { until: NOW };
        assert_eq!(LinkState::from_name("banned", Some(NOW)), Some(banned));
        let passkey = LinkState::PasskeyRequired { until: NOW };
        assert_eq!(LinkState::from_name("passkey_required", Some(NOW)), Some(passkey));
        assert_eq!(LinkState::from_name("asleep", None), None);
    }

    #[test]
    fn a_connected_session_waits_only_for_quotas_and_people() {
        assert_eq!(reason(ready()), None);
        assert_eq!(reason(Readiness { paused: true, ..ready() }), Some("paused"));
        assert_eq!(reason(Readiness { link: None, ..ready() }), Some("disconnected"));
        let limited =
            Readiness { reach_out_until: NOW + std::time::Duration::from_secs(1), ..ready() };
        assert_eq!(reason(limited), Some("reach_out_limit"));
        let day = Quotas::none().day(NOW);
        let used = Usage { day, sent_today: 10, ..Usage::default() };
        assert_eq!(reason(Readiness { usage: used, ..ready() }), Some("daily_cap"));
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!(is_session_name("default") && is_session_name("kantor-2"));
        for name in ["", "Kantor", "a b", "a/b", &"x".repeat(65)] {
            assert!(!is_session_name(name), "{name}");
        }
    }
}
