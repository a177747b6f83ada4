//! The link of the default session to WhatsApp: `/api/whatsapp/*`.

use super::Api;
use super::error::ApiResult;
use super::link::{
    ActionResult, History, PATH, ShownLimits, act, default_link, error_message, limits,
};
use super::passkey::PasskeyBody;
use super::validation::{Body, Fields, FromFields};
use crate::store::state::{SessionAction, SessionAnswer};
use axum::Json;
use axum::extract::State;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_domain::{LinkState, Phone, wording};
use kabari_gateway::Link;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The longest text that could be a phone number, a remark included.
pub const MAX_PHONE_CHARS: usize = 255;

/// How the link is.
#[derive(Serialize, ToSchema)]
pub struct LinkStatus {
    /// Whether messages can be sent now.
    #[schema(example = true)]
    connected: bool,
    /// The linked number, E.164 digits.
    #[schema(example = "6281299990000")]
    phone_number: Option<String>,
    /// The same for people.
    #[schema(example = "WhatsApp terhubung sebagai 6281299990000")]
    message: String,
    /// Always null, as in the replaced system: the QR is at `/api/whatsapp/qr`.
    qr_code: Option<String>,
    /// `starting`, `not_linked`, `passkey_required`, `connecting`, `connected`, `unreachable`,
    /// `logged_out`, `replaced`, `banned` or `client_outdated`.
    #[schema(example = "connected")]
    state: &'static str,
    /// When a ban ends, RFC 3339.
    banned_until: Option<String>,
    /// What to do next where WhatsApp wants a passkey; null where it does not.
    passkey: Option<PasskeyBody>,
    /// What is wrong with the link.
    last_error: Option<String>,
    /// What WhatsApp itself allows this number; null where it does not say.
    limits: Option<ShownLimits>,
    /// What the phone has told of the chats from before it was linked; null while it has told
    /// nothing.
    history: Option<History>,
    /// Whether receipts come here: false behind a gateway that tells none, so that `delivered` and
    /// `read` stay unknown; null while it is not known.
    #[schema(example = true)]
    receipts: Option<bool>,
}

fn message(link: &Link) -> String {
    match (link.state, &link.phone, &link.error) {
        (LinkState::Connected, Some(phone), _) => wording::connected_as(phone),
        (LinkState::Connected, None, _) => wording::ALREADY_CONNECTED.to_owned(),
        (LinkState::PasskeyRequired { .. }, ..) => wording::PASSKEY_REQUIRED.to_owned(),
        _ if link.qr_png.is_some() => wording::SCAN_QR.to_owned(),
        (_, _, Some(error)) => error.clone(),
        (LinkState::Unreachable, ..) => wording::GATEWAY_DOWN.to_owned(),
        _ => wording::WAITING_FOR_GATEWAY.to_owned(),
    }
}

/// Returns whether receipts come from the default session, if its link is known.
fn receipts(api: &Api, link: LinkState) -> Option<bool> {
    let gateway = api.sessions.gateway(DEFAULT_SESSION)?;
    (link != LinkState::Unreachable).then(|| gateway.knows_ids())
}

/// How the link to WhatsApp is
#[utoipa::path(get, path = "/api/whatsapp/status", tag = "whatsapp", operation_id = "get_whatsapp_status", responses(
    (status = 200, description = "How the link is", body = LinkStatus, examples(
        ("connected" = (value = json!({
            "connected": true, "phone_number": "6281299990000",
            "message": "WhatsApp terhubung sebagai 6281299990000", "qr_code": null,
            "state": "connected", "banned_until": null, "passkey": null, "last_error": null,
            "limits": {"reach_out_until": null, "new_chats_left": 40},
            "history": {"progress": 100, "done": true}, "receipts": true
        }))),
        ("to be linked" = (value = json!({
            "connected": false, "phone_number": null,
            "message": "WhatsApp belum login. Scan QR code di /api/whatsapp/qr", "qr_code": null,
            "state": "not_linked", "banned_until": null, "passkey": null, "last_error": null,
            "limits": null, "history": null, "receipts": true
        }))),
    ))
))]
pub async fn status(State(api): State<Arc<Api>>) -> Json<LinkStatus> {
    let link = default_link(&api).await;
    let connected = link.is_connected();
    let limits = if connected { limits(&api, DEFAULT_SESSION).await } else { None };
    let banned_until = match link.state {
        LinkState::Banned { until } => Some(until.to_rfc3339()),
        _ => None,
    };
    let session = api.state.session(DEFAULT_SESSION).await.ok().flatten();
    Json(LinkStatus {
        connected,
        history: session.and_then(|session| session.history).map(History::of),
        message: message(&link),
        state: link.state.as_str(),
        banned_until,
        passkey: PasskeyBody::wanted(&link, PATH),
        last_error: link.error.clone(),
        limits,
        receipts: receipts(&api, link.state),
        phone_number: link.phone.clone().filter(|_| connected),
        qr_code: None,
    })
}

/// The QR to scan, if the link needs one.
#[derive(Serialize, ToSchema)]
pub struct QrCode {
    /// Whether there is a QR, or none is needed.
    #[schema(example = true)]
    success: bool,
    /// The QR as a `data:image/png;base64,` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<String>,
    /// What the code says, to draw it in another way; only of a named session.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The number that is linked already.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

/// The QR code to scan
///
/// A browser (`Accept: text/html`) gets a page that shows it, renews it, and links by code too.
#[utoipa::path(get, path = "/api/whatsapp/qr", tag = "whatsapp", operation_id = "get_whatsapp_qr", responses(
    (status = 200, description = "The QR code, or why there is none", body = QrCode, examples(
        ("to be scanned" = (value = json!({"success": true, "qr": "data:image/png;base64,iVBORw0KGgo..."}))),
        ("linked already" = (value = json!({"success": true, "message": "WhatsApp sudah terhubung", "phone": "6281299990000"}))),
        ("not yet there" = (value = json!({"success": false, "message": "QR Code belum tersedia, tunggu beberapa detik..."}))),
    ))
))]
pub async fn qr(State(api): State<Arc<Api>>) -> Json<QrCode> {
    Json(QrCode::of(default_link(&api).await, false))
}

impl QrCode {
    /// Returns the QR code of a link, with what it says if that is wanted, or why there is none.
    pub fn of(link: Link, with_text: bool) -> QrCode {
        let none = QrCode { success: true, qr: None, text: None, message: None, phone: None };
        if link.is_connected() {
            let message = Some(wording::ALREADY_CONNECTED.to_owned());
            QrCode { message, phone: link.phone, ..none }
        } else if let Some(png) = link.qr_png {
            QrCode { qr: Some(png), text: link.qr.filter(|_| with_text), ..none }
        } else {
            let reason = match link.state {
                LinkState::Unreachable => wording::GATEWAY_DOWN,
                LinkState::PasskeyRequired { .. } => wording::PASSKEY_REQUIRED,
                _ => wording::QR_NOT_READY,
            };
            QrCode { success: false, message: Some(reason.to_owned()), ..none }
        }
    }
}

/// Whether the link is up
///
/// The link is made by itself; this only tells. Kept for programs written for the replaced system.
#[utoipa::path(post, path = "/api/whatsapp/connect", tag = "whatsapp", operation_id = "connect_whatsapp", responses(
    (status = 200, description = "Whether it worked", body = ActionResult, example = json!({"success": true, "message": "WhatsApp terhubung sebagai 6281299990000"}))
))]
pub async fn connect(State(api): State<Arc<Api>>) -> Json<ActionResult> {
    let link = default_link(&api).await;
    let success = link.is_connected();
    let message = match &link.qr_png {
        _ if success => Some(message(&link)),
        Some(_) => Some(wording::PLEASE_SCAN_QR.to_owned()),
        None if matches!(link.state, LinkState::PasskeyRequired { .. }) => Some(message(&link)),
        None => link.error,
    };
    Json(ActionResult { success, message })
}

/// Make a new connection
///
/// The session is kept; no new QR is needed.
#[utoipa::path(post, path = "/api/whatsapp/restart", tag = "whatsapp", operation_id = "restart_whatsapp", responses(
    (status = 200, description = "Whether it worked", body = ActionResult, example = json!({"success": true, "message": "WhatsApp sedang direstart"}))
))]
pub async fn restart(State(api): State<Arc<Api>>) -> ApiResult<Json<ActionResult>> {
    act(&api, DEFAULT_SESSION, &SessionAction::Restart, wording::RESTARTING).await
}

/// Unlink the phone
///
/// The session is deleted and a new QR offered.
#[utoipa::path(post, path = "/api/whatsapp/logout", tag = "whatsapp", operation_id = "logout_whatsapp", responses(
    (status = 200, description = "Whether it worked", body = ActionResult, example = json!({"success": true, "message": "Berhasil logout"}))
))]
pub async fn logout(State(api): State<Arc<Api>>) -> ApiResult<Json<ActionResult>> {
    act(&api, DEFAULT_SESSION, &SessionAction::Logout, wording::LOGGED_OUT).await
}

/// Which phone is to be linked.
#[derive(ToSchema)]
#[schema(example = json!({"phone": "081299990000"}))]
pub struct PairRequest {
    /// The phone's own number.
    #[schema(min_length = 1, max_length = 255)]
    pub phone: String,
}

impl FromFields for PairRequest {
    fn read(fields: &mut Fields) -> Self {
        PairRequest { phone: fields.required_text("phone", 1, MAX_PHONE_CHARS) }
    }
}

/// The code, or why there is none.
#[derive(Serialize, ToSchema)]
pub struct PairingCode {
    success: bool,
    /// To be typed into the phone: WhatsApp, Linked devices, Link with phone number.
    #[schema(example = "ABCD-1234")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Link by a code instead of the QR
#[utoipa::path(post, path = "/api/whatsapp/pair", tag = "whatsapp", operation_id = "pair_whatsapp", request_body = PairRequest, responses(
    (status = 200, description = "The code, or why there is none", body = PairingCode, examples(
        ("code" = (value = json!({"success": true, "code": "ABCD-1234"}))),
        ("no number" = (value = json!({"success": false, "error": "Nomor telepon tidak valid atau 0"}))),
    )),
))]
pub async fn pair(
    State(api): State<Arc<Api>>,
    Body { request, .. }: Body<PairRequest>,
) -> ApiResult<Json<PairingCode>> {
    pair_with(&api, DEFAULT_SESSION, &request).await
}

/// Asks a session for a code to type into the phone.
pub async fn pair_with(
    api: &Api,
    session: &str,
    request: &PairRequest,
) -> ApiResult<Json<PairingCode>> {
    let failed =
        |error: &str| PairingCode { success: false, code: None, error: Some(error.into()) };
    let Ok(phone) = Phone::parse(&request.phone) else {
        return Ok(Json(failed(wording::INVALID_PHONE)));
    };
    Ok(Json(match api.sessions.ask(session, &SessionAction::Pair(phone)).await? {
        SessionAnswer::Code(code) => PairingCode { success: true, code: Some(code), error: None },
        answer => failed(error_message(&answer)),
    }))
}
