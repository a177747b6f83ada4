//! The operator's page of a kabari with made-up data, in Chromium: pictures of every page
//! (`cargo xtask screenshots`), and how soon the first page is seen on a slow line
//! (`cargo xtask bench page`).
#![allow(clippy::unwrap_used)]

mod screenshots;
mod speed;
#[allow(dead_code, reason = "the tests of the pages need more of it")]
#[path = "../../tests/it/harness/window.rs"]
mod window;

use anyhow::Context;
use clap::{Parser, Subcommand};
use kabari::app::{App, NodeRole};
use kabari::clock::Clock;
use kabari::config::{BillingDatabase, Options, Pace};
use kabari_domain::session::DEFAULT_SESSION;
use kabari_gateway::LinkState;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, Simulator};
use window::{Screen, Window};

/// The number that the pages show as linked.
const OPERATOR_PHONE: &str = "6281299990000";
/// How long linking may take.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);
/// Slow enough for a campaign to be under way on every picture.
const PACE: Pace = Pace { delay: Duration::from_millis(700), jitter: Duration::ZERO };
/// Shown as what is left of the day's quota.
const DAILY_CAP: u32 = 500;

/// Looks at the pages of a kabari with made-up data.
#[derive(Parser)]
struct Pages {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Take pictures of every page, light and dark, on a desk and on a phone.
    Screenshots {
        /// Where they go.
        #[arg(default_value = "docs/screenshots")]
        directory: PathBuf,
    },
    /// Measure how soon the first page is seen on a slow line.
    Speed,
}

/// A kabari, the WhatsApp that it is linked to, and a window on its pages.
struct Looking {
    app: App,
    simulator: Simulator,
    window: Window,
    origin: String,
    _scratch: TempDir,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Pages { options, task } = Pages::parse();
    let looking = Looking::start(options).await?;
    match task {
        Task::Screenshots { directory } => screenshots::take_all(&looking, &directory).await?,
        Task::Speed => speed::measure(&looking).await?,
    }
    looking.stop().await
}

impl Looking {
    async fn start(mut options: Options) -> anyhow::Result<Looking> {
        let scratch = TempDir::new()?;
        options.state.data_dir = scratch.path().join("data");
        options.api.api_port = "0".into();
        let settings = options.check();
        let mut settings = settings.map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let simulator = Simulator::start(Config::default()).await?;
        settings.websocket_url = Some(simulator.ws_url());
        settings.gateway_url = None;
        settings.pace = PACE;
        settings.quotas.daily_cap = Some(DAILY_CAP);
        settings.billing = BillingDatabase::Embedded { sample: true };
        let app = App::start(settings, NodeRole::Serve, Clock::System).await?;
        let origin = format!("http://{}", app.api.context("it serves the API")?);
        let window = Window::open(&origin, Screen::DESK).await;
        Ok(Looking { app, simulator, window, origin, _scratch: scratch })
    }

    /// Waits until kabari is linked; a simulated phone scans its QR code.
    async fn link(&self) -> anyhow::Result<()> {
        let linked = async {
            let mut open = self.app.sessions.open();
            let opened = open.wait_for(|open| open.contains_key(DEFAULT_SESSION)).await?;
            let mut link = opened[DEFAULT_SESSION].link();
            drop(opened);
            let qr = link.wait_for(|link| link.qr.is_some()).await?.qr.clone().unwrap_or_default();
            self.simulator.scan(&qr, OPERATOR_PHONE).await?;
            link.wait_for(|link| link.state == LinkState::Connected).await?;
            anyhow::Ok(())
        };
        tokio::time::timeout(LINK_TIMEOUT, linked).await.context("not linked in time")?
    }

    async fn stop(self) -> anyhow::Result<()> {
        drop(self.window);
        self.app.stop().await;
        self.simulator.stop().await
    }
}
