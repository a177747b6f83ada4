//! The word that a notice is over, to exactly those whom it has reached.

use super::audience::Audience;
use super::record::{self, Call};
use super::request::RestoredRequest;
use super::{Plan, SendAnswer, SendHeaders, Wording, find_notice};
use crate::api::Api;
use crate::api::error::{ApiError, ApiResult, DuplicateBody, ErrorBody};
use crate::api::validation::Body;
use crate::store::state::{Actor, CampaignKind};
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use kabari_domain::{Notice, wording};
use std::sync::Arc;

/// A placeholder that cannot be filled in: on which ODP somebody was is not known any more.
const ODP: &str = "{odp}";

/// Tell that a notice is over
///
/// To those who got a message about it, each number once, whatever the billing database says of
/// them now. `{nama}`, `{name}` and `{id}` are filled in.
#[utoipa::path(post, path = "/api/send/restored", tag = "send", operation_id = "send_restored", params(SendHeaders),
    request_body(content = RestoredRequest, example = json!({"notice_id": 1})),
    responses(
        (status = 200, description = "The report, or with `dry_run` what it would be", body = SendAnswer),
        (status = 202, description = "With `Prefer: respond-async`: the campaign", body = crate::api::campaigns::CampaignBody),
        (status = 400, description = "A text with `{odp}` in it", body = ErrorBody),
        (status = 404, description = "No such notice, or no such session", body = ErrorBody),
        (status = 409, description = "The same send was made a moment ago", body = DuplicateBody),
    )
)]
pub async fn restored(
    State(api): State<Arc<Api>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    Body { request, json }: Body<RestoredRequest>,
) -> ApiResult<Response> {
    let options = request.options.clone();
    let call = Call {
        headers: &headers,
        endpoint: "restored",
        body: &json,
        options,
        wording: Wording::Notification,
        actor,
    };
    let plan = async {
        let notice = find_notice(&api, request.notice_id).await?;
        plan(&api, &notice, request.message)
    };
    record::send(api.clone(), call, plan).await
}

/// What is sent when a notice is over, with this text or else with kabari's own.
pub fn plan(api: &Api, notice: &Notice, message: Option<String>) -> ApiResult<Plan> {
    let template = message.unwrap_or_else(|| text_of(api, notice));
    if template.contains(ODP) {
        return Err(ApiError::BadRequest(wording::ODP_UNKNOWN.into()));
    }
    Ok(Plan {
        kind: CampaignKind::Restored,
        notice_id: Some(notice.id),
        subject: wording::restored_subject(&notice.title),
        template,
        audience: Audience::Reached(notice.id),
    })
}

/// Returns the text that a notice's end is told with, unless somebody writes another.
pub fn text_of(api: &Api, notice: &Notice) -> String {
    notice.to_restored_message(api.settings.status_page_url.as_deref())
}
