//! How kabari grows: many sessions in one process, many numbers on one campaign, and a node that
//! is killed. Everything is judged by the simulator's ledger.

mod growth;
mod sharing;
mod takeover;

use crate::Engine;
use crate::kabari::Kabari;
use crate::simulator::Simulator;
use anyhow::ensure;
use clap::ValueEnum;
use futures_util::{StreamExt, TryStreamExt, stream};
use kabari_domain::session::DEFAULT_SESSION;
use std::ops::Range;
use std::time::Duration;

/// The delay that users have.
const ORDINARY_DELAY: Duration = Duration::from_secs(2);
/// How many messages after a connect go out at half the pace.
const SLOW_START: u32 = 5;
/// How many sessions are linked at a time.
const LINKED_AT_ONCE: usize = 8;

/// What to measure.
#[derive(clap::Args)]
pub struct Order {
    /// How many sessions one process has, one row of the table each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 500])]
    sessions: Vec<u32>,
    /// Where kabari keeps its state.
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
    /// How long each rate is measured, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// What is measured (may be repeated); by default everything.
    #[arg(long, value_enum, default_values_t = [Part::Growth, Part::Sharing, Part::Takeover])]
    part: Vec<Part>,
    /// A MariaDB account that may make databases.
    #[arg(long, env = "TEST_MARIADB_URL", hide_env_values = true)]
    mariadb_url: Option<String>,
}

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One process with more and more sessions.
    Growth,
    /// One campaign on ten numbers and on one.
    Sharing,
    /// Three processes, one of which is killed: on MariaDB only.
    Takeover,
}

/// Measures one part after the other and prints what came of it.
pub async fn measure(order: Order) -> anyhow::Result<()> {
    ensure!(order.sessions.is_sorted_by(|a, b| a < b), "--sessions are numbers that rise");
    ensure!(order.sessions.first() > Some(&0) && order.seconds > 0, "nothing to measure");
    if order.part.contains(&Part::Growth) {
        growth::measure(&order).await?;
    }
    if order.part.contains(&Part::Sharing) {
        sharing::measure(&order).await?;
    }
    if order.part.contains(&Part::Takeover) && order.engine == Engine::Mariadb {
        takeover::measure(&order).await?;
    }
    Ok(())
}

/// The name of a session: the first is the one that is always there.
fn session(index: u32) -> String {
    match index {
        0 => DEFAULT_SESSION.to_owned(),
        _ => format!("nomor-{index}"),
    }
}

/// The number that a session is linked to.
fn number(index: u32) -> String {
    format!("6281299{index:05}0")
}

/// Links these sessions.
pub async fn link(
    kabari: &mut Kabari,
    simulator: &Simulator,
    sessions: Range<u32>,
) -> anyhow::Result<()> {
    let count = sessions.len() as u32;
    let linked = &*kabari;
    stream::iter(sessions)
        .map(|index| async move { linked.link(simulator, &session(index), &number(index)).await })
        .buffer_unordered(LINKED_AT_ONCE)
        .try_collect::<()>()
        .await?;
    kabari.are_connected(count).await
}

/// Customers nobody has written to yet: who has a chat with a number stays with it.
struct Strangers {
    next: u32,
}

impl Strangers {
    fn new() -> Strangers {
        Strangers { next: 1 }
    }

    fn take(&mut self, count: u32) -> Range<u32> {
        self.next += count;
        self.next - count..self.next
    }
}
