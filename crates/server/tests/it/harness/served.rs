//! kabari's API on a free port of this machine, with everything behind it but WhatsApp.

use super::database::{SeedBilling, billing_file};
use super::gateway::{OurGateway, opened};
use super::scripted_gateway::ScriptedGateway;
use kabari::access::peer::TrustedProxies;
use kabari::api::{Api, ApiSettings};
use kabari::app::router;
use kabari::clock::Clock;
use kabari::config::Pace;
use kabari::dispatcher::{Connector, Dispatcher, DispatcherSettings, OpenGateway};
use kabari::http_server;
use kabari::metrics::Metrics;
use kabari::origins::Origins;
use kabari::sessions::Sessions;
use kabari::store::state::{Affinity, SessionKind};
use kabari::store::{Billing, BillingTarget, StateStore, StateTarget};
use kabari::timeouts::Timeouts;
use kabari::trace::Traces;
use kabari_domain::Quotas;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_gateway::{Gateway, Remote, RemoteConfig, http};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What to serve.
pub struct Setup {
    pub settings: ApiSettings,
    pub billing: Option<BillingTarget>,
    /// Whether anything is sent.
    pub dispatching: bool,
    /// Whether WhatsApp is behind a gateway in another process, as far as kabari can tell.
    pub remote_gateway: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            settings: ApiSettings {
                status_page_url: Some("https://rumahkitanet.site/status-jaringan".to_owned()),
                api_key: None,
                compat_key: None,
                origins: Origins::default(),
                trusted_proxies: TrustedProxies::default(),
                duplicate_guard: Duration::ZERO,
                pace: Pace { delay: Duration::ZERO, jitter: Duration::ZERO },
                quotas: Quotas::none(),
                data_dir: PathBuf::new(),
            },
            billing: None,
            dispatching: true,
            remote_gateway: false,
        }
    }
}

/// A running API.
pub struct Served {
    pub address: SocketAddr,
    pub gateway: Arc<ScriptedGateway>,
    pub state: StateStore,
    pub client: Client,
    server: JoinHandle<()>,
    _between: Option<OurGateway>,
    _dispatcher: Option<Dispatcher>,
    _directory: TempDir,
}

/// Customers and notices for tests that need no MariaDB.
pub const SMALL_BILLING: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, phone TEXT, odp TEXT,
        is_active INTEGER NOT NULL DEFAULT 1);
    CREATE TABLE network_notices (id INTEGER PRIMARY KEY, title TEXT NOT NULL, message TEXT NOT NULL,
        type TEXT NOT NULL, severity TEXT NOT NULL, is_mass INTEGER NOT NULL, affected_area TEXT,
        affected_odp TEXT, start_time TEXT, end_time TEXT, is_active INTEGER NOT NULL, created_at TEXT);
    INSERT INTO customers (id, name, phone, odp) VALUES
        (1, 'Budi', '081234567801', 'ODP-1'), (2, '=1+1', '081234567802', 'ODP-1'),
        (3, 'Nol', '0', 'ODP-1'), (4, 'Tak Terdaftar', '081234567819', 'ODP-2'),
        (5, 'Garis', '081234567805', 'ODP/5'), (6, 'Kosong', NULL, 'ODP-2');
    INSERT INTO network_notices VALUES
        (1, 'Kabel putus', 'Maaf, {nama}.', 'gangguan', 'high', 0, NULL, 'ODP-1', NULL, NULL, 1, '2026-01-10 01:05:00');
";

impl Served {
    /// With the small billing database.
    pub async fn start() -> Served {
        Served::with(Setup::default()).await
    }

    /// As the recordings were made: with the seed's billing database, which must outlive it, and
    /// a gateway over HTTP.
    pub async fn as_recorded(billing: &SeedBilling) -> Served {
        let billing = Some(billing.target.clone());
        Served::with(Setup { billing, remote_gateway: true, ..Setup::default() }).await
    }

    pub async fn with(setup: Setup) -> Served {
        let directory = TempDir::new().unwrap();
        let target = match setup.billing {
            Some(target) => target,
            None => billing_file(&directory, SMALL_BILLING).await,
        };
        let path = directory.path().join("state.db");
        let state = StateStore::open(StateTarget::Sqlite { path }, Clock::System).await.unwrap();
        let scripted = Arc::new(ScriptedGateway::connected());
        let mut between = None;
        let gateway: Arc<dyn Gateway> = if setup.remote_gateway {
            let ours = OurGateway::before(scripted.clone()).await;
            let config = RemoteConfig { url: ours.url(), key: None, heard: None };
            between = Some(ours);
            Arc::new(Remote::start(config).await.unwrap())
        } else {
            scripted.clone()
        };
        let (pace, quotas) = (setup.settings.pace, setup.settings.quotas.clone());
        let kind = match setup.remote_gateway {
            true => SessionKind::Remote,
            false => SessionKind::Embedded,
        };
        state.create_session(DEFAULT_SESSION, kind).await.unwrap();
        let sessions = Sessions::new(state.clone(), Clock::System);
        let metrics = Metrics::starting(Clock::System.monotonic());
        let api = Api {
            billing: Billing::connect(target).unwrap(),
            state: state.clone(),
            sessions: sessions.clone(),
            metrics: metrics.clone(),
            traces: Traces::default(),
            readings: Default::default(),
            settings: ApiSettings { data_dir: directory.path().to_owned(), ..setup.settings },
        };
        let (address, server) = serve(router(api)).await;
        let dispatcher = setup.dispatching.then(|| {
            let settings = DispatcherSettings {
                node: "test".to_owned(),
                pace,
                quotas,
                affinity: Affinity { wait: Duration::ZERO, urgent: Duration::ZERO },
                retention: None,
                timeouts: Timeouts::default(),
                keeps_events: false,
            };
            let gateway = gateway.clone();
            let open: OpenGateway = Box::new(move |_lease| {
                let gateway = gateway.clone();
                Box::pin(async move { Ok(gateway) })
            });
            let connector = Connector { kind, only: None, open };
            let sessions = sessions.clone();
            let traces = Traces::default();
            Dispatcher::spawn(
                state.clone(),
                sessions,
                connector,
                settings,
                Clock::System,
                metrics,
                traces,
            )
        });
        if dispatcher.is_none() {
            sessions.opened(DEFAULT_SESSION, gateway);
        }
        opened(&sessions, DEFAULT_SESSION).await;
        let client = http::client("http:").timeout(PATIENCE).build().unwrap();
        Served {
            address,
            gateway: scripted,
            state,
            client,
            server,
            _between: between,
            _dispatcher: dispatcher,
            _directory: directory,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    /// Sends a notice to everybody whom it is for, and waits until that is done.
    pub async fn send_notice(&self, notice: i64) {
        let body = serde_json::json!({ "notice_id": notice });
        let (status, report) = self.post("/api/send/notification", body).await;
        assert_eq!(status, 200, "{report}");
    }

    /// Asks until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = async {
            let mut changes = self.state.changes();
            loop {
                let (_, body) = self.get(path).await;
                if wanted(&body) {
                    return body;
                }
                // Whatever comes first: a change, or time to look again.
                let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, ask)
            .await
            .unwrap_or_else(|_| panic!("{path} never was as wanted"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves on a free port.
pub async fn serve(router: axum::Router) -> (SocketAddr, JoinHandle<()>) {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    http_server::serve(any_port, router, CancellationToken::new()).await.unwrap()
}

/// The status and the JSON of an answer.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text:?}")))
}
