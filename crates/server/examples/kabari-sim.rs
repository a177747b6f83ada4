//! The whole command line of kabari, built to trust the simulator: for trying several nodes and
//! numbers by hand, and for people who test their own clients.
//!
//! ```console
//! $ cargo run -p wa-sim &
//! $ WA_WEBSOCKET_URL=ws://127.0.0.1:9080/ws/chat cargo run --example kabari-sim -- serve
//! ```
//!
//! The released program trusts WhatsApp's key alone, and refuses the simulator.

use std::process::ExitCode;

fn main() -> ExitCode {
    kabari::cli::main()
}
