//! `kabari gateway` in this process, with whatever WhatsApp a test wants behind it.

use super::served::PATIENCE;
use super::world::options;
use kabari::clock::Clock;
use kabari::config::Settings;
use kabari::dispatcher::OpenGateway;
use kabari::gateway_app::GatewayApp;
use kabari::sessions::Sessions;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_gateway::Gateway;
use std::ops::Deref;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::time::timeout;

/// A running gateway, and the data that it would start with again.
pub struct OurGateway {
    app: Option<GatewayApp>,
    settings: Settings,
    clock: Clock,
    behind: Arc<dyn Gateway>,
    _directory: TempDir,
}

impl OurGateway {
    /// In front of this WhatsApp, without any pace.
    pub async fn before(behind: Arc<dyn Gateway>) -> OurGateway {
        OurGateway::with(behind, Clock::System, |_| {}).await
    }

    /// The same with changed settings.
    pub async fn with(
        behind: Arc<dyn Gateway>,
        clock: Clock,
        change: impl FnOnce(&mut Settings),
    ) -> OurGateway {
        let directory = TempDir::new().unwrap();
        let mut settings = options(directory.path()).check().unwrap();
        change(&mut settings);
        let mut gateway = OurGateway { app: None, settings, clock, behind, _directory: directory };
        gateway.start().await;
        gateway
    }

    /// Starts it on the data that it has; a first time, or anew after [`stop`](Self::stop).
    pub async fn start(&mut self) {
        let behind = self.behind.clone();
        let settings = self.settings.clone();
        let app = GatewayApp::start_with(settings, self.clock.clone(), |_, _, _| {
            let open: OpenGateway = Box::new(move |_lease| {
                let behind = behind.clone();
                Box::pin(async move { Ok(behind) })
            });
            open
        });
        let app = app.await.unwrap();
        opened(&app.sessions, DEFAULT_SESSION).await;
        // A client finds it where it was.
        self.settings.gateway_port = app.address.port();
        self.app = Some(app);
    }

    /// Ends it in order.
    pub async fn stop(&mut self) {
        self.app.take().unwrap().stop().await;
    }

    /// Waits until something holds that shows in its state database.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let mut changes = self.state.changes();
        let waiting = async {
            while !condition().await {
                // It is there as long as the gateway is.
                let _ = changes.changed().await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not so: {what}"));
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Deref for OurGateway {
    type Target = GatewayApp;

    fn deref(&self) -> &GatewayApp {
        self.app.as_ref().unwrap()
    }
}

/// The session of this name, once it is open.
pub async fn opened(sessions: &Sessions, name: &str) -> Arc<dyn Gateway> {
    let mut open = sessions.open();
    let opened = open.wait_for(|open| open.contains_key(name));
    let opened = timeout(PATIENCE, opened).await.expect("a session opens");
    opened.unwrap()[name].clone()
}
