//! What reports of the API and of the gateway say of a delivery.

use crate::store::state::Delivery;
use kabari_domain::{DeliveryState, wording};

/// Returns why it was not sent, for people; `None` if it was.
pub fn reason(delivery: &Delivery) -> Option<String> {
    use DeliveryState::*;
    let of_the_state = match delivery.progress.state {
        Accepted | Delivered | Read => return None,
        Skipped | Failed if delivery.error.is_some() => return delivery.error.clone(),
        Skipped | Failed => wording::INTERNAL,
        Expired => wording::EXPIRED,
        Superseded => wording::SUPERSEDED,
        Cancelled => wording::CANCELLED,
        Uncertain if delivery.error.as_deref() == Some(wording::UNCERTAIN_SINCE_BACKUP) => {
            wording::UNCERTAIN_SINCE_BACKUP
        }
        Uncertain => wording::UNCERTAIN,
        Queued | Leased | Sending | RetryWait => wording::PENDING,
    };
    Some(of_the_state.to_owned())
}

/// Returns the number as the replaced system showed it: normalized where WhatsApp had a say about
/// it, as it was typed where the message never got that far.
pub fn shown_phone(delivery: &Delivery) -> Option<String> {
    let normalized = match delivery.progress.state {
        DeliveryState::Skipped => None,
        DeliveryState::Failed if delivery.error.as_deref() != Some(wording::NOT_REGISTERED) => None,
        _ => delivery.phone.as_ref().map(|phone| phone.digits().to_owned()),
    };
    normalized.or_else(|| delivery.phone_raw.clone())
}
