//! Which recipients are on WhatsApp, asked in batches and remembered.
//!
//! A message to a number without an account gets the same ack as any other: only asking first
//! tells.

use super::Context;
use crate::crash_point::crash_point;
use crate::store::{LeasedDelivery, StoreError};
use kabari_domain::{DeliveryEvent, Phone, wording};
use kabari_gateway::{Registration, SendError};
use std::time::Duration;

/// How long to wait after the question could not be answered.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A delivery that may go out, with its address if that is known.
pub struct Addressed {
    pub delivery: LeasedDelivery,
    pub jid: Option<String>,
}

/// What became of a batch.
pub enum Checked {
    /// These may go out; the others of the batch have failed.
    Ready(Vec<Addressed>),
    /// Nobody could say; the batch is released. Wait that long.
    AskAgain(Duration),
}

/// Finds out who of a batch can be written to.
pub async fn check(context: &Context, batch: Vec<LeasedDelivery>) -> Result<Checked, StoreError> {
    // What went to the wire before keeps its address, and its answer is not for us to guess.
    let fresh = |delivery: &&LeasedDelivery| delivery.progress.attempts == 0;
    let phones: Vec<Phone> = batch.iter().filter(fresh).map(|d| d.phone.clone()).collect();
    let mut known = context.state.known_numbers(&phones).await?;
    let unknown: Vec<Phone> =
        phones.iter().zip(&known).filter(|(_, k)| k.is_none()).map(|(p, _)| p.clone()).collect();
    if !unknown.is_empty() {
        match context.gateway.check(&unknown).await {
            Ok(answers) => {
                let answers: Vec<_> = unknown
                    .into_iter()
                    .zip(answers)
                    .filter_map(|(phone, answer)| match answer {
                        Registration::Registered { jid } => Some((phone, true, Some(jid))),
                        Registration::NotRegistered => Some((phone, false, None)),
                        Registration::Unknown => None,
                    })
                    .collect();
                crash_point("numbers.asked");
                if !answers.is_empty() {
                    context.state.remember_numbers(&answers).await?;
                    crash_point("numbers.remembered");
                    known = context.state.known_numbers(&phones).await?;
                }
            }
            Err(error) => {
                tracing::warn!(%error, numbers = unknown.len(), "cannot ask which numbers are on WhatsApp; waiting");
                context.state.release(&batch).await?;
                let wait = match error {
                    SendError::Retry { after, .. } => after.max(ASK_AGAIN_AFTER),
                    _ => ASK_AGAIN_AFTER,
                };
                return Ok(Checked::AskAgain(wait));
            }
        }
    }

    let mut known = known.into_iter();
    let mut ready = Vec::with_capacity(batch.len());
    for delivery in batch {
        let registration = if fresh(&&delivery) { known.next().flatten() } else { None };
        match registration {
            Some(registration) if !registration.registered => {
                crash_point("numbers.absent");
                let error = Some(wording::NOT_REGISTERED);
                context.state.settle(&delivery, DeliveryEvent::Refused, error).await?;
            }
            registration => ready.push(Addressed {
                jid: delivery.jid.clone().or(registration.and_then(|r| r.jid)),
                delivery,
            }),
        }
    }
    Ok(Checked::Ready(ready))
}
