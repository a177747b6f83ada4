//! The dialects of other gateways, for billing systems that speak them.
//!
//! Each request becomes a campaign like any other and is answered when it is recorded. The key,
//! `COMPAT_KEY`, shows up in the logs of the programs that use it, and is good for nothing else.

pub mod fonnte;
mod form;
pub mod phpnuxbill;
mod throttle;

pub use throttle::Throttle;

use super::Api;
use super::auth::is_key;
use super::error::ApiResult;
use super::send::{self, SendOptions};
use crate::store::StoreError;
use crate::store::state::{Actor, Delivery};
use kabari_domain::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The same text to the same numbers within this time is a repeat of the request, such as programs
/// and proxies make when an answer is lost; it is answered as the first.
const REPEAT_WITHIN: Duration = Duration::from_secs(30);
/// The most recipients of one request.
const MAX_RECIPIENTS: usize = 1000;

/// Whether a key opens these endpoints.
enum KeyCheck {
    Open,
    /// No `COMPAT_KEY` is set.
    Off,
    Denied,
}

fn access(api: &Api, given: &[u8]) -> KeyCheck {
    match &api.settings.compat_key {
        None => KeyCheck::Off,
        Some(key) if is_key(given, key) => KeyCheck::Open,
        Some(_) => KeyCheck::Denied,
    }
}

/// Returns whether any number can send. What is recorded while none is linked would fail, and
/// whoever asks here does not come back to see that.
async fn is_linked(api: &Api) -> Result<bool, StoreError> {
    let sessions = api.state.sessions().await?;
    Ok(sessions.iter().any(|session| !session.link.is_unlinked()))
}

/// What was recorded.
struct Recorded {
    campaign: i64,
    /// In the order they were asked for.
    deliveries: Vec<Delivery>,
}

/// Records a text for these numbers, each with a text of its own if it has one.
async fn record(
    api: &Arc<Api>,
    numbers: Vec<(String, Option<String>)>,
    message: String,
    starts_at: Option<Timestamp>,
    actor: Actor,
) -> ApiResult<Recorded> {
    let options = SendOptions {
        starts_at,
        duplicate_guard_seconds: Some(REPEAT_WITHIN),
        ..SendOptions::default()
    };
    let campaign = send::to_numbers(api.clone(), numbers, message, options, actor).await?;
    let limit = u32::try_from(MAX_RECIPIENTS).unwrap_or(u32::MAX);
    let deliveries = api.state.deliveries(campaign, None, limit).await?;
    Ok(Recorded { campaign, deliveries })
}
