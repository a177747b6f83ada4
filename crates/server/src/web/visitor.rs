//! Who looks at a page.

use super::error::{self, PageError};
use super::language::{Language, cookie};
use super::login::{self, SESSION_COOKIE};
use super::texts::Texts;
use crate::access::peer::Peer;
use crate::access::token::{csrf_token, random_token, token_hash};
use crate::api::Api;
use crate::api::auth::require_loopback_host;
use crate::api::error::ApiError;
use crate::store::StoreError;
use crate::store::state::{Action, Actor, ActorKind, LoggedIn, Login};
use axum::Extension;
use axum::body::HttpBody as _;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{HOST, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use chrono::NaiveDateTime;
use chrono_tz::Tz;
use kabari_domain::{Role, Timestamp};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A user who is logged in.
    User(LoggedIn),
    /// Somebody on this machine, while there are no users.
    Local,
    /// Somebody who has to log in first.
    Guest,
}

/// Who looks at a page, and how they want to see it.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who they are.
    pub identity: Identity,
    /// What they may do.
    pub role: Role,
    /// Where they are.
    pub peer: Peer,
    /// Which words the pages use.
    pub language: Language,
    /// What their forms have to bring back; see [`csrf`](super::csrf).
    pub csrf: Arc<str>,
    /// The page that they look at.
    pub path: String,
    /// How their browser reaches this server, such as `https://kabari.example.net`.
    pub origin: String,
    /// Whether they ask for a part of a page that they have.
    pub is_part: bool,
    timezone: Tz,
}

/// The largest form of somebody who has not logged in: a name and a password.
const MAX_GUEST_FORM_BYTES: u64 = 16 * 1024;

/// Without users everybody on this machine has the same token. It ends with the process.
static LOCAL_CSRF: LazyLock<Arc<str>> = LazyLock::new(|| csrf_token(&random_token()).into());

/// Lets a visitor in, or shows them where to ask.
///
/// Without users and without `API_KEY` only this machine is served, under a name of its own, as by
/// the API; who is there may do everything. Otherwise everybody has to log in.
pub async fn admit(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let shown = cookie(&parts.headers, SESSION_COOKIE).map(str::to_owned);
    let is_new = shown.is_none();
    let token = shown.unwrap_or_else(random_token);
    let visitor = match identify(&api, &peer, &parts.headers, &token).await {
        Ok(identity) => Visitor::of(&api, identity, peer, &token, &parts),
        Err(refused) => {
            let visitor = Visitor::of(&api, Identity::Guest, peer, &token, &parts);
            return error::answer(&visitor, &refused);
        }
    };
    let is_guest = visitor.identity == Identity::Guest;
    if is_guest && !login::is_for_guests(parts.uri.path()) {
        return login::ask(&visitor, &parts.method);
    }
    if is_guest && body.size_hint().upper().is_none_or(|bytes| bytes > MAX_GUEST_FORM_BYTES) {
        return error::answer(&visitor, &PageError::TooLarge);
    }
    parts.extensions.insert(visitor);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    // The forms that a guest gets are tied to their browser, as those of a user are.
    if is_guest && is_new && !response.headers().contains_key(SET_COOKIE) {
        let cookie = login::session_cookie(&token, None, peer.https);
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

async fn identify(
    api: &Api,
    peer: &Peer,
    headers: &HeaderMap,
    token: &str,
) -> Result<Identity, PageError> {
    if let Some(user) = api.state.logged_in(&token_hash(token)).await? {
        return Ok(Identity::User(user));
    }
    if api.state.has_users().await? {
        return Ok(Identity::Guest);
    }
    let is_open = api.settings.api_key.is_none();
    if is_open && peer.is_local() && require_loopback_host(headers).is_ok() {
        Ok(Identity::Local)
    } else {
        Err(PageError::NoUsers)
    }
}

/// Returns the address that a browser knows this server by: only for commands to copy.
fn origin(headers: &HeaderMap, https: bool) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let scheme = if https { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or("127.0.0.1:8001"))
}

impl Visitor {
    fn of(api: &Api, identity: Identity, peer: Peer, token: &str, parts: &Parts) -> Visitor {
        let (role, csrf) = match &identity {
            Identity::User(user) => (user.role, csrf_token(token).into()),
            Identity::Local => (Role::Admin, LOCAL_CSRF.clone()),
            Identity::Guest => (Role::Viewer, csrf_token(token).into()),
        };
        Visitor {
            identity,
            role,
            peer,
            language: Language::of(&parts.headers),
            csrf,
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            origin: origin(&parts.headers, peer.https),
            is_part: parts.headers.contains_key("hx-request"),
            timezone: api.settings.quotas.timezone,
        }
    }

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

    /// Returns whether they could still come in, as they have.
    pub async fn is_still_in(&self, api: &Api) -> Result<bool, StoreError> {
        match &self.identity {
            Identity::User(LoggedIn { login, .. }) => {
                let logins = api.state.logins(&login.user_name).await?;
                Ok(logins.iter().any(|open| open.id == login.id))
            }
            Identity::Local => Ok(!api.state.has_users().await?),
            Identity::Guest => Ok(false),
        }
    }

    /// Returns the login of a user; there is none on this machine, while there are no users.
    pub fn login(&self) -> Option<&Login> {
        match &self.identity {
            Identity::User(user) => Some(&user.login),
            Identity::Local | Identity::Guest => None,
        }
    }

    /// Returns who they are, for the audit.
    pub fn actor(&self) -> Actor {
        let address = self.peer.address;
        match &self.identity {
            Identity::User(user) => Actor {
                kind: ActorKind::User,
                name: user.login.user_name.clone(),
                address: Some(address),
            },
            Identity::Local => Actor::unnamed(ActorKind::Local, address),
            Identity::Guest => Actor::unnamed(ActorKind::Guest, address),
        }
    }

    /// Writes into the audit what they have done, and to what.
    pub async fn record(&self, api: &Api, action: Action, subject: &str) {
        self.record_with(api, action, subject, &Value::Null).await;
    }

    /// The same, with more about it.
    pub async fn record_with(&self, api: &Api, action: Action, subject: &str, details: &Value) {
        api.state.record(&self.actor(), action, subject, details).await;
    }

    /// Writes a time as a clock on their wall shows it, with the day.
    pub fn moment(&self, time: Timestamp) -> String {
        self.texts().moment(self.local(time))
    }

    /// Returns the time on their wall.
    pub fn local(&self, time: Timestamp) -> NaiveDateTime {
        let utc = chrono::DateTime::from_timestamp_millis(time.0).unwrap_or_default();
        utc.with_timezone(&self.timezone).naive_local()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visitor, PageError> {
        let visitor = parts.extensions.get::<Visitor>().cloned();
        visitor.ok_or_else(|| ApiError::Internal("a page without a visitor".to_owned()).into())
    }
}
