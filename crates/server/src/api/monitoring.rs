//! What monitoring asks for, where there is no API: `kabari worker` and `kabari gateway` serve it
//! at an address of its own.

use super::Api;
use super::auth::{self, Access};
use super::error::{ApiError, from_panic};
use super::metrics::{Readings, measure};
use super::{cross_origin, readiness};
use crate::access::peer;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::store::{Billing, StateStore};
use crate::trace::Traces;
use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use kabari_domain::Quotas;
use std::path::PathBuf;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// What monitoring looks at.
#[derive(Clone)]
pub struct Monitored {
    /// The billing database, where this process reads it.
    pub billing: Option<Billing>,
    pub state: StateStore,
    /// The sessions that are open here.
    pub sessions: Sessions,
    /// What this process measures.
    pub metrics: Metrics,
    /// Limits on every number.
    pub quotas: Quotas,
    /// Where the disk is to have room.
    pub data_dir: PathBuf,
    /// What `/metrics` has read last.
    pub readings: Readings,
}

impl FromRef<Arc<Api>> for Monitored {
    fn from_ref(api: &Arc<Api>) -> Monitored {
        Monitored {
            billing: Some(api.billing.clone()),
            state: api.state.clone(),
            sessions: api.sessions.clone(),
            metrics: api.metrics.clone(),
            quotas: api.settings.quotas.clone(),
            data_dir: api.settings.data_dir.clone(),
            readings: api.readings.clone(),
        }
    }
}

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
