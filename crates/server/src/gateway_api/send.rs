//! `POST /send`: one message.
//!
//! A kabari in front names the id. Under it the message is sent once: what came of it is kept in
//! the state database, and a repeat is answered with that. As long as nobody knows what came of it,
//! a repeat goes out under the same id, which phones show once.

use super::{Api, bad_request, failure, parse, refusal, text, typed_number, typed_phone};
use crate::crash_point::crash_point;
use crate::store::StoreError;
use crate::store::state::AskedMessage;
use crate::trace;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use kabari_domain::message_id::RANDOM_BYTES;
use kabari_domain::{MessageId, Phone, wording};
use kabari_gateway::contract::AnswerBody;
use kabari_gateway::{OutgoingMessage, SendError};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Longer ids are no message ids.
const MAX_MESSAGE_ID_BYTES: usize = 64;
/// How long to leave the gateway alone while its state database fails.
const STORE_PAUSE: Duration = Duration::from_secs(10);

pub async fn send(State(api): State<Arc<Api>>, body: Result<Bytes, BytesRejection>) -> Response {
    // Whoever sends nonsense while nothing can be sent reads that first.
    let parsed = parse(body);
    let id = parsed.as_ref().ok().and_then(|request| named_id(&request["message_id"]));
    let known = match &id {
        Some(id) => api.known_outcome(id).await,
        None => Ok(None),
    };
    if let Ok(None) = &known
        && let Err(error) = api.connected().await
    {
        return refusal(&error);
    }
    let request = match parsed {
        Ok(request) => request,
        Err((status, error)) => return failure(status, error),
    };
    let (Some(typed), Some(text)) = (typed_phone(&request["phone"]), text(&request["message"]))
    else {
        return bad_request(wording::SEND_PARAMETERS);
    };
    if id.is_none() && !request["message_id"].is_null() {
        return bad_request(wording::INVALID_MESSAGE_ID);
    }
    // Only a kabari knows of message ids, and it has normalized the number.
    let phone = if id.is_some() { normalized_number(&typed) } else { typed_number(&typed) };
    let Some(phone) = phone else {
        let error = AnswerBody::failure(wording::INVALID_GATEWAY_PHONE);
        return Json(AnswerBody { phone: Some(typed), ..error }).into_response();
    };
    // A task of its own: a client that goes away must not leave the message half done.
    let normalized = phone.clone();
    let sent = trace::spawn(async move {
        match id {
            Some(id) => api.send_once(id, phone, text).await,
            None => api.deliver(new_message_id(), phone, text).await.map_err(NotSent::Send),
        }
    });
    let phone = Some(normalized.digits().to_owned());
    match sent.await {
        Ok(Ok(())) => {
            Json(AnswerBody { phone, ..AnswerBody::success(wording::SENT) }).into_response()
        }
        Ok(Err(NotSent::OtherNumber)) => bad_request(wording::MESSAGE_ID_REUSED),
        Ok(Err(NotSent::Before(answer))) => Json(answer).into_response(),
        Ok(Err(NotSent::Send(error @ (SendError::NotLinked | SendError::NotConnected(_))))) => {
            refusal(&error)
        }
        Ok(Err(NotSent::Send(error))) => {
            Json(AnswerBody { phone, ..AnswerBody::of_error(&error) }).into_response()
        }
        Err(_) => refusal(&SendError::Unknown("the send was broken off".into())),
    }
}

/// Why a message is not known to be sent.
enum NotSent {
    Send(SendError),
    /// It was refused when it was asked for first, with this answer.
    Before(Box<AnswerBody>),
    /// Its id belongs to a message to another number.
    OtherNumber,
}

impl From<StoreError> for NotSent {
    fn from(error: StoreError) -> NotSent {
        tracing::error!(%error, "a message was not sent: what comes of it could not be written down");
        NotSent::Send(SendError::Retry { after: STORE_PAUSE, reason: error.to_string() })
    }
}

impl Api {
    /// Returns what came of the message of this id, if that is known.
    async fn known_outcome(&self, id: &MessageId) -> Result<Option<AskedMessage>, StoreError> {
        let asked = self.state.asked_message(id).await?;
        Ok(asked.filter(|asked| asked.outcome.is_some()))
    }

    /// Sends the message of this id unless it was sent before.
    async fn send_once(&self, id: MessageId, phone: Phone, text: String) -> Result<(), NotSent> {
        if let Some(asked) = self.known_outcome(&id).await? {
            return answered(asked, &phone);
        }
        let _turn = self.one_at_a_time.lock().await;
        if let Some(asked) = self.state.asked_message(&id).await?
            && (asked.outcome.is_some() || asked.phone != phone)
        {
            return answered(asked, &phone);
        }
        self.state.ask_message(&id, &phone).await?;
        crash_point("message.asked");
        let sent = self.deliver(id.clone(), phone.clone(), text).await;
        crash_point("message.answered");
        let outcome = match &sent {
            Ok(()) => Ok(()),
            Err(error @ (SendError::NotRegistered | SendError::Permanent(_))) => {
                let answer = AnswerBody::of_error(error);
                let phone = Some(phone.digits().to_owned());
                Err(serde_json::to_string(&AnswerBody { phone, ..answer }).unwrap_or_default())
            }
            // Nothing went out, or nobody knows: under this id it may be asked for again.
            Err(_) => return sent.map_err(NotSent::Send),
        };
        let outcome = outcome.as_ref().copied().map_err(String::as_str);
        let written = self.state.answer_message(&id, outcome).await;
        crash_point("message.settled");
        if let Err(error) = written {
            // The answer goes out all the same; a repeat would go out under the same id.
            tracing::warn!(%error, "what came of a message could not be written down");
        }
        sent.map_err(NotSent::Send)
    }

    /// Sends one message to a number that is checked first, under the id given.
    async fn deliver(&self, id: MessageId, phone: Phone, text: String) -> Result<(), SendError> {
        let gateway = self.gateway()?;
        let jid = self.numbers.check_one(&*gateway, &phone).await?;
        let message = OutgoingMessage { message_id: id, phone, jid, text, traceparent: None };
        gateway.send(&message).await
    }
}

/// Answers for a message that was asked for before, for this number.
fn answered(asked: AskedMessage, phone: &Phone) -> Result<(), NotSent> {
    if asked.phone != *phone {
        return Err(NotSent::OtherNumber);
    }
    match asked.outcome {
        Some(Err(refusal)) => {
            let answer = serde_json::from_str(&refusal);
            let answer = answer.unwrap_or_else(|_| AnswerBody::failure(wording::INTERNAL));
            Err(NotSent::Before(Box::new(answer)))
        }
        Some(Ok(())) | None => Ok(()),
    }
}

/// Reads a number as a kabari in front sends it: normalized. Bare digits of another country could
/// also be read as an Indonesian number, which would be somebody else's.
fn normalized_number(digits: &str) -> Option<Phone> {
    Phone::from_e164(digits).ok().or_else(|| typed_number(digits))
}

fn new_message_id() -> MessageId {
    MessageId::from_random(rand::random::<[u8; RANDOM_BYTES]>())
}

/// Returns the id that a client names, if it is one.
fn named_id(value: &Value) -> Option<MessageId> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let id = value.as_str()?;
    let valid = (1..=MAX_MESSAGE_ID_BYTES).contains(&id.len()) && id.bytes().all(plain);
    valid.then(|| MessageId::from_stored(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_of_another_country_stays_there_when_a_kabari_sends_it() {
        let digits = |phone: Option<Phone>| phone.map(|phone| phone.digits().to_owned());
        for normalized in ["6591234568", "14155550125", "6281234567801"] {
            assert_eq!(digits(normalized_number(normalized)).as_deref(), Some(normalized));
        }
        for typed in ["081234567801", "81234567801", "+62 812-3456-7801"] {
            assert_eq!(digits(typed_number(typed)).as_deref(), Some("6281234567801"));
        }
        assert_eq!(digits(normalized_number("081234567801")).as_deref(), Some("6281234567801"));
        for nonsense in ["0", "0812", "not a number"] {
            assert_eq!(normalized_number(nonsense), None);
        }
    }

    #[test]
    fn foreign_ids_are_accepted_and_malformed_ones_refused() {
        assert_eq!(named_id(&json!("3EB0AB-c_1")).unwrap().as_str(), "3EB0AB-c_1");
        for nonsense in [Value::Null, json!(""), json!("a b"), json!(1), json!("x".repeat(65))] {
            assert_eq!(named_id(&nonsense), None, "{nonsense}");
        }
    }
}
