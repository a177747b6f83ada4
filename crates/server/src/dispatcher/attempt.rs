//! One attempt: committed, sent, settled.

use super::Context;
use super::numbers::Addressed;
use super::pace::Pacer;
use super::verdict::{Verdict, verdict};
use crate::crash_point::crash_point;
use crate::store::{Attempt, Begin, LeasedDelivery, StoreError};
use kabari_domain::{CampaignEvent, DeliveryEvent, PauseReason, Phone, wording};
use kabari_gateway::{Outgoing, SendError};

/// After this many failures in a row somebody should look before more go out.
const BREAKER_LIMIT: u32 = 10;

/// The number we send from, while it is ours.
#[derive(Debug, Clone)]
pub struct Held {
    pub phone: Phone,
    pub epoch: i64,
}

/// What to do with the rest of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    GoOn,
    /// See what has changed first.
    Stop,
    /// Another node has the number.
    NumberLost,
}

/// Counts failures in a row of one campaign.
#[derive(Debug, Default)]
pub struct Breaker {
    campaign: i64,
    failures: u32,
}

impl Breaker {
    /// Whether this failure is one too many.
    fn trips(&mut self, campaign: i64, is_failure: bool) -> bool {
        if self.campaign != campaign || !is_failure {
            *self = Breaker { campaign, failures: 0 };
        }
        self.failures += u32::from(is_failure);
        let trips = self.failures >= BREAKER_LIMIT;
        if trips {
            self.failures = 0;
        }
        trips
    }
}

/// Sends one delivery and writes down what came of it.
pub async fn attempt(
    context: &Context,
    pacer: &mut Pacer,
    breaker: &mut Breaker,
    held: &Held,
    addressed: &Addressed,
) -> Result<Outcome, StoreError> {
    let delivery = &addressed.delivery;
    let waits = context.settings.waits;
    let gap = pacer.gap();
    let day = context.settings.day(context.state.now().await?);
    let began_at = context.clock.monotonic();
    let begin = context
        .state
        .begin(
            delivery,
            Attempt {
                sender: &held.phone,
                sender_epoch: held.epoch,
                jid: addressed.jid.as_deref(),
                gap,
                lease: waits.lease,
                day,
            },
        )
        .await?;
    let begun = match begin {
        Begin::Started(begun) => begun,
        Begin::DeliveryLost => return Ok(Outcome::GoOn),
        Begin::NotRunning => {
            context.state.release(std::slice::from_ref(delivery)).await?;
            return Ok(Outcome::GoOn);
        }
        Begin::SenderLost => {
            context.state.release(std::slice::from_ref(delivery)).await?;
            return Ok(Outcome::NumberLost);
        }
    };
    let until_slot = begun.send_at.since(begun.now);
    context.clock.sleep(until_slot).await;
    if context.clock.monotonic().saturating_sub(began_at) > until_slot + waits.lease {
        // The process stood still; by now this delivery and the number may be another node's.
        tracing::warn!(delivery = delivery.id, "stood still for longer than a lease: not sent");
        return Ok(Outcome::NumberLost);
    }

    let message = Outgoing {
        message_id: delivery.message_id.clone(),
        phone: delivery.phone.clone(),
        jid: begun.jid,
        text: delivery.text.clone(),
    };
    crash_point("send.begun");
    let answer = context.gateway.send(&message).await;
    crash_point("send.answered");
    // Counted from the answer: only then was it surely on the wire.
    pacer.hold(&context.clock, gap);
    let verdict = match answer {
        Err(SendError::NotLinked) => not_linked(context, delivery).await?,
        answer => verdict(answer, begun.attempt, context.state.now().await?, waits.resend),
    };
    pacer.hold(&context.clock, verdict.hold);
    if let Some(until) = verdict.reach_out_until {
        tracing::warn!(%until, "WhatsApp's limit for new chats: strangers wait for its end");
    }
    settle(context, held, delivery, &verdict).await;
    tracing::debug!(delivery = delivery.id, attempt = begun.attempt, event = ?verdict.event, "attempted");

    if breaker.trips(delivery.campaign_id, verdict.is_failure) {
        tracing::error!(
            campaign = delivery.campaign_id,
            "{BREAKER_LIMIT} failures in a row: paused until somebody resumes it"
        );
        let pause = CampaignEvent::Pause(PauseReason::Breaker);
        match context.state.campaign_event(delivery.campaign_id, pause).await {
            Ok(_) | Err(StoreError::NotAllowed(_)) => return Ok(Outcome::Stop),
            Err(error) => return Err(error),
        }
    }
    let link_is_down = verdict.event == DeliveryEvent::NotSent;
    let others_wait = link_is_down || verdict.reach_out_until.is_some();
    Ok(if others_wait { Outcome::Stop } else { Outcome::GoOn })
}

/// Writes the outcome, however long the database is away: losing an ack would mean a resend, and
/// losing a limit one more refusal.
async fn settle(context: &Context, held: &Held, delivery: &LeasedDelivery, verdict: &Verdict) {
    loop {
        let error = match write(context, held, delivery, verdict).await {
            Ok(()) => return,
            Err(error) => error,
        };
        context.after_store_error("writing the outcome of a send", &error).await;
        if context.is_stopping() {
            return;
        }
    }
}

async fn write(
    context: &Context,
    held: &Held,
    delivery: &LeasedDelivery,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    if let Some(until) = verdict.reach_out_until {
        context.state.limit_reach_out(&held.phone, until).await?;
    }
    let ours = context.state.settle(delivery, verdict.event, verdict.error.as_deref()).await?;
    if !ours && verdict.event == DeliveryEvent::Acked {
        // Taken back meanwhile, and so due for a resend that this ack makes needless.
        context.state.acked(&delivery.message_id).await?;
    }
    Ok(())
}

/// Without a linked phone a campaign that has sent nothing fails; one under way keeps its place.
async fn not_linked(context: &Context, delivery: &LeasedDelivery) -> Result<Verdict, StoreError> {
    let now = context.state.now().await?;
    let waits = verdict(Err(SendError::NotLinked), 1, now, context.settings.waits.resend);
    if context.state.counts(delivery.campaign_id).await?.sent() > 0 {
        return Ok(waits);
    }
    Ok(Verdict { event: DeliveryEvent::Refused, error: Some(wording::NOT_LINKED.into()), ..waits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_breaker_trips_on_a_run_of_failures_of_one_campaign() {
        let mut breaker = Breaker::default();
        let run = |breaker: &mut Breaker, n| (0..n).filter(|_| breaker.trips(1, true)).count();
        assert_eq!(run(&mut breaker, BREAKER_LIMIT - 1), 0);
        assert!(!breaker.trips(1, false), "a success ends the run");
        assert_eq!(run(&mut breaker, BREAKER_LIMIT - 1), 0);
        assert!(!breaker.trips(2, true), "another campaign has its own run");
        assert_eq!(run(&mut breaker, BREAKER_LIMIT), 1);
    }
}
