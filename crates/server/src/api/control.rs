//! Control over a campaign: pause, resume, cancel, retry.

use super::Api;
use super::campaigns::{CampaignBody, campaign_id, load};
use super::error::{ApiError, ApiResult, ErrorBody};
use super::send::{accepted, idempotency_key, recorded_campaign};
use super::validation::PathText;
use crate::store::state::IdempotencyKey;
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
        ("Idempotency-Key" = Option<String>, Header, description = "Without one, every repeat is the same request", example = "ulang-12"),
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
    let campaign = load(&api, parent).await?;
    if !campaign.has_ended() {
        return Err(ApiError::Conflict(wording::not_allowed(campaign.status).into()));
    }
    if !campaign.counts.contains_key(DeliveryState::Failed.as_str()) {
        return Err(ApiError::Conflict(wording::NOTHING_TO_RETRY.into()));
    }
    let name = format!("retry of campaign {parent}");
    let key = idempotency_key(&headers, || name.clone())?
        .unwrap_or_else(|| IdempotencyKey { key: name.clone(), fingerprint: name.clone() });
    let child =
        recorded_campaign(api.state.retry_failed(parent, Some(key), trace::request_id()).await?)?;
    accepted(&api, child).await
}
