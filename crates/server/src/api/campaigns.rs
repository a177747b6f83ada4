//! Campaigns: what was sent, and how far it is.

use super::error::{ApiError, ApiResult, ErrorBody};
use super::validation::{Fields, FromFields, PathText, Query, path_integer};
use super::{Api, campaign_path, forecast};
use crate::store::Session;
use crate::store::state::{Campaign, DeliveryCounts};
use axum::Json;
use axum::extract::State;
use kabari_domain::{CampaignStatus, DeliveryState, PauseReason, Timestamp, Waiting, wording};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Entries on a page unless the caller says otherwise.
const PAGE: i64 = 50;
/// The most there can be.
const MAX_PAGE: i64 = 1000;

/// A campaign: one send, to all its recipients. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CampaignBody {
    #[schema(example = 12)]
    pub id: i64,
    /// `notification`, `custom`, `by_odp`, `phone`, `numbers` or `restored`.
    #[schema(example = "notification")]
    kind: &'static str,
    /// `scheduled`, `running`, `paused`, `completed` or `cancelled`.
    #[schema(example = "running")]
    pub status: &'static str,
    /// While paused: `manual`, or `breaker` after many failures in a row.
    pause_reason: Option<&'static str>,
    /// Why a running one sends nothing for now.
    waiting: Option<WaitingBody>,
    /// The sessions that may send it; none for all.
    sessions: Vec<String>,
    /// One line about it.
    #[schema(example = "Kabel FO Putus")]
    subject: String,
    #[schema(example = 1)]
    notice_id: Option<i64>,
    /// The campaign whose failed deliveries this one repeats.
    parent_id: Option<i64>,
    /// The id of the request that made it, as `X-Request-Id` answered and as logs have it.
    #[schema(example = "f3a1b2c4d5e6f708")]
    request_id: Option<String>,
    urgent: bool,
    /// All recipients, skipped ones included.
    #[schema(example = 3)]
    total: u64,
    /// How many deliveries are in each state.
    #[schema(example = json!({"queued": 1, "accepted": 1, "skipped": 1}))]
    pub counts: BTreeMap<&'static str, u64>,
    /// How many recipients are no strangers; only where one campaign is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipients: Option<forecast::Recipients>,
    /// When the last message will be sent, about; null while that cannot be known.
    #[schema(example = "2026-01-10T01:05:04.500Z")]
    eta: Option<String>,
    #[schema(example = "2026-01-10T01:05:00.000Z")]
    created_at: String,
    starts_at: Option<String>,
    expires_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    links: Links,
}

/// What the numbers cannot do just now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WaitingBody {
    /// `disconnected`, `logged_out`, `replaced`, `banned`, `client_outdated`, `paused`,
    /// `quiet_hours`, `daily_cap` or `reach_out_limit`.
    #[schema(example = "quiet_hours")]
    reason: &'static str,
    /// When that ends by itself, if it is known.
    #[schema(example = "2026-01-10T22:00:00.000Z")]
    until: Option<String>,
}

/// Where to go on from a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Links {
    #[serde(rename = "self")]
    #[schema(example = "/api/campaigns/12")]
    itself: String,
    #[schema(example = "/api/campaigns/12/deliveries")]
    deliveries: String,
    #[schema(example = "/api/campaigns/12/report.csv")]
    report: String,
    #[schema(example = "/api/campaigns/12/events")]
    events: String,
}

/// A campaign and how far it is.
pub struct CampaignView {
    /// The campaign.
    pub campaign: Campaign,
    /// How many of its deliveries are in each state.
    pub counts: DeliveryCounts,
    /// Why a running one sends nothing for now.
    pub waiting: Option<Waiting>,
    /// When the last message will be sent, about.
    pub eta: Option<Timestamp>,
}

impl CampaignView {
    async fn new(
        api: &Api,
        campaign: Campaign,
        counts: DeliveryCounts,
        sessions: &[Session],
        now: Timestamp,
    ) -> ApiResult<CampaignView> {
        let waiting = match campaign.phase.status {
            CampaignStatus::Running if counts.open() > 0 => {
                forecast::waiting(api, &campaign, sessions, now).await?
            }
            _ => None,
        };
        let eta = eta(api, &campaign, &counts, sessions, now);
        Ok(CampaignView { campaign, counts, waiting, eta })
    }
}

impl From<CampaignView> for CampaignBody {
    fn from(view: CampaignView) -> CampaignBody {
        let CampaignView { campaign, counts, waiting, eta } = view;
        let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
        let itself = campaign_path(campaign.id);
        let counts_by_name = DeliveryState::ALL
            .into_iter()
            .map(|state| (state.as_str(), counts.get(state)))
            .filter(|(_, count)| *count > 0)
            .collect();
        CampaignBody {
            id: campaign.id,
            kind: campaign.kind.as_str(),
            status: campaign.phase.status.as_str(),
            pause_reason: campaign.phase.reason.map(PauseReason::as_str),
            waiting: waiting.map(|waiting| WaitingBody {
                reason: waiting.reason.as_str(),
                until: waiting.until.map(Timestamp::to_rfc3339),
            }),
            eta: time(eta),
            sessions: campaign.sessions,
            subject: campaign.subject,
            notice_id: campaign.notice_id,
            parent_id: campaign.parent_id,
            request_id: campaign.request_id,
            urgent: campaign.urgent,
            total: campaign.total,
            counts: counts_by_name,
            recipients: None,
            created_at: campaign.created_at.to_rfc3339(),
            starts_at: time(campaign.starts_at),
            expires_at: time(campaign.expires_at),
            started_at: time(campaign.started_at),
            finished_at: time(campaign.finished_at),
            links: Links {
                deliveries: format!("{itself}/deliveries"),
                report: format!("{itself}/report.csv"),
                events: format!("{itself}/events"),
                itself,
            },
        }
    }
}

impl CampaignBody {
    /// Returns whether nothing more will happen to it, receipts aside.
    pub fn has_ended(&self) -> bool {
        CampaignStatus::from_name(self.status).is_some_and(CampaignStatus::is_final)
    }

    /// Returns whether it is in the same status, for the same reason.
    pub fn has_same_status(&self, other: &CampaignBody) -> bool {
        (self.status, self.pause_reason, &self.waiting)
            == (other.status, other.pause_reason, &other.waiting)
    }

    /// Returns whether nothing has happened between the two; the estimate of the end always moves.
    pub fn is_as_far_as(&self, other: &CampaignBody) -> bool {
        self.has_same_status(other) && self.counts == other.counts
    }
}

/// Returns when the last message will be out if nothing else is sent meanwhile.
fn eta(
    api: &Api,
    campaign: &Campaign,
    counts: &DeliveryCounts,
    sessions: &[Session],
    now: Timestamp,
) -> Option<Timestamp> {
    let starts_at = match campaign.phase.status {
        CampaignStatus::Running => now,
        CampaignStatus::Scheduled => campaign.starts_at?,
        _ => return None,
    };
    let able = forecast::eligible(sessions, &campaign.sessions);
    forecast::ends_at(api, &able, starts_at, counts.open(), campaign.urgent, now)
}

/// Returns the campaign of this id, ready to be shown.
pub async fn load(api: &Api, id: i64) -> ApiResult<CampaignBody> {
    view(api, id).await.map(CampaignBody::from)
}

/// The campaign of this id, with how far it is.
pub async fn view(api: &Api, id: i64) -> ApiResult<CampaignView> {
    let campaign = api.state.campaign(id).await?;
    let campaign = campaign.ok_or(ApiError::NotFound(wording::CAMPAIGN_NOT_FOUND))?;
    let counts = api.state.counts(id).await?;
    let sessions = api.state.sessions().await?;
    let now = api.state.now().await?;
    CampaignView::new(api, campaign, counts, &sessions, now).await
}

/// These campaigns, each with how far it is.
pub async fn views(api: &Api, campaigns: Vec<Campaign>) -> ApiResult<Vec<CampaignView>> {
    let ids: Vec<_> = campaigns.iter().map(|campaign| campaign.id).collect();
    let mut counts = api.state.counts_of(&ids).await?;
    let now = api.state.now().await?;
    let sessions = api.state.sessions().await?;
    let mut views = Vec::with_capacity(campaigns.len());
    for campaign in campaigns {
        let counts = counts.remove(&campaign.id).unwrap_or_default();
        views.push(CampaignView::new(api, campaign, counts, &sessions, now).await?);
    }
    Ok(views)
}

/// Which page of campaigns.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CampaignsQuery {
    /// Those older than this one.
    #[param(minimum = 0, example = 12)]
    before: Option<i64>,
    /// How many.
    #[param(default = 50, minimum = 1, maximum = 1000, required = false)]
    limit: u32,
}

impl FromFields for CampaignsQuery {
    fn read(fields: &mut Fields) -> Self {
        CampaignsQuery {
            before: fields.integer_within("before", 0, i64::MAX),
            limit: page_size(fields),
        }
    }
}

/// Returns the `limit` of a page.
pub fn page_size(fields: &mut Fields) -> u32 {
    let limit = fields.integer_within("limit", 1, MAX_PAGE).unwrap_or(PAGE);
    u32::try_from(limit).unwrap_or(1)
}

/// A page of campaigns.
#[derive(Serialize, ToSchema)]
pub struct CampaignPage {
    /// Newest first.
    campaigns: Vec<CampaignBody>,
    /// The next page; null on the last one.
    #[schema(example = "/api/campaigns?before=12&limit=50")]
    next: Option<String>,
}

/// All campaigns, newest first
#[utoipa::path(get, path = "/api/campaigns", tag = "campaigns", operation_id = "list_campaigns", params(CampaignsQuery), responses(
    (status = 200, description = "A page of campaigns", body = CampaignPage),
))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Query(query): Query<CampaignsQuery>,
) -> ApiResult<Json<CampaignPage>> {
    let limit = query.limit;
    let campaigns = api.state.campaigns(query.before, limit).await?;
    let is_full = campaigns.len() == limit as usize;
    let next = campaigns
        .last()
        .filter(|_| is_full)
        .map(|last| format!("/api/campaigns?before={}&limit={limit}", last.id));
    let campaigns = views(&api, campaigns).await?.into_iter().map(CampaignBody::from).collect();
    Ok(Json(CampaignPage { campaigns, next }))
}

/// One campaign
#[utoipa::path(get, path = "/api/campaigns/{campaign_id}", tag = "campaigns", operation_id = "get_campaign",
    params(("campaign_id" = i64, Path, example = 12)),
    responses(
        (status = 200, description = "The campaign", body = CampaignBody),
        (status = 404, description = "No such campaign", body = ErrorBody),
    )
)]
pub async fn one(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
) -> ApiResult<Json<CampaignBody>> {
    let campaign = load(&api, campaign_id(&id)?).await?;
    let warm = api.state.warm_recipients(campaign.id, &campaign.sessions).await?;
    let skipped = campaign.counts.get(DeliveryState::Skipped.as_str()).copied().unwrap_or(0);
    let cold = campaign.total.saturating_sub(skipped + warm);
    let recipients = Some(forecast::Recipients { warm, cold });
    Ok(Json(CampaignBody { recipients, ..campaign }))
}

/// Returns a campaign's id in a path.
pub fn campaign_id(segment: &str) -> ApiResult<i64> {
    path_integer("campaign_id", segment)
}
