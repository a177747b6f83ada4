//! What monitoring looks at, with the API around it or without.

use super::Api;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::store::{Billing, StateStore};
use axum::extract::FromRef;
use kabari_domain::Quotas;
use prometheus::Registry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// What `/metrics` has read last, and when.
pub type Readings = Arc<Mutex<Option<(Instant, Registry)>>>;

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
