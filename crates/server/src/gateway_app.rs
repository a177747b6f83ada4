//! Puts `kabari gateway` together: one WhatsApp session behind the gateway's HTTP contract, and a
//! state database and a dispatcher of its own for what must survive it.

use crate::api::auth::Access;
use crate::api::monitoring;
use crate::app::{REQUEST_PATIENCE, embedded, open_state};
use crate::clock::Clock;
use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::dispatcher::{Connector, Dispatcher, DispatcherSettings, OpenGateway};
use crate::gateway_api::{self, Setup};
use crate::http_server;
use crate::metrics::Metrics;
use crate::paced_gateway::PacedGateway;
use crate::session_key::SessionKey;
use crate::sessions::Sessions;
use crate::store::StateStore;
use crate::store::state::SessionKind;
use crate::trace::Traces;
use crate::whatsapp_session;
use kabari_gateway::Gateway;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct GatewayApp {
    /// Where it listens, with the port it really got.
    pub address: SocketAddr,
    /// Where it answers monitoring, if it does.
    pub monitoring: Option<SocketAddr>,
    /// Its own state database.
    pub state: StateStore,
    /// The session, once it is open.
    pub sessions: Sessions,
    dispatcher: Dispatcher,
    server: JoinHandle<()>,
    traces: Traces,
    stopping: CancellationToken,
    // Held until the end: the lock on the data directory.
    _data_dir: DataDir,
}

impl GatewayApp {
    /// Starts everything. Fails if the data directory or the state database cannot be used, if
    /// another node holds the session, or if the port is taken; WhatsApp is waited for.
    pub async fn start(settings: Settings, clock: Clock) -> anyhow::Result<GatewayApp> {
        GatewayApp::start_with(settings, clock, embedded).await
    }

    /// The same with another way to open the session.
    pub async fn start_with(
        settings: Settings,
        clock: Clock,
        open: impl FnOnce(&Settings, &StateStore, SessionKey) -> OpenGateway,
    ) -> anyhow::Result<GatewayApp> {
        anyhow::ensure!(
            settings.gateway_url.is_none(),
            "WA_GATEWAY_URL is set: `kabari gateway` is the gateway itself; remove the variable here"
        );
        let data_dir = DataDir::open(&settings.data_dir)?;
        let node = data_dir.node().to_owned();
        let state = open_state(&settings, clock.clone()).await?;
        let key = whatsapp_session::key(&settings)?;
        state.check_session_key(&key).await?;
        let name = settings.session.clone();
        whatsapp_session::take_over(&settings.data_dir, &state, &key, &node, &[&name]).await?;
        state.adopt_session(&name, SessionKind::Embedded, &node).await?;
        ensure_free(&state, &name, &node).await?;
        state.reclaim_from(&node, settings.timeouts.resend).await?;

        let sessions = Sessions::new(state.clone(), clock.clone());
        let metrics = Metrics::starting(clock.monotonic());
        let stopping = CancellationToken::new();
        let traces = Traces::start(settings.trace_collector.as_deref(), &node)?;
        let access = || Access::by_key(settings.api_key.clone(), settings.origins.clone());
        let router = gateway_api::router(Setup {
            state: state.clone(),
            sessions: sessions.clone(),
            session: name.clone(),
            access: access(),
            trusted_proxies: settings.trusted_proxies.clone(),
            delay: settings.pace.delay,
            metrics: metrics.clone(),
            traces: traces.clone(),
            stopping: stopping.clone(),
        });
        let address = SocketAddr::new(settings.api.ip(), settings.gateway_port);
        let (address, server) = http_server::serve(address, router, stopping.clone()).await?;
        let mut monitoring = None;
        if let Some(address) = settings.metrics_address {
            let measured = (metrics.clone(), traces.clone());
            let router =
                monitoring::router(&settings, state.clone(), sessions.clone(), measured, access());
            let (address, _) = http_server::serve(address, router, stopping.clone()).await?;
            monitoring = Some(address);
        }
        let open = one_by_one(open(&settings, &state, key), clock.clone(), settings.pace.delay);
        let dispatcher = Dispatcher::spawn(
            state.clone(),
            sessions.clone(),
            Connector { kind: SessionKind::Embedded, only: Some(name), open },
            DispatcherSettings {
                node,
                pace: settings.pace,
                quotas: settings.quotas,
                affinity: settings.affinity,
                retention: settings.retention,
                timeouts: settings.timeouts,
                keeps_events: true,
            },
            clock,
            metrics,
            traces.clone(),
        );
        Ok(GatewayApp {
            address,
            monitoring,
            state,
            sessions,
            dispatcher,
            server,
            traces,
            stopping,
            _data_dir: data_dir,
        })
    }

    /// Lets the message in flight finish, writes everything down, and leaves WhatsApp in order.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        self.dispatcher.stop().await;
        if tokio::time::timeout(REQUEST_PATIENCE, &mut self.server).await.is_err() {
            tracing::info!("left with requests waiting; who asks again is answered");
            self.server.abort();
        }
        self.traces.stop().await;
    }
}

/// Whoever starts a second gateway for a number should hear of it at once.
async fn ensure_free(state: &StateStore, name: &str, node: &str) -> anyhow::Result<()> {
    let now = state.now().await?;
    let session = state.session(name).await?;
    let elsewhere = session.is_some_and(|session| {
        session.is_held(now) && session.owner.as_deref().is_some_and(|owner| owner != node)
    });
    anyhow::ensure!(
        !elsewhere,
        "another node holds the session {name:?}: end that node, or set WA_SESSION to another"
    );
    Ok(())
}

/// Lets the messages of a session that is opened like this out one by one.
fn one_by_one(open: OpenGateway, clock: Clock, delay: Duration) -> OpenGateway {
    let open = Arc::new(open);
    Box::new(move |lease| {
        let (open, clock) = (open.clone(), clock.clone());
        Box::pin(async move {
            let gateway = open(lease).await?;
            Ok(Arc::new(PacedGateway::new(gateway, clock, delay)) as Arc<dyn Gateway>)
        })
    })
}
