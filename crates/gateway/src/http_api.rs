//! Serves a gateway under the HTTP contract of the one that kabari replaces, on :3001.
//!
//! Its clients expect status 200 for nearly everything: they read `success`. 503 means that nothing
//! can be sent now.

mod bulk;
mod lane;
mod numbers;

use crate::contract::{Answer, Qr, Status};
use crate::{Gateway, GatewayError, Link, LinkState, Outgoing, SendError};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kabari_domain::message_id::RANDOM_BYTES;
use kabari_domain::{MessageId, Phone, wording};
use lane::Lane;
use numbers::Numbers;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The largest body that is read: a `/send-bulk` to some ten thousand recipients.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// How long a send waits for a connection that is just being made.
const RECONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longer ids are no message ids.
const MAX_MESSAGE_ID_BYTES: usize = 64;

/// All six endpoints. `delay` is the shortest time between two messages of the kabaris in front,
/// and the pause between the messages of one `/send-bulk` that names none.
pub fn router(gateway: Arc<dyn Gateway>, delay: Duration) -> Router {
    // The contract has no place for acks and receipts: let them go, they would pile up.
    drop(gateway.take_events());
    let api = Api {
        numbers: Numbers::new(gateway.clone()),
        gateway,
        bulk_delay: delay,
        lane: Lane::new(delay),
        one_bulk_at_a_time: tokio::sync::Mutex::new(()),
    };
    Router::new()
        .route("/status", get(status))
        .route("/qr", get(qr))
        .route("/send", post(send))
        .route("/send-bulk", post(bulk::send_bulk))
        .route("/restart", post(restart))
        .route("/logout", post(logout))
        .fallback(|| async { detail(StatusCode::NOT_FOUND, "Not Found") })
        .method_not_allowed_fallback(|| async {
            detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(api))
}

struct Api {
    gateway: Arc<dyn Gateway>,
    numbers: Numbers,
    bulk_delay: Duration,
    lane: Lane,
    /// Two at once would send at twice the pace.
    one_bulk_at_a_time: tokio::sync::Mutex<()>,
}

async fn status(State(api): State<Arc<Api>>) -> Json<Status> {
    Json(Status::of(&api.gateway.link().borrow()))
}

async fn qr(State(api): State<Arc<Api>>) -> Json<Qr> {
    let link = api.gateway.link().borrow().clone();
    Json(match link.qr_png {
        _ if link.is_connected() => Qr {
            success: true,
            message: Some(wording::ALREADY_CONNECTED.into()),
            phone: link.phone,
            ..Qr::default()
        },
        Some(qr) => Qr { success: true, qr: Some(qr), text: link.qr, ..Qr::default() },
        None => Qr { message: Some(wording::QR_NOT_READY.into()), ..Qr::default() },
    })
}

async fn restart(State(api): State<Arc<Api>>) -> Response {
    command(api.gateway.restart().await, wording::RESTARTING)
}

async fn logout(State(api): State<Arc<Api>>) -> Response {
    let done = api.gateway.logout().await;
    api.numbers.forget();
    command(done, wording::LOGGED_OUT)
}

fn command(done: Result<(), GatewayError>, message: &str) -> Response {
    match done {
        Ok(()) => Json(Answer::success(message)).into_response(),
        Err(error) => {
            tracing::error!("{error}");
            failure(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    }
}

async fn send(State(api): State<Arc<Api>>, body: Result<Bytes, BytesRejection>) -> Response {
    if let Err(error) = api.wait_until_connected().await {
        return refusal(&error);
    }
    let request = match parse(body) {
        Ok(request) => request,
        Err((status, error)) => return failure(status, error),
    };
    let (Some(typed), Some(text)) = (typed_phone(&request["phone"]), text(&request["message"]))
    else {
        return bad_request(wording::SEND_PARAMETERS);
    };
    let Some(message_id) = read_message_id(&request["message_id"]) else {
        return bad_request(wording::INVALID_MESSAGE_ID);
    };
    // Only a kabari knows of message ids.
    let by_kabari = request["message_id"].is_string();
    let phone = if by_kabari { normalized_number(&typed) } else { typed_number(&typed) };
    let Some(phone) = phone else {
        let error = Answer::failure(wording::INVALID_GATEWAY_PHONE);
        return Json(Answer { phone: Some(typed), ..error }).into_response();
    };
    let normalized = Some(phone.digits().to_owned());
    // A task of its own: a client that goes away must not leave the message half done.
    let sent = tokio::spawn(async move {
        let sending = api.send(message_id, phone, text);
        if by_kabari { api.lane.take(sending).await } else { sending.await }
    });
    match sent.await {
        Ok(Ok(())) => {
            Json(Answer { phone: normalized, ..Answer::success(wording::SENT) }).into_response()
        }
        Ok(Err(error @ (SendError::NotLinked | SendError::NotConnected(_)))) => refusal(&error),
        Ok(Err(error)) => {
            Json(Answer { phone: normalized, ..Answer::of_error(&error) }).into_response()
        }
        Err(_) => refusal(&SendError::Unknown("the send was broken off".into())),
    }
}

impl Api {
    /// Sends one message to a number that is checked first, under the id given.
    async fn send(&self, id: MessageId, phone: Phone, text: String) -> Result<(), SendError> {
        let jid = self.numbers.check_one(&phone).await?;
        self.gateway.send(&Outgoing { message_id: id, phone, jid, text }).await
    }

    /// Gives a connection that is just being made a moment.
    async fn wait_until_connected(&self) -> Result<(), SendError> {
        let mut link = self.gateway.link();
        let being_made =
            |link: &Link| matches!(link.state, LinkState::Starting | LinkState::Connecting);
        // Whatever came of it, the state is what counts.
        let settled = link.wait_for(|link| !being_made(link));
        let _ = tokio::time::timeout(RECONNECT_WAIT, settled).await;
        let link = link.borrow();
        match link.state {
            LinkState::Connected => Ok(()),
            LinkState::Starting
            | LinkState::NotLinked
            | LinkState::PasskeyRequired { .. }
            | LinkState::LoggedOut => Err(SendError::NotLinked),
            _ => Err(SendError::NotConnected(link.error.clone().unwrap_or_default())),
        }
    }
}

/// Nothing can be sent now.
fn refusal(error: &SendError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(Answer::of_error(error))).into_response()
}

fn bad_request(error: &str) -> Response {
    failure(StatusCode::BAD_REQUEST, error)
}

fn failure(status: StatusCode, error: &str) -> Response {
    (status, Json(Answer::failure(error))).into_response()
}

fn detail(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "detail": text }))).into_response()
}

/// The body as JSON, or the status and text of what is wrong with it.
fn parse(body: Result<Bytes, BytesRejection>) -> Result<Value, (StatusCode, &'static str)> {
    let body = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => (status, wording::BODY_TOO_LARGE),
        status => (status, wording::UNREADABLE_BODY),
    })?;
    serde_json::from_slice(&body).map_err(|_| (StatusCode::BAD_REQUEST, wording::UNREADABLE_BODY))
}

/// The number as it was typed. Clients send it as text and as a JSON number.
fn typed_phone(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Reads a number as people type it: Indonesian, unless it says otherwise.
fn typed_number(typed: &str) -> Option<Phone> {
    Phone::parse(typed).ok()
}

/// Reads a number as a kabari in front sends it: normalized. Bare digits of another country could
/// also be read as an Indonesian number, which would be somebody else's.
fn normalized_number(digits: &str) -> Option<Phone> {
    Phone::from_e164(digits).ok().or_else(|| typed_number(digits))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn new_message_id() -> MessageId {
    MessageId::from_random(rand::random::<[u8; RANDOM_BYTES]>())
}

/// The id given, or a new one if none is; `None` if it cannot be one.
fn read_message_id(value: &Value) -> Option<MessageId> {
    match value {
        Value::Null => Some(new_message_id()),
        Value::String(id) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let valid = (1..=MAX_MESSAGE_ID_BYTES).contains(&id.len()) && id.bytes().all(plain);
            valid.then(|| MessageId::from_stored(id.as_str()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn takes_an_id_of_somebody_elses_but_no_nonsense() {
        assert_eq!(read_message_id(&json!("3EB0AB-c_1")).unwrap().as_str(), "3EB0AB-c_1");
        assert!(read_message_id(&Value::Null).unwrap().as_str().starts_with("3EB0"));
        for nonsense in [json!(""), json!("a b"), json!(1), json!("x".repeat(65))] {
            assert_eq!(read_message_id(&nonsense), None, "{nonsense}");
        }
    }
}
