//! A linked session for kabari to start with.

use crate::simulator::{self, Simulator};
use anyhow::Context;
use kabari::app;
use kabari::clock::Clock;
use kabari::config::Settings;
use kabari::data_dir::DataDir;
use std::time::Duration;
use tokio::time::timeout;

/// The number that a single client writes from.
pub const OWN: &str = "6281299990000";

/// How long linking may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Links the session of these settings to the phone.
pub async fn link(simulator: &Simulator, settings: &Settings) -> anyhow::Result<()> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let state = app::open_state(settings, Clock::System).await?;
    let (gateway, lease) =
        app::open_session(settings, &state, &settings.session, data_dir.node()).await?;
    let mut link = gateway.link();
    timeout(PATIENCE, async {
        let shown = link.wait_for(|link| link.qr.is_some()).await?.qr.clone();
        simulator::scan(simulator.address(), &shown.unwrap_or_default(), OWN).await?;
        link.wait_for(|link| link.is_connected()).await?;
        anyhow::Ok(())
    })
    .await
    .context("no phone was linked in time")??;
    gateway.close().await;
    state.release_session(&lease).await?;
    Ok(())
}
