//! What happens because time has passed: campaigns start, expire and complete, and what dead
//! nodes left behind is taken back; idempotency keys that are too old go.

use super::{Context, LOOK_EVERY};
use crate::store::StoreError;

/// Runs until shutdown.
pub async fn run(context: Context) {
    while !context.is_stopping() {
        let began = context.clock.monotonic();
        if let Err(error) = round(&context).await {
            context.after_store_error("campaign upkeep", &error).await;
        }
        context.sleep(context.left_of(LOOK_EVERY, began)).await;
    }
}

async fn round(context: &Context) -> Result<(), StoreError> {
    let now = context.state.now().await?;
    context.state.start_due(now).await?;
    context.state.expire_due(now).await?;
    let reclaimed = context.state.reclaim(now, context.settings.waits.resend).await?;
    if reclaimed > 0 {
        tracing::warn!(reclaimed, "took back deliveries whose lease had run out");
    }
    context.state.complete_all_done().await?;
    context.state.forget_keys(now).await?;
    Ok(())
}
