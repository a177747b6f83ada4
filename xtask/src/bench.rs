//! `cargo xtask bench`: numbers, measured here and now.

use crate::mariadb::MariaDb;
use crate::{process, test, tools};
use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};

/// What can be measured.
#[derive(Subcommand)]
pub enum Bench {
    /// Messages per second, processor time and memory: kabari beside the bare WhatsApp client.
    ///
    /// Both write to the simulator, one message at a time, first to strangers and then to the
    /// same people again. Prints a table with the ratio of kabari to the bare client, and one
    /// with what the simulator itself costs and allows.
    Wire(Wire),
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
    /// How many clients at once the simulator is measured with.
    #[arg(long, default_value_t = 100)]
    clients: u32,
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

/// Builds and runs it.
pub fn run(bench: Bench) -> Result<()> {
    let Bench::Wire(options) = bench;
    wire(options)
}

/// Built in a profile of its own, close to the released program: what the tests run is not
/// optimized. The benchmark is `crates/server/benches/wire/`.
fn wire(options: Wire) -> Result<()> {
    println!("building with optimizations; the first time this takes about ten minutes");
    let bench = ["bench", "--locked", "-p", "kabari", "--bench", "wire"];
    process::run(test::cargo().args(bench).arg("--no-run"))?;

    let engines: &[&str] = match options.engine {
        Engine::Sqlite => &["sqlite"],
        Engine::Mariadb => &["mariadb"],
        Engine::Both => &["sqlite", "mariadb"],
    };
    let mut command = test::cargo();
    command
        .arg("--quiet")
        .args(bench)
        .arg("--")
        .args(["--recipients", &options.recipients.to_string()])
        .args(["--rounds", &options.rounds.to_string()])
        .args(["--clients", &options.clients.to_string()])
        .args(engines.iter().flat_map(|engine| ["--engine", engine]));
    if options.engine == Engine::Sqlite {
        return process::run(&mut command);
    }
    tools::ensure(&[tools::MARIADB])?;
    let mariadb = MariaDb::start().context("cannot start a MariaDB to measure with")?;
    command.args(["--mariadb-url", &mariadb.url(), "--mariadb-pid", &mariadb.pid().to_string()]);
    process::run(&mut command)
}
