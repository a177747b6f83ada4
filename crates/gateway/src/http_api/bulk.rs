//! `POST /send-bulk`: one text to many, one after the other.

use super::{Api, bad_request, failure, new_message_id, parse, text, typed_number, typed_phone};
use crate::SendError;
use crate::contract::Answer;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kabari_domain::template::{self, Values};
use kabari_domain::{Phone, wording};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Whom the text calls by name if no name is given.
const NAMELESS: &str = "Pelanggan";

#[derive(Serialize)]
struct Report {
    success: bool,
    total: usize,
    sent: usize,
    failed: usize,
    results: Vec<Outcome>,
}

#[derive(Serialize)]
struct Outcome {
    /// Normalized, unless the send failed for a reason that has nothing to do with the number.
    phone: String,
    customer_name: String,
    success: bool,
    error: Option<String>,
}

struct Recipient {
    typed: String,
    phone: Option<Phone>,
    name: String,
}

pub(super) async fn send_bulk(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(error) = api.wait_until_connected().await {
        let answer =
            Answer { error: Some(wording::NOT_LINKED_BULK.into()), ..Answer::of_error(&error) };
        return (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response();
    }
    let request = match parse(body) {
        Ok(request) => request,
        Err((status, error)) => return failure(status, error),
    };
    let (Some(recipients), Some(text)) =
        (request["recipients"].as_array(), text(&request["message"]))
    else {
        return bad_request(wording::BULK_PARAMETERS);
    };
    let recipients: Vec<Recipient> = recipients.iter().map(Recipient::read).collect();
    let delay = request["delay"].as_u64().map_or(api.bulk_delay, Duration::from_millis);
    // A task of its own: it goes on when the client goes away.
    let work = tokio::spawn(async move { api.send_to_all(recipients, &text, delay).await });
    match work.await {
        Ok(results) => Json(Report::of(results)).into_response(),
        Err(_) => {
            let error = SendError::Unknown("the bulk send was broken off".into());
            super::refusal(&error)
        }
    }
}

impl Recipient {
    fn read(value: &Value) -> Recipient {
        let typed = typed_phone(&value["phone"]).unwrap_or_default();
        let name = text(&value["name"]).unwrap_or_else(|| NAMELESS.into());
        Recipient { phone: typed_number(&typed), typed, name }
    }
}

impl Api {
    async fn send_to_all(
        &self,
        recipients: Vec<Recipient>,
        text: &str,
        delay: Duration,
    ) -> Vec<Outcome> {
        let _turn = self.one_bulk_at_a_time.lock().await;
        let phones: Vec<Phone> =
            recipients.iter().filter_map(|recipient| recipient.phone.clone()).collect();
        if let Err(error) = self.numbers.learn(&phones).await {
            // Each send asks again, and reports what comes of it.
            tracing::warn!("the numbers of a bulk send could not be checked at once: {error}");
        }
        let mut results = Vec::with_capacity(recipients.len());
        let mut sent_before = false;
        for recipient in recipients {
            let outcome = match &recipient.phone {
                None => Err((recipient.typed.clone(), wording::INVALID_NUMBER.to_owned())),
                Some(phone) => {
                    if std::mem::replace(&mut sent_before, true) {
                        tokio::time::sleep(delay).await;
                    }
                    self.send_to(&recipient, phone, text).await
                }
            };
            let (phone, error) = match outcome {
                Ok(phone) => (phone, None),
                Err((phone, error)) => (phone, Some(error)),
            };
            let success = error.is_none();
            results.push(Outcome { phone, customer_name: recipient.name, success, error });
        }
        results
    }

    async fn send_to(
        &self,
        recipient: &Recipient,
        phone: &Phone,
        text: &str,
    ) -> Result<String, (String, String)> {
        let text = call_by_name(text, &recipient.name);
        let normalized = phone.digits().to_owned();
        match self.send(new_message_id(), phone.clone(), text).await {
            Ok(()) => Ok(normalized),
            Err(error) => {
                let answer = Answer::of_error(&error).error.unwrap_or_default();
                let shown = match error {
                    SendError::NotRegistered => normalized,
                    _ => recipient.typed.clone(),
                };
                Err((shown, answer))
            }
        }
    }
}

/// Fills in `{nama}` and `{name}`. What else the template language knows means nothing here and
/// stays as it is.
fn call_by_name(text: &str, name: &str) -> String {
    let values = Values { name, odp: "{odp}", id: 0 };
    let parts: Vec<String> =
        text.split("{id}").map(|part| template::render(part, values)).collect();
    parts.join("{id}")
}

impl Report {
    fn of(results: Vec<Outcome>) -> Report {
        let sent = results.iter().filter(|outcome| outcome.success).count();
        let total = results.len();
        Report { success: true, total, sent, failed: total - sent, results }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_is_filled_in() {
        let text = call_by_name("Hai {nama}/{name} {id} {odp}", "A {id} {nama}");
        assert_eq!(text, "Hai A {id} {nama}/A {id} {nama} {id} {odp}");
    }
}
