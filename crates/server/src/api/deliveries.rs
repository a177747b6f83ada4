//! The recipients of a campaign, and a person's decision about uncertain ones.

use super::campaigns::{campaign_id, page_size};
use super::error::{ApiError, ApiResult, ErrorBody};
use super::validation::{Body, Fields, FromFields, PathText, Query, path_integer};
use super::{Api, campaign_path};
use crate::delivery_view::reason;
use crate::store::StoreError;
use crate::store::state::{Delivery, Resolution};
use axum::Json;
use axum::extract::State;
use kabari_domain::{Timestamp, wording};
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// One recipient of a campaign. Times are RFC 3339 in UTC.
#[derive(Serialize, ToSchema)]
pub struct DeliveryBody {
    #[schema(example = 40)]
    id: i64,
    /// Its place among the recipients.
    #[schema(example = 0)]
    position: i64,
    #[schema(example = 1)]
    customer_id: Option<i64>,
    #[schema(example = "Budi Santoso")]
    customer_name: String,
    /// E.164 digits; null if there is no usable number.
    #[schema(example = "6281234567801")]
    phone: Option<String>,
    /// As somebody typed it.
    #[schema(example = "081234567801")]
    phone_raw: Option<String>,
    /// `queued`, `leased`, `sending`, `retry_wait`, `accepted`, `delivered`, `read`, `failed`,
    /// `skipped`, `expired`, `superseded`, `cancelled` or `uncertain`.
    #[schema(example = "read")]
    state: &'static str,
    /// Why it is not sent, for people.
    error: Option<String>,
    /// How often it went to the wire.
    #[schema(example = 1)]
    attempts: u32,
    /// The same on every attempt.
    #[schema(example = "3EB0000102ABCDEF10FF7F")]
    message_id: String,
    /// The number it went out from, E.164 digits.
    #[schema(example = "6281299990000")]
    sender: Option<String>,
    /// Whether receipts can come: not where it went out through a gateway that tells none.
    #[schema(example = true)]
    receipts: bool,
    first_sent_at: Option<String>,
    accepted_at: Option<String>,
    delivered_at: Option<String>,
    read_at: Option<String>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> DeliveryBody {
        let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
        let state = delivery.progress.state;
        DeliveryBody {
            id: delivery.id,
            position: delivery.position,
            customer_id: delivery.customer_id,
            error: reason(&delivery).filter(|_| !state.is_open()),
            customer_name: delivery.customer_name,
            phone: delivery.phone.map(|phone| phone.digits().to_owned()),
            phone_raw: delivery.phone_raw,
            state: state.as_str(),
            attempts: delivery.progress.attempts,
            message_id: delivery.message_id.to_string(),
            sender: delivery.sender.map(|sender| sender.digits().to_owned()),
            receipts: !delivery.unrepeatable,
            first_sent_at: time(delivery.first_sent_at),
            accepted_at: time(delivery.accepted_at),
            delivered_at: time(delivery.delivered_at),
            read_at: time(delivery.read_at),
        }
    }
}

/// Which page of deliveries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveriesQuery {
    /// Those after this position.
    #[param(minimum = 0, example = 49)]
    after: Option<i64>,
    /// How many.
    #[param(default = 50, minimum = 1, maximum = 1000, required = false)]
    limit: u32,
}

impl FromFields for DeliveriesQuery {
    fn read(fields: &mut Fields) -> Self {
        DeliveriesQuery {
            after: fields.integer_within("after", 0, i64::MAX),
            limit: page_size(fields),
        }
    }
}

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
pub struct DeliveryPage {
    /// By position.
    deliveries: Vec<DeliveryBody>,
    /// The next page; null on the last one.
    #[schema(example = "/api/campaigns/12/deliveries?after=49&limit=50")]
    next: Option<String>,
}

/// The recipients of a campaign
#[utoipa::path(get, path = "/api/campaigns/{campaign_id}/deliveries", tag = "campaigns", operation_id = "list_deliveries",
    params(("campaign_id" = i64, Path, example = 12), DeliveriesQuery),
    responses(
        (status = 200, description = "A page of recipients", body = DeliveryPage),
        (status = 404, description = "No such campaign", body = ErrorBody),
    )
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
    Query(query): Query<DeliveriesQuery>,
) -> ApiResult<Json<DeliveryPage>> {
    let id = campaign_id(&id)?;
    let limit = query.limit;
    let rows = api.state.deliveries(id, query.after, limit).await?;
    if rows.is_empty() && api.state.campaign(id).await?.is_none() {
        return Err(ApiError::NotFound(wording::CAMPAIGN_NOT_FOUND));
    }
    let is_full = rows.len() == limit as usize;
    let next = rows.last().filter(|_| is_full).map(|last| {
        format!("{}/deliveries?after={}&limit={limit}", campaign_path(id), last.position)
    });
    Ok(Json(DeliveryPage { deliveries: rows.into_iter().map(DeliveryBody::from).collect(), next }))
}

/// `count_as_sent`: it has arrived. `send_again`: once more, under the same id.
#[derive(Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case", example = "count_as_sent")]
pub enum Decision {
    CountAsSent,
    SendAgain,
}

/// What a person decides about a delivery that may have arrived.
#[derive(ToSchema)]
pub struct ResolveRequest {
    decision: Decision,
}

impl FromFields for ResolveRequest {
    fn read(fields: &mut Fields) -> Self {
        let choices =
            [("count_as_sent", Decision::CountAsSent), ("send_again", Decision::SendAgain)];
        ResolveRequest { decision: fields.required_choice("decision", &choices) }
    }
}

impl From<ResolveRequest> for Resolution {
    fn from(request: ResolveRequest) -> Resolution {
        match request.decision {
            Decision::CountAsSent => Resolution::CountAsSent,
            Decision::SendAgain => Resolution::SendAgain,
        }
    }
}

/// Says why a decision about an uncertain delivery was refused.
pub fn not_resolved(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict(_) => ApiError::Conflict(wording::NOT_UNCERTAIN.into()),
        StoreError::Expired => ApiError::Conflict(wording::CAMPAIGN_EXPIRED.into()),
        error => error.into(),
    }
}

/// Decide about an uncertain delivery
///
/// One that was sent repeatedly and never answered: it may have arrived.
#[utoipa::path(post, path = "/api/deliveries/{delivery_id}/resolve", tag = "campaigns", operation_id = "resolve_delivery",
    params(("delivery_id" = i64, Path, example = 40)), request_body = ResolveRequest,
    responses(
        (status = 200, description = "The recipient", body = DeliveryBody),
        (status = 404, description = "No such delivery", body = ErrorBody),
        (status = 409, description = "It is not uncertain, or cannot be sent again because its campaign was cancelled or has expired", body = ErrorBody),
    )
)]
pub async fn resolve(
    State(api): State<Arc<Api>>,
    PathText(id): PathText,
    Body { request, .. }: Body<ResolveRequest>,
) -> ApiResult<Json<DeliveryBody>> {
    let id = path_integer("delivery_id", &id)?;
    api.state.resolve(id, request.into()).await.map_err(not_resolved)?;
    let delivery = api.state.delivery(id).await?;
    delivery
        .map(|delivery| Json(delivery.into()))
        .ok_or(ApiError::NotFound(wording::DELIVERY_NOT_FOUND))
}
