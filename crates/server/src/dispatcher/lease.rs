//! Keeps what is ours ours: a send may take longer than a lease lasts.
//!
//! Leases are short so that others can soon take over from a dead node. A process that was
//! stopped for longer than a lease finds it gone, and must not send what it still holds.

use super::Context;

/// How often a lease is renewed while it lasts: two renewals may fail.
const RENEWALS: u32 = 3;

/// Runs until shutdown.
pub async fn run(context: Context) {
    let lease = context.settings.waits.lease;
    while !context.is_stopping() {
        if let Err(error) = context.state.renew_leases(&context.settings.node, lease).await {
            context.after_store_error("renewing leases", &error).await;
        }
        context.sleep(lease / RENEWALS).await;
    }
}
