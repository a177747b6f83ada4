//! What a package brings along: manual pages, and completions for shells.

use super::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::PathBuf;

/// Where the pages go.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// A directory that exists.
    directory: PathBuf,
}

/// Whose completions are wanted.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Writes a manual page for kabari and for each of its commands.
pub fn write_pages(args: ManualArgs) -> anyhow::Result<()> {
    Ok(clap_mangen::generate_to(Cli::command(), args.directory)?)
}

/// Prints the script that completes kabari's commands in this shell.
pub fn print_completions(args: CompletionsArgs) -> anyhow::Result<()> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "kabari", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
