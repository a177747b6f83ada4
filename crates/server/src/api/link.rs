//! The link of a session: where the API has it, how it is, and what is asked of it.

use super::Api;
use super::error::{ApiError, ApiResult};
use crate::store::Session;
use crate::store::state::{SessionAction, SessionAnswer};
use axum::Json;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_domain::{LinkState, Timestamp, wording};
use kabari_gateway::{Limits, Link, qr};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// How long a status waits for WhatsApp to tell its limits; without them it is still true.
const LIMITS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a gateway elsewhere may take to say how its link is; then what it said last counts.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the default session is found in the API.
pub const PATH: &str = "/api/whatsapp";

/// Returns where a session is found in the API.
pub fn session_path(name: &str) -> String {
    format!("{PATH}/sessions/{name}")
}

/// What a phone has told of the chats from before it was linked. Nothing waits for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// In percent.
    #[schema(example = 100)]
    progress: u8,
    /// Whether the last part has come. Parts that came with it may still be read.
    #[schema(example = true)]
    done: bool,
}

impl History {
    /// Returns the history that is told up to here, in percent.
    pub fn of(progress: u8) -> History {
        History { progress, done: progress >= 100 }
    }
}

/// Limits that WhatsApp puts on the number.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownLimits {
    /// Until then, people who never wrote to us cannot be written to. RFC 3339.
    reach_out_until: Option<String>,
    /// How many new chats may still be opened in this period.
    #[schema(example = 40)]
    new_chats_left: Option<u32>,
}

/// Returns the session of this name.
pub async fn find(api: &Api, name: &str) -> Result<Session, ApiError> {
    api.state.session(name).await?.ok_or(ApiError::NotFound(wording::SESSION_NOT_FOUND))
}

/// Returns the link of the default session now.
pub async fn default_link(api: &Api) -> Link {
    if let Some(gateway) = api.sessions.gateway(DEFAULT_SESSION) {
        let looked = tokio::time::timeout(LOOK_TIMEOUT, gateway.look()).await;
        return looked.unwrap_or_else(|_| gateway.link().borrow().clone());
    }
    let Ok(now) = api.state.now().await else { return Link::starting() };
    match api.state.session(DEFAULT_SESSION).await {
        Ok(Some(session)) => link_of(api, &session, now),
        _ => Link::starting(),
    }
}

/// Returns the link of a session: as it is if the session is open here, otherwise as the node that
/// holds it saw it last.
pub fn link_of(api: &Api, session: &Session, now: Timestamp) -> Link {
    if let Some(gateway) = api.sessions.gateway(&session.name) {
        let link = gateway.link().borrow().clone();
        return Link { error: link.error.clone().or_else(|| session.last_error.clone()), ..link };
    }
    let held = session.is_held(now);
    let state = match session.link {
        link if held => link,
        // The passkey was for a connection that is gone.
        LinkState::PasskeyRequired { .. } => LinkState::NotLinked,
        link if link.is_unlinked() => link,
        _ => LinkState::Starting,
    };
    let code = session.qr.clone().filter(|_| held);
    Link {
        state,
        phone: session.phone.as_ref().map(|phone| phone.digits().to_owned()),
        qr_png: code.as_deref().and_then(qr::png_data_url),
        qr: code,
        passkey: session.passkey.clone().filter(|_| held),
        error: session.last_error.clone(),
    }
}

/// Returns what WhatsApp allows the number now, as far as it can be known in a moment.
pub async fn limits(api: &Api, session: &str) -> Option<ShownLimits> {
    let gateway = api.sessions.gateway(session)?;
    let Limits { reach_out_until, new_chats_left } =
        tokio::time::timeout(LIMITS_TIMEOUT, gateway.limits()).await.ok()?.ok()?;
    Some(ShownLimits {
        reach_out_until: reach_out_until.map(|until| until.to_rfc3339()),
        new_chats_left,
    })
}

/// Whether it worked.
#[derive(Serialize, ToSchema)]
pub struct ActionResult {
    #[schema(example = true)]
    pub success: bool,
    /// What happened, for people.
    #[schema(example = "WhatsApp sedang direstart")]
    pub message: Option<String>,
}

impl ActionResult {
    /// Returns the result of what worked.
    pub fn done(message: &str) -> ActionResult {
        ActionResult { success: true, message: Some(message.to_owned()) }
    }

    /// Returns the result of what did not work, with the reason.
    pub fn failed(message: &str) -> ActionResult {
        ActionResult { success: false, message: Some(message.to_owned()) }
    }
}

/// Returns what callers read of an answer that is no success; the log has the rest.
pub fn error_message(answer: &SessionAnswer) -> &'static str {
    match answer {
        SessionAnswer::NotPossible => wording::LINK_BUSY,
        SessionAnswer::Storage => wording::SESSION_STORAGE,
        _ => wording::NO_ANSWER,
    }
}

/// Asks something of a session, and says whether it worked.
pub async fn act(
    api: &Api,
    session: &str,
    action: &SessionAction,
    done: &str,
) -> ApiResult<Json<ActionResult>> {
    act_or(api, session, action, done, error_message).await
}

/// Does the same as [`act`], with other words for what did not work.
pub async fn act_or(
    api: &Api,
    session: &str,
    action: &SessionAction,
    done: &str,
    failed: fn(&SessionAnswer) -> &'static str,
) -> ApiResult<Json<ActionResult>> {
    Ok(Json(match api.sessions.ask(session, action).await? {
        SessionAnswer::Done => ActionResult::done(done),
        answer => ActionResult::failed(failed(&answer)),
    }))
}
