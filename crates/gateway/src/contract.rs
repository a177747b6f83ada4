//! The gateway's HTTP contract in JSON, as `kabari gateway` writes it and `remote` reads it.
//!
//! Gateways of others know only the first keys of each answer. The optional ones at the end are
//! ours: with them, a kabari in front of another kabari tells troubles apart as well as the one
//! that has the session.

use crate::{Event, Limits, Link, LinkState, SendError};
use kabari_domain::{MessageId, Phone, ReceiptRank, Timestamp, wording};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `GET /status`.
#[derive(Debug, Serialize, Deserialize)]
pub struct StatusBody {
    /// Whether messages can be sent.
    pub ready: bool,
    /// The linked number, E.164 digits.
    pub phone: Option<String>,
    /// Whether a QR code waits to be scanned.
    #[serde(rename = "hasQR", default)]
    pub has_qr: bool,
    /// What is wrong, for people.
    pub error: Option<String>,
    /// The name of the link's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// When a ban ends, or the time for a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether a `message_id` is honoured: a repeat sends no second message. Such a gateway also
    /// has `GET /events` and `GET /limits`.
    #[serde(default)]
    pub message_ids: bool,
}

impl StatusBody {
    /// Returns what one of our own gateways says of a link.
    pub fn of(link: &Link) -> StatusBody {
        let until = match link.state {
            LinkState::Banned { until } | LinkState::PasskeyRequired { until } => Some(until),
            _ => None,
        };
        StatusBody {
            ready: link.is_connected(),
            phone: link.phone.clone(),
            has_qr: link.qr_png.is_some(),
            error: link.error.clone(),
            state: Some(link.state.as_str().to_owned()),
            until,
            message_ids: true,
        }
    }

    /// Returns the state of the link.
    ///
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
pub struct QrBody {
    /// Whether there is a QR code, or none is needed.
    pub success: bool,
    /// `data:image/png;base64,...`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// Why there is none, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The number that is linked already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The text in the code, to draw it in a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `POST /send`, and every answer that only says whether something worked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AnswerBody {
    /// Whether it worked.
    pub success: bool,
    /// The recipient's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// What was done, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it did not work, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
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
pub enum ErrorCode {
    /// No phone is linked.
    NotLinked,
    /// There is no connection.
    NotConnected,
    /// The number is not on WhatsApp.
    NotRegistered,
    /// WhatsApp's limit for new chats.
    ReachOutLimit,
    /// The recipient has given us no token.
    MissingToken,
    /// Not now.
    Retry,
    /// Not now to this recipient.
    Recipient,
    /// Not at all.
    Permanent,
    /// Also whatever a later version adds: it may have gone out.
    #[serde(other)]
    Unknown,
}

impl AnswerBody {
    /// Returns the answer to what worked.
    pub fn success(message: &str) -> AnswerBody {
        AnswerBody { success: true, message: Some(message.into()), ..AnswerBody::default() }
    }

    /// Returns the answer to what did not work.
    pub fn failure(error: impl Into<String>) -> AnswerBody {
        AnswerBody { success: false, error: Some(error.into()), ..AnswerBody::default() }
    }

    /// Returns the answer to a send that failed.
    pub fn of_error(error: &SendError) -> AnswerBody {
        let (text, code): (String, ErrorCode) = match error {
            SendError::NotLinked => (wording::NOT_LINKED.into(), ErrorCode::NotLinked),
            SendError::NotConnected(_) => (wording::RECONNECTING.into(), ErrorCode::NotConnected),
            SendError::NotRegistered => (wording::NOT_REGISTERED.into(), ErrorCode::NotRegistered),
            SendError::ReachOutLimit { .. } => {
                (wording::REACH_OUT_LIMIT.into(), ErrorCode::ReachOutLimit)
            }
            SendError::MissingToken { .. } => {
                (wording::MISSING_TOKEN.into(), ErrorCode::MissingToken)
            }
            SendError::Retry { .. } => (wording::TRY_LATER.into(), ErrorCode::Retry),
            SendError::Recipient { .. } => (wording::TRY_LATER.into(), ErrorCode::Recipient),
            SendError::Permanent(text) => (text.clone(), ErrorCode::Permanent),
            SendError::Unknown(_) => (wording::UNCERTAIN.into(), ErrorCode::Unknown),
        };
        let mut answer = AnswerBody { code: Some(code), ..AnswerBody::failure(text) };
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

    /// Returns what one of our own gateways meant; `None` if this is not from one.
    pub fn send_error(&self) -> Option<SendError> {
        let error = || self.error.clone().unwrap_or_default();
        let after = Duration::from_secs(self.retry_after.unwrap_or_default());
        Some(match self.code? {
            ErrorCode::NotLinked => SendError::NotLinked,
            ErrorCode::NotConnected => SendError::NotConnected(error()),
            ErrorCode::NotRegistered => SendError::NotRegistered,
            ErrorCode::ReachOutLimit => SendError::ReachOutLimit { until: self.until },
            ErrorCode::MissingToken => SendError::MissingToken { after },
            ErrorCode::Retry => SendError::Retry { after, reason: error() },
            ErrorCode::Recipient => SendError::Recipient { after, reason: error() },
            ErrorCode::Permanent => SendError::Permanent(error()),
            ErrorCode::Unknown => SendError::Unknown(error()),
        })
    }
}

/// `GET /limits`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LimitsBody {
    /// Until when people who never wrote to the number cannot be written to.
    pub reach_out_until: Option<Timestamp>,
    /// How many new chats are left in the current period.
    pub new_chats_left: Option<u32>,
}

impl From<Limits> for LimitsBody {
    fn from(Limits { reach_out_until, new_chats_left }: Limits) -> LimitsBody {
        LimitsBody { reach_out_until, new_chats_left }
    }
}

impl From<LimitsBody> for Limits {
    fn from(LimitsBody { reach_out_until, new_chats_left }: LimitsBody) -> Limits {
        Limits { reach_out_until, new_chats_left }
    }
}

/// The data of one event of `GET /events`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// The server has acknowledged a message.
    Acked {
        /// Which message.
        message_id: String,
    },
    /// Recipients, or their devices, have these messages.
    Receipt {
        /// Which messages.
        message_ids: Vec<String>,
        /// What it proves.
        rank: ReceiptRank,
        /// When.
        at: Timestamp,
    },
    /// A person wrote to the linked number.
    Wrote {
        /// Who, E.164 digits.
        phone: String,
        /// When.
        at: Timestamp,
    },
    /// People wrote to the number before it was linked there.
    WroteBefore {
        /// Who, E.164 digits, and when for the last time.
        people: Vec<(String, Timestamp)>,
    },
    /// How much the phone has told of the chats from before.
    HistoryProgress {
        /// In percent.
        percent: u8,
    },
}

impl EventBody {
    /// Returns what is told of an event; nothing of a [`Event::Mark`], which is the id of another.
    pub fn of(event: &Event) -> Option<EventBody> {
        Some(match event {
            Event::Acked { message_id } => EventBody::Acked { message_id: message_id.to_string() },
            Event::Receipt { message_ids, rank, at } => EventBody::Receipt {
                message_ids: message_ids.iter().map(MessageId::to_string).collect(),
                rank: *rank,
                at: *at,
            },
            Event::Wrote { phone, at } => {
                EventBody::Wrote { phone: phone.digits().to_owned(), at: *at }
            }
            Event::WroteBefore { people } => {
                let people = people.iter().map(|(phone, at)| (phone.digits().to_owned(), *at));
                EventBody::WroteBefore { people: people.collect() }
            }
            Event::HistoryProgress { percent } => EventBody::HistoryProgress { percent: *percent },
            Event::Mark { .. } => return None,
        })
    }
}

impl From<EventBody> for Event {
    fn from(body: EventBody) -> Event {
        match body {
            EventBody::Acked { message_id } => {
                Event::Acked { message_id: MessageId::from_stored(message_id) }
            }
            EventBody::Receipt { message_ids, rank, at } => Event::Receipt {
                message_ids: message_ids.into_iter().map(MessageId::from_stored).collect(),
                rank,
                at,
            },
            EventBody::Wrote { phone, at } => Event::Wrote { phone: Phone::from_stored(phone), at },
            EventBody::WroteBefore { people } => {
                let people = people.into_iter().map(|(phone, at)| (Phone::from_stored(phone), at));
                Event::WroteBefore { people: people.collect() }
            }
            EventBody::HistoryProgress { percent } => Event::HistoryProgress { percent },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_state_round_trips_as_json() {
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
            let json = serde_json::to_value(StatusBody::of(&Link { state, ..Link::starting() }));
            let read: StatusBody = serde_json::from_value(json.unwrap()).unwrap();
            assert_eq!(read.link_state(), state);
        }
    }

    #[test]
    fn every_send_error_round_trips_as_json() {
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
            let json = serde_json::to_value(AnswerBody::of_error(&error)).unwrap();
            let read: AnswerBody = serde_json::from_value(json).unwrap();
            assert_eq!(read.send_error(), Some(error));
        }
    }

    #[test]
    fn every_event_round_trips_as_json() {
        let message_id = MessageId::from_stored("3EB0AA");
        let at = Timestamp(1_700_000_000_000);
        for event in [
            Event::Acked { message_id: message_id.clone() },
            Event::Receipt { message_ids: vec![message_id], rank: ReceiptRank::Read, at },
            Event::Wrote { phone: Phone::from_stored("6281234567801"), at },
            Event::WroteBefore { people: vec![(Phone::from_stored("6281234567801"), at)] },
            Event::HistoryProgress { percent: 40 },
        ] {
            let json = serde_json::to_value(EventBody::of(&event).unwrap()).unwrap();
            let read: EventBody = serde_json::from_value(json).unwrap();
            assert_eq!(Event::from(read), event);
        }
    }

    #[test]
    fn a_gateway_that_is_not_ready_counts_as_not_linked() {
        let status = r#"{"ready": false, "phone": null, "hasQR": false, "error": null}"#;
        let status: StatusBody = serde_json::from_str(status).unwrap();
        assert_eq!((status.link_state(), status.message_ids), (LinkState::NotLinked, false));
    }
}
