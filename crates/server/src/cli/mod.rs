//! The command line.

pub mod client;
mod doctor;
pub mod send;
mod serve;
mod status;

use crate::config::{Fault, Options, Settings};
use crate::logging::{self, LogFormat};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tells your customers on WhatsApp that their network is down, in maintenance, or back.
#[derive(Debug, Parser)]
#[command(name = "kabari", version, about, max_term_width = 100)]
struct Cli {
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "human", global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and send: the whole of kabari.
    Serve(Options),
    /// Only send, as one of several nodes that share STATE_DATABASE_URL.
    Worker(Options),
    /// Only the WhatsApp session, behind the gateway's HTTP contract on :3001.
    Gateway(Options),
    /// Send through a running kabari, and print the report.
    Send(send::SendArgs),
    /// Show how a running kabari is.
    Status(Options),
    /// Look at everything kabari needs, and say what to do.
    Doctor(Options),
}

/// Reads `.env` and the command line, and does what they say.
pub async fn run() -> ExitCode {
    let env_file = dotenvy::dotenv();
    let cli = Cli::parse();
    logging::init(cli.log_format);
    if let Err(error) = env_file
        && !error.not_found()
    {
        eprintln!("kabari: .env: {error}. Put values with blanks or # in quotes.");
        return ExitCode::from(2);
    }
    let done = match cli.command {
        Command::Serve(options) => serve::serve(options).await,
        Command::Worker(options) => serve::worker(options).await,
        Command::Gateway(options) => serve::gateway(options).await,
        Command::Send(args) => send::run(args).await,
        Command::Status(options) => status::run(options).await,
        Command::Doctor(options) => doctor::run(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kabari: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The settings, or everything that is wrong with them.
fn settings(options: Options) -> anyhow::Result<Settings> {
    options.check().map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
        anyhow::anyhow!("these settings cannot be used:\n  {}", lines.join("\n  "))
    })
}
