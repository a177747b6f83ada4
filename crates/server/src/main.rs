//! The `kabari` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kabari::cli::main()
}
