//! What WhatsApp says about the limits of the number.

use crate::{GatewayError, Limits};
use kabari_domain::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use whatsapp_rust::Client;
use whatsapp_rust::serde_json::{Value, json};
use whatsapp_rust::wacore::iq::mex_operations::fetch_new_chat_message_capping_info as capping;
use whatsapp_rust::{MexError, MexRequest};

/// How long one question may take.
const LIMITS_TIMEOUT: Duration = Duration::from_secs(10);
/// The kind of quota that counts messages to people one has no chat with.
const NEW_CHATS: &str = "INDIVIDUAL_NEW_CHAT_MSG";

pub(super) async fn fetch(client: &Arc<Client>) -> Result<Limits, GatewayError> {
    let (reach_out_until, new_chats_left) =
        tokio::join!(bounded(fetch_reach_out_until(client)), bounded(fetch_new_chats_left(client)));
    Ok(Limits { reach_out_until: reach_out_until?, new_chats_left: new_chats_left? })
}

/// Until when people who never wrote to us cannot be written to; `None` if they can, or if the
/// server does not tell.
pub(super) async fn reach_out_until(client: &Arc<Client>) -> Option<Timestamp> {
    bounded(fetch_reach_out_until(client))
        .await
        .inspect_err(|error| tracing::warn!("the limit for new chats is unknown: {error}"))
        .ok()
        .flatten()
}

async fn bounded<T>(
    question: impl Future<Output = Result<T, MexError>>,
) -> Result<T, GatewayError> {
    tokio::time::timeout(LIMITS_TIMEOUT, question)
        .await
        .map_err(|_| GatewayError::Unavailable("the question about limits timed out".into()))?
        .map_err(|error| GatewayError::Unavailable(error.to_string()))
}

async fn fetch_reach_out_until(client: &Client) -> Result<Option<Timestamp>, MexError> {
    let timelock = client.mex().fetch_reachout_timelock().await?;
    if timelock.is_active == Some(false) {
        return Ok(None);
    }
    Ok(timelock.time_enforcement_ends.as_deref().and_then(timestamp))
}

async fn fetch_new_chats_left(client: &Client) -> Result<Option<u32>, MexError> {
    let variables = json!({ "input": { "type": NEW_CHATS } });
    let request = MexRequest::new(capping::NAME, capping::DOC_ID, variables);
    let data = client.mex().query(request).await?.data.unwrap_or_default();
    Ok(new_chats_left(&data["xwa2_message_capping_info"]))
}

// Clients have seen these numbers both as numbers and as strings.
fn new_chats_left(info: &Value) -> Option<u32> {
    let total = number(&info["total_quota"])?;
    let used = number(&info["used_quota"]).unwrap_or(0);
    // Without a quota the total is 0 or -1.
    if total <= 0 {
        return None;
    }
    u32::try_from((total - used).max(0)).ok()
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Seconds since 1970 in decimal digits; 0 stands for no time at all.
fn timestamp(seconds: &str) -> Option<Timestamp> {
    let seconds = seconds.parse::<i64>().ok().filter(|seconds| *seconds > 0)?;
    Some(Timestamp(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotas_as_numbers_and_as_strings() {
        for (info, left) in [
            (json!({"total_quota": 50, "used_quota": 12}), Some(38)),
            (json!({"total_quota": "50", "used_quota": "50"}), Some(0)),
            (json!({"total_quota": "50", "used_quota": "60"}), Some(0)),
            (json!({"total_quota": "-1", "used_quota": "0"}), None),
            (json!({"capping_status": "NONE"}), None),
            (Value::Null, None),
        ] {
            assert_eq!(new_chats_left(&info), left, "{info}");
        }
    }

    #[test]
    fn reads_times_in_seconds() {
        assert_eq!(timestamp("1700000000"), Some(Timestamp(1_700_000_000_000)));
        assert_eq!(timestamp("0"), None);
        assert_eq!(timestamp("soon"), None);
    }
}
