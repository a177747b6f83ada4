//! Linked sessions for clients to start with.

use crate::simulator::Simulator;
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use kabari_gateway::embedded::{ACK_TIMEOUT, LONGEST_RECONNECT};
use kabari_gateway::{Embedded, EmbeddedConfig, Gateway};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The number that a single client writes from.
pub const OWN: &str = "6281299990000";

/// How long linking may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many clients are linked at a time.
const AT_ONCE: usize = 8;

/// Makes a session in this directory, as kabari keeps it, linked to this phone.
pub async fn link(simulator: &Simulator, directory: &Path, phone: &str) -> anyhow::Result<()> {
    let gateway = Embedded::start(EmbeddedConfig {
        data_dir: directory.to_owned(),
        websocket_url: Some(simulator.ws_url()),
        ack_timeout: ACK_TIMEOUT,
        longest_reconnect: LONGEST_RECONNECT,
    })
    .await?;
    let mut link = gateway.link();
    timeout(PATIENCE, async {
        let shown = link.wait_for(|link| link.qr.is_some()).await?.qr.clone();
        simulator.scan(&shown.unwrap_or_default(), phone).await?;
        link.wait_for(|link| link.is_connected()).await?;
        anyhow::Ok(())
    })
    .await
    .context("no phone was linked in time")??;
    gateway.close().await;
    Ok(())
}

/// The same for many, each with a phone of its own.
pub async fn link_all(simulator: &Simulator, directories: &[PathBuf]) -> anyhow::Result<()> {
    stream::iter(directories.iter().enumerate())
        .map(async |(index, directory)| {
            link(simulator, directory, &format!("62812{index:07}0")).await
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
