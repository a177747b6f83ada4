//! Records the plan of a send as a campaign, and answers for it.

use super::{Plan, SendOptions, Wording, dry_run, report};
use crate::api::error::{ApiError, ApiResult, FieldError};

use crate::api::{Api, campaign_path, campaigns, link};
use crate::store::StoreError;
use crate::store::state::{Action, Actor, Creation, IdempotencyKey, NewCampaign, NewDelivery};
use crate::trace;
use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use kabari_domain::wording;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// The header by which a caller says that a request is a repeat.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const MAX_KEY_CHARS: usize = 255;

/// A request to send, as it came.
pub struct Call<'c> {
    pub headers: &'c HeaderMap,
    /// With the body, what an idempotency key must come with again.
    pub endpoint: &'c str,
    pub body: &'c Value,
    pub options: SendOptions,
    /// How it is answered.
    pub wording: Wording,
    /// Who makes it.
    pub actor: Actor,
}

/// Records the send and answers with its report, or at once if the caller prefers that.
///
/// `plan` is waited for only where there is something to record: the repeat of a request is
/// answered whatever has become of the notice and the billing database.
pub async fn send(
    api: Arc<Api>,
    call: Call<'_>,
    plan: impl Future<Output = ApiResult<Plan>>,
) -> ApiResult<Response> {
    let Call { headers, endpoint, body, options, wording, actor } = call;
    for name in &options.sessions {
        if api.state.session(name).await?.is_none() {
            return Err(ApiError::NotFound(wording::SESSION_NOT_FOUND));
        }
    }
    if options.dry_run {
        return dry_run::answer(api, plan.await?, options, wording).await;
    }
    let key = idempotency_key(headers, || hash(&json!([endpoint, body])))?;
    let id = match made_before(&api, key.as_ref()).await? {
        Some(id) => id,
        None => {
            let plan = plan.await?;
            // What becomes of the first message hangs on the link: whoever sends it should not go
            // by an old word about it.
            link::default_link(&api).await;
            let recipients = plan.recipients(&api);
            record_all(api.clone(), plan, recipients, options, key, body.to_string(), actor).await?
        }
    };
    if prefers_async(headers) {
        return accepted(&api, id).await;
    }
    Ok(report::answer(api, id, wording))
}

/// Records a send to these recipients unless its key has made one, and returns its campaign.
pub async fn once(
    api: Arc<Api>,
    plan: Plan,
    recipients: Vec<NewDelivery>,
    options: SendOptions,
    key: IdempotencyKey,
    request: String,
    actor: Actor,
) -> ApiResult<i64> {
    match made_before(&api, Some(&key)).await? {
        Some(id) => Ok(id),
        None => {
            link::default_link(&api).await;
            let recipients = stream::iter(recipients.into_iter().map(Ok)).boxed();
            record_all(api, plan, recipients, options, Some(key), request, actor).await
        }
    }
}

/// Returns the campaign that a key has made.
pub async fn made_before(api: &Api, key: Option<&IdempotencyKey>) -> ApiResult<Option<i64>> {
    let Some(key) = key else { return Ok(None) };
    api.state.made_by(key).await?.map(recorded_campaign).transpose()
}

/// Records a send whether or not its caller waits for that.
pub async fn record_all(
    api: Arc<Api>,
    plan: Plan,
    recipients: Recipients,
    options: SendOptions,
    key: Option<IdempotencyKey>,
    request: String,
    actor: Actor,
) -> ApiResult<i64> {
    // A task of its own: a caller that goes away now must not stop it halfway.
    let recording = trace::spawn(record(api, plan, recipients, options, key, request, actor));
    recording.await.map_err(|error| ApiError::Internal(error.to_string()))?
}

/// Recipients as they are found.
type Recipients = BoxStream<'static, Result<NewDelivery, StoreError>>;

async fn record(
    api: Arc<Api>,
    plan: Plan,
    recipients: Recipients,
    options: SendOptions,
    key: Option<IdempotencyKey>,
    request: String,
    actor: Actor,
) -> ApiResult<i64> {
    let fingerprint = hash(&json!([plan.notice_id, plan.template, plan.audience.canonical()]));
    let guard = options.duplicate_guard_seconds.unwrap_or(api.settings.duplicate_guard);
    let guard = Some(guard).filter(|guard| *guard > Duration::ZERO && !options.force);
    let campaign = NewCampaign {
        kind: plan.kind,
        notice_id: plan.notice_id,
        subject: plan.subject,
        template: plan.template,
        parent_id: None,
        urgent: options.urgent,
        sessions: options.sessions,
        starts_at: options.starts_at,
        spacing: Duration::ZERO,
        expires_at: options.expires_at,
        fingerprint,
        request,
        trail: trace::trail(),
    };
    let details = json!({
        "kind": campaign.kind.as_str(), "notice": campaign.notice_id, "urgent": campaign.urgent,
    });
    let supersedes = campaign.notice_id.is_some();
    let creation = api.state.create_campaign(campaign, recipients, key, guard, supersedes);
    let created = trace::part("record campaign", creation).await?;
    if let Creation::Created(campaign) = created {
        tracing::info!(campaign, "recorded a campaign");
        api.state.record(&actor, Action::Send, &campaign.to_string(), &details).await;
    }
    recorded_campaign(created)
}

/// Returns the campaign to answer with.
pub fn recorded_campaign(creation: Creation) -> Result<i64, ApiError> {
    match creation {
        Creation::Created(id) | Creation::Replayed(id) => Ok(id),
        Creation::Duplicate(campaign) => Err(ApiError::DuplicateSend { campaign }),
        Creation::KeyReused => Err(ApiError::invalid(FieldError::in_header(
            IDEMPOTENCY_KEY,
            "idempotency_key_reused",
            "This key was used for another request; use a new one",
            "",
        ))),
    }
}

/// Answers 202, with the campaign and where to look for it.
pub async fn accepted(api: &Api, id: i64) -> ApiResult<Response> {
    let campaign = campaigns::load(api, id).await?;
    let headers =
        [(LOCATION.as_str(), campaign_path(id)), ("preference-applied", RESPOND_ASYNC.to_owned())];
    Ok((StatusCode::ACCEPTED, headers, Json(campaign)).into_response())
}

const RESPOND_ASYNC: &str = "respond-async";

/// Returns whether the caller would rather not wait for the end (RFC 7240).
pub fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next())
        .any(|name| name.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

/// Returns the caller's key, if there is one, with what it stands for.
pub fn idempotency_key(
    headers: &HeaderMap,
    fingerprint: impl FnOnce() -> String,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let fault = |kind, msg| {
        let given = String::from_utf8_lossy(value.as_bytes());
        ApiError::invalid(FieldError::in_header(IDEMPOTENCY_KEY, kind, msg, &given))
    };
    let key = value.to_str().map_err(|_| fault("string_ascii", "Key should be plain ASCII"))?;
    match key.chars().count() {
        0 => Err(fault("string_too_short", "Key should have at least 1 character")),
        1..=MAX_KEY_CHARS => {
            Ok(Some(IdempotencyKey { key: key.to_owned(), fingerprint: fingerprint() }))
        }
        _ => Err(fault("string_too_long", "Key should have at most 255 characters")),
    }
}

/// Returns 64 hexadecimal digits that are equal for equal values, since objects are sorted by key.
pub fn hash(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_preference_is_found_among_others() {
        for value in
            ["respond-async", "Respond-Async", "wait=5, respond-async", "respond-async; x=1"]
        {
            assert!(prefers_async(&with("prefer", value)), "{value}");
        }
        for value in ["", "wait=5", "respond-async-maybe", "handling=strict"] {
            assert!(!prefers_async(&with("prefer", value)), "{value}");
        }
    }

    #[test]
    fn a_key_is_one_to_255_characters() {
        let key = |value: &str| idempotency_key(&with("idempotency-key", value), String::new);
        assert!(key(&"x".repeat(255)).unwrap().is_some());
        assert!(key("").is_err());
        assert!(key(&"x".repeat(256)).is_err());
        assert!(idempotency_key(&HeaderMap::new(), String::new).unwrap().is_none());
    }

    #[test]
    fn the_order_of_fields_makes_no_other_request() {
        let hashed = |text: &str| hash(&serde_json::from_str(text).unwrap());
        assert_eq!(hashed(r#"{"a": 1, "b": 2}"#), hashed(r#"{"b":2,"a":1}"#));
        assert_ne!(hashed(r#"{"a": 1}"#), hashed(r#"{"a": "1"}"#));
    }
}
