//! The gateway's HTTP contract in JSON, as `http_api` writes it and `remote` reads it.
//!
//! Gateways of others know only the first keys of each answer. The optional ones at the end are
//! ours: with them, a kabari in front of another kabari tells troubles apart as well as the one
//! that has the session.

use crate::{Link, LinkState, SendError};
use kabari_domain::{Timestamp, wording};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `GET /status`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub ready: bool,
    pub phone: Option<String>,
    #[serde(rename = "hasQR", default)]
    pub has_qr: bool,
    pub error: Option<String>,
    /// The name of the link's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// When a ban ends, or the time for a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Status {
    pub fn of(link: &Link) -> Status {
        let until = match link.state {
            LinkState::Banned { until } | LinkState::PasskeyRequired { until } => Some(until),
            _ => None,
        };
        Status {
            ready: link.is_connected(),
            phone: link.phone.clone(),
            has_qr: link.qr_png.is_some(),
            error: link.error.clone(),
            state: Some(link.state.as_str().to_owned()),
            until,
        }
    }

    /// A gateway that is not ready and says no more answers every send with "belum siap": nobody
    /// has linked a phone, as far as its clients can tell.
    pub fn link_state(&self) -> LinkState {
        if self.ready {
            return LinkState::Connected;
        }
        // A state that a later version added says no more.
        let name = self.state.as_deref().unwrap_or_default();
        match LinkState::from_name(name, self.until) {
            Some(LinkState::Connected) | None => LinkState::NotLinked,
            Some(state) => state,
        }
    }
}

/// `GET /qr`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Qr {
    pub success: bool,
    /// `data:image/png;base64,...`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The text in the code, to draw it in a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `POST /send`, and every answer that only says whether something worked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The shortest wait before the next try, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// When the limit for new chats ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// [`SendError`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    NotLinked,
    NotConnected,
    NotRegistered,
    ReachOutLimit,
    MissingToken,
    Retry,
    Recipient,
    Permanent,
    /// Also whatever a later version adds: it may have gone out.
    #[serde(other)]
    Unknown,
}

impl Answer {
    pub fn success(message: &str) -> Answer {
        Answer { success: true, message: Some(message.into()), ..Answer::default() }
    }

    pub fn failure(error: impl Into<String>) -> Answer {
        Answer { success: false, error: Some(error.into()), ..Answer::default() }
    }

    pub fn of_error(error: &SendError) -> Answer {
        let (text, code): (String, Code) = match error {
            SendError::NotLinked => (wording::NOT_LINKED.into(), Code::NotLinked),
            SendError::NotConnected(_) => (wording::RECONNECTING.into(), Code::NotConnected),
            SendError::NotRegistered => (wording::NOT_REGISTERED.into(), Code::NotRegistered),
            SendError::ReachOutLimit { .. } => {
                (wording::REACH_OUT_LIMIT.into(), Code::ReachOutLimit)
            }
            SendError::MissingToken { .. } => (wording::MISSING_TOKEN.into(), Code::MissingToken),
            SendError::Retry { .. } => (wording::TRY_LATER.into(), Code::Retry),
            SendError::Recipient { .. } => (wording::TRY_LATER.into(), Code::Recipient),
            SendError::Permanent(text) => (text.clone(), Code::Permanent),
            SendError::Unknown(_) => (wording::UNCERTAIN.into(), Code::Unknown),
        };
        let mut answer = Answer { code: Some(code), ..Answer::failure(text) };
        match error {
            SendError::Retry { after, .. }
            | SendError::Recipient { after, .. }
            | SendError::MissingToken { after } => {
                answer.retry_after = Some(after.as_secs());
            }
            SendError::ReachOutLimit { until } => answer.until = *until,
            _ => {}
        }
        answer
    }

    /// What one of our own gateways meant; `None` if this is not from one.
    pub fn send_error(&self) -> Option<SendError> {
        let error = || self.error.clone().unwrap_or_default();
        let after = Duration::from_secs(self.retry_after.unwrap_or_default());
        Some(match self.code? {
            Code::NotLinked => SendError::NotLinked,
            Code::NotConnected => SendError::NotConnected(error()),
            Code::NotRegistered => SendError::NotRegistered,
            Code::ReachOutLimit => SendError::ReachOutLimit { until: self.until },
            Code::MissingToken => SendError::MissingToken { after },
            Code::Retry => SendError::Retry { after, reason: error() },
            Code::Recipient => SendError::Recipient { after, reason: error() },
            Code::Permanent => SendError::Permanent(error()),
            Code::Unknown => SendError::Unknown(error()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_state_survives_the_wire() {
        for state in [
            LinkState::Starting,
            LinkState::NotLinked,
            LinkState::PasskeyRequired { until: Timestamp(1_700_000_000_000) },
            LinkState::Connecting,
            LinkState::Connected,
            LinkState::Unreachable,
            LinkState::LoggedOut,
            LinkState::Replaced,
            LinkState::Banned { until: Timestamp(1_700_000_000_000) },
            LinkState::ClientOutdated,
        ] {
            let json = serde_json::to_value(Status::of(&Link { state, ..Link::starting() }));
            let read: Status = serde_json::from_value(json.unwrap()).unwrap();
            assert_eq!(read.link_state(), state);
        }
    }

    #[test]
    fn every_kind_of_send_error_survives_the_wire() {
        let reason = String::from("x");
        for error in [
            SendError::NotLinked,
            SendError::NotConnected(wording::RECONNECTING.into()),
            SendError::NotRegistered,
            SendError::ReachOutLimit { until: Some(Timestamp(5)) },
            SendError::MissingToken { after: Duration::from_secs(7) },
            SendError::Retry { after: Duration::from_secs(7), reason: wording::TRY_LATER.into() },
            SendError::Recipient {
                after: Duration::from_secs(7),
                reason: wording::TRY_LATER.into(),
            },
            SendError::Permanent(reason),
            SendError::Unknown(wording::UNCERTAIN.into()),
        ] {
            let json = serde_json::to_value(Answer::of_error(&error)).unwrap();
            let read: Answer = serde_json::from_value(json).unwrap();
            assert_eq!(read.send_error(), Some(error));
        }
    }

    #[test]
    fn a_gateway_that_only_says_not_ready_is_not_linked() {
        let status = r#"{"ready": false, "phone": null, "hasQR": false, "error": null}"#;
        let status: Status = serde_json::from_str(status).unwrap();
        assert_eq!(status.link_state(), LinkState::NotLinked);
    }
}
