//! `cargo xtask`: what it takes to check kabari, with nothing to set up by hand.

mod bench;
mod dist;
mod mariadb;
mod pages;
mod process;
mod test;
mod tools;
mod torture;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's own tasks.")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check and test, as CI does.
    Test(test::Options),
    /// Kill, stop and disturb kabari in mid-send, and print what came of it in one line.
    Torture(torture::Options),
    /// Take pictures of every page, into docs/screenshots.
    Screenshots,
    /// Build the Debian package and the container image, and try both.
    Dist(dist::Options),
    /// Measure, and print tables.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = process::end_children_on_signals().and_then(|()| match cli.task {
        Task::Test(options) => test::run(options),
        Task::Torture(options) => torture::run(options),
        Task::Screenshots => pages::screenshots(),
        Task::Dist(options) => dist::run(options),
        Task::Bench(options) => bench::run(options),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
