//! Days of kabari's time with a campaign an hour: what grows, and whether everybody got everything
//! once. The clock of kabari runs fast, which only a build with debug assertions can.

use crate::Engine;
use crate::fleet::link;
use crate::kabari::{Installation, Kabari};
use crate::report::{engine_name, right_aligned, table};
use crate::simulator::Simulator;
use anyhow::{Context, ensure};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{interval, timeout};

/// The default pace.
const DELAY: Duration = Duration::from_secs(2);
const JITTER_MS: &str = "1000";
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long a campaign may take, in true time: as long as a machine may stand still.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many rows the table has.
const ROWS: u32 = 12;

/// How much of it.
#[derive(clap::Args)]
pub struct Order {
    /// How many hours of kabari's time pass, each with a campaign.
    #[arg(long, default_value_t = 48)]
    hours: u32,
    /// How many seconds of kabari's time pass in one.
    #[arg(long, default_value_t = 60)]
    speed: u32,
    /// How many people each campaign writes to.
    #[arg(long, default_value_t = 60)]
    recipients: u32,
    /// Where kabari keeps its state.
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Engine,
    /// A MariaDB account that may make databases.
    #[arg(long, env = "TEST_MARIADB_URL", hide_env_values = true)]
    mariadb_url: Option<String>,
}

/// Lets the hours pass, and prints what kabari has used by then.
pub async fn measure(order: Order) -> anyhow::Result<()> {
    ensure!(cfg!(debug_assertions), "the clock runs fast only in a build with debug assertions");
    ensure!(order.hours > 0 && order.speed > 0 && order.recipients > 0, "nothing to measure");
    let simulator = Simulator::start().await?;
    let mariadb = order.mariadb_url.as_deref();
    let mut installation =
        Installation::new(&simulator, order.engine, mariadb, order.recipients).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    installation.set("CLOCK_SPEED", order.speed.to_string());
    installation.set("CLOCK_BASE", now.to_string());
    installation.set("SEND_JITTER_MS", JITTER_MS.to_owned());
    let mut kabari = installation.start("node", DELAY).await?;
    link(&mut kabari, &simulator, 0..1).await?;

    let mut rows = table([
        "hours",
        "messages",
        "MB",
        "files",
        "threads",
        "state, MB",
        "CPU, s",
        "slowest claim, ms",
    ]);
    let mut hours = interval(HOUR / order.speed);
    for hour in 1..=order.hours {
        hours.tick().await;
        let campaign = kabari.write_to(1..order.recipients + 1, &[]).await?;
        timeout(PATIENCE, kabari.is_read(campaign))
            .await
            .with_context(|| format!("the campaign of hour {hour} does not end"))??;
        if hour % order.hours.div_ceil(ROWS) == 0 || hour == order.hours {
            let row = row(&kabari, &installation, hour, hour * order.recipients).await?;
            eprintln!("{}", row.join("  "));
            rows.add_row(row);
        }
    }

    let messages = order.hours * order.recipients;
    let arrived = simulator.arrivals(0).await?.count();
    ensure!(arrived == messages as usize, "{arrived} of {messages} messages arrived");
    simulator.assert_no_violation().await?;
    ensure!(kabari.process.stop().await?.success(), "kabari did not end in order");
    println!(
        "\n\
         {hours} hours of kabari's time, {speed} seconds of it in one: every hour a campaign to {recipients} at the\n\
         default pace, state on {engine}. All {messages} messages were read by whom they were for, each once.\n\
         Memory and CPU are those of a build that is not optimized; what counts is what grows. A claim\n\
         is no slower than the bound that is given.\n",
        hours = order.hours,
        speed = order.speed,
        recipients = order.recipients,
        engine = engine_name(order.engine),
    );
    println!("{}", right_aligned(rows, 0));
    Ok(())
}

async fn row(
    kabari: &Kabari,
    installation: &Installation,
    hour: u32,
    messages: u32,
) -> anyhow::Result<[String; 8]> {
    let process = &kabari.process;
    Ok([
        hour.to_string(),
        messages.to_string(),
        format!("{:.1}", process.resident_mb()?),
        process.open_files()?.to_string(),
        process.threads()?.to_string(),
        format!("{:.1}", installation.state_mb("node").await?),
        format!("{:.0}", process.cpu()?.as_secs_f64()),
        slowest_claim(&kabari.metrics().await?).context("no claim is timed")?,
    ])
}

/// Returns the least bound, in milliseconds, that no claim took longer than.
fn slowest_claim(metrics: &str) -> Option<String> {
    let value = |line: &str| line.rsplit_once(' ')?.1.parse::<u64>().ok();
    let count = metrics.lines().find(|line| line.starts_with("kabari_claim_seconds_count"))?;
    let claims = value(count)?;
    let bound = metrics.lines().find_map(|line| {
        let (bound, _) = line.strip_prefix("kabari_claim_seconds_bucket{le=\"")?.split_once('"')?;
        (value(line)? == claims).then_some(bound)
    })?;
    let seconds: f64 = bound.parse().ok()?;
    Some(if seconds.is_finite() { format!("{}", seconds * 1000.0) } else { "more".to_owned() })
}
