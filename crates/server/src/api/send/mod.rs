//! The sends. Each is recorded as a campaign before anything goes out; then the caller waits for
//! the report, or is told where to look for it.

mod audience;
mod dry_run;
mod outlook;
mod record;
mod report;
mod request;
pub mod restored;

pub use audience::Audience;
pub use outlook::Outlook;
use record::Call;
pub use record::{
    IDEMPOTENCY_KEY, accepted, hash, idempotency_key, made_before, once, recorded_campaign,
};
pub use request::SendOptions;
use request::{ByOdpRequest, CustomRequest, NotificationRequest, PhoneRequest};

use super::Api;
use super::error::{ApiError, ApiResult, DuplicateBody, ErrorBody};
use super::validation::{Body, PathText};
use crate::store::StoreError;
use crate::store::state::{Actor, CampaignKind, NewDelivery};
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::BoxStream;
use kabari_domain::{Notice, wording};
use serde_json::json;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The longest text WhatsApp takes.
pub const MAX_MESSAGE_CHARS: usize = 65_536;

/// What goes out, and to whom.
pub struct Plan {
    kind: CampaignKind,
    notice_id: Option<i64>,
    /// One line for lists.
    subject: String,
    /// The text, placeholders still in it.
    template: String,
    audience: Audience,
}

impl Plan {
    /// Returns the plan to send a notice, or a text instead of its own.
    pub fn of_notice(
        api: &Api,
        notice: Notice,
        custom_message: Option<String>,
        audience: Audience,
    ) -> Plan {
        Plan {
            kind: CampaignKind::Notification,
            notice_id: Some(notice.id),
            template: text_of(api, &notice, custom_message),
            audience,
            subject: notice.title,
        }
    }

    /// Returns the plan to send a text.
    pub fn of_text(text: String, audience: Audience) -> Plan {
        let kind = match &audience {
            Audience::Everybody | Audience::Customers(_) => CampaignKind::Custom,
            Audience::Odps(_) => CampaignKind::ByOdp,
            Audience::Number(_) => CampaignKind::Phone,
            Audience::Numbers(numbers) if numbers.len() == 1 => CampaignKind::Phone,
            Audience::Numbers(_) => CampaignKind::Numbers,
            Audience::Reached(_) => CampaignKind::Restored,
        };
        Plan { kind, notice_id: None, subject: first_line(&text), template: text, audience }
    }

    /// Returns its members in database order, each with the text it gets or the reason why it gets
    /// none.
    pub fn recipients(&self, api: &Api) -> BoxStream<'static, Result<NewDelivery, StoreError>> {
        self.audience.recipients(api, &self.template)
    }

    /// Returns its text, placeholders still in it.
    pub fn template(&self) -> &str {
        &self.template
    }
}

/// How the answer speaks of the send.
#[derive(Clone)]
pub enum Wording {
    Notification,
    Custom,
    ByOdp(String),
    Phone,
}

impl Wording {
    fn processed(&self, customers: u64) -> String {
        match (self, customers) {
            (Wording::ByOdp(odp), 0) => wording::no_recipients_at(odp),
            (Wording::Notification, 0) => wording::NO_RECIPIENTS.to_owned(),
            (Wording::Custom | Wording::Phone, 0) => wording::NO_RECIPIENTS_OF_TEXT.to_owned(),
            (Wording::ByOdp(odp), _) => wording::notification_processed_at(customers, odp),
            (Wording::Notification, _) => wording::notification_processed(customers),
            (Wording::Custom | Wording::Phone, _) => wording::message_processed(customers),
        }
    }
}

/// Headers that every send understands.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the headers")]
pub struct SendHeaders {
    /// Any text of 1 to 255 characters. The same key with the same request, within 7 days, answers
    /// with the report of the first one and sends nothing.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        example = "gangguan-2026-01-10-pagi"
    )]
    idempotency_key: Option<String>,
    /// `respond-async` answers 202 at once, with the campaign and its `Location`.
    #[param(rename = "Prefer", example = "respond-async")]
    prefer: Option<String>,
}

/// What a send answers.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub enum SendAnswer {
    Report(report::SendReport),
    DryRun(dry_run::DryRun),
}

/// What a send to one number answers.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub enum PhoneAnswer {
    Report(report::PhoneReport),
    DryRun(dry_run::DryRun),
}

/// Send a notice to those it concerns
///
/// To the customers named, or else to those of the notice's ODPs, or else to everybody; only to
/// active ones, one message per number. The report comes when the last message is done: the answer
/// begins at once and white space keeps the connection until then.
#[utoipa::path(post, path = "/api/send/notification", tag = "send", operation_id = "send_notification", params(SendHeaders),
    request_body(content = NotificationRequest, examples(
        ("newest active notice" = (value = json!({}))),
        ("one notice" = (value = json!({"notice_id": 1}))),
        ("some customers" = (value = json!({"notice_id": 1, "customer_ids": [1, 2]}))),
        ("only look" = (value = json!({"notice_id": 1, "dry_run": true}))),
    )),
    responses(
        (status = 200, description = "The report, or with `dry_run` what it would be", body = SendAnswer, examples(
            ("report" = (value = json!({
                "success": true, "message": "Notifikasi berhasil diproses untuk 2 pelanggan",
                "total_customers": 2, "sent_count": 1, "failed_count": 0, "skipped_count": 1,
                "campaign_id": 12, "campaign": "/api/campaigns/12",
                "results": [
                    {"phone": "0", "customer_name": "Nomor Nol", "success": false, "error": "Nomor tidak valid atau 0", "state": "skipped"},
                    {"phone": "6281234567801", "customer_name": "Budi Santoso", "success": true, "error": null, "state": "accepted"},
                ]
            }))),
            ("dry run" = (value = json!({
                "results": [
                    {"phone": "6281234567801", "customer_name": "Budi Santoso", "text": "Halo Budi Santoso", "error": null, "warm": true},
                    {"phone": "0", "customer_name": "Nomor Nol", "text": null, "error": "Nomor tidak valid atau 0", "warm": null},
                ],
                "success": true, "dry_run": true, "message": "Notifikasi berhasil diproses untuk 2 pelanggan",
                "total_customers": 2, "to_send": 1, "skipped_count": 1,
                "recipients": {"warm": 1, "cold": 0}, "duration_seconds": 0,
                "ends_at": "2026-01-10T01:05:00.000Z", "whatsapp": "connected",
                "limits": {"reach_out_until": null, "new_chats_left": 40}
            }))),
        )),
        (status = 202, description = "With `Prefer: respond-async`: the campaign", body = super::campaigns::CampaignBody),
        (status = 404, description = "No such notice, or no such session", body = ErrorBody),
        (status = 409, description = "The same send was made a moment ago", body = DuplicateBody),
    )
)]
pub async fn notification(
    State(api): State<Arc<Api>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    Body { request, json }: Body<NotificationRequest>,
) -> ApiResult<Response> {
    let options = request.options.clone();
    let call = Call {
        headers: &headers,
        endpoint: "notification",
        body: &json,
        options,
        wording: Wording::Notification,
        actor,
    };
    record::send(api.clone(), call, plan_notification(&api, request)).await
}

async fn plan_notification(api: &Api, request: NotificationRequest) -> ApiResult<Plan> {
    let notice = match request.notice_id {
        Some(id) => find_notice(api, id).await?,
        None => {
            let newest = api.billing.newest_active_notice().await?;
            newest.ok_or(ApiError::NotFound(wording::NO_ACTIVE_NOTICE))?
        }
    };
    let audience = Audience::of(request.customer_ids, Some(&notice));
    Ok(Plan::of_notice(api, notice, request.custom_message, audience))
}

/// Send a text
///
/// To the customers named, or else to every active one. `{nama}`, `{name}`, `{odp}` and `{id}`
/// are filled in.
#[utoipa::path(post, path = "/api/send/custom", tag = "send", operation_id = "send_custom", params(SendHeaders),
    request_body(content = CustomRequest, examples(
        ("some customers" = (value = json!({"message": "Halo {nama}!", "customer_ids": [1, 2]}))),
        ("everybody" = (value = json!({"message": "Halo {nama}!"}))),
    )),
    responses(
        (status = 200, description = "The report, or with `dry_run` what it would be", body = SendAnswer),
        (status = 202, description = "With `Prefer: respond-async`: the campaign", body = super::campaigns::CampaignBody),
        (status = 404, description = "No such session", body = ErrorBody),
        (status = 409, description = "The same send was made a moment ago", body = DuplicateBody),
    )
)]
pub async fn custom(
    State(api): State<Arc<Api>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    Body { request, json }: Body<CustomRequest>,
) -> ApiResult<Response> {
    let plan = Plan::of_text(request.message, Audience::of(request.customer_ids, None));
    let call = Call {
        headers: &headers,
        endpoint: "custom",
        body: &json,
        options: request.options,
        wording: Wording::Custom,
        actor,
    };
    record::send(api, call, async { Ok(plan) }).await
}

/// Send a text to one number
///
/// The number need not be a customer's; nothing is filled in.
#[utoipa::path(post, path = "/api/send/phone", tag = "send", operation_id = "send_phone", params(SendHeaders),
    request_body(content = PhoneRequest, example = json!({"phone": "081234567801", "message": "Halo"})),
    responses(
        (status = 200, description = "What became of it, or with `dry_run` what would", body = PhoneAnswer, examples(
            ("sent" = (value = json!({"success": true, "phone": "6281234567801", "message": "Pesan berhasil terkirim"}))),
            ("not on WhatsApp" = (value = json!({"success": false, "phone": "6281234567819", "error": "Nomor tidak terdaftar di WhatsApp"}))),
        )),
        (status = 202, description = "With `Prefer: respond-async`: the campaign", body = super::campaigns::CampaignBody),
        (status = 404, description = "No such session", body = ErrorBody),
        (status = 409, description = "The same send was made a moment ago", body = DuplicateBody),
    )
)]
pub async fn phone(
    State(api): State<Arc<Api>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    Body { request, json }: Body<PhoneRequest>,
) -> ApiResult<Response> {
    let plan = Plan::of_text(request.message, Audience::Number(request.phone));
    let call = Call {
        headers: &headers,
        endpoint: "phone",
        body: &json,
        options: request.options,
        wording: Wording::Phone,
        actor,
    };
    record::send(api, call, async { Ok(plan) }).await
}

/// Send a notice or a text to one ODP
///
/// To the active customers of this ODP, whichever ODPs the notice names.
#[utoipa::path(post, path = "/api/send/by-odp/{odp}", tag = "send", operation_id = "send_by_odp",
    params(("odp" = String, Path, description = "A slash in it is written `%2F`", example = "ODP-001"), SendHeaders),
    request_body(content = ByOdpRequest, examples(
        ("a notice" = (value = json!({"notice_id": 1}))),
        ("a text" = (value = json!({"custom_message": "Halo {nama}, ODP {odp} sudah pulih."}))),
    )),
    responses(
        (status = 200, description = "The report, or with `dry_run` what it would be", body = SendAnswer),
        (status = 202, description = "With `Prefer: respond-async`: the campaign", body = super::campaigns::CampaignBody),
        (status = 400, description = "Neither a notice nor a text", body = ErrorBody),
        (status = 404, description = "No such notice, or no such session", body = ErrorBody),
        (status = 409, description = "The same send was made a moment ago", body = DuplicateBody),
    )
)]
pub async fn by_odp(
    State(api): State<Arc<Api>>,
    PathText(odp): PathText,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    Body { request, json }: Body<ByOdpRequest>,
) -> ApiResult<Response> {
    let call = Call {
        headers: &headers,
        endpoint: &format!("by-odp/{odp}"),
        body: &json,
        options: request.options.clone(),
        wording: Wording::ByOdp(odp.clone()),
        actor,
    };
    record::send(api.clone(), call, plan_by_odp(&api, request, odp)).await
}

async fn plan_by_odp(api: &Api, request: ByOdpRequest, odp: String) -> ApiResult<Plan> {
    let notice = match request.notice_id {
        Some(id) => Some(find_notice(api, id).await?),
        None => None,
    };
    let (notice_id, subject, template) = match (notice, request.custom_message) {
        (None, None) => return Err(ApiError::BadRequest(wording::NOTICE_OR_MESSAGE.into())),
        (None, Some(text)) => (None, first_line(&text), text),
        (Some(notice), text) => {
            let template = text_of(api, &notice, text);
            (Some(notice.id), notice.title, template)
        }
    };
    let named = Some(odp).filter(|odp| !odp.trim().is_empty());
    Ok(Plan {
        kind: CampaignKind::ByOdp,
        notice_id,
        subject,
        template,
        audience: Audience::Odps(named.into_iter().collect()),
    })
}

/// Records a text to numbers that need not be customers', each with a text of its own if it has
/// one. The same within the duplicate guard's time is the same send. Returns its campaign.
pub async fn to_numbers(
    api: Arc<Api>,
    numbers: Vec<(String, Option<String>)>,
    message: String,
    options: SendOptions,
    actor: Actor,
) -> ApiResult<i64> {
    let request = json!({ "numbers": &numbers, "message": &message }).to_string();
    let plan = Plan::of_text(message, Audience::Numbers(numbers));
    let recipients = plan.recipients(&api);
    match record::record_all(api, plan, recipients, options, None, request, actor).await {
        Err(ApiError::DuplicateSend { campaign }) => Ok(campaign),
        recorded => recorded,
    }
}

/// Returns the notice of this id.
pub async fn find_notice(api: &Api, id: i64) -> Result<Notice, ApiError> {
    api.billing.notice(id).await?.ok_or(ApiError::NotFound(wording::NOTICE_NOT_FOUND))
}

fn text_of(api: &Api, notice: &Notice, custom_message: Option<String>) -> String {
    custom_message.unwrap_or_else(|| notice.to_message(api.settings.status_page_url.as_deref()))
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}
