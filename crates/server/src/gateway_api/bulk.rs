//! `POST /send-bulk`: one text to many, one after the other.
//!
//! It is a campaign of the gateway's own state database: it survives the gateway's end, and a
//! client that has lost the answer gets it by asking for the same once more.

use super::{Api, bad_request, failure, parse, refusal, text, typed_number, typed_phone};
use crate::api::Waiter;
use crate::delivery_view::{reason, shown_phone};
use crate::store::StoreError;
use crate::store::state::{CampaignKind, Creation, Delivery, NewCampaign, NewDelivery};
use crate::trace;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kabari_domain::{
    CampaignEvent, DeliveryState, MessageId, PauseReason, Phone, template, wording,
};
use kabari_gateway::SendError;
use kabari_gateway::contract::AnswerBody;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Whom the text calls by name if no name is given.
const NAMELESS: &str = "Pelanggan";
/// The longest pause between two messages that a client may ask for.
const MAX_DELAY: Duration = Duration::from_secs(3600);
/// Deliveries read at once.
const PAGE: u32 = 1000;

#[derive(Serialize)]
struct BulkReport {
    success: bool,
    total: usize,
    sent: usize,
    failed: usize,
    results: Vec<RecipientResult>,
}

#[derive(Serialize)]
struct RecipientResult {
    /// Normalized, unless the send failed for a reason that has nothing to do with the number.
    phone: String,
    customer_name: String,
    success: bool,
    error: Option<String>,
}

pub async fn send_bulk(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(error) = api.connected().await {
        let answer = AnswerBody {
            error: Some(wording::NOT_LINKED_BULK.into()),
            ..AnswerBody::of_error(&error)
        };
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
    let mut taken = HashSet::new();
    let recipients = recipients.iter().map(|value| recipient(value, &text, &mut taken)).collect();
    let delay = request["delay"].as_u64().map_or(api.delay, Duration::from_millis);
    // A task of its own: a client that goes away now must not stop it halfway.
    let recording = tokio::spawn({
        let (api, request) = (api.clone(), request.to_string());
        async move { api.record_bulk(recipients, text, delay, request).await }
    });
    let reported = match recording.await {
        Ok(Ok(campaign)) => api.report(campaign).await,
        Ok(Err(error)) => Err(error),
        Err(_) => {
            return refusal(&SendError::Unknown("the bulk send was broken off".into()));
        }
    };
    match reported {
        Ok(report) => Json(report).into_response(),
        Err(error) => {
            tracing::error!(%error, "a bulk send could not be recorded or reported");
            failure(StatusCode::SERVICE_UNAVAILABLE, wording::INTERNAL)
        }
    }
}

/// Reads one recipient. A number that another recipient has gets one message.
fn recipient(value: &Value, text: &str, taken: &mut HashSet<Phone>) -> NewDelivery {
    let typed = typed_phone(&value["phone"]).unwrap_or_default();
    let name = super::text(&value["name"]).unwrap_or_else(|| NAMELESS.into());
    let (phone, error) = match typed_number(&typed) {
        None => (None, Some(wording::INVALID_NUMBER)),
        Some(phone) if !taken.insert(phone.clone()) => (None, Some(wording::DUPLICATE_NUMBER)),
        Some(phone) => (Some(phone), None),
    };
    let called = call_by_name(text, &name);
    NewDelivery {
        customer_id: None,
        customer_name: name,
        phone_raw: Some(typed),
        state: if phone.is_some() { DeliveryState::Queued } else { DeliveryState::Skipped },
        text: (phone.is_some() && called != text).then_some(called),
        phone,
        message_id: MessageId::from_random(rand::random()),
        error: error.map(str::to_owned),
    }
}

impl Api {
    /// Records a bulk send, or finds the same one that is still under way.
    async fn record_bulk(
        &self,
        recipients: Vec<NewDelivery>,
        text: String,
        delay: Duration,
        request: String,
    ) -> Result<i64, StoreError> {
        let campaign = NewCampaign {
            kind: CampaignKind::Numbers,
            notice_id: None,
            subject: text.lines().next().unwrap_or_default().to_owned(),
            template: text,
            parent_id: None,
            urgent: false,
            sessions: vec![self.session.clone()],
            starts_at: None,
            spacing: if delay > self.delay { delay.min(MAX_DELAY) } else { Duration::ZERO },
            expires_at: None,
            fingerprint: fingerprint(&request),
            request,
            trail: trace::trail(),
        };
        let found = self.create(&campaign, &recipients, Some(Duration::MAX)).await?;
        let Creation::Duplicate(earlier) = found else { return made(found) };
        match self.state.campaign(earlier).await? {
            Some(earlier) if !earlier.phase.status.is_final() => Ok(earlier.id),
            _ => made(self.create(&campaign, &recipients, None).await?),
        }
    }

    async fn create(
        &self,
        campaign: &NewCampaign,
        recipients: &[NewDelivery],
        guard: Option<Duration>,
    ) -> Result<Creation, StoreError> {
        let recipients = stream::iter(recipients.iter().cloned().map(Ok));
        self.state.create_campaign(campaign.clone(), recipients, None, guard, false).await
    }

    /// Waits until the campaign has ended, and tells what became of each recipient. One that fails
    /// again and again is ended: nobody could resume it here.
    async fn report(&self, campaign: i64) -> Result<BulkReport, StoreError> {
        let mut waiter = Waiter::new(&self.state);
        loop {
            let phase = match self.state.campaign(campaign).await {
                Ok(found) => found.map(|campaign| campaign.phase),
                Err(error) => {
                    // Its messages go out all the same.
                    tracing::warn!(campaign, %error, "a report waits for the database");
                    waiter.moved().await;
                    continue;
                }
            };
            let Some(phase) = phase.filter(|phase| !phase.status.is_final()) else { break };
            if phase.reason == Some(PauseReason::Breaker) {
                match self.state.campaign_event(campaign, CampaignEvent::Cancel).await {
                    Ok(_) | Err(StoreError::NotAllowed(_)) => {}
                    Err(error) => return Err(error),
                }
            } else {
                waiter.moved().await;
            }
        }
        let mut results = vec![];
        let mut after = None;
        loop {
            let page = self.state.deliveries(campaign, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.position);
            results.extend(page.into_iter().map(RecipientResult::from));
        }
        Ok(BulkReport::of(results))
    }
}

fn made(creation: Creation) -> Result<i64, StoreError> {
    match creation {
        Creation::Created(id) | Creation::Replayed(id) | Creation::Duplicate(id) => Ok(id),
        Creation::KeyReused => Err(StoreError::Conflict("a bulk send has no idempotency key")),
    }
}

/// Returns 64 hexadecimal digits, equal for equal requests.
fn fingerprint(request: &str) -> String {
    let digest = Sha256::digest(format!("bulk {request}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fills in `{nama}` and `{name}`, all that a bulk send knows.
fn call_by_name(text: &str, name: &str) -> String {
    template::fill(text, |placeholder| matches!(placeholder, "{nama}" | "{name}").then_some(name))
}

impl From<Delivery> for RecipientResult {
    fn from(delivery: Delivery) -> RecipientResult {
        RecipientResult {
            phone: shown_phone(&delivery).unwrap_or_default(),
            success: delivery.progress.state.is_sent(),
            error: reason(&delivery),
            customer_name: delivery.customer_name,
        }
    }
}

impl BulkReport {
    fn of(results: Vec<RecipientResult>) -> BulkReport {
        let sent = results.iter().filter(|outcome| outcome.success).count();
        let total = results.len();
        BulkReport { success: true, total, sent, failed: total - sent, results }
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
