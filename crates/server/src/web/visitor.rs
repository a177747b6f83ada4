//! Who looks at a page.

use super::error::PageError;
use super::language::Language;
use super::texts::Texts;
use crate::api::Api;
use crate::api::auth::require_loopback_host;
use crate::api::error::ApiError;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use kabari_domain::{Role, Timestamp, wording};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// Who looks at a page, and how they want to see it.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// What they may do.
    pub role: Role,
    /// Which words the pages use.
    pub language: Language,
    /// What their forms have to bring back; see [`csrf`](super::csrf).
    pub csrf: Arc<str>,
    /// Where they are.
    pub path: String,
    /// How their browser reaches this server, such as `https://kabari.example.net`.
    pub origin: String,
    /// Whether they ask for a part of a page that they have.
    pub is_part: bool,
    timezone: Tz,
}

/// Without users everybody on this machine has the same token. It ends with the process.
static LOOPBACK_CSRF: LazyLock<Arc<str>> = LazyLock::new(|| {
    let token: [u8; 32] = rand::random();
    token.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
});

/// Lets a visitor in, or shows them where to ask.
///
/// Without users only this machine is served, under a name of its own, as by the API without a
/// key; who is there may do everything.
pub async fn admit(
    State(api): State<Arc<Api>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    if !peer.ip().to_canonical().is_loopback() || require_loopback_host(request.headers()).is_err()
    {
        return ApiError::Forbidden(wording::FOREIGN_HOST).into_response();
    }
    let visitor = Visitor {
        role: Role::Admin,
        language: Language::of(request.headers()),
        csrf: LOOPBACK_CSRF.clone(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        origin: origin(request.headers()),
        is_part: request.headers().contains_key("hx-request"),
        timezone: api.settings.quotas.timezone,
    };
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// Only for commands to copy: a proxy in front tells the scheme, a browser the rest.
fn origin(headers: &HeaderMap) -> String {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = value("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
    format!("{scheme}://{}", value("host").unwrap_or("127.0.0.1:8001"))
}

impl Visitor {
    /// The words of their language; see [`text!`](super::texts::text).
    pub fn texts(&self) -> &'static Texts {
        Texts::of(self.language)
    }

    /// Refuses what their role does not allow.
    pub fn require(&self, role: Role) -> Result<(), PageError> {
        if self.may(role) { Ok(()) } else { Err(PageError::Forbidden(role)) }
    }

    /// Returns whether they may do what this role may.
    pub fn may(&self, role: Role) -> bool {
        self.role >= role
    }

    /// Writes a time as a clock on their wall shows it, with the day.
    pub fn moment(&self, time: Timestamp) -> String {
        let utc = chrono::DateTime::from_timestamp_millis(time.0).unwrap_or_default();
        self.texts().moment(utc.with_timezone(&self.timezone).naive_local())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visitor, PageError> {
        let visitor = parts.extensions.get::<Visitor>().cloned();
        visitor.ok_or_else(|| ApiError::Internal("a page without a visitor".to_owned()).into())
    }
}
