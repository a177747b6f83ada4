//! Deletes what is at its end, on one node for all, beside the sending.

use super::Context;
use crate::store::StoreError;
use std::time::Duration;

/// How often to look for what is at its end.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The pause between two batches: sending goes before.
const BATCH_PAUSE: Duration = Duration::from_millis(200);
/// How long the task is this node's; longer than a batch takes.
const LEASE: Duration = Duration::from_secs(60);

/// Runs until shutdown.
pub async fn run(context: Context) {
    while !context.is_stopping() {
        let wait = match round(&context).await {
            Ok(true) => BATCH_PAUSE,
            Ok(false) => LOOK_EVERY,
            Err(error) => {
                context.after_store_error("deleting what is at its end", &error).await;
                LOOK_EVERY
            }
        };
        context.sleep(wait).await;
    }
}

/// Deletes one batch. Returns whether there may be more.
async fn round(context: &Context) -> Result<bool, StoreError> {
    if !context.state.take_retention(&context.settings.node, LEASE).await? {
        return Ok(false);
    }
    Ok(context.state.delete_expired(context.settings.retention).await?
        || context.state.give_back_space().await?)
}
