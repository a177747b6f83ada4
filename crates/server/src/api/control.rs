//! Control over a campaign: pause, resume, cancel, retry, decide about what is uncertain.

use super::Api;
use super::campaigns::{CampaignBody, campaign_id, load};
use super::deliveries::{ResolveRequest, not_resolved};
use super::error::{ApiError, ApiResult, ErrorBody};
use super::send::{accepted, idempotency_key, recorded_campaign};
use super::validation::{Body, PathText};
use crate::store::StoreError;
use crate::store::state::{IdempotencyKey, Resolution};
use crate::trace;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use kabari_domain::{CampaignEvent, DeliveryState, PauseReason, wording};
use std::sync::Arc;

/// Stop sending for now
///
/// The message on the wire goes out; nothing after it does, until `resume`.
#[utoipa::path(post, path = "/api/campaigns/{campaign_id}/pause", tag = "campaigns", operation_id = "pause_campaign",
    params(("campaign_id" = i64, Path, example = 12)),
    responses(
        (status = 200, description = "The campaign", body = CampaignBody),
        (status = 404, description = "No such campaign", body = ErrorBody),
        (status = 409, description = "It has ended", body = ErrorBody),
    )
)]
pub async fn pause(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
) -> ApiResult<Json<CampaignBody>> {
    control(&api, &id, CampaignEvent::Pause(PauseReason::Manual)).await
}

/// Go on sending
///
/// Whatever the reason for the pause was.
#[utoipa::path(post, path = "/api/campaigns/{campaign_id}/resume", tag = "campaigns", operation_id = "resume_campaign",
    params(("campaign_id" = i64, Path, example = 12)),
    responses(
        (status = 200, description = "The campaign", body = CampaignBody),
        (status = 404, description = "No such campaign", body = ErrorBody),
        (status = 409, description = "It is not paused", body = ErrorBody),
    )
)]
pub async fn resume(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
) -> ApiResult<Json<CampaignBody>> {
    control(&api, &id, CampaignEvent::Resume).await
}

/// Stop sending for good
///
/// What is not sent never will be.
#[utoipa::path(post, path = "/api/campaigns/{campaign_id}/cancel", tag = "campaigns", operation_id = "cancel_campaign",
    params(("campaign_id" = i64, Path, example = 12)),
    responses(
        (status = 200, description = "The campaign", body = CampaignBody),
        (status = 404, description = "No such campaign", body = ErrorBody),
        (status = 409, description = "It has ended", body = ErrorBody),
    )
)]
pub async fn cancel(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
) -> ApiResult<Json<CampaignBody>> {
    control(&api, &id, CampaignEvent::Cancel).await
}

/// Decide about all uncertain deliveries
///
/// Those that were sent repeatedly and never answered: they may have arrived.
#[utoipa::path(post, path = "/api/campaigns/{campaign_id}/resolve", tag = "campaigns", operation_id = "resolve_campaign",
    params(("campaign_id" = i64, Path, example = 12)), request_body = ResolveRequest,
    responses(
        (status = 200, description = "The campaign", body = CampaignBody),
        (status = 404, description = "No such campaign", body = ErrorBody),
        (status = 409, description = "Nothing can be sent again: it was cancelled or has expired", body = ErrorBody),
    )
)]
pub async fn resolve(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
    Body { request, .. }: Body<ResolveRequest>,
) -> ApiResult<Json<CampaignBody>> {
    let id = campaign_id(&id)?;
    resolve_all(&api, id, request.into()).await?;
    load(&api, id).await.map(Json)
}

/// Decides about all uncertain deliveries of a campaign. One that an answer has come for
/// meanwhile needs no decision.
pub async fn resolve_all(api: &Api, campaign: i64, decision: Resolution) -> ApiResult<()> {
    for delivery in api.state.uncertain(campaign).await? {
        match api.state.resolve(delivery, decision).await {
            Err(StoreError::Conflict(_)) => {}
            resolved => resolved.map_err(not_resolved)?,
        }
    }
    Ok(())
}

async fn control(api: &Api, id: &str, event: CampaignEvent) -> ApiResult<Json<CampaignBody>> {
    let id = campaign_id(id)?;
    api.state.campaign_event(id, event).await?;
    load(api, id).await.map(Json)
}

/// Send to the failed ones again
///
/// As a campaign of its own. Asking twice makes one: what fails again belongs to the new campaign
/// and is retried there.
#[utoipa::path(post, path = "/api/campaigns/{campaign_id}/retry", tag = "campaigns", operation_id = "retry_campaign",
    params(
        ("campaign_id" = i64, Path, example = 12),
        ("Idempotency-Key" = Option<String>, Header, description = "Without one, every repeat is the same request", min_length = 1, max_length = 255, example = "ulang-12"),
    ),
    responses(
        (status = 202, description = "The new campaign; `Location` is its address", body = CampaignBody),
        (status = 404, description = "No such campaign", body = ErrorBody),
        (status = 409, description = "It has not ended, or nothing failed", body = ErrorBody),
    )
)]
pub async fn retry(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let parent = campaign_id(&id)?;
    let key = idempotency_key(&headers, || name_of_retry(parent))?;
    let child = retry_failed(&api, parent, key).await?;
    accepted(&api, child).await
}

/// Sends to the failed ones of a campaign again. Returns the new campaign; without a key, every
/// repeat is the same request.
pub async fn retry_failed(api: &Api, parent: i64, key: Option<IdempotencyKey>) -> ApiResult<i64> {
    let campaign = load(api, parent).await?;
    if !campaign.has_ended() {
        return Err(ApiError::Conflict(wording::not_allowed(campaign.status).into()));
    }
    if !campaign.counts.contains_key(DeliveryState::Failed.as_str()) {
        return Err(ApiError::Conflict(wording::NOTHING_TO_RETRY.into()));
    }
    let name = name_of_retry(parent);
    let key = key.unwrap_or_else(|| IdempotencyKey { key: name.clone(), fingerprint: name });
    recorded_campaign(api.state.retry_failed(parent, Some(key), trace::trail()).await?)
}

fn name_of_retry(parent: i64) -> String {
    format!("retry of campaign {parent}")
}
