//! The HTTP API on :8001.
//!
//! Each file is one endpoint, or a few that belong together, with its shapes and documentation.
//! Requests are read in [`validation`], errors written in [`error`], long answers in
//! [`streamed`]. A send only records what is to be done and waits for the state database to say
//! that it is: who sends is somebody else.

mod audit;
pub(crate) mod auth;
pub(crate) mod campaigns;
mod compat;
pub(crate) mod control;
pub(crate) mod cross_origin;
pub(crate) mod csv;
mod customers;
pub(crate) mod deliveries;
mod docs;
pub(crate) mod error;
mod events;
pub(crate) mod forecast;
pub(crate) mod link;
mod link_page;
pub(crate) mod metrics;
mod monitored;
pub(crate) mod monitoring;
mod notices;
mod operations;
pub(crate) mod passkey;
mod readiness;
pub(crate) mod send;
pub(crate) mod service;
pub(crate) mod session_view;
pub(crate) mod sessions;
pub(crate) mod streamed;
pub(crate) mod validation;
pub(crate) mod whatsapp;

use crate::access::peer::{self, TrustedProxies};
use crate::config::Pace;
use crate::metrics::Metrics;
use crate::origins::Origins;
use crate::request_body::{self, BodyBudget, MAX_BODY_BYTES};
use crate::sessions::Sessions;
use crate::store::{Billing, StateStore};
use crate::trace::Traces;
use auth::Access;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use compat::Throttle;
use error::ApiError;
use kabari_domain::Quotas;
use monitored::Readings;
use operations::OperationRules;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a waiter looks away after a change, as others usually follow. It looks away longer
/// and longer, up to the second: many who wait for a long campaign must not keep the database
/// from sending it.
const SETTLE: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(500)];

/// How often a waiter looks without a change: another node may have made one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the API works with.
pub struct Api {
    /// Customers and notices.
    pub billing: Billing,
    /// Campaigns and deliveries.
    pub state: StateStore,
    /// The sessions that are open here.
    pub sessions: Sessions,
    /// What this process measures.
    pub metrics: Metrics,
    /// Where its spans go.
    pub traces: Traces,
    /// How it is set up.
    pub settings: ApiSettings,
    /// What `/metrics` has read last.
    pub readings: Readings,
}

/// How the API is set up.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Where customers can follow an outage; goes into notices.
    pub status_page_url: Option<String>,
    /// What callers must show. Without one, only this machine is served.
    pub api_key: Option<String>,
    /// What programs must show that speak another gateway's dialect. Without one, none may.
    pub compat_key: Option<String>,
    /// Whose web pages may call.
    pub origins: Origins,
    /// The reverse proxies that are believed where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// A send is refused if the same was made within this time; zero turns that off.
    pub duplicate_guard: Duration,
    /// How fast messages go out, to tell when a send ends.
    pub pace: Pace,
    /// Limits on every number, to tell when a send ends and what it waits for.
    pub quotas: Quotas,
    /// Where the disk is to have room.
    pub data_dir: PathBuf,
}

/// Returns everything the API serves, and the `pages` beside it.
pub fn router(api: Api, pages: fn(Arc<Api>, BodyBudget) -> Router) -> Router {
    let (metrics, traces) = (api.metrics.clone(), api.traces.clone());
    metrics.show(api.state.statement_times());
    metrics.show(api.billing.statement_times());
    let (operations, openapi) = operations().split_for_parts();
    let openapi = docs::with_common_answers(openapi);
    let rules = Arc::new(OperationRules::of(&openapi));
    let access = Access::by_key(api.settings.api_key.clone(), api.settings.origins.clone())
        .and_named_keys(api.state.clone(), rules.clone());
    let proxies = Arc::new(api.settings.trusted_proxies.clone());
    let (api, access) = (Arc::new(api), Arc::new(access));
    let bodies = BodyBudget::default();
    let operations = operations
        .merge(docs::routes(&openapi))
        .fallback(|| async { ApiError::no_such_path() })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(Extension(Arc::new(Throttle::default())))
        .layer(from_fn_with_state((api.clone(), rules), audit::record))
        .layer(from_fn_with_state(bodies.clone(), request_body::admit))
        .layer(from_fn_with_state(access.clone(), auth::guard))
        .layer(from_fn(link_page::serve))
        .layer(from_fn(service::welcome))
        .layer(from_fn(metrics::name_route))
        .with_state(api.clone());
    pages(api, bodies)
        .fallback_service(operations)
        .layer(from_fn_with_state(access, cross_origin::guard))
        .layer(from_fn_with_state(proxies, peer::identify))
        .layer(CatchPanicLayer::custom(error::from_panic))
        .layer(from_fn_with_state((metrics, traces), metrics::measure))
}

/// Returns the documentation of everything the API serves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    docs::with_common_answers(operations().into_openapi())
}

fn operations() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(docs::Description::openapi())
        .routes(routes!(service::index))
        .routes(routes!(service::health))
        .routes(routes!(readiness::livez))
        .routes(routes!(readiness::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(whatsapp::status))
        .routes(routes!(whatsapp::qr))
        .routes(routes!(whatsapp::connect))
        .routes(routes!(whatsapp::restart))
        .routes(routes!(whatsapp::logout))
        .routes(routes!(whatsapp::pair))
        .routes(routes!(passkey::show, passkey::answer))
        .routes(routes!(passkey::confirm))
        .routes(routes!(sessions::list, sessions::create))
        .routes(routes!(sessions::one, sessions::change, sessions::delete))
        .routes(routes!(sessions::qr))
        .routes(routes!(sessions::pair))
        .routes(routes!(passkey::show_session, passkey::answer_session))
        .routes(routes!(passkey::confirm_session))
        .routes(routes!(sessions::restart))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::pause))
        .routes(routes!(sessions::resume))
        .routes(routes!(notices::list))
        .routes(routes!(notices::one))
        .routes(routes!(customers::list))
        .routes(routes!(send::notification))
        .routes(routes!(send::custom))
        .routes(routes!(send::phone))
        .routes(routes!(send::by_odp))
        .routes(routes!(send::restored::restored))
        .routes(routes!(campaigns::list))
        .routes(routes!(campaigns::one))
        .routes(routes!(deliveries::list))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::cancel))
        .routes(routes!(control::retry))
        .routes(routes!(control::resolve))
        .routes(routes!(csv::report))
        .routes(routes!(events::events))
        .routes(routes!(deliveries::resolve))
        .routes(routes!(compat::phpnuxbill::send))
        .routes(routes!(compat::fonnte::send))
}

/// Returns whether the caller takes HTML: a browser that opens an address says so, and scripts
/// and programs do not.
pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|media_type| media_type.trim().eq_ignore_ascii_case("text/html"))
}

/// Returns where a campaign is found.
fn campaign_path(id: i64) -> String {
    format!("/api/campaigns/{id}")
}

/// Waits for changes in the state database.
pub(crate) struct Waiter {
    changes: watch::Receiver<u64>,
    settle: Duration,
}

impl Waiter {
    /// Waits only for changes from now on.
    pub(crate) fn new(state: &StateStore) -> Waiter {
        Waiter { changes: state.changes(), settle: SETTLE[0] }
    }

    /// Returns soon after something has changed since the last call, or may have.
    pub(crate) async fn moved(&mut self) {
        if tokio::time::timeout(LOOK_EVERY, self.changes.changed()).await.is_ok() {
            tokio::time::sleep(self.settle).await;
            self.settle = (self.settle * 2).min(SETTLE[1]);
            // What came meanwhile is seen by the look that follows.
            self.changes.borrow_and_update();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_who_accepts_html_gets_pages() {
        let accepts = |value| {
            accepts_html(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]))
        };
        assert!(accepts("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(accepts("application/json, Text/HTML;q=0.5"));
        assert!(!accepts("*/*"));
        assert!(!accepts("application/json"));
        assert!(!accepts_html(&HeaderMap::new()));
    }
}
