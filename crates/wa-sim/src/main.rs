//! `wa-sim`: the simulator as a program.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// A WhatsApp server to test against: the real wire protocol, simulated phones, scripted faults.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where to listen, for clients (at /ws/chat) and for the control API (under /control).
    #[arg(long, env = "WA_SIM_LISTEN", default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
    /// What all keys and ids derive from: the same seed gives the same run.
    #[arg(long, env = "WA_SIM_SEED", default_value_t = 0)]
    seed: u64,
    /// Where accounts, sessions and the ledger are kept over a restart.
    #[arg(long, env = "WA_SIM_DATA")]
    data: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    let Cli { listen, seed, data } = Cli::parse();
    let simulator = wa_sim::Simulator::start(wa_sim::Config { listen, seed, data }).await?;
    tracing::info!(
        "clients connect to {}, inbox at http://{}/, control API under /control",
        simulator.ws_url(),
        simulator.addr()
    );
    shutdown().await?;
    simulator.stop().await
}

/// Returns on Ctrl-C or SIGTERM.
#[cfg(unix)]
async fn shutdown() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Returns on Ctrl-C.
#[cfg(not(unix))]
async fn shutdown() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
