//! `cargo xtask torture`: a long run of what `crates/server/tests/it/engine/torture/` does.

use crate::mariadb::Revived;
use crate::{process, test, tools};
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

/// How much of it.
#[derive(Args)]
pub struct Options {
    /// How many people are written to.
    #[arg(long, default_value_t = 1000)]
    recipients: u32,
    /// How often a process is killed. Stops, a database that is cut off, hangs or restarts, clock
    /// steps, and numbers that are banned, unlinked or replaced come on top, in proportion.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Where the state is kept.
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
    /// How many processes send; more than one needs mariadb.
    #[arg(long, default_value_t = 1)]
    nodes: u32,
    /// How many numbers they send from.
    #[arg(long, default_value_t = 2)]
    numbers: u32,
    /// What the dice derive from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Mariadb,
}

/// Runs it, with a MariaDB of its own if one is needed.
pub fn run(options: Options) -> Result<()> {
    ensure!(
        options.nodes == 1 || options.engine == Engine::Mariadb,
        "several nodes share their state on a server: add --engine mariadb"
    );
    ensure!((1..=9).contains(&options.nodes), "--nodes takes 1 to 9");
    ensure!((1..=99).contains(&options.numbers), "--numbers takes 1 to 99");
    let engine = match options.engine {
        Engine::Sqlite => "sqlite",
        Engine::Mariadb => "mariadb",
    };
    let mut command = test::cargo();
    command
        .args(["test", "--locked", "--workspace", "--test", "it", "--"])
        .args(["--exact", "engine::torture::torture", "--nocapture"])
        .env("TORTURE_RECIPIENTS", options.recipients.to_string())
        .env("TORTURE_KILLS", options.kills.to_string())
        .env("TORTURE_ENGINE", engine)
        .env("TORTURE_NODES", options.nodes.to_string())
        .env("TORTURE_NUMBERS", options.numbers.to_string())
        .env("TORTURE_SEED", options.seed.to_string());
    if options.engine == Engine::Sqlite {
        return process::run(&mut command);
    }
    tools::ensure(&[tools::MARIADB])?;
    process::run(Revived::start()?.offer(&mut command))
}
