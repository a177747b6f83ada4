//! The `kabari` program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    kabari::cli::run().await
}
