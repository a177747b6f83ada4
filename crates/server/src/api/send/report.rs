//! The report of a send, once it is done.

use super::Wording;
use crate::api::streamed::{self, JSON, Stopped, Writer};
use crate::api::{Api, Waiter, campaign_path};
use crate::delivery_view::{reason, shown_phone};
use crate::store::state::Delivery;
use axum::response::Response;
use futures_util::TryStreamExt;
use kabari_domain::{DeliveryState, wording};
use serde::Serialize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// How often white space is written while a campaign runs. Proxies cut connections that are silent
/// for a minute, some for half of one.
const WHITE_SPACE_EVERY: Duration = Duration::from_secs(5);

/// What became of a send.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
#[schema(example = json!({
    "success": true,
    "message": "Notifikasi berhasil diproses untuk 3 pelanggan",
    "total_customers": 3, "sent_count": 1, "failed_count": 1, "skipped_count": 1,
    "campaign_id": 12, "campaign": "/api/campaigns/12",
    "results": [
        {"phone": "0", "customer_name": "Nomor Nol", "success": false, "error": "Nomor tidak valid atau 0", "state": "skipped"},
        {"phone": "6281234567801", "customer_name": "Budi Santoso", "success": true, "error": null, "state": "accepted"},
        {"phone": "6281234567819", "customer_name": "Tak Terdaftar", "success": false, "error": "Nomor tidak terdaftar di WhatsApp", "state": "failed"}
    ]
}))]
pub struct SendReport {
    /// Always true: the send was done. Whether each message was sent is in `results`.
    success: bool,
    message: String,
    total_customers: u64,
    /// Those WhatsApp has taken.
    sent_count: u64,
    failed_count: u64,
    /// Never tried: no usable number, or one that another recipient has.
    skipped_count: u64,
    campaign_id: i64,
    /// Where to follow what comes later, such as receipts.
    campaign: String,
    /// Skipped ones first, then the others in database order.
    results: Vec<ReportRow>,
}

/// What became of one recipient.
#[derive(Serialize, ToSchema)]
pub struct ReportRow {
    /// E.164 digits if it was sent; as somebody typed it if not.
    phone: Option<String>,
    customer_name: String,
    success: bool,
    error: Option<String>,
    /// `accepted`, `delivered`, `read`, `failed`, `skipped`, `expired`, `superseded`, `cancelled`
    /// or `uncertain`.
    state: &'static str,
}

impl From<Delivery> for ReportRow {
    fn from(delivery: Delivery) -> ReportRow {
        let state = delivery.progress.state;
        ReportRow {
            success: state.is_sent(),
            error: reason(&delivery),
            phone: shown_phone(&delivery),
            customer_name: delivery.customer_name,
            state: state.as_str(),
        }
    }
}

/// What became of a message to one number.
#[derive(Serialize, ToSchema)]
pub struct PhoneReport {
    success: bool,
    /// E.164 digits if it was sent; as somebody typed it if not.
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    campaign_id: i64,
}

impl From<Delivery> for PhoneReport {
    fn from(delivery: Delivery) -> PhoneReport {
        let success = delivery.progress.state.is_sent();
        PhoneReport {
            success,
            phone: shown_phone(&delivery),
            message: success.then_some(wording::SENT),
            error: reason(&delivery),
            campaign_id: delivery.campaign_id,
        }
    }
}

/// Answers at once, and goes on with white space until the campaign is done; then the report.
pub fn answer(api: Arc<Api>, id: i64, wording: Wording) -> Response {
    streamed::answer_at_once(JSON, move |mut writer| async move {
        wait_for_end(&api, id, &mut writer).await?;
        match wording {
            Wording::Phone => write_phone_report(&api, id, &mut writer).await?,
            _ => write_report(&api, id, &wording, &mut writer).await?,
        }
        Ok(writer)
    })
}

/// Waits until the campaign is completed or cancelled, through any pause and any fault of the
/// database: the messages go out all the same, and only a true report is worth anything.
async fn wait_for_end(api: &Api, id: i64, writer: &mut Writer) -> Result<(), Stopped> {
    let mut waiter = Waiter::new(&api.state);
    let mut white_space_at = Instant::now() + WHITE_SPACE_EVERY;
    loop {
        match api.state.campaign(id).await {
            Ok(Some(campaign)) if campaign.phase.status.is_final() => return Ok(()),
            Ok(Some(_)) => {}
            Ok(None) => return Err(super::ApiError::no_such_path().into()),
            Err(error) => tracing::warn!(campaign = id, %error, "a report waits for the database"),
        }
        tokio::select! {
            () = writer.reader_left() => return Err(Stopped::ReaderLeft),
            () = waiter.moved() => {}
            () = tokio::time::sleep_until(white_space_at) => {
                writer.text(" ").await?;
                writer.flush().await?;
                white_space_at += WHITE_SPACE_EVERY;
            }
        }
    }
}

async fn write_report(
    api: &Api,
    id: i64,
    wording: &Wording,
    writer: &mut Writer,
) -> Result<(), Stopped> {
    let counts = api.state.counts(id).await?;
    let (total, sent) = (counts.total(), counts.sent());
    let skipped = counts.get(DeliveryState::Skipped);
    let mut report = writer.object();
    report.field("success", &true)?;
    report.field("message", &wording.processed(total))?;
    report.field("total_customers", &total)?;
    report.field("sent_count", &sent)?;
    report.field("failed_count", &(total - sent - skipped))?;
    report.field("skipped_count", &skipped)?;
    report.field("campaign_id", &id)?;
    report.field("campaign", &campaign_path(id))?;
    report.array("results", api.state.report_rows(id).map_ok(ReportRow::from)).await?;
    report.end().await
}

async fn write_phone_report(api: &Api, id: i64, writer: &mut Writer) -> Result<(), Stopped> {
    let mut rows = pin!(api.state.report_rows(id));
    match rows.try_next().await? {
        Some(delivery) => writer.json(&PhoneReport::from(delivery)).await,
        None => Err(super::ApiError::Internal(format!("campaign {id} has no delivery")).into()),
    }
}
