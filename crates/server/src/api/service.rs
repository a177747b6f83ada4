//! `/` and `/health`.

use super::{Api, accepts_html};
use crate::store::StoreError;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::VARY;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// How long a database may take to say that it is there: whoever asks for the health wants to
/// know now.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the operator's page begins.
pub(crate) const PAGES: &str = "/app/";

const CONNECTED: &str = "connected";

/// What is served here.
#[derive(Serialize, ToSchema)]
pub struct Service {
    /// Kept from the replaced system.
    #[schema(example = "WhatsApp Notification Service")]
    service: &'static str,
    #[schema(example = "running")]
    status: &'static str,
    /// Where the documentation is.
    #[schema(example = "/docs")]
    docs: &'static str,
    /// kabari's own version.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// What is served here
#[utoipa::path(get, path = "/", tag = "service", operation_id = "get_service", responses((status = 200, description = "What is served", body = Service)))]
pub async fn index() -> Json<Service> {
    Json(Service {
        service: "WhatsApp Notification Service",
        status: "running",
        docs: "/docs",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// How kabari is.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `healthy`, or `unhealthy` if a database does not do what it should.
    #[schema(example = "healthy")]
    status: &'static str,
    /// The billing database: `connected`, or what to do about it.
    #[schema(example = "connected")]
    database: String,
    /// kabari's own database: `connected`, or what to do about it.
    #[schema(example = "connected")]
    state_database: String,
    /// The link to WhatsApp, as in `/api/whatsapp/status`. Waiting for a phone is healthy.
    #[schema(example = "connected")]
    whatsapp: &'static str,
}

/// Whether everything it needs is there
///
/// 503 when a database is down. The link to WhatsApp is shown but does not count: a send waits
/// for it.
#[utoipa::path(
    get,
    path = "/health",
    tag = "service", operation_id = "get_health",
    responses(
        (status = 200, description = "Healthy", body = Health),
        (status = 503, description = "A database is down", body = Health, example = json!({
            "status": "unhealthy",
            "database": "the billing database cannot be reached (connection refused); check that it runs",
            "state_database": "connected",
            "whatsapp": "connected",
        })),
    )
)]
pub async fn health(State(api): State<Arc<Api>>) -> (StatusCode, Json<Health>) {
    let (database, state_database) =
        tokio::join!(condition(api.billing.check()), condition(api.state.ping()));
    let healthy = database.is_ok() && state_database.is_ok();
    let shown = |found: Result<(), String>| found.err().unwrap_or_else(|| CONNECTED.to_owned());
    let health = Health {
        status: if healthy { "healthy" } else { "unhealthy" },
        database: shown(database),
        state_database: shown(state_database),
        whatsapp: super::link::default_link(&api).await.state.as_str(),
    };
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

/// Returns what to do about a database, if anything.
pub async fn condition(check: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    match tokio::time::timeout(CHECK_TIMEOUT, check).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => {
            Err(format!("no answer within {} s; check that it runs", CHECK_TIMEOUT.as_secs()))
        }
    }
}

/// Shows browsers that open `/` the page; programs get the answer that the replaced system gave.
pub async fn welcome(request: Request, next: Next) -> Response {
    if request.uri().path() != "/" || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let mut response = match accepts_html(request.headers()) {
        true => Redirect::to(PAGES).into_response(),
        false => next.run(request).await,
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    response
}
