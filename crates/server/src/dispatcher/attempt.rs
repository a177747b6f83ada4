//! One attempt: committed, sent, settled.

use super::Context;
use super::pace::Pacer;
use super::registration::Addressed;
use super::verdict::{Verdict, verdict};
use crate::crash_point::crash_point;
use crate::metrics::outcome_name;
use crate::store::state::{Attempt, Begin, Begun, SessionLease};
use crate::store::{LeasedDelivery, StoreError};
use crate::trace::Attempted;
use kabari_domain::{CampaignEvent, DeliveryEvent, PauseReason, Phone, Timestamp, wording};
use kabari_gateway::{Gateway, OutgoingMessage, SendError};
use std::time::Duration;

/// The session we send from.
pub struct SendingSession<'a> {
    pub lease: &'a SessionLease,
    pub phone: &'a Phone,
    pub gateway: &'a dyn Gateway,
    /// The operator's day.
    pub day: i64,
    /// The store's time, as the clock of this process has gone on since it was asked.
    pub now: Timestamp,
}

/// A delivery that the server has acknowledged.
#[derive(Debug)]
pub struct Acked {
    pub delivery: LeasedDelivery,
    pub at: Timestamp,
}

/// What one attempt leaves to the next.
#[derive(Debug, Default)]
pub struct Carried {
    /// What is acknowledged, and the ack not written yet.
    pub acked: Option<Acked>,
    /// When the next delivery was begun, by the monotonic clock, if it is.
    pub begun_at: Option<Duration>,
}

/// What to do with the rest of the batch.
#[derive(Debug)]
pub enum AfterAttempt {
    /// Send the next. The ack of this one is carried.
    Acked,
    /// Send the next.
    GoOn,
    /// See what has changed first.
    Stop,
    /// Another node has the session.
    SessionLost,
}

/// Sends one delivery, and writes down what came of it and of the one before. Where no pause lies
/// between the two, the `upcoming` one is begun in the commit that this one waits for.
pub async fn attempt(
    context: &Context,
    pacer: &mut Pacer,
    from: &SendingSession<'_>,
    addressed: Addressed,
    carried: &mut Carried,
    upcoming: Option<&Addressed>,
) -> Result<AfterAttempt, StoreError> {
    let Addressed { delivery, jid } = addressed;
    let timeouts = context.settings.timeouts;
    let repeatable = from.gateway.knows_ids();
    if !repeatable && delivery.progress.may_have_arrived() && !delivery.unrepeatable {
        write_carried_ack(context, from.lease, carried).await;
        // It went out where a repeat is harmless; here it would be a second message.
        context.state.settle(&delivery, DeliveryEvent::Abandon, Some(wording::UNCERTAIN)).await?;
        return Ok(AfterAttempt::GoOn);
    }
    let gap = pacer.gap();
    let began_at = context.clock.monotonic();
    let attempt = Attempt {
        session: from.lease,
        sender: from.phone,
        jid: jid.as_deref(),
        gap,
        lease: timeouts.lease,
        day: from.day,
        unrepeatable: !repeatable,
    };
    let begun_before = carried.begun_at.take();
    let begin = if begun_before.is_some() {
        Begin::Started(Begun::of(&delivery, attempt.jid, from.now, from.now))
    } else {
        write_carried_ack(context, from.lease, carried).await;
        context.state.begin(&delivery, attempt).await?
    };
    let begun = match begin {
        Begin::Started(begun) => begun,
        Begin::DeliveryLost => return Ok(AfterAttempt::GoOn),
        Begin::NotRunning => {
            context.state.release(&[delivery]).await?;
            return Ok(AfterAttempt::GoOn);
        }
        Begin::SessionLost => {
            context.state.release(&[delivery]).await?;
            return Ok(AfterAttempt::SessionLost);
        }
    };
    let until_slot = begun.send_at.since(begun.now);
    context.clock.sleep(until_slot).await;
    let leased_at = begun_before.unwrap_or(began_at);
    if context.clock.monotonic().saturating_sub(leased_at) > until_slot + timeouts.lease {
        // The process stood still; by now this delivery may be another node's.
        tracing::warn!(delivery = delivery.id, "stood still for longer than a lease: not sent");
        return Ok(AfterAttempt::Stop);
    }

    let traced = context.traces.message(&Attempted {
        trail: &delivery.trail,
        session: &from.lease.name,
        campaign: delivery.campaign_id,
        delivery: delivery.id,
        attempt: begun.attempt,
    });
    let message = OutgoingMessage {
        message_id: delivery.message_id.clone(),
        phone: delivery.phone.clone(),
        jid: begun.jid,
        text: delivery.text.clone(),
        traceparent: traced.traceparent(),
    };
    if let Some(late) = pacer.lateness(&context.clock, began_at + until_slot) {
        context.metrics.paced(&from.lease.name, pacer.delay(), late);
    }
    crash_point("send.begun");
    let handover = (pacer.has_no_pause() && repeatable).then(|| {
        let acked = carried.acked.as_ref().map(|acked| (&acked.delivery, acked.at));
        let next = upcoming.map(|next| Attempt { jid: next.jid.as_deref(), ..attempt });
        let next = upcoming.map(|next| &next.delivery).zip(next);
        context.state.hand_over(acked, next, from.lease, from.now)
    });
    let left_at = context.clock.monotonic();
    let answer = from.gateway.send(&message).await;
    let answered_at = context.clock.monotonic();
    if answer.is_ok() {
        // Before anything is written: receipts may be there sooner than that is.
        context.metrics.acked(&delivery.message_id, answered_at);
    }
    crash_point("send.answered");
    if let Some(handover) = handover {
        let handed_over = handover.finish().await;
        carried.begun_at = handed_over.begun.then_some(left_at);
        carried.acked.take_if(|_| handed_over.acked);
    }
    write_carried_ack(context, from.lease, carried).await;
    let is_gone = matches!(answer, Err(SendError::NotRegistered));
    // From here until the answer is written nothing may fail: it would be lost.
    // Counted from the answer: only then was the message surely on the wire.
    pacer.answered(&context.clock, gap);
    let now = begun.now + context.clock.monotonic().saturating_sub(began_at);
    let verdict = verdict(answer, begun.attempt, now, repeatable.then_some(timeouts.resend));
    pacer.hold(&context.clock, verdict.hold);
    traced.ended(outcome_name(verdict.event), verdict.event == DeliveryEvent::Acked);
    let request_id = delivery.trail.request_id.as_deref();
    tracing::debug!(
        delivery = delivery.id,
        campaign = delivery.campaign_id,
        request_id,
        attempt = begun.attempt,
        event = ?verdict.event,
        "attempted"
    );
    context.metrics.attempted(&from.lease.name, verdict.event, answered_at.saturating_sub(left_at));
    if verdict.event == DeliveryEvent::Acked {
        context.breaker.trips(delivery.campaign_id, false);
        carried.acked = Some(Acked { delivery, at: now });
        return Ok(AfterAttempt::Acked);
    }
    write_outcome(context, from.lease, &delivery, &verdict, now).await;
    if is_gone {
        // What was known of the number is wrong by now.
        context.state.forget_number(&delivery.phone).await?;
    }
    if let Some(until) = verdict.reach_out_until {
        tracing::warn!(%until, "WhatsApp's limit for new chats: strangers wait for its end");
    }
    if context.breaker.trips(delivery.campaign_id, verdict.is_failure) {
        pause(context, &delivery).await?;
        return Ok(AfterAttempt::Stop);
    }
    let link_is_down = matches!(verdict.event, DeliveryEvent::NotSent(_));
    let others_wait = link_is_down || verdict.reach_out_until.is_some();
    Ok(if others_wait { AfterAttempt::Stop } else { AfterAttempt::GoOn })
}

/// Writes the server's ack that an attempt has left, if it has.
pub async fn write_carried_ack(context: &Context, session: &SessionLease, carried: &mut Carried) {
    if let Some(Acked { delivery, at }) = carried.acked.take() {
        write_outcome(context, session, &delivery, &Verdict::acked(), at).await;
    }
}

async fn pause(context: &Context, delivery: &LeasedDelivery) -> Result<(), StoreError> {
    let (campaign, request_id) = (delivery.campaign_id, delivery.trail.request_id.as_deref());
    tracing::error!(
        campaign,
        request_id,
        "many failures in a row: paused until somebody resumes it"
    );
    let pause = CampaignEvent::Pause(PauseReason::Breaker);
    match context.state.campaign_event(campaign, pause).await {
        Ok(_) | Err(StoreError::NotAllowed(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes the outcome, however long the database is away: losing an ack would mean a resend, and
/// losing a limit one more refusal.
async fn write_outcome(
    context: &Context,
    session: &SessionLease,
    delivery: &LeasedDelivery,
    verdict: &Verdict,
    at: Timestamp,
) {
    loop {
        let error = match write(context, session, delivery, verdict, at).await {
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
    session: &SessionLease,
    delivery: &LeasedDelivery,
    verdict: &Verdict,
    at: Timestamp,
) -> Result<(), StoreError> {
    if verdict.event == DeliveryEvent::Acked {
        if !context.state.ack(delivery, at).await? {
            // Taken back meanwhile, and so due for a resend that this ack makes needless.
            context.state.acked(&delivery.message_id).await?;
        }
        return Ok(());
    }
    if let Some(until) = verdict.reach_out_until {
        context.state.limit_reach_out(&session.name, until).await?;
        // They may have written once. WhatsApp's word counts, or it would be asked for ever.
        context.state.forget_contact(&session.name, &delivery.phone).await?;
    }
    context.state.settle(delivery, verdict.event, verdict.error.as_deref()).await?;
    Ok(())
}
