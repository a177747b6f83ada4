//! The command line.

mod backup;
pub mod client;
mod doctor;
mod dry_run;
mod key;
mod link;
mod manual;
mod person;
pub mod send;
mod serve;
mod status;
mod user;

use crate::app;
use crate::clock::Clock;
use crate::config::{Options, SettingError, Settings, StateAddress};
use crate::logging::{self, LogFormat};
use crate::store::StateStore;
use crate::store::state::{Actor, ActorKind};
use crate::{env_file, secrets};
use chrono::{DateTime, Local};
use clap::{Parser, Subcommand};
use comfy_table::{Table, presets};
use kabari_domain::Timestamp;
use std::process::ExitCode;
use tokio::runtime::Runtime;

/// Tells your customers on WhatsApp that their network is down, in maintenance, or back.
#[derive(Debug, Parser)]
#[command(name = "kabari", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and send: the whole of kabari.
    #[command(after_help = secrets::HELP)]
    Serve(Options),
    /// Only send, as one of several nodes that share STATE_DATABASE_URL.
    #[command(after_help = secrets::HELP)]
    Worker(Options),
    /// Only the WhatsApp session, behind the gateway's HTTP contract on :3001.
    #[command(after_help = secrets::HELP)]
    Gateway(Options),
    /// Link a phone to a running kabari, step by step: QR or code, and the passkey where WhatsApp
    /// wants it.
    #[command(after_help = secrets::CLIENT_HELP)]
    Link(link::LinkArgs),
    /// Send through a running kabari, and print the report.
    ///
    /// Exits with 0 when everybody who can be sent to was sent to, with 1 when some or all were
    /// not, and with 2 when the send could not be begun.
    #[command(after_help = secrets::CLIENT_HELP)]
    Send(send::SendArgs),
    /// Show how a running kabari is.
    #[command(after_help = secrets::CLIENT_HELP)]
    Status(status::StatusArgs),
    /// Users of the operator's page: add, list, change and remove them.
    #[command(subcommand)]
    User(user::UserCommand),
    /// API keys for programs: add, list and revoke them.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Write everything into one file, while kabari runs.
    #[command(after_help = backup::HELP)]
    Backup(backup::BackupArgs),
    /// Bring back what `kabari backup` wrote, where nothing is yet.
    #[command(after_help = backup::HELP)]
    Restore(backup::RestoreArgs),
    /// Print everything that is stored about one person, as JSON.
    #[command(after_help = secrets::HELP)]
    Export(person::PersonArgs),
    /// Forget one person everywhere, and say where something was.
    #[command(after_help = secrets::HELP)]
    Forget(person::PersonArgs),
    /// Look at everything kabari needs, and say what to do.
    #[command(after_help = secrets::HELP)]
    Doctor(Options),
    /// Print the script that completes these commands in a shell.
    Completions(manual::CompletionsArgs),
    /// Write the manual pages.
    #[command(hide = true)]
    Manual(manual::ManualArgs),
}

impl Command {
    fn log_format(&self) -> LogFormat {
        match self {
            Command::Serve(options)
            | Command::Worker(options)
            | Command::Gateway(options)
            | Command::Doctor(options) => options.log_format,
            Command::Backup(args) => args.options().log_format,
            Command::Restore(args) => args.options().log_format,
            Command::Export(args) | Command::Forget(args) => args.options().log_format,
            Command::Link(_)
            | Command::Send(_)
            | Command::Status(_)
            | Command::User(_)
            | Command::Key(_)
            | Command::Completions(_)
            | Command::Manual(_) => LogFormat::Human,
        }
    }
}

/// Runs the program to its end.
pub fn main() -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kabari: the system gives no threads: {error}");
            return ExitCode::from(2);
        }
    };
    let code = runtime.block_on(run());
    // A download that hangs has a thread of its own, which nobody has to wait for.
    runtime.shutdown_background();
    code
}

/// Reads `.env` and the command line, and does what they say.
async fn run() -> ExitCode {
    let env_file = env_file::load();
    let command = Cli::parse().command;
    logging::init(command.log_format());
    if let Err(error) = env_file {
        eprintln!("kabari: {error}");
        return ExitCode::from(2);
    }
    let done = match command {
        Command::Serve(options) => serve::serve(options).await,
        Command::Worker(options) => serve::worker(options).await,
        Command::Gateway(options) => serve::gateway(options).await,
        Command::Send(args) => return send::run(args).await,
        Command::Link(args) => link::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::User(command) => user::run(command).await,
        Command::Key(command) => key::run(command).await,
        Command::Backup(args) => backup::backup(args).await,
        Command::Restore(args) => backup::restore(args).await,
        Command::Export(args) => person::export(args).await,
        Command::Forget(args) => person::forget(args).await,
        Command::Doctor(options) => doctor::run(options).await,
        Command::Completions(args) => manual::print_completions(args),
        Command::Manual(args) => manual::write_pages(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn print_error(error: &anyhow::Error) {
    eprintln!("kabari: {error:#}");
}

/// Returns the settings, or everything that is wrong with them.
fn settings(options: Options) -> anyhow::Result<Settings> {
    options.check().map_err(unusable)
}

/// Opens the state database, beside a kabari that may be running.
async fn open_state(address: StateAddress) -> anyhow::Result<StateStore> {
    let target = address.check().map_err(unusable)?;
    Ok(StateStore::open(target, Clock::System).await?)
}

/// Opens the state database of a kabari that may be running, with these settings.
async fn state_in_use(settings: &Settings) -> anyhow::Result<StateStore> {
    let target = app::state_target(settings);
    let (state, behind) = StateStore::inspect(target, Clock::System).await?;
    anyhow::ensure!(
        behind == 0,
        "the state database is that of an earlier version: start `kabari serve` once"
    );
    Ok(state)
}

/// Returns whoever runs this command, for the audit.
fn operator() -> Actor {
    let name = ["USER", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    Actor { kind: ActorKind::Console, name: name.unwrap_or_default(), address: None }
}

/// Returns a time for a table, in the zone of this machine.
fn local_time(time: Timestamp) -> String {
    let time = DateTime::from_timestamp_millis(time.0).unwrap_or_default();
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string()
}

/// Prints a table with these headings.
fn print_table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings).add_rows(rows);
    println!("{table}");
}

fn unusable(faults: Vec<SettingError>) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(SettingError::to_string).collect();
    anyhow::anyhow!("these settings cannot be used:\n  {}", lines.join("\n  "))
}
