//! Puts the parts together: databases, the way to WhatsApp, dispatcher, API.

use crate::api::auth::Access;
use crate::api::{self, Api, ApiSettings, monitoring};
use crate::clock::{Clock, speed};
use crate::config::{BillingDatabase, Settings};
use crate::data_dir::DataDir;
use crate::dispatcher::{Connector, Dispatcher, DispatcherSettings, OpenGateway};
use crate::http_server;
use crate::metrics::Metrics;
use crate::session_key::SessionKey;
use crate::sessions::Sessions;
use crate::store::state::SessionKind;
use crate::store::{
    Billing, BillingTarget, SessionLease, StateStore, StateTarget, StoreError, billing,
};
use crate::trace::Traces;
use crate::web;
use crate::whatsapp_session;
use axum::Router;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_gateway::{
    Embedded, EmbeddedConfig, Gateway, GatewayError, LinkState, Remote, RemoteConfig,
};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long open requests may hold up the end: a waiting send comes back for its report.
pub(crate) const REQUEST_PATIENCE: Duration = Duration::from_millis(500);

pub struct App {
    /// The API's address, with the port it really got; `None` for a worker.
    pub api: Option<SocketAddr>,
    /// Where a worker answers monitoring, if it does.
    pub monitoring: Option<SocketAddr>,
    pub state: StateStore,
    pub billing: Billing,
    /// The sessions that are open here.
    pub sessions: Sessions,
    dispatcher: Dispatcher,
    server: Option<JoinHandle<()>>,
    traces: Traces,
    stopping: CancellationToken,
    // Held until the end: the lock on the data directory.
    _data_dir: DataDir,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// Answers the API and sends.
    Serve,
    /// Only sends.
    Worker,
}

impl App {
    /// Starts everything. Fails if the data directory or the state database cannot be used, or
    /// the port is taken; a billing database or WhatsApp that is down is waited for.
    pub async fn start(settings: Settings, role: NodeRole, clock: Clock) -> anyhow::Result<App> {
        let data_dir = DataDir::open(&settings.data_dir)?;
        let state = open_state(&settings, clock.clone()).await?;
        make_embedded_billing(&settings).await?;
        let billing = open_billing(&settings)?;
        let key = whatsapp_session::key(&settings)?;
        state.check_session_key(&key).await?;
        let names = [DEFAULT_SESSION, data_dir.node()];
        whatsapp_session::take_over(&settings.data_dir, &state, &key, data_dir.node(), &names)
            .await?;
        let connector = connector(&settings, &state, key)?;
        let default = connector.only.as_deref().unwrap_or(DEFAULT_SESSION);
        state.adopt_session(default, connector.kind, data_dir.node()).await?;

        // Whatever this node was doing when it ended, nobody does it now: the directory's lock
        // says so.
        let left_behind = state.reclaim_from(data_dir.node(), settings.timeouts.resend).await?;
        if left_behind > 0 {
            tracing::info!(left_behind, "took up the deliveries of this node's last run");
        }
        let sessions = Sessions::new(state.clone(), clock.clone());
        let metrics = Metrics::starting(clock.monotonic());
        let traces = Traces::start(settings.trace_collector.as_deref(), data_dir.node())?;
        let stopping = CancellationToken::new();
        let (api, monitoring, server) = match (role, settings.metrics_address) {
            (NodeRole::Serve, _) => {
                let api = Api {
                    billing: billing.clone(),
                    state: state.clone(),
                    sessions: sessions.clone(),
                    metrics: metrics.clone(),
                    traces: traces.clone(),
                    readings: Default::default(),
                    settings: ApiSettings {
                        status_page_url: settings.status_page_url.clone(),
                        api_key: settings.api_key.clone(),
                        compat_key: settings.compat_key.clone(),
                        origins: settings.origins.clone(),
                        trusted_proxies: settings.trusted_proxies.clone(),
                        duplicate_guard: settings.duplicate_guard,
                        pace: settings.pace,
                        quotas: settings.quotas.clone(),
                        data_dir: settings.data_dir.clone(),
                    },
                };
                let (addr, server) =
                    http_server::serve(settings.api, router(api), stopping.clone()).await?;
                (Some(addr), None, Some(server))
            }
            (NodeRole::Worker, Some(address)) => {
                let access = Access::by_key(settings.api_key.clone(), settings.origins.clone())
                    .and_keys_of_api(state.clone());
                let measured = (metrics.clone(), traces.clone());
                let router = monitoring::router(
                    &settings,
                    state.clone(),
                    sessions.clone(),
                    measured,
                    access,
                );
                let (addr, server) = http_server::serve(address, router, stopping.clone()).await?;
                (None, Some(addr), Some(server))
            }
            (NodeRole::Worker, None) => (None, None, None),
        };
        let dispatcher = Dispatcher::spawn(
            state.clone(),
            sessions.clone(),
            connector,
            DispatcherSettings {
                node: data_dir.node().to_owned(),
                pace: settings.pace,
                quotas: settings.quotas,
                affinity: settings.affinity,
                retention: settings.retention,
                timeouts: settings.timeouts,
                keeps_events: false,
            },
            clock,
            metrics,
            traces.clone(),
        );
        Ok(App {
            api,
            monitoring,
            state,
            billing,
            sessions,
            dispatcher,
            server,
            traces,
            stopping,
            _data_dir: data_dir,
        })
    }

    /// Lets the messages in flight finish, writes everything down, and leaves WhatsApp in order.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.dispatcher.stop().await;
        if let Some(server) = self.server
            && tokio::time::timeout(REQUEST_PATIENCE, server).await.is_err()
        {
            tracing::info!("left with requests waiting; their sends go on after the next start");
        }
        self.traces.stop().await;
    }
}

/// Returns what is served on :8001: the API, and the operator's page.
pub fn router(api: Api) -> Router {
    api::router(api, web::routes)
}

/// Returns the state database of these settings.
pub async fn open_state(settings: &Settings, clock: Clock) -> anyhow::Result<StateStore> {
    Ok(StateStore::open(state_target(settings), clock).await?)
}

/// Returns where these settings keep the state.
pub fn state_target(settings: &Settings) -> StateTarget {
    StateTarget::of(settings.state_database_url.as_deref(), &settings.data_dir)
}

/// Returns the billing database of these settings; connects when first used.
pub fn open_billing(settings: &Settings) -> anyhow::Result<Billing> {
    let target = match &settings.billing {
        BillingDatabase::MySql { host, port, database, username, password } => {
            BillingTarget::MySql {
                host: host.clone(),
                port: *port,
                database: database.clone(),
                username: username.clone(),
                password: password.clone(),
            }
        }
        BillingDatabase::Embedded { .. } => {
            BillingTarget::Sqlite { path: embedded_billing(&settings.data_dir) }
        }
    };
    Ok(Billing::connect(target)?)
}

/// Makes the embedded billing database, if these settings want one.
async fn make_embedded_billing(settings: &Settings) -> anyhow::Result<()> {
    let BillingDatabase::Embedded { sample } = settings.billing else { return Ok(()) };
    let path = embedded_billing(&settings.data_dir);
    if sample {
        billing::sample(&path).await?;
    } else if !path.exists() {
        billing::create(&path).await?;
        tracing::warn!("DB_HOST is not set: made an empty billing database at {}", path.display());
    }
    Ok(())
}

/// Returns where the embedded billing database is.
pub fn embedded_billing(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("billing.db")
}

/// Returns how these settings open the sessions that this node holds.
fn connector(
    settings: &Settings,
    state: &StateStore,
    key: SessionKey,
) -> anyhow::Result<Connector> {
    Ok(match &settings.gateway_url {
        Some(url) => {
            let (url, key) = (url.clone(), settings.gateway_key.clone());
            let state = state.clone();
            let open: OpenGateway = Box::new(move |lease| {
                let (url, key, state) = (url.clone(), key.clone(), state.clone());
                Box::pin(async move { open_remote(url, key, &state, &lease).await })
            });
            let only = Some(settings.session.clone());
            Connector { kind: SessionKind::Remote, only, open }
        }
        None => {
            let open = embedded(settings, state, key);
            Connector { kind: SessionKind::Embedded, only: None, open }
        }
    })
}

/// Opens a session that is held by way of another process.
async fn open_remote(
    url: String,
    key: Option<String>,
    state: &StateStore,
    lease: &SessionLease,
) -> Result<Arc<dyn Gateway>, GatewayError> {
    let heard = state.heard(&lease.name).await;
    let heard = heard.map_err(|error| GatewayError::Storage(error.to_string()))?;
    let remote = Remote::start(RemoteConfig { url, key, heard }).await?;
    Ok(Arc::new(remote))
}

/// Returns how these settings open sessions with the client in this process.
pub fn embedded(settings: &Settings, state: &StateStore, key: SessionKey) -> OpenGateway {
    let (settings, state) = (settings.clone(), state.clone());
    Box::new(move |lease| {
        let (settings, state, key) = (settings.clone(), state.clone(), key.clone());
        Box::pin(async move { open_embedded(&settings, &state, &lease, &key).await })
    })
}

/// Opens a session that is held, with the client in this process.
async fn open_embedded(
    settings: &Settings,
    state: &StateStore,
    lease: &SessionLease,
    key: &SessionKey,
) -> Result<Arc<dyn Gateway>, GatewayError> {
    let stored = |error: StoreError| GatewayError::Storage(error.to_string());
    let session = state.session(&lease.name).await.map_err(stored)?;
    let embedded = Embedded::start(EmbeddedConfig {
        store: state.session_store(lease, key).await.map_err(stored)?,
        // Also after a restart of this process: of two copies of a session, the one that was
        // opened last goes on.
        opened_elsewhere: session.is_some_and(|session| session.link == LinkState::Replaced),
        websocket_url: settings.websocket_url.clone(),
        device_name: settings.device_name.clone(),
        ack_timeout: settings.timeouts.ack / speed(),
        longest_reconnect: settings.timeouts.reconnect / speed(),
    })
    .await?;
    Ok(Arc::new(embedded))
}
