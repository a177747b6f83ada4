//! Which recipients are on WhatsApp, asked many at a time and remembered.
//!
//! A message to a number without an account gets the same ack as any other: only asking first
//! tells.

use super::Context;
use crate::crash_point::crash_point;
use crate::store::{LeasedDelivery, StoreError};
use kabari_domain::{DeliveryEvent, Phone, wording};
use kabari_gateway::{Gateway, Registration, SendError};
use std::collections::HashMap;
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
    /// These may go out; the others of the batch have failed, each counted by the breaker.
    Ready(Vec<Addressed>),
    /// Nobody could say; the batch is released. Wait that long.
    AskAgain(Duration),
}

/// Finds out who of a batch can be written to.
pub async fn check(
    context: &Context,
    gateway: &dyn Gateway,
    batch: Vec<LeasedDelivery>,
) -> Result<Checked, StoreError> {
    // What went to the wire before keeps its address, and its answer is not for us to guess.
    let fresh = |delivery: &&LeasedDelivery| delivery.progress.attempts == 0;
    let phones: Vec<Phone> = batch.iter().filter(fresh).map(|d| d.phone.clone()).collect();
    let mut known = context.state.known_numbers(&phones).await?;
    let unknown: Vec<Phone> =
        phones.iter().zip(&known).filter(|(_, k)| k.is_none()).map(|(p, _)| p.clone()).collect();
    let mut refused = HashMap::new();
    if let Some(first) = batch.first().filter(|_| !unknown.is_empty()) {
        let ahead = context.state.unchecked_ahead(first.campaign_id).await?;
        match ask(context, gateway, &unknown, ahead).await? {
            Ok(refusals) => refused = refusals,
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
        known = context.state.known_numbers(&phones).await?;
    }

    let mut known = known.into_iter();
    let mut ready = Vec::with_capacity(batch.len());
    for delivery in batch {
        let registration = if fresh(&&delivery) { known.next().flatten() } else { None };
        let refusal = refused.get(&delivery.phone).cloned();
        let absent = registration.as_ref().is_some_and(|registration| !registration.registered);
        let error = refusal.or(absent.then(|| wording::NOT_REGISTERED.to_owned()));
        match error {
            Some(error) => {
                crash_point("numbers.absent");
                let refused = DeliveryEvent::Refused;
                context.state.settle(&delivery, refused, Some(&error)).await?;
            }
            None => ready.push(Addressed {
                jid: delivery.jid.clone().or(registration.and_then(|r| r.jid)),
                delivery,
            }),
        }
    }
    Ok(Checked::Ready(ready))
}

/// Asks WhatsApp about these numbers, and in the same question about those whose turn comes soon.
/// Returns the numbers that WhatsApp refuses to answer for, with its reasons.
async fn ask(
    context: &Context,
    gateway: &dyn Gateway,
    wanted: &[Phone],
    mut ahead: Vec<Phone>,
) -> Result<Result<HashMap<Phone, String>, SendError>, StoreError> {
    ahead.retain(|phone| !wanted.contains(phone));
    let mut asked = wanted.to_vec();
    asked.extend(ahead);
    match gateway.check(&asked).await {
        Ok(answers) => {
            crash_point("numbers.asked");
            remember(context, &asked, answers).await?;
            return Ok(Ok(HashMap::new()));
        }
        Err(SendError::Permanent(_)) => {}
        Err(error) => return Ok(Err(error)),
    }
    // One of them spoils the question for all.
    let mut refused = HashMap::new();
    for phone in wanted {
        let phone = std::slice::from_ref(phone);
        match gateway.check(phone).await {
            Ok(answers) => remember(context, phone, answers).await?,
            Err(SendError::Permanent(reason)) => {
                refused.insert(phone[0].clone(), reason);
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(refused))
}

async fn remember(
    context: &Context,
    asked: &[Phone],
    answers: Vec<Registration>,
) -> Result<(), StoreError> {
    let answers: Vec<_> = asked
        .iter()
        .cloned()
        .zip(answers)
        .filter_map(|(phone, answer)| match answer {
            Registration::Registered { jid } => Some((phone, true, Some(jid))),
            Registration::NotRegistered => Some((phone, false, None)),
            Registration::Unknown => None,
        })
        .collect();
    if !answers.is_empty() {
        context.state.remember_numbers(&answers).await?;
        crash_point("numbers.remembered");
    }
    Ok(())
}
