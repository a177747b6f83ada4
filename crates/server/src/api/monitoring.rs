//! What monitoring asks for, where there is no API: `kabari worker` and `kabari gateway` serve it
//! at an address of its own.

use super::auth::{self, Access};
use super::error::{ApiError, from_panic};
use super::metrics::measure;
use super::monitored::{Monitored, Readings};
use super::{cross_origin, readiness};
use crate::access::peer;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::store::StateStore;
use crate::trace::Traces;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Returns `/livez`, `/readyz` and `/metrics`, guarded as in the API.
pub fn router(
    settings: &Settings,
    state: StateStore,
    sessions: Sessions,
    (metrics, traces): (Metrics, Traces),
    access: Access,
) -> Router {
    metrics.show(state.statement_times());
    let monitored = Monitored {
        billing: None,
        state,
        sessions,
        metrics: metrics.clone(),
        quotas: settings.quotas.clone(),
        data_dir: settings.data_dir.clone(),
        readings: Readings::default(),
    };
    let (access, proxies) = (Arc::new(access), Arc::new(settings.trusted_proxies.clone()));
    Router::new()
        .route("/livez", get(readiness::livez))
        .route("/readyz", get(readiness::readyz))
        .route("/metrics", get(super::metrics::metrics))
        .fallback(|| async { ApiError::no_such_path() })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(from_fn_with_state(access.clone(), auth::guard))
        .layer(from_fn_with_state(access, cross_origin::guard))
        .layer(from_fn_with_state(proxies, peer::identify))
        .layer(CatchPanicLayer::custom(from_panic))
        .layer(from_fn_with_state((metrics, traces), measure))
        .with_state(monitored)
}
