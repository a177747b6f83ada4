//! What happens because time has passed: campaigns start, expire and complete, deliveries come due,
//! what dead nodes left behind is taken back, and campaigns that nobody can send fail.

use super::{Context, LOOK_EVERY};
use crate::metrics::Loop;
use crate::store::StoreError;
use crate::store::state::Session;
use kabari_domain::{LinkState, Timestamp, wording};
use std::time::Duration;

/// How long a remote gateway may be away before campaigns that have sent nothing fail.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(10);

/// Runs until shutdown.
pub async fn run(context: Context) {
    while !context.is_stopping() {
        let began = context.clock.monotonic();
        match round(&context).await {
            Ok(()) => context.came_round(Loop::Upkeep),
            Err(error) => context.after_store_error("campaign upkeep", &error).await,
        }
        context.sleep_since(began, LOOK_EVERY).await;
    }
}

async fn round(context: &Context) -> Result<(), StoreError> {
    let (sessions, now) = context.state.sessions_now().await?;
    let overdue = context.state.overdue(now).await?;
    if overdue.starts {
        context.state.start_due(now).await?;
    }
    if overdue.expiries {
        context.state.expire_due(now).await?;
    }
    if overdue.leases {
        let reclaimed = context.state.reclaim(now, context.settings.timeouts.resend).await?;
        tracing::warn!(reclaimed, "took back deliveries whose lease had run out");
    }
    if overdue.resends {
        let abandoned = context.state.abandon(now).await?;
        if abandoned > 0 {
            tracing::warn!(
                abandoned,
                "a number is gone: somebody has to decide what it may have sent"
            );
        }
    }
    if overdue.running
        && let Some(error) = nobody_can_send(&sessions, now)
    {
        for campaign in context.state.fail_all_untouched(error).await? {
            tracing::warn!(
                campaign,
                "failed before its first message: WhatsApp is not linked or the gateway is down"
            );
        }
    }
    if overdue.completions {
        context.state.complete_all_done().await?;
    }
    if overdue.running {
        // Also what other nodes have made, and what waited for its time.
        context.state.announce_due(now).await?;
    }
    if overdue.keys {
        context.state.forget_keys(now).await?;
    }
    // Each time, whether there are any or not: by this write an idle node notices that it cannot.
    context.state.forget_drafts(now).await?;
    Ok(())
}

/// Returns why campaigns that have sent nothing need not wait: no number is linked, or their
/// gateways are away for long. Somebody has to do something first.
fn nobody_can_send(sessions: &[Session], now: Timestamp) -> Option<&'static str> {
    let is_away = |session: &Session| {
        session.link == LinkState::Unreachable
            && session.waiting_since.is_some_and(|since| now.since(since) >= GATEWAY_PATIENCE)
    };
    if !sessions.iter().all(|session| session.link.is_unlinked() || is_away(session)) {
        return None;
    }
    let gateway = sessions.iter().any(is_away);
    Some(if gateway { wording::GATEWAY_DOWN } else { wording::NOT_LINKED })
}
