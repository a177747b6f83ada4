//! What the API says in Indonesian, in the visitor's language: why a message was not sent, what is
//! wrong with a link, why something was refused. The texts of the API stay as programs know them.

use super::texts::text;
use super::visitor::Visitor;
use crate::delivery_view;
use crate::store::state::Delivery;
use kabari_domain::{CampaignStatus, wording};

/// Returns why a delivery was not sent; `None` if it was.
pub fn of_delivery(visitor: &Visitor, delivery: &Delivery) -> Option<String> {
    delivery_view::reason(delivery).map(|reason| worded(visitor, &reason))
}

/// Returns a text of the API in the visitor's language. What others have said, such as a gateway
/// of another make, stays as it is.
pub fn worded(visitor: &Visitor, said: &str) -> String {
    of_recipient(visitor, said)
        .or_else(|| of_link(visitor, said))
        .or_else(|| of_refusal(visitor, said))
        .unwrap_or_else(|| said.to_owned())
}

/// Why a recipient gets nothing.
fn of_recipient(visitor: &Visitor, said: &str) -> Option<String> {
    Some(match said {
        wording::INVALID_NUMBER | wording::INVALID_PHONE | wording::INVALID_GATEWAY_PHONE => {
            text!(visitor, "reason-invalid-number")
        }
        wording::DUPLICATE_NUMBER => text!(visitor, "reason-duplicate-number"),
        wording::TEXT_TOO_LONG => text!(visitor, "reason-text-too-long"),
        wording::NOT_REGISTERED => text!(visitor, "reason-not-registered"),
        wording::EXPIRED => text!(visitor, "reason-expired"),
        wording::SUPERSEDED => text!(visitor, "reason-superseded"),
        wording::CANCELLED => text!(visitor, "reason-cancelled"),
        wording::UNCERTAIN => text!(visitor, "reason-uncertain"),
        wording::PENDING => text!(visitor, "reason-pending"),
        wording::NOT_LINKED | wording::NOT_LINKED_BULK => text!(visitor, "reason-not-linked"),
        wording::REACH_OUT_LIMIT => text!(visitor, "reason-reach-out-limit"),
        wording::MISSING_TOKEN => text!(visitor, "reason-missing-token"),
        wording::TRY_LATER => text!(visitor, "reason-try-later"),
        other => {
            let code = value_in(other, wording::refused)?;
            text!(visitor, "reason-refused", code = code)
        }
    })
}

/// What is wrong with a link.
fn of_link(visitor: &Visitor, said: &str) -> Option<String> {
    Some(match said {
        wording::RECONNECTING => text!(visitor, "reason-reconnecting"),
        wording::WHATSAPP_UNREACHABLE => text!(visitor, "reason-whatsapp-unreachable"),
        wording::CONNECTION_REFUSED => text!(visitor, "reason-connection-refused"),
        wording::UNLINKED => text!(visitor, "reason-unlinked"),
        wording::REPLACED => text!(visitor, "reason-replaced"),
        wording::BANNED => text!(visitor, "reason-banned"),
        wording::CLIENT_OUTDATED => text!(visitor, "reason-client-outdated"),
        wording::HELD_BY_ANOTHER_NODE => text!(visitor, "reason-other-node"),
        wording::SESSION_STORAGE => text!(visitor, "reason-session-storage"),
        wording::GATEWAY_DOWN => text!(visitor, "reason-gateway-down"),
        wording::GATEWAY_DENIED => text!(visitor, "reason-gateway-denied"),
        wording::PASSKEY_EXPIRED => text!(visitor, "reason-passkey-expired"),
        wording::PASSKEY_INTERRUPTED => text!(visitor, "reason-passkey-interrupted"),
        wording::PASSKEY_FAILED => text!(visitor, "reason-passkey-failed"),
        wording::PASSKEY_ASKED_AGAIN => text!(visitor, "reason-passkey-asked-again"),
        other => {
            let session = value_in(other, wording::number_taken)?;
            text!(visitor, "reason-number-taken", session = session)
        }
    })
}

/// Why the API refuses what a page asks of it.
fn of_refusal(visitor: &Visitor, said: &str) -> Option<String> {
    Some(match said {
        wording::INTERNAL => text!(visitor, "reason-internal"),
        wording::CAMPAIGN_NOT_FOUND => text!(visitor, "reason-no-campaign"),
        wording::DELIVERY_NOT_FOUND => text!(visitor, "reason-no-delivery"),
        wording::NOTICE_NOT_FOUND => text!(visitor, "reason-no-notice"),
        wording::SESSION_NOT_FOUND => text!(visitor, "reason-no-session"),
        wording::SESSION_EXISTS => text!(visitor, "reason-session-exists"),
        wording::SESSION_NAME => text!(visitor, "reason-session-name"),
        wording::DEFAULT_SESSION_STAYS => text!(visitor, "reason-default-stays"),
        wording::DUPLICATE_SEND => text!(visitor, "check-duplicate"),
        wording::NOTHING_TO_RETRY => text!(visitor, "reason-nothing-to-retry"),
        wording::NOT_UNCERTAIN => text!(visitor, "reason-not-uncertain"),
        wording::CAMPAIGN_EXPIRED => text!(visitor, "reason-campaign-expired"),
        wording::ODP_UNKNOWN => text!(visitor, "reason-odp-unknown"),
        wording::LINK_BUSY => text!(visitor, "reason-link-busy"),
        wording::NO_ANSWER => text!(visitor, "reason-no-answer"),
        other => {
            let status = value_in(other, wording::not_allowed)?;
            let status = match CampaignStatus::from_name(status)? {
                CampaignStatus::Scheduled => text!(visitor, "campaign-scheduled"),
                CampaignStatus::Running => text!(visitor, "campaign-running"),
                CampaignStatus::Paused => text!(visitor, "campaign-paused"),
                CampaignStatus::Completed => text!(visitor, "campaign-completed"),
                CampaignStatus::Cancelled => text!(visitor, "campaign-cancelled"),
            };
            text!(visitor, "reason-not-allowed", status = status)
        }
    })
}

/// Returns the value in a text that this function has made.
fn value_in(said: &str, made: fn(&str) -> String) -> Option<&str> {
    let pattern = made("\0");
    let (before, after) = pattern.split_once('\0')?;
    said.strip_prefix(before)?.strip_suffix(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_only_out_of_the_text_that_has_it() {
        assert_eq!(value_in(&wording::refused("479"), wording::refused), Some("479"));
        assert_eq!(
            value_in(&wording::number_taken("kantor"), wording::number_taken),
            Some("kantor")
        );
        assert_eq!(value_in(wording::NOT_REGISTERED, wording::refused), None);
    }
}
