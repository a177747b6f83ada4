//! The HTTP API on :8001.
//!
//! Each file is one endpoint, or a few that belong together, with its shapes and documentation.
//! Requests are read in [`validation`], errors written in [`error`], long answers in
//! [`streamed`]. A send only records what is to be done and waits for the state database to say
//! that it is: who sends is somebody else.

pub(crate) mod auth;
mod campaigns;
mod compat;
mod control;
pub(crate) mod cross_origin;
mod csv;
mod customers;
mod deliveries;
mod docs;
pub(crate) mod error;
mod events;
mod forecast;
mod link_page;
mod notices;
mod passkey;
mod send;
mod service;
mod sessions;
mod streamed;
mod validation;
mod whatsapp;

use crate::config::Pace;
use crate::origins::Origins;
use crate::sessions::Sessions;
use crate::store::{Billing, StateStore};
use auth::Access;
use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router};
use compat::Throttle;
use error::ApiError;
use kabari_domain::Quotas;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The largest body: a list of some hundred thousand customer ids.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

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
    /// How it is set up.
    pub settings: ApiSettings,
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
    /// A send is refused if the same was made within this time; zero turns that off.
    pub duplicate_guard: Duration,
    /// How fast messages go out, to tell when a send ends.
    pub pace: Pace,
    /// Limits on every number, to tell when a send ends and what it waits for.
    pub quotas: Quotas,
}

/// Everything the API serves.
pub fn router(api: Api) -> Router {
    let access =
        Access { key: api.settings.api_key.clone(), origins: api.settings.origins.clone() };
    let (api, access) = (Arc::new(api), Arc::new(access));
    let (router, openapi) = operations().split_for_parts();
    let openapi = docs::with_common_answers(openapi);
    router
        .merge(docs::routes(&openapi))
        .fallback(|| async { ApiError::no_such_path() })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(Extension(Arc::new(Throttle::default())))
        .layer(axum::middleware::from_fn_with_state(access.clone(), auth::guard))
        .layer(axum::middleware::from_fn(link_page::serve))
        .layer(axum::middleware::from_fn_with_state(access, cross_origin::guard))
        .layer(CatchPanicLayer::custom(error::from_panic))
        .with_state(api)
}

/// The documentation of everything the API serves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    docs::with_common_answers(operations().into_openapi())
}

fn operations() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(docs::Description::openapi())
        .routes(routes!(service::index))
        .routes(routes!(service::health))
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
        .routes(routes!(campaigns::list))
        .routes(routes!(campaigns::one))
        .routes(routes!(deliveries::list))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::cancel))
        .routes(routes!(control::retry))
        .routes(routes!(csv::report))
        .routes(routes!(events::events))
        .routes(routes!(deliveries::resolve))
        .routes(routes!(compat::phpnuxbill::send))
        .routes(routes!(compat::fonnte::send))
}

/// Where a campaign is found.
fn campaign_path(id: i64) -> String {
    format!("/api/campaigns/{id}")
}

/// Waits for changes in the state database.
pub(crate) struct Waiter {
    changes: watch::Receiver<u64>,
    settle: Duration,
}

impl Waiter {
    /// What has changed until now is not waited for.
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
