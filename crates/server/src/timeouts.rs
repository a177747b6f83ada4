//! How long kabari waits for what may never come.
//!
//! Nobody needs other values in production, so help and the settings' documentation leave them
//! out. Tests that kill it hundreds of times shorten them.

use clap::Args;
use kabari_domain::delivery::RESEND_WAIT;
use std::num::ParseIntError;
use std::time::Duration;

/// The waits that decide how soon trouble is noticed and repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Timeouts {
    /// How long a lease lasts unless it is renewed, in milliseconds.
    #[arg(long = "lease-ms", env = "LEASE_MS", hide = true, value_parser = millis, default_value = "15000")]
    pub lease: Duration,
    /// How long an unanswered message waits before its id goes out again, in milliseconds.
    #[arg(long = "resend-wait-ms", env = "RESEND_WAIT_MS", hide = true, value_parser = millis, default_value = "15000")]
    pub resend: Duration,
    /// How long WhatsApp may take to acknowledge a message, in milliseconds.
    #[arg(long = "ack-timeout-ms", env = "ACK_TIMEOUT_MS", hide = true, value_parser = millis, default_value = "20000")]
    pub ack: Duration,
    /// How long WhatsApp may be out of reach before the client starts over, in milliseconds.
    #[arg(long = "reconnect-ms", env = "RECONNECT_MS", hide = true, value_parser = millis, default_value = "60000")]
    pub reconnect: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            lease: Duration::from_secs(15),
            resend: RESEND_WAIT,
            ack: kabari_gateway::embedded::ACK_TIMEOUT,
            reconnect: kabari_gateway::embedded::LONGEST_RECONNECT,
        }
    }
}

fn millis(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        timeouts: Timeouts,
    }

    #[test]
    fn the_defaults_are_those_of_production() {
        assert_eq!(Cli::parse_from(["kabari"]).timeouts, Timeouts::default());
        let shorter = Cli::parse_from(["kabari", "--lease-ms=1500"]).timeouts;
        assert_eq!(shorter, Timeouts { lease: Duration::from_millis(1500), ..Timeouts::default() });
    }
}
