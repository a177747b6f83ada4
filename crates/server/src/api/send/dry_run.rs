//! What a send would do.

use super::{Plan, SendOptions, Wording};
use crate::api::error::ApiResult;
use crate::api::streamed::{self, JSON};
use crate::api::{Api, forecast, whatsapp};
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
    #[serde(flatten)]
    forecast: Forecast,
    /// In database order.
    results: Vec<WouldGet>,
}

/// A dry run without its recipients, which are written before it.
#[derive(Serialize, ToSchema)]
pub struct Forecast {
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
    limits: Option<whatsapp::ShownLimits>,
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

/// Who would get which text, who would not and why, and how long it would take.
pub async fn answer(
    api: Arc<Api>,
    plan: Plan,
    options: SendOptions,
    wording: Wording,
) -> ApiResult<Response> {
    streamed::answer(JSON, move |mut writer| async move {
        let known = api.state.warm_numbers(&options.sessions).await?;
        let (mut total, mut to_send, mut warm) = (0, 0, 0);
        let template = &plan.template;
        let recipients = plan.audience.recipients(&api, template).map_ok(|recipient| {
            let is_warm = recipient.phone.as_ref().map(|phone| known.contains(phone));
            total += 1;
            to_send += u64::from(is_warm.is_some());
            warm += u64::from(is_warm == Some(true));
            would_get(recipient, template, is_warm)
        });
        writer.text(r#"{"results":"#).await?;
        writer.array(recipients).await?;

        let now = api.state.now().await?;
        let starts_at = options.starts_at.map_or(now, |starts_at| starts_at.max(now));
        let sessions = api.state.sessions().await?;
        let able = forecast::eligible(&sessions, &options.sessions);
        let ends_at = forecast::ends_at(&api, &able, starts_at, to_send, options.urgent, now);
        let link = whatsapp::link(&api).await.state;
        let forecast = Forecast {
            success: true,
            dry_run: true,
            message: wording.processed(total),
            total_customers: total,
            to_send,
            skipped_count: total - to_send,
            recipients: forecast::Recipients { warm, cold: to_send - warm },
            duration_seconds: ends_at.map(|end| end.since(starts_at).as_secs_f64().ceil() as u64),
            ends_at: ends_at.map(Timestamp::to_rfc3339),
            whatsapp: link.as_str(),
            limits: whatsapp::limits(&api, DEFAULT_SESSION).await,
        };
        writer.rest_of_object(&forecast).await?;
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
