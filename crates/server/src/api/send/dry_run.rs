//! What a send would do.

use super::{Outlook, Plan, SendOptions, Wording};
use crate::api::error::ApiResult;
use crate::api::streamed::{self, JSON};
use crate::api::{Api, forecast, link};
use crate::store::state::NewDelivery;
use axum::response::Response;
use futures_util::TryStreamExt;
use kabari_domain::Timestamp;
use kabari_domain::session::DEFAULT_SESSION;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a send would do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub struct DryRun {
    /// In database order.
    results: Vec<WouldGet>,
    success: bool,
    dry_run: bool,
    message: String,
    total_customers: u64,
    to_send: u64,
    skipped_count: u64,
    recipients: forecast::Recipients,
    /// How long it takes by itself, with quiet hours and caps; null if that cannot be told.
    duration_seconds: Option<u64>,
    /// When it would end if nothing else is sent meanwhile. RFC 3339.
    ends_at: Option<String>,
    whatsapp: &'static str,
    limits: Option<link::ShownLimits>,
}

/// What one recipient would get.
#[derive(Serialize, ToSchema)]
pub struct WouldGet {
    phone: Option<String>,
    customer_name: String,
    /// The text; null if nothing would be sent.
    text: Option<String>,
    /// Why nothing would be sent.
    error: Option<String>,
    /// Whether the recipient has written to one of the numbers; null if nothing would be sent.
    warm: Option<bool>,
}

/// Returns who would get which text, who would not and why, and how long it would take.
pub async fn answer(
    api: Arc<Api>,
    plan: Plan,
    options: SendOptions,
    wording: Wording,
) -> ApiResult<Response> {
    streamed::answer(JSON, move |mut writer| async move {
        let mut outlook = Outlook::new(&api, &options).await?;
        let recipients = plan.recipients(&api).map_ok(|recipient| {
            let is_warm = outlook.count(&recipient);
            would_get(recipient, plan.template(), is_warm)
        });
        let mut dry_run = writer.object();
        dry_run.array("results", recipients).await?;

        let (starts_at, ends_at) = outlook.span(&api, &options).await?;
        let Outlook { total, to_send, warm, .. } = outlook;
        let link = link::default_link(&api).await.state;
        let duration = ends_at.map(|end| end.since(starts_at).as_secs_f64().ceil() as u64);
        dry_run.field("success", &true)?;
        dry_run.field("dry_run", &true)?;
        dry_run.field("message", &wording.processed(total))?;
        dry_run.field("total_customers", &total)?;
        dry_run.field("to_send", &to_send)?;
        dry_run.field("skipped_count", &(total - to_send))?;
        dry_run.field("recipients", &forecast::Recipients { warm, cold: to_send - warm })?;
        dry_run.field("duration_seconds", &duration)?;
        dry_run.field("ends_at", &ends_at.map(Timestamp::to_rfc3339))?;
        dry_run.field("whatsapp", &link.as_str())?;
        dry_run.field("limits", &link::limits(&api, DEFAULT_SESSION).await)?;
        dry_run.end().await?;
        Ok(writer)
    })
    .await
}

fn would_get(recipient: NewDelivery, template: &str, warm: Option<bool>) -> WouldGet {
    let text = recipient.text.unwrap_or_else(|| template.to_owned());
    WouldGet {
        text: recipient.phone.is_some().then_some(text),
        phone: recipient.phone.map(|phone| phone.digits().to_owned()).or(recipient.phone_raw),
        customer_name: recipient.customer_name,
        error: recipient.error,
        warm,
    }
}
