//! Messages per second over the wire: kabari's dispatcher beside the bare WhatsApp client, and how
//! it grows with its numbers (`fleet`), how fast its API is (`api`), and what grows with time (`soak`).
//!
//! `cargo xtask bench` builds and starts this. The simulator and the client under measure
//! are processes of their own, so that each one's processor time and memory are its own; this one
//! only gives orders and waits. How fast messages go out is read off the simulator's ledger.

mod api;
mod arrivals;
mod bare;
mod fleet;
mod kabari;
mod process;
mod recipients;
mod report;
mod simulator;
mod soak;

use anyhow::{Context, ensure};
use bare::Bare;
use clap::{Parser, Subcommand, ValueEnum};
use kabari::{Installation, Kabari};
use process::Process;
use report::{Measured, Sample};
use simulator::Simulator;
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long all messages of one order may take, with the last receipt.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many recipients each of many clients writes to.
const RECIPIENTS_PER_CLIENT: u32 = 20;
/// How often the disk is tried.
const DURABLE_WRITES: usize = 101;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    order: Order,
    /// What `cargo bench` tells every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Role {
    /// How kabari grows with its sessions.
    Fleet(fleet::Order),
    /// How fast the API lists customers, and what connections leave in memory.
    Api(api::Order),
    /// What grows in days of kabari's time (`--profile dev`).
    Soak(soak::Order),
    /// The simulator that this program starts itself as.
    #[command(hide = true)]
    Simulator,
    /// The bare client that this program starts itself as.
    #[command(hide = true)]
    Bare(bare::Options),
}

/// What to measure.
#[derive(Parser)]
struct Order {
    /// How many recipients are written to, twice each.
    #[arg(long, default_value_t = 500)]
    recipients: u32,
    /// How often everything is measured; the medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How many clients at once are measured in one process, one row each.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100])]
    clients: Vec<u32>,
    /// Where kabari keeps its state (may be repeated).
    #[arg(long, value_enum, default_values = ["sqlite", "mariadb"])]
    engine: Vec<Engine>,
    /// A MariaDB account that may make databases.
    #[arg(long, env = "TEST_MARIADB_URL", hide_env_values = true)]
    mariadb_url: Option<String>,
    /// The process of that MariaDB, to measure it too.
    #[arg(long)]
    mariadb_pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Mariadb,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.role {
        Some(Role::Fleet(order)) => fleet::measure(order).await,
        Some(Role::Api(order)) => api::measure(order).await,
        Some(Role::Soak(order)) => soak::measure(order).await,
        Some(Role::Simulator) => simulator::serve().await,
        Some(Role::Bare(options)) => bare::write(options).await,
        None => compare(cli.order).await,
    }
}

/// Measures in rounds of everything, so that a machine that gets slower gets slower for all.
async fn compare(order: Order) -> anyhow::Result<()> {
    ensure!(order.recipients > 1 && order.rounds > 0, "nothing to measure");
    ensure!(!order.clients.contains(&0), "nothing to measure");
    let contenders: Vec<Option<Engine>> =
        std::iter::once(None).chain(order.engine.iter().copied().map(Some)).collect();
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); contenders.len()];
    for round in 1..=order.rounds {
        for (contender, measured) in contenders.iter().zip(&mut measured) {
            eprintln!("round {round} of {}: {}", order.rounds, report::name(*contender));
            measured.push(measure(*contender, 1, order.recipients, &order).await?);
        }
    }
    let mut crowds = vec![];
    for clients in &order.clients {
        let mut crowd = vec![];
        for contender in &contenders {
            eprintln!("{clients} at once: {}", report::name(*contender));
            crowd.push((
                *contender,
                measure(*contender, *clients, RECIPIENTS_PER_CLIENT, &order).await?,
            ));
        }
        crowds.push((*clients, crowd));
    }

    let commit = durable_write().context("cannot time the disk")?;
    let rows = contenders.into_iter().zip(measured.iter().map(|all| report::median(all)));
    report::print(&order, commit, &rows.collect::<Vec<_>>(), &crowds);
    Ok(())
}

/// This many numbers in one process, on a simulator of its own, from nothing.
async fn measure(
    contender: Option<Engine>,
    numbers: u32,
    recipients_each: u32,
    order: &Order,
) -> anyhow::Result<Measured> {
    let recipients = numbers * recipients_each;
    let simulator = Simulator::start().await?;
    // Its directory lasts as long as its process.
    let mut _installation = None;
    let client = match contender {
        None => Client::Bare(Bare::start(&simulator, numbers, recipients_each).await?),
        Some(engine) => {
            let mariadb = order.mariadb_url.as_deref();
            let installation = Installation::new(&simulator, engine, mariadb, recipients).await?;
            let mut kabari = installation.start("node", Duration::ZERO).await?;
            fleet::link(&mut kabari, &simulator, 0..numbers).await?;
            _installation = Some(installation);
            Client::Kabari { kabari, recipients }
        }
    };
    let measured = measure_client(client, &simulator, recipients, order.mariadb_pid).await?;
    simulator.assert_no_violation().await?;
    Ok(measured)
}

/// A client under measure.
enum Client {
    Bare(Bare),
    Kabari { kabari: Kabari, recipients: u32 },
}

impl Client {
    fn process(&self) -> &Process {
        match self {
            Client::Bare(bare) => &bare.process,
            Client::Kabari { kabari, .. } => &kabari.process,
        }
    }

    /// Writes to everybody once. Returns when the client has the last one's read receipt.
    async fn write_to_everybody(&mut self) -> anyhow::Result<()> {
        match self {
            Client::Bare(bare) => bare.write_to_everybody().await,
            Client::Kabari { kabari, recipients } => {
                let campaign = kabari.write_to(1..*recipients + 1, &[]).await?;
                kabari.is_read(campaign).await
            }
        }
    }
}

async fn measure_client(
    mut client: Client,
    simulator: &Simulator,
    messages: u32,
    mariadb: Option<u32>,
) -> anyhow::Result<Measured> {
    let mut samples = [Sample::default(); 2];
    for sample in &mut samples {
        let seen = simulator.last_entry().await?;
        let before = used(&client, simulator, mariadb)?;
        timeout(PATIENCE, client.write_to_everybody())
            .await
            .context("not all was sent and read in time")??;
        let after = used(&client, simulator, mariadb)?;
        let [client_ms, simulator_ms, mariadb_ms] = std::array::from_fn(|process| {
            (after[process] - before[process]).as_secs_f64() * 1000.0 / f64::from(messages)
        });
        let per_second = simulator.messages_per_second(seen, messages).await?;
        *sample = Sample { per_second, client_ms, simulator_ms, mariadb_ms };
    }
    let client_mb = client.process().peak_mb()?;
    Ok(Measured { samples, client_mb, simulator_mb: simulator.process.peak_mb()? })
}

/// The processor time that the client, the simulator and MariaDB have used so far.
fn used(
    client: &Client,
    simulator: &Simulator,
    mariadb: Option<u32>,
) -> anyhow::Result<[Duration; 3]> {
    let mariadb = mariadb.map_or(Ok(Duration::ZERO), process::cpu)?;
    Ok([client.process().cpu()?, simulator.process.cpu()?, mariadb])
}

/// How long one write to this disk takes until it would survive a loss of power: the median.
fn durable_write() -> std::io::Result<Duration> {
    let mut file = tempfile::tempfile()?;
    let mut took = Vec::with_capacity(DURABLE_WRITES);
    for _ in 0..DURABLE_WRITES {
        let start = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        took.push(start.elapsed());
    }
    took.sort();
    Ok(took[DURABLE_WRITES / 2])
}
