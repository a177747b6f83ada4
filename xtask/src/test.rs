//! `cargo xtask test`: every check, in the order in which they are quick to fail.

use crate::mariadb::{MariaDb, Revived};
use crate::process::{self, find_program};
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
    /// cargo-deny: licenses, sources and bans of the dependencies.
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

/// The list of known vulnerabilities is not asked for: it lives on a server, and a check of the
/// sources must give the same answer tomorrow.
fn deny() -> Result<Outcome> {
    if find_program("cargo-deny").is_none() {
        return Ok(Outcome::NotRun("cargo-deny is not installed (cargo install cargo-deny)"));
    }
    process::run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
    Ok(Outcome::Passed)
}

/// Before the tests and in a command of its own, as users build it: one test examines this very
/// binary, and cargo would unify the features of the tests' dependencies into it otherwise.
pub fn release() -> Result<Outcome> {
    process::run(cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "kabari",
        "--bin",
        "kabari",
    ]))?;
    Ok(Outcome::Passed)
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
                .env("TEST_MARIADB_URL", mariadb.url()),
        ),
    )?;
    Ok(Outcome::Passed)
}

/// Installs the WhatsApp clients by other people, each beside the program that drives it, and what
/// looks at pages, in the versions that are written down there.
fn install_packages() -> Result<()> {
    let root = root()?;
    let simulator = root.join("crates/wa-sim");
    for directory in [simulator.join("baileys"), root.join("crates/server/tests/axe")] {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
        process::run(npm.current_dir(directory))?;
    }
    let whatsmeow = simulator.join("whatsmeow");
    process::run(Command::new("python3").args(["-m", "venv", ".venv"]).current_dir(&whatsmeow))?;
    let mut pip = Command::new(whatsmeow.join(".venv/bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    pip.args(["--require-hashes", "--requirement", "requirements.txt"]);
    process::run(pip.args(["--no-deps"]).current_dir(&whatsmeow))
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
