//! What WhatsApp says about the limits of the number.

use crate::{GatewayError, Limits, SendError};
use kabari_domain::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use whatsapp_rust::Client;
use whatsapp_rust::serde_json::{Value, json};
use whatsapp_rust::wacore::iq::mex_operations::fetch_new_chat_message_capping_info as capping;
use whatsapp_rust::wacore::iq::tctoken::{TcTokenConfig, is_tc_token_expired_with};
use whatsapp_rust::{Jid, MexError, MexRequest};

/// How long one question may take.
const LIMITS_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest wait for a token. The library has given the recipient ours with the message that
/// was refused, and whoever has written to us gives one back.
const PAUSE_FOR_TOKEN: Duration = Duration::from_secs(10 * 60);
/// The kind of quota that counts messages to people one has no chat with.
const NEW_CHATS: &str = "INDIVIDUAL_NEW_CHAT_MSG";

pub(super) async fn fetch(client: &Arc<Client>) -> Result<Limits, GatewayError> {
    let (reach_out_until, new_chats_left) =
        tokio::join!(bounded(fetch_reach_out_until(client)), bounded(fetch_new_chats_left(client)));
    Ok(Limits { reach_out_until: reach_out_until?, new_chats_left: new_chats_left? })
}

/// Returns what a refusal with 463 means: the code is the same for a number that may not write to
/// strangers, and for a single message without the token that the recipient has given us.
pub(super) async fn refused(client: &Arc<Client>) -> SendError {
    match fetch(client).await {
        Ok(Limits { reach_out_until: None, new_chats_left }) if new_chats_left != Some(0) => {
            SendError::MissingToken { after: PAUSE_FOR_TOKEN }
        }
        Ok(limits) => SendError::ReachOutLimit { until: limits.reach_out_until },
        Err(error) => {
            // Whatever it is, the next stranger would be refused too.
            tracing::warn!("the limit for new chats is unknown: {error}");
            SendError::ReachOutLimit { until: None }
        }
    }
}

/// Returns whether there is a token to send to this person.
pub(super) async fn has_token(client: &Client, to: &Jid) -> bool {
    let hidden_id = match client.get_lid_pn_entry(to).await {
        Ok(known) => known.map(|known| known.lid.to_string()),
        Err(_) => None,
    };
    let key = hidden_id.unwrap_or_else(|| to.user.to_string());
    let stored = client.tc_token().get(&key).await.ok().flatten();
    stored.is_some_and(|stored| {
        let has_expired =
            is_tc_token_expired_with(stored.token_timestamp, &TcTokenConfig::default());
        !stored.token.is_empty() && !has_expired
    })
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
