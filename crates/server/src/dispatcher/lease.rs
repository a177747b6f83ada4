//! Keeps what is ours ours: a send may take longer than a lease lasts.
//!
//! Leases are short so that others can soon take over from a dead node. A process that was
//! stopped for longer than a lease finds it gone, and must not send what it still holds.

use super::Context;
use std::time::Duration;

/// How long a lease lasts unless it is renewed.
pub const LEASE: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Runs until shutdown.
pub async fn run(context: Context) {
    while !context.is_stopping() {
        if let Err(error) = context.state.renew_leases(&context.settings.node, LEASE).await {
            context.after_store_error("renewing leases", &error).await;
        }
        context.sleep(RENEW_EVERY).await;
    }
}
