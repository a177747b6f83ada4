//! PHPNuxBill: it fills a number and a text into an address, and calls that.

use super::{KeyCheck, Recorded, Throttle, access, is_linked, record};
use crate::api::error::{ApiError, ApiResult, ErrorBody};
use crate::api::validation::{Fields, FromFields, Query};
use crate::api::whatsapp::MAX_PHONE_CHARS;
use crate::api::{Api, campaign_path};
use crate::delivery_view::reason;
use crate::store::state::Actor;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use kabari_domain::{DeliveryState, wording};
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The longest text: it fits into an address, which has 64 KiB, however it is encoded.
const MAX_TEXT_CHARS: usize = 5_000;
/// The longest key that is looked at.
const MAX_KEY_CHARS: usize = 255;

/// What PHPNuxBill fills in.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filled {
    /// `COMPAT_KEY`.
    #[param(max_length = 255)]
    key: Option<String>,
    /// Who gets it; `[number]` in the address.
    #[param(required = true, pattern = "\\S", max_length = 255, example = "081234567801")]
    to: Option<String>,
    /// What it says; `[text]` in the address.
    #[param(
        required = true,
        pattern = "\\S",
        max_length = 65536,
        example = "Tagihan Anda jatuh tempo besok"
    )]
    text: Option<String>,
}

impl FromFields for Filled {
    fn read(fields: &mut Fields) -> Self {
        Filled {
            key: fields.text("key", MAX_KEY_CHARS),
            to: fields.text("to", MAX_PHONE_CHARS),
            text: fields.text("text", MAX_TEXT_CHARS),
        }
    }
}

/// What became of the request.
#[derive(Serialize, ToSchema)]
pub struct CompatAnswer {
    success: bool,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Pesan diterima dan akan dikirim")]
    message: Option<&'static str>,
    /// Why nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Where to follow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/api/campaigns/12")]
    campaign: Option<String>,
}

impl CompatAnswer {
    fn failure(error: impl Into<String>) -> CompatAnswer {
        CompatAnswer { success: false, message: None, error: Some(error.into()), campaign: None }
    }
}

/// Send a text as PHPNuxBill asks for it
///
/// For its setting *WhatsApp server URL*:
/// `http://127.0.0.1:8001/compat/phpnuxbill?key=COMPAT_KEY&to=[number]&text=[text]`. Answered when
/// the message is recorded; a repeat within 30 seconds is answered as the first.
#[utoipa::path(get, path = "/compat/phpnuxbill", tag = "compat", operation_id = "compat_phpnuxbill", params(Filled), responses(
    (status = 200, description = "It is recorded and goes out in its turn, or why not", body = CompatAnswer, examples(
        ("recorded" = (value = json!({"success": true, "message": "Pesan diterima dan akan dikirim", "campaign": "/api/campaigns/12"}))),
        ("no such number" = (value = json!({"success": false, "error": "Nomor telepon tidak valid atau 0", "campaign": "/api/campaigns/13"}))),
    )),
    (status = 400, description = "No number or no text", body = CompatAnswer, example = json!({"success": false, "error": "Parameter to dan text diperlukan"})),
    (status = 401, description = "The key is missing or wrong", body = CompatAnswer, example = json!({"success": false, "error": "Kunci tidak ada atau salah"})),
    (status = 404, description = "`COMPAT_KEY` is not set", body = ErrorBody),
    (status = 414, description = "The address is longer than 64 KiB"),
    (status = 429, description = "Too many at once; `Retry-After` says for how long", body = CompatAnswer, example = json!({"success": false, "error": "Terlalu banyak permintaan"})),
    (status = 503, description = "No phone is linked, or a database is down", body = CompatAnswer, example = json!({"success": false, "error": "WhatsApp belum siap. Silakan scan QR code terlebih dahulu."})),
))]
pub async fn send(
    State(api): State<Arc<Api>>,
    Extension(throttle): Extension<Arc<Throttle>>,
    Extension(actor): Extension<Actor>,
    method: Method,
    Query(filled): Query<Filled>,
) -> ApiResult<Response> {
    // Whoever only looks whether the address is there sends nothing.
    if method == Method::HEAD {
        return Err(ApiError::MethodNotAllowed);
    }
    match access(&api, filled.key.unwrap_or_default().as_bytes()) {
        KeyCheck::Open => {}
        KeyCheck::Off => return Err(ApiError::NotFound(wording::COMPAT_OFF)),
        KeyCheck::Denied => return Ok(failure(StatusCode::UNAUTHORIZED, wording::COMPAT_DENIED)),
    }
    let given = |value: Option<String>| value.filter(|text| !text.trim().is_empty());
    let (Some(to), Some(text)) = (given(filled.to), given(filled.text)) else {
        return Ok(failure(StatusCode::BAD_REQUEST, wording::COMPAT_PARAMETERS));
    };
    if !is_linked(&api).await? {
        return Ok(failure(StatusCode::SERVICE_UNAVAILABLE, wording::NOT_LINKED));
    }
    if let Err(wait) = throttle.admit(1).await {
        let answer = failure(StatusCode::TOO_MANY_REQUESTS, wording::COMPAT_TOO_MANY);
        return Ok(([(RETRY_AFTER, wait.as_secs().max(1).to_string())], answer).into_response());
    }
    let Recorded { campaign, deliveries } =
        record(&api, vec![(to, None)], text, None, actor).await?;
    let skipped = deliveries.iter().find(|one| one.progress.state == DeliveryState::Skipped);
    let error = skipped.and_then(reason);
    Ok(Json(CompatAnswer {
        success: error.is_none(),
        message: error.is_none().then_some(wording::COMPAT_RECORDED),
        error,
        campaign: Some(campaign_path(campaign)),
    })
    .into_response())
}

fn failure(status: StatusCode, error: &str) -> Response {
    (status, Json(CompatAnswer::failure(error))).into_response()
}
