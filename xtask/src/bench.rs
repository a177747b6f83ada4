//! `cargo xtask bench`: runs the benchmarks.

use crate::mariadb::MariaDb;
use crate::{pages, process, test, tools};
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Which of the benchmarks; all of them, one after the other, if none is named.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    bench: Option<Bench>,
}

/// One benchmark with its options.
#[derive(Parser)]
struct Named {
    #[command(subcommand)]
    bench: Bench,
}

/// What makes up the page of `docs/benchmarks.md`.
const ALL: [&str; 5] = ["wire", "api", "fleet", "history", "page"];

/// What can be measured.
#[derive(Subcommand)]
pub enum Bench {
    /// Messages per second, processor time and memory: kabari beside the bare WhatsApp client.
    ///
    /// Both write to the simulator, one message at a time, first to strangers and then to the
    /// same people again. Prints a table with the ratio of kabari to the bare client, and one
    /// with many numbers at once in one process.
    Wire(Wire),
    /// How kabari grows with its sessions.
    ///
    /// One process with more and more sessions: memory, threads, open files, how soon all are
    /// connected, messages per second, and the gaps between the messages of each. Then a campaign
    /// on ten numbers and on one, and on MariaDB how soon the numbers of a killed process send
    /// again from two others.
    Fleet(Fleet),
    /// How fast the API lists customers, and how much memory many connections take and leave.
    Api(Api),
    /// How long reads and claims take with a long history, beside a short one.
    History(History),
    /// What grows while two days of kabari's time pass, with a campaign an hour.
    ///
    /// kabari's clock runs fast, so this takes an hour, and kabari is not optimized: the released
    /// program has no such clock. Prints memory, open files, the size of the state and the slowest
    /// claim, and fails unless everybody got everything once.
    Soak(Soak),
    /// How soon the operator's first page is seen, on a phone with a slow line.
    ///
    /// Chromium visits it with the network and the processor slowed down, for the first time and
    /// again, and prints the median of several visits.
    Page,
}

/// How much of it.
#[derive(Args)]
pub struct Wire {
    /// How many people are written to, twice each.
    #[arg(long, default_value_t = 500)]
    recipients: u32,
    /// How often everything is measured; the medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How many numbers at once are measured in one process, one row each.
    #[arg(long, default_value = "10,100")]
    clients: String,
    /// Where kabari keeps its state.
    #[arg(long, value_enum, default_value_t = Engine::Both)]
    engine: Engine,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Mariadb,
    Both,
}

/// How large a fleet.
#[derive(Args)]
pub struct Fleet {
    /// How many sessions one process has, one row of the table each.
    #[arg(long, default_value = "1,10,100,500")]
    sessions: String,
    /// How long each rate is measured, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Where kabari keeps its state.
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
}

/// How much of it.
#[derive(Args)]
pub struct Api {
    /// How many customers there are, one row of the table each.
    #[arg(long, default_value = "100,10000")]
    customers: String,
    /// How long each rate is measured, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Where the customers are.
    #[arg(long, value_enum, default_value_t = Engine::Both)]
    engine: Engine,
}

/// How long it lasts.
#[derive(Args)]
pub struct Soak {
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
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
}

/// How long a history.
#[derive(Args)]
pub struct History {
    /// How many deliveries the long one has, at least.
    #[arg(long, default_value_t = 1_000_000)]
    deliveries: u32,
    /// Where kabari keeps its state.
    #[arg(long, value_enum, default_value_t = Engine::Both)]
    engine: Engine,
}

impl Engine {
    fn names(self) -> &'static [&'static str] {
        match self {
            Engine::Sqlite => &["sqlite"],
            Engine::Mariadb => &["mariadb"],
            Engine::Both => &["sqlite", "mariadb"],
        }
    }
}

/// How the benchmark is built: in a profile of its own, close to the released program, since what
/// the tests run is not optimized. It is `crates/server/benches/wire/`.
const BENCH: [&str; 6] = ["bench", "--locked", "-p", "kabari", "--bench", "wire"];

/// Measures.
pub fn run(options: Options) -> Result<()> {
    if let Some(bench) = options.bench {
        return measure(bench);
    }
    for name in ALL {
        println!("\n==> {name}");
        measure(Named::try_parse_from(["bench", name])?.bench)?;
    }
    Ok(())
}

fn measure(bench: Bench) -> Result<()> {
    match bench {
        Bench::Wire(options) => wire(options),
        Bench::Fleet(options) => fleet(options),
        Bench::Api(options) => api(options),
        Bench::History(options) => history(options),
        Bench::Soak(options) => soak(options),
        // The line decides, not how the program was built.
        Bench::Page => pages::speed(),
    }
}

fn build() -> Result<()> {
    println!("building with optimizations; the first time this takes about ten minutes");
    process::run(test::cargo().args(BENCH).arg("--no-run"))
}

fn wire(options: Wire) -> Result<()> {
    build()?;
    let engines = options.engine.names();
    let mut command = test::cargo();
    command
        .arg("--quiet")
        .args(BENCH)
        .arg("--")
        .args(["--recipients", &options.recipients.to_string()])
        .args(["--rounds", &options.rounds.to_string()])
        .args(["--clients", &options.clients])
        .args(engines.iter().flat_map(|engine| ["--engine", engine]));
    if options.engine == Engine::Sqlite {
        return process::run(&mut command);
    }
    let mariadb = start_mariadb()?;
    command.args(["--mariadb-url", &mariadb.url(), "--mariadb-pid", &mariadb.pid().to_string()]);
    process::run(&mut command)
}

/// One engine after the other.
fn fleet(options: Fleet) -> Result<()> {
    build()?;
    let mariadb = (options.engine != Engine::Sqlite).then(start_mariadb).transpose()?;
    for engine in options.engine.names() {
        let mut command = test::cargo();
        command
            .arg("--quiet")
            .args(BENCH)
            .args(["--", "fleet", "--engine", engine])
            .args(["--sessions", &options.sessions])
            .args(["--seconds", &options.seconds.to_string()])
            .args(mariadb.iter().flat_map(|mariadb| ["--mariadb-url".into(), mariadb.url()]));
        process::run(&mut command)?;
    }
    Ok(())
}

fn api(options: Api) -> Result<()> {
    build()?;
    let mariadb = (options.engine != Engine::Sqlite).then(start_mariadb).transpose()?;
    let mut command = test::cargo();
    command
        .arg("--quiet")
        .args(BENCH)
        .args(["--", "api", "--customers", &options.customers])
        .args(["--seconds", &options.seconds.to_string()])
        .args(options.engine.names().iter().flat_map(|engine| ["--engine", engine]))
        .args(mariadb.iter().flat_map(|mariadb| ["--mariadb-url".into(), mariadb.url()]));
    process::run(&mut command)
}

/// One engine after the other.
fn soak(options: Soak) -> Result<()> {
    let mariadb = (options.engine != Engine::Sqlite).then(start_mariadb).transpose()?;
    for engine in options.engine.names() {
        let mut command = test::cargo();
        command
            .arg("--quiet")
            .args(BENCH)
            .args(["--profile", "dev", "--", "soak", "--engine", engine])
            .args(["--hours", &options.hours.to_string()])
            .args(["--speed", &options.speed.to_string()])
            .args(["--recipients", &options.recipients.to_string()])
            .args(mariadb.iter().flat_map(|mariadb| ["--mariadb-url".into(), mariadb.url()]));
        process::run(&mut command)?;
    }
    Ok(())
}

/// The database decides, not how the program was built.
fn history(options: History) -> Result<()> {
    for engine in options.engine.names() {
        let mut command = test::cargo();
        command
            .args(["run", "--quiet", "--locked", "-p", "kabari", "--example", "history", "--"])
            .args(["--deliveries", &options.deliveries.to_string()]);
        let mariadb = (*engine == "mariadb").then(start_mariadb).transpose()?;
        if let Some(mariadb) = &mariadb {
            command.args(["--mariadb-url", &mariadb.url()]);
        }
        process::run(&mut command)?;
    }
    Ok(())
}

fn start_mariadb() -> Result<MariaDb> {
    tools::ensure(&[tools::MARIADB])?;
    MariaDb::start().context("cannot start a MariaDB to measure with")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_of_the_page_has_defaults() {
        for name in ALL {
            Named::try_parse_from(["bench", name]).unwrap();
        }
    }
}
