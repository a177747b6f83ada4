//! Puts the parts together: databases, the way to WhatsApp, dispatcher, API.

use crate::api::{self, Api, ApiSettings};
use crate::clock::Clock;
use crate::config::{BillingDatabase, Settings};
use crate::data_dir::DataDir;
use crate::dispatcher::{Dispatcher, DispatcherSettings};
use crate::store::{Billing, BillingTarget, State, StateTarget, billing};
use anyhow::Context as _;
use kabari_gateway::{Embedded, EmbeddedConfig, Gateway, Remote, RemoteConfig};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long open requests may hold up the end: a waiting send comes back for its report.
const REQUEST_PATIENCE: Duration = Duration::from_millis(500);

/// A running kabari.
pub struct App {
    /// The API's address, with the port it really got; `None` for a worker.
    pub api: Option<SocketAddr>,
    /// The state database.
    pub state: State,
    /// The billing database.
    pub billing: Billing,
    /// The way to WhatsApp.
    pub gateway: Arc<dyn Gateway>,
    dispatcher: Dispatcher,
    server: Option<JoinHandle<std::io::Result<()>>>,
    stopping: CancellationToken,
    // Held until the end: the lock on the data directory.
    _data_dir: DataDir,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers the API and sends.
    Serve,
    /// Only sends.
    Worker,
}

impl App {
    /// Starts everything. Fails if the data directory or the state database cannot be used, or
    /// the port is taken; a billing database or WhatsApp that is down is waited for.
    pub async fn start(settings: Settings, role: Role, clock: Clock) -> anyhow::Result<App> {
        let data_dir = DataDir::open(&settings.data_dir)?;
        let state = open_state(&settings, clock.clone()).await?;
        make_embedded_billing(&settings).await?;
        let billing = open_billing(&settings)?;
        let gateway = open_gateway(&settings).await?;

        // Whatever this node was doing when it ended, nobody does it now: the directory's lock
        // says so.
        let left_behind = state.reclaim_from(data_dir.node(), settings.waits.resend).await?;
        if left_behind > 0 {
            tracing::info!(left_behind, "took up the deliveries of this node's last run");
        }
        let stopping = CancellationToken::new();
        let (api, server) = match role {
            Role::Serve => {
                let api = Api {
                    billing: billing.clone(),
                    state: state.clone(),
                    gateway: gateway.clone(),
                    settings: ApiSettings {
                        status_page_url: settings.status_page_url.clone(),
                        api_key: settings.api_key.clone(),
                        origins: settings.origins.clone(),
                        duplicate_guard: settings.duplicate_guard,
                        pace: settings.pace,
                    },
                };
                let (addr, server) =
                    serve(settings.api, api::router(api), stopping.clone()).await?;
                (Some(addr), Some(server))
            }
            Role::Worker => (None, None),
        };
        let dispatcher = Dispatcher::spawn(
            state.clone(),
            gateway.clone(),
            DispatcherSettings {
                node: data_dir.node().to_owned(),
                pace: settings.pace,
                quiet_hours: settings.quiet_hours,
                timezone: settings.timezone,
                daily_cap: settings.daily_cap,
                warm_up: settings.warm_up,
                waits: settings.waits,
            },
            clock,
        );
        Ok(App { api, state, billing, gateway, dispatcher, server, stopping, _data_dir: data_dir })
    }

    /// Lets the message in flight finish, writes everything down, and leaves WhatsApp in order.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.dispatcher.stop().await;
        self.gateway.close().await;
        if let Some(server) = self.server
            && tokio::time::timeout(REQUEST_PATIENCE, server).await.is_err()
        {
            tracing::info!("left with requests waiting; their sends go on after the next start");
        }
    }
}

/// Listens, and serves until `stopping`.
pub async fn serve(
    address: SocketAddr,
    router: axum::Router,
    stopping: CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<std::io::Result<()>>)> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}: choose another port, or end the program that has this one"
        )
    })?;
    let address = listener.local_addr()?;
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    Ok((address, tokio::spawn(server.into_future())))
}

/// The state database of these settings.
pub async fn open_state(settings: &Settings, clock: Clock) -> anyhow::Result<State> {
    Ok(State::open(state_target(settings), clock).await?)
}

/// Where these settings keep the state.
pub fn state_target(settings: &Settings) -> StateTarget {
    match &settings.state_database_url {
        Some(url) => StateTarget::MySql { url: url.clone() },
        None => StateTarget::Sqlite { path: settings.data_dir.join("state.db") },
    }
}

/// The billing database of these settings; connects when first used.
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

/// Where the embedded billing database is.
pub fn embedded_billing(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("billing.db")
}

/// The way to WhatsApp of these settings.
pub async fn open_gateway(settings: &Settings) -> anyhow::Result<Arc<dyn Gateway>> {
    match &settings.gateway_url {
        Some(url) => {
            let remote = Remote::start(RemoteConfig { url: url.clone() }).await?;
            Ok(Arc::new(remote))
        }
        None => {
            let embedded = Embedded::start(EmbeddedConfig {
                data_dir: settings.data_dir.clone(),
                websocket_url: settings.websocket_url.clone(),
                ack_timeout: settings.waits.ack,
                longest_reconnect: settings.waits.reconnect,
            })
            .await?;
            Ok(Arc::new(embedded))
        }
    }
}
