//! How a number is, in words.

use super::super::parts::Tone;
use super::super::texts::text;
use super::super::visitor::Visitor;
use crate::api::session_view::SessionView;
use kabari_domain::{LinkState, WaitReason, Waiting};

/// How a number is.
pub struct Condition {
    /// How it is meant.
    pub tone: Tone,
    /// In a word or two.
    pub label: String,
    /// What it means and what to do; `None` where all is well.
    pub advice: Option<String>,
}

/// Returns how a number is.
pub fn condition(visitor: &Visitor, number: &SessionView) -> Condition {
    match (number.link.state, number.waiting) {
        (LinkState::PasskeyRequired { .. }, _) => Condition {
            tone: Tone::Wait,
            label: text!(visitor, "number-passkey"),
            advice: Some(text!(visitor, "number-passkey-advice")),
        },
        (LinkState::Unreachable, _) => Condition {
            tone: Tone::Bad,
            label: text!(visitor, "number-unreachable"),
            advice: Some(text!(visitor, "number-unreachable-advice")),
        },
        (LinkState::Connecting, _) => Condition {
            tone: Tone::Wait,
            label: text!(visitor, "number-connecting"),
            advice: Some(text!(visitor, "number-connecting-advice")),
        },
        (_, Some(waiting)) => waits(visitor, waiting),
        (_, None) => {
            Condition { tone: Tone::Good, label: text!(visitor, "number-ready"), advice: None }
        }
    }
}

/// Returns how something is that waits for this.
pub fn waits(visitor: &Visitor, Waiting { reason, until }: Waiting) -> Condition {
    let until = until.map(|until| visitor.moment(until)).unwrap_or_default();
    let (tone, label, advice) = match reason {
        WaitReason::Disconnected => (
            Tone::Wait,
            text!(visitor, "number-disconnected"),
            text!(visitor, "number-disconnected-advice"),
        ),
        WaitReason::LoggedOut => {
            (Tone::Bad, text!(visitor, "number-unlinked"), text!(visitor, "number-unlinked-advice"))
        }
        WaitReason::Replaced => {
            (Tone::Bad, text!(visitor, "number-replaced"), text!(visitor, "number-replaced-advice"))
        }
        WaitReason::Banned => (
            Tone::Bad,
            text!(visitor, "number-banned"),
            text!(visitor, "number-banned-advice", until = until),
        ),
        WaitReason::ClientOutdated => {
            (Tone::Bad, text!(visitor, "number-outdated"), text!(visitor, "number-outdated-advice"))
        }
        WaitReason::Paused => {
            (Tone::Wait, text!(visitor, "number-paused"), text!(visitor, "number-paused-advice"))
        }
        WaitReason::QuietHours => (
            Tone::Wait,
            text!(visitor, "number-quiet"),
            text!(visitor, "number-quiet-advice", until = until),
        ),
        WaitReason::DailyCap => (
            Tone::Wait,
            text!(visitor, "number-cap"),
            text!(visitor, "number-cap-advice", until = until),
        ),
        WaitReason::ReachOutLimit => (
            Tone::Wait,
            text!(visitor, "number-reach-out"),
            text!(visitor, "number-reach-out-advice", until = until),
        ),
    };
    Condition { tone, label, advice: Some(advice) }
}
