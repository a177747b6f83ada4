//! The HTTP contract of the gateway that kabari replaces, on :3001, and what a kabari in front of it
//! needs beside it.
//!
//! Its clients expect status 200 for nearly everything: they read `success`. 503 means that nothing
//! can be sent now.

mod bulk;
mod events;
mod registration_cache;
mod send;

use crate::access::peer::{self, TrustedProxies};
use crate::api::auth::{self, Access};
use crate::api::cross_origin;
use crate::api::error::from_panic;
use crate::api::metrics::measure;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::store::StateStore;
use crate::trace::Traces;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kabari_domain::{Phone, wording};
use kabari_gateway::contract::{AnswerBody, LimitsBody, QrBody, StatusBody};
use kabari_gateway::{Gateway, GatewayError, Link, LinkState, SendError};
use registration_cache::RegistrationCache;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

/// The largest body that is read: a `/send-bulk` to some ten thousand recipients.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// How long a send waits for a connection that is just being made.
const RECONNECT_WAIT: Duration = Duration::from_secs(10);

/// What the gateway serves from.
pub struct Setup {
    /// Its own state database.
    pub state: StateStore,
    /// The sessions that are open here.
    pub sessions: Sessions,
    /// The one that is served.
    pub session: String,
    /// Who may call.
    pub access: Access,
    /// The reverse proxies that are believed where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// The shortest time between two messages.
    pub delay: Duration,
    /// What this process measures.
    pub metrics: Metrics,
    /// Where its spans go.
    pub traces: Traces,
    /// Set when kabari ends: nobody follows any longer.
    pub stopping: CancellationToken,
}

/// Returns the six endpoints of the replaced gateway, and two of ours.
pub fn router(setup: Setup) -> Router {
    let (access, proxies) = (Arc::new(setup.access), Arc::new(setup.trusted_proxies));
    let api = Api {
        state: setup.state,
        sessions: setup.sessions,
        session: setup.session,
        numbers: RegistrationCache::default(),
        delay: setup.delay,
        one_at_a_time: tokio::sync::Mutex::new(()),
        stopping: setup.stopping,
    };
    Router::new()
        .route("/status", get(status))
        .route("/qr", get(qr))
        .route("/send", post(send::send))
        .route("/send-bulk", post(bulk::send_bulk))
        .route("/restart", post(restart))
        .route("/logout", post(logout))
        .route("/limits", get(limits))
        .route("/events", get(events::events))
        .fallback(|| async { detail(StatusCode::NOT_FOUND, "Not Found") })
        .method_not_allowed_fallback(|| async {
            detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(access.clone(), auth::guard))
        .layer(from_fn_with_state(access, cross_origin::guard))
        .layer(from_fn_with_state(proxies, peer::identify))
        .layer(CatchPanicLayer::custom(from_panic))
        .layer(from_fn_with_state((setup.metrics, setup.traces), measure))
        .with_state(Arc::new(api))
}

struct Api {
    state: StateStore,
    sessions: Sessions,
    session: String,
    numbers: RegistrationCache,
    delay: Duration,
    /// Held while a message with an id is under way: a repeat waits for what comes of it.
    one_at_a_time: tokio::sync::Mutex<()>,
    stopping: CancellationToken,
}

async fn status(State(api): State<Arc<Api>>) -> Json<StatusBody> {
    Json(StatusBody::of(&api.link()))
}

async fn qr(State(api): State<Arc<Api>>) -> Json<QrBody> {
    let link = api.link();
    Json(match link.qr_png {
        _ if link.is_connected() => QrBody {
            success: true,
            message: Some(wording::ALREADY_CONNECTED.into()),
            phone: link.phone,
            ..QrBody::default()
        },
        Some(qr) => QrBody { success: true, qr: Some(qr), text: link.qr, ..QrBody::default() },
        None => QrBody { message: Some(wording::QR_NOT_READY.into()), ..QrBody::default() },
    })
}

async fn limits(State(api): State<Arc<Api>>) -> Response {
    let limits = match api.gateway() {
        Ok(gateway) => gateway.limits().await,
        Err(error) => Err(GatewayError::NotPossible(error.to_string())),
    };
    match limits {
        Ok(limits) => Json(LimitsBody::from(limits)).into_response(),
        Err(error) => failure(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn restart(State(api): State<Arc<Api>>) -> Response {
    match api.gateway() {
        Ok(gateway) => command(gateway.restart().await, wording::RESTARTING),
        Err(error) => refusal(&error),
    }
}

async fn logout(State(api): State<Arc<Api>>) -> Response {
    match api.gateway() {
        Ok(gateway) => {
            let done = gateway.logout().await;
            api.numbers.forget();
            command(done, wording::LOGGED_OUT)
        }
        Err(error) => refusal(&error),
    }
}

fn command(done: Result<(), GatewayError>, message: &str) -> Response {
    match done {
        Ok(()) => Json(AnswerBody::success(message)).into_response(),
        Err(error) => {
            tracing::error!("{error}");
            failure(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    }
}

impl Api {
    /// Returns the session, if it is open.
    fn gateway(&self) -> Result<Arc<dyn Gateway>, SendError> {
        let gateway = self.sessions.gateway(&self.session);
        gateway.ok_or_else(|| SendError::NotConnected("the session is being opened".into()))
    }

    fn link(&self) -> Link {
        let gateway = self.sessions.gateway(&self.session);
        gateway.map_or_else(Link::starting, |gateway| gateway.link().borrow().clone())
    }

    /// Gives a connection that is just being made a moment.
    async fn connected(&self) -> Result<Arc<dyn Gateway>, SendError> {
        let being_made =
            |link: &Link| matches!(link.state, LinkState::Starting | LinkState::Connecting);
        let settled = async {
            let mut open = self.sessions.open();
            // It ends only with the process.
            let _ = open.wait_for(|open| open.contains_key(&self.session)).await;
            if let Ok(gateway) = self.gateway() {
                let _ = gateway.link().wait_for(|link| !being_made(link)).await;
            }
        };
        // Whatever came of it, the state is what counts.
        let _ = tokio::time::timeout(RECONNECT_WAIT, settled).await;
        let link = self.link();
        match link.state {
            LinkState::Connected => self.gateway(),
            LinkState::Starting
            | LinkState::NotLinked
            | LinkState::PasskeyRequired { .. }
            | LinkState::LoggedOut => Err(SendError::NotLinked),
            _ => Err(SendError::NotConnected(link.error.unwrap_or_default())),
        }
    }
}

/// Answers that nothing can be sent now.
fn refusal(error: &SendError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(AnswerBody::of_error(error))).into_response()
}

fn bad_request(error: &str) -> Response {
    failure(StatusCode::BAD_REQUEST, error)
}

fn failure(status: StatusCode, error: &str) -> Response {
    (status, Json(AnswerBody::failure(error))).into_response()
}

fn detail(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "detail": text }))).into_response()
}

/// Returns the body as JSON, or the status and text of what is wrong with it.
fn parse(body: Result<Bytes, BytesRejection>) -> Result<Value, (StatusCode, &'static str)> {
    let body = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => (status, wording::BODY_TOO_LARGE),
        status => (status, wording::UNREADABLE_BODY),
    })?;
    serde_json::from_slice(&body).map_err(|_| (StatusCode::BAD_REQUEST, wording::UNREADABLE_BODY))
}

/// Returns the number as it was typed. Clients send it as text and as a JSON number.
fn typed_phone(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Reads a number as people type it: Indonesian, unless it says otherwise.
fn typed_number(typed: &str) -> Option<Phone> {
    Phone::parse(typed).ok()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
