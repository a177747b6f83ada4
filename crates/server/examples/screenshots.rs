//! Pictures of every page, light and dark, on a desk and on a phone: `cargo xtask screenshots`.
//!
//! The data is made up: the sample customers, many more of their kind, and a simulated WhatsApp.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the tests of the pages need more of it")]
#[path = "../tests/it/harness/window.rs"]
mod window;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Parser;
use kabari::app::{App, NodeRole};
use kabari::cli::client::ApiClient;
use kabari::clock::Clock;
use kabari::config::{BillingDatabase, Options, Pace};
use kabari_domain::session::DEFAULT_SESSION;
use kabari_gateway::LinkState;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, Simulator};
use window::{Screen, Window};

/// The number that the pictures show as linked.
const OPERATOR_PHONE: &str = "6281299990000";
/// How long linking may take.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);
/// Slow enough for a campaign to be under way on every picture.
const PACE: Pace = Pace { delay: Duration::from_secs(4), jitter: Duration::from_secs(1) };

/// The screens, by the end of the picture's name.
const SCREENS: [(&str, Screen); 4] = [
    ("desk-light", Screen::DESK),
    ("desk-dark", Screen::DESK.dark()),
    ("phone-light", Screen::PHONE),
    ("phone-dark", Screen::PHONE.dark()),
];

/// The pages, by the beginning of the picture's name, once a phone is linked.
const PAGES: [(&str, &str); 9] = [
    ("home", "/app/"),
    ("campaigns", "/app/campaigns"),
    ("campaign", "/app/campaigns/2"),
    ("notices", "/app/notices"),
    ("customers", "/app/customers"),
    ("whatsapp", "/app/whatsapp"),
    ("log", "/app/log"),
    ("access", "/app/access"),
    ("send", "/app/send"),
];

/// Takes pictures of every page.
#[derive(Parser)]
struct Screenshots {
    /// Where they go.
    #[arg(long, default_value = "docs/screenshots")]
    directory: PathBuf,
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Screenshots::parse();
    std::fs::create_dir_all(&arguments.directory)?;
    let scratch = TempDir::new()?;
    arguments.options.state.data_dir = scratch.path().join("data");
    arguments.options.api.api_port = "0".into();
    let settings = arguments.options.check();
    let mut settings = settings.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let simulator = Simulator::start(Config::default()).await?;
    settings.websocket_url = Some(simulator.ws_url());
    settings.gateway_url = None;
    settings.pace = PACE;
    settings.quotas.daily_cap = Some(500);
    settings.billing = BillingDatabase::Embedded { sample: true };
    let app = App::start(settings, NodeRole::Serve, Clock::System).await?;
    let api = app.api.context("it serves the API")?;
    let origin = format!("http://{api}");
    let client = ApiClient::at(&origin, None)?;
    let window = Window::open(&origin, Screen::DESK).await;

    window.visit("/app/whatsapp").await;
    window.until("document.querySelector('img.qr')?.complete === true").await;
    take(&window, &arguments.directory, "link").await?;
    tokio::time::timeout(LINK_TIMEOUT, link(&app, &simulator)).await.context("not linked")??;

    // One campaign that is done, and one that is under way.
    for body in [json!({ "notice_id": 3, "customer_ids": [1, 2] }), json!({ "notice_id": 3 })] {
        kabari::cli::send::start(&client, "/api/send/notification", &body, None).await?;
    }
    window.visit("/app/").await;
    window
        .until("document.querySelector('.bar .read, .bar .delivered, .bar .sent') !== null")
        .await;
    for (name, page) in PAGES {
        window.visit(page).await;
        take(&window, &arguments.directory, name).await?;
    }
    window.press("Lanjut: kepada siapa").await;
    window.press("ODP yang dipilih").await;
    window.press("ODP-MLT-01").await;
    take(&window, &arguments.directory, "send-to").await?;
    window.press("Lanjut: periksa").await;
    window.until_shown("akan menerima").await;
    take(&window, &arguments.directory, "send-check").await?;
    drop(window);
    app.stop().await;
    simulator.stop().await
}

/// Waits until kabari is linked; a simulated phone scans its QR code.
async fn link(app: &App, simulator: &Simulator) -> anyhow::Result<()> {
    let mut open = app.sessions.open();
    let opened = open.wait_for(|open| open.contains_key(DEFAULT_SESSION)).await?;
    let mut link = opened[DEFAULT_SESSION].link();
    drop(opened);
    let qr = link.wait_for(|link| link.qr.is_some()).await?.qr.clone().unwrap_or_default();
    simulator.scan(&qr, OPERATOR_PHONE).await?;
    link.wait_for(|link| link.state == LinkState::Connected).await?;
    Ok(())
}

/// Takes a picture of the page with every screen.
async fn take(window: &Window, directory: &Path, name: &str) -> anyhow::Result<()> {
    for (end, screen) in SCREENS {
        window.look_with(screen).await;
        // As high as the page, so that nothing of it is below the navigation of a phone.
        let height = window.value("document.documentElement.scrollHeight").await;
        let height = u32::try_from(height.as_u64().unwrap_or_default())?.max(screen.height);
        window.look_with(Screen { height, ..screen }).await;
        let picture = window.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        let picture = picture["data"].as_str().context("chromedriver has taken no picture")?;
        let picture = BASE64_STANDARD.decode(picture)?;
        std::fs::write(directory.join(format!("{name}-{end}.png")), picture)?;
    }
    window.look_with(Screen::DESK).await;
    Ok(())
}
