//! Sessions: the WhatsApp numbers that messages go out from, `/api/whatsapp/sessions`.

use super::Api;
use super::error::{ApiError, ApiResult, ErrorBody};
use super::link::{self, ActionResult, find};
use super::session_view::SessionBody;
use super::validation::{Body, Fields, FromFields, PathText};
use super::whatsapp::{self, PairRequest, PairingCode, QrCode};
use crate::store::state::{Action, Actor, SessionAction, SessionChange, SessionKind};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use kabari_domain::session::{DEFAULT_SESSION, is_session_name};
use kabari_domain::wording;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// The longest pause between two messages that a session can be given.
pub const MAX_DELAY_MS: i64 = 3_600_000;

/// All sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionList {
    /// By name.
    sessions: Vec<SessionBody>,
}

/// All sessions
#[utoipa::path(get, path = "/api/whatsapp/sessions", tag = "sessions", operation_id = "list_sessions", responses(
    (status = 200, description = "The sessions by name", body = SessionList),
))]
pub async fn list(State(api): State<Arc<Api>>) -> ApiResult<Json<SessionList>> {
    let now = api.state.now().await?;
    let sessions = api.state.sessions().await?;
    let bodies = sessions.into_iter().map(|session| SessionBody::of(&api, session, now));
    Ok(Json(SessionList { sessions: futures_util::future::try_join_all(bodies).await? }))
}

/// What a new session is called.
#[derive(ToSchema)]
#[schema(example = json!({"name": "kantor"}))]
pub struct NewSession {
    /// Lower case letters, digits, `-` and `_`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9_-]+$")]
    name: String,
}

impl FromFields for NewSession {
    fn read(fields: &mut Fields) -> Self {
        NewSession { name: fields.required_text("name", 1, 64) }
    }
}

/// Add a session
///
/// It shows a QR a moment later; any node may hold it.
#[utoipa::path(post, path = "/api/whatsapp/sessions", tag = "sessions", operation_id = "create_session", request_body = NewSession, responses(
    (status = 201, description = "The session", body = SessionBody),
    (status = 400, description = "Not a name for a session", body = ErrorBody),
    (status = 409, description = "There is a session of this name", body = ErrorBody),
))]
pub async fn create(
    State(api): State<Arc<Api>>,
    Extension(actor): Extension<Actor>,
    Body { request, .. }: Body<NewSession>,
) -> ApiResult<(StatusCode, Json<SessionBody>)> {
    add(&api, &request.name).await?;
    api.state.record(&actor, Action::CreateSession, &request.name, &Value::Null).await;
    let session = find(&api, &request.name).await?;
    let now = api.state.now().await?;
    Ok((StatusCode::CREATED, Json(SessionBody::of(&api, session, now).await?)))
}

/// Adds a session of this name.
pub async fn add(api: &Api, name: &str) -> ApiResult<()> {
    if !is_session_name(name) {
        return Err(ApiError::BadRequest(wording::SESSION_NAME.into()));
    }
    if !api.state.create_session(name, SessionKind::Embedded).await? {
        return Err(ApiError::Conflict(wording::SESSION_EXISTS.into()));
    }
    api.sessions.notify();
    Ok(())
}

/// One session
#[utoipa::path(get, path = "/api/whatsapp/sessions/{name}", tag = "sessions", operation_id = "get_session",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "The session", body = SessionBody),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn one(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<Json<SessionBody>> {
    let session = find(&api, &name).await?;
    let now = api.state.now().await?;
    Ok(Json(SessionBody::of(&api, session, now).await?))
}

/// The delay and the jitter of a [`ChangeSession`].
type PaceChange = (Option<Option<Duration>>, Option<Option<Duration>>);

/// What to change of the time between two messages.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read")]
pub struct PaceChangeBody {
    #[schema(minimum = 0, maximum = 3_600_000)]
    delay_ms: Option<i64>,
    /// Up to this much more, at random.
    #[schema(minimum = 0, maximum = 3_600_000)]
    jitter_ms: Option<i64>,
}

/// What to change of a session; what is absent stays, null returns to the settings' value.
#[derive(ToSchema)]
#[schema(example = json!({"pace": {"delay_ms": 3000, "jitter_ms": 1000}, "daily_cap": 500}))]
pub struct ChangeSession {
    #[schema(value_type = Option<PaceChangeBody>)]
    pace: PaceChange,
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_u32)]
    daily_cap: Option<Option<u32>>,
    #[schema(value_type = Option<bool>)]
    paused: Option<bool>,
}

impl FromFields for ChangeSession {
    fn read(fields: &mut Fields) -> Self {
        let duration = |ms: Option<i64>| ms.map(|ms| Duration::from_millis(ms.unsigned_abs()));
        let pace = fields.object("pace", |pace| {
            (
                pace.change("delay_ms", MAX_DELAY_MS).map(duration),
                pace.change("jitter_ms", MAX_DELAY_MS).map(duration),
            )
        });
        let cap = |cap: Option<i64>| cap.and_then(|cap| u32::try_from(cap).ok());
        ChangeSession {
            pace: pace.unwrap_or_default(),
            daily_cap: fields.change("daily_cap", u32::MAX.into()).map(cap),
            paused: fields.flag("paused"),
        }
    }
}

/// Change pace, cap or pause of a session
#[utoipa::path(patch, path = "/api/whatsapp/sessions/{name}", tag = "sessions", operation_id = "change_session",
    params(("name" = String, Path, example = "default")), request_body = ChangeSession, responses(
    (status = 200, description = "The session", body = SessionBody),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn change(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
    Body { request, .. }: Body<ChangeSession>,
) -> ApiResult<Json<SessionBody>> {
    let (delay, jitter) = request.pace;
    let change =
        SessionChange { paused: request.paused, delay, jitter, daily_cap: request.daily_cap };
    change_to(&api, &name, &change).await?;
    one(State(api), PathText(name)).await
}

/// Changes what an operator decides about a session.
pub async fn change_to(api: &Api, name: &str, change: &SessionChange) -> ApiResult<()> {
    match api.state.change_session(name, change).await? {
        true => Ok(()),
        false => Err(ApiError::NotFound(wording::SESSION_NOT_FOUND)),
    }
}

/// Remove a session
///
/// Its phone is unlinked first, if WhatsApp can be reached. What it may have sent without an answer
/// is `uncertain` from then on.
#[utoipa::path(delete, path = "/api/whatsapp/sessions/{name}", tag = "sessions", operation_id = "delete_session",
    params(("name" = String, Path, example = "kantor")), responses(
    (status = 204, description = "It is gone"),
    (status = 404, description = "No such session", body = ErrorBody),
    (status = 409, description = "The default session stays", body = ErrorBody),
))]
pub async fn delete(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<StatusCode> {
    remove(&api, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a session, and unlinks its phone if WhatsApp can be reached.
pub async fn remove(api: &Api, name: &str) -> ApiResult<()> {
    if name == DEFAULT_SESSION {
        return Err(ApiError::Conflict(wording::DEFAULT_SESSION_STAYS.into()));
    }
    let session = find(api, name).await?;
    let now = api.state.now().await?;
    if session.is_linked() && session.is_held(now) {
        // Whether or not WhatsApp answers, the operator wants it gone.
        api.sessions.ask(name, &SessionAction::Logout).await?;
    }
    api.state.delete_session(name).await?;
    api.sessions.notify();
    Ok(())
}

/// The QR code of a session
#[utoipa::path(get, path = "/api/whatsapp/sessions/{name}/qr", tag = "sessions", operation_id = "get_session_qr",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "The QR code, or why there is none", body = QrCode),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn qr(State(api): State<Arc<Api>>, PathText(name): PathText) -> ApiResult<Json<QrCode>> {
    let session = find(&api, &name).await?;
    let now = api.state.now().await?;
    Ok(Json(QrCode::of(link::link_of(&api, &session, now), true)))
}

/// Link a session by a code
#[utoipa::path(post, path = "/api/whatsapp/sessions/{name}/pair", tag = "sessions", operation_id = "pair_session",
    params(("name" = String, Path, example = "default")), request_body = PairRequest, responses(
    (status = 200, description = "The code, or why there is none", body = PairingCode),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn pair(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
    Body { request, .. }: Body<PairRequest>,
) -> ApiResult<Json<PairingCode>> {
    find(&api, &name).await?;
    whatsapp::pair_with(&api, &name, &request).await
}

/// Make a new connection of a session
#[utoipa::path(post, path = "/api/whatsapp/sessions/{name}/restart", tag = "sessions", operation_id = "restart_session",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "Whether it worked", body = ActionResult),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn restart(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<Json<ActionResult>> {
    find(&api, &name).await?;
    link::act(&api, &name, &SessionAction::Restart, wording::RESTARTING).await
}

/// Unlink the phone of a session
#[utoipa::path(post, path = "/api/whatsapp/sessions/{name}/logout", tag = "sessions", operation_id = "logout_session",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "Whether it worked", body = ActionResult),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn logout(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<Json<ActionResult>> {
    find(&api, &name).await?;
    link::act(&api, &name, &SessionAction::Logout, wording::LOGGED_OUT).await
}

/// Let a session send nothing until it is resumed
#[utoipa::path(post, path = "/api/whatsapp/sessions/{name}/pause", tag = "sessions", operation_id = "pause_session",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "It is paused", body = ActionResult),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn pause(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<Json<ActionResult>> {
    set_paused(&api, &name, true, wording::SESSION_PAUSED).await
}

/// Let a paused session send again
#[utoipa::path(post, path = "/api/whatsapp/sessions/{name}/resume", tag = "sessions", operation_id = "resume_session",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "It goes on", body = ActionResult),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn resume(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<Json<ActionResult>> {
    set_paused(&api, &name, false, wording::SESSION_RESUMED).await
}

async fn set_paused(
    api: &Api,
    name: &str,
    paused: bool,
    done: &str,
) -> ApiResult<Json<ActionResult>> {
    let change = SessionChange { paused: Some(paused), ..SessionChange::default() };
    change_to(api, name, &change).await?;
    Ok(Json(ActionResult::done(done)))
}
