//! `cargo xtask test`: every check, in the order in which they are quick to fail.

use crate::mariadb::{MariaDb, Revived};
use crate::process;
use crate::tools;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// What may be chosen.
#[derive(Args)]
pub struct Options {
    /// Run this step alone (may be repeated).
    #[arg(long, value_enum)]
    only: Vec<Step>,
    /// Arguments for `cargo test`, such as the name of a test.
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt finds nothing to change.
    Fmt,
    /// cargo-deny: licenses, sources, bans and known faults of the dependencies.
    Deny,
    /// clippy has no complaint.
    Clippy,
    /// The release binary builds.
    Release,
    /// All tests, with a MariaDB, a browser and two more WhatsApp clients beside them.
    Test,
}

/// Runs the chosen steps up to the first that fails, and says how long each took.
pub fn run(options: Options) -> Result<()> {
    let mut timings: Vec<(String, Duration)> = Vec::new();
    let mut not_run = Vec::new();
    for step in Step::value_variants() {
        if !options.only.is_empty() && !options.only.contains(step) {
            continue;
        }
        process::check_interrupted()?;
        let name = step.to_possible_value().context("every step has a name")?.get_name().to_owned();
        println!("\n==> {name}");
        let start = Instant::now();
        let outcome = match step {
            Step::Fmt => fmt(),
            Step::Deny => deny(),
            Step::Clippy => clippy(),
            Step::Release => release(),
            Step::Test => test(&options.arguments),
        };
        let outcome = outcome
            .with_context(|| format!("step '{name}' failed after {}", seconds(start.elapsed())))?;
        if let Outcome::NotRun(reason) = outcome {
            println!("NOT RUN: {reason}");
            not_run.push(format!("{name}: {reason}"));
        }
        timings.push((name, start.elapsed()));
    }
    println!();
    for (name, took) in &timings {
        println!("{name:<10} {:>7}", seconds(*took));
    }
    for line in not_run {
        println!("NOT RUN    {line}");
    }
    Ok(())
}

/// How a step ended that did not fail.
pub enum Outcome {
    Passed,
    NotRun(&'static str),
}

fn fmt() -> Result<Outcome> {
    tools::ensure_cargo_components()?;
    process::run(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome> {
    tools::ensure_cargo_components()?;
    process::run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Outcome::Passed)
}

/// Known faults are on a server that cannot be reached from everywhere: without their list this
/// says that it has not looked, and fails nothing.
fn deny() -> Result<Outcome> {
    tools::ensure(&[tools::PYTHON])?;
    let directory = root()?.join("xtask/cargo-deny");
    tools::install_python_packages(&directory)?;
    let deny = || Command::new(directory.join(".venv/bin/cargo-deny"));
    process::run(deny().args(["check", "bans", "licenses", "sources"]))?;
    if process::run(deny().args(["fetch", "db"])).is_err() {
        process::check_interrupted()?;
        return Ok(Outcome::NotRun(
            "known faults of dependencies: their list at https://github.com/RustSec/advisory-db cannot be fetched from here; bans, licenses and sources passed",
        ));
    }
    process::run(deny().args(["check", "advisories"]))?;
    Ok(Outcome::Passed)
}

/// Builds the program as users do.
pub const RELEASE_BUILD: [&str; 7] =
    ["build", "--release", "--locked", "-p", "kabari", "--bin", "kabari"];

/// Before the tests and in a command of its own, as users build it: one test examines this very
/// binary, and cargo would unify the features of the tests' dependencies into it otherwise.
fn release() -> Result<Outcome> {
    process::run(cargo().args(RELEASE_BUILD))?;
    Ok(Outcome::Passed)
}

/// Most tests wait most of the time: for a disk, a page, another process. With more at once, those
/// that do not wait keep the others from it.
const TESTS_PER_PROCESSOR: usize = 2;

fn tests_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * TESTS_PER_PROCESSOR
}

fn test(arguments: &[String]) -> Result<Outcome> {
    tools::ensure(&[
        tools::MARIADB,
        tools::GALERA,
        tools::NODE,
        tools::NPM,
        tools::PYTHON,
        tools::CHROMIUM,
        tools::CHROMEDRIVER,
        tools::COMPOSE,
    ])?;
    for unpacked in [tools::PROMTOOL, tools::STATE_TRANSFER] {
        tools::unpack(&unpacked, &root()?.join("target"))?;
    }
    install_packages()?;
    let mariadb = MariaDb::start()?;
    println!("MariaDB for the tests: {}", mariadb.url());
    // One test kills its server, which must not be that of all others.
    let killed = Revived::start()?;
    process::run(
        killed.offer(
            cargo()
                .args(["test", "--workspace", "--locked", "--no-fail-fast"])
                .args(arguments)
                .env("RUST_TEST_THREADS", tests_at_once().to_string())
                .env("TEST_MARIADB_URL", mariadb.url()),
        ),
    )?;
    Ok(Outcome::Passed)
}

/// Installs the WhatsApp clients by other people, each beside the program that drives it, and what
/// looks at pages and at the API, in the versions that are written down there.
fn install_packages() -> Result<()> {
    let root = root()?;
    let simulator = root.join("crates/wa-sim");
    for directory in [simulator.join("baileys"), root.join("crates/server/tests/axe")] {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
        process::run(npm.current_dir(directory))?;
    }
    tools::install_python_packages(&simulator.join("whatsmeow"))?;
    tools::install_python_packages(&root.join("crates/server/tests/schemathesis"))
}

/// Returns the cargo that runs this program, as if from a shell: what it has told this program
/// about its own package would make it build `ring`, and all that stands on it, once more.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Returns the root of the checkout.
pub fn root() -> Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    match here.parent() {
        Some(root) => Ok(root.to_owned()),
        None => bail!("xtask is not in a workspace"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
