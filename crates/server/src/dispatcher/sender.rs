//! Sends from one session, one message at a time.

use super::attempt::{AfterAttempt, Carried, SendingSession, attempt, write_carried_ack};
use super::held_deliveries::HeldDeliveries;
use super::pace::Pacer;
use super::registration::{self, Addressed, Checked};
use super::{Context, LOOK_EVERY};
use crate::config::Pace;
use crate::store::StoreError;
use crate::store::state::{Claim, LinkReport, Reported, Session, SessionLease, UNNAMED_NUMBER};
use kabari_domain::{DeliveryEvent, Phone, Readiness, Timestamp, WaitReason, wording};
use kabari_gateway::{Gateway, Limits, Link};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The most deliveries taken at once.
const MAX_BATCH: u32 = 50;
/// The most of one campaign: others should not wait long for their turn.
const PER_CAMPAIGN: u32 = 10;
/// How long a session with nothing to send looks away, unless there is work: each look asks the
/// database, and there may be hundreds of sessions.
const IDLE: Duration = Duration::from_secs(10);

/// What the loop does next.
enum AfterRound {
    Again,
    /// Unless something changes earlier.
    Wait(Duration),
    /// Whatever changes in the database: WhatsApp wants to be left alone.
    Pause(Duration),
    /// Another node has the session, or it is gone.
    Leave,
}

pub struct Sender {
    context: Context,
    gateway: Arc<dyn Gateway>,
    lease: SessionLease,
    held_deliveries: HeldDeliveries,
    link: watch::Receiver<Link>,
    work: watch::Receiver<u64>,
    pacer: Pacer,
    /// What the session's row says of the link.
    reported: Option<LinkReport>,
    /// Why the phone that was linked last was unlinked again.
    refusal: Option<String>,
    /// Whether the row says that the session can send nothing.
    waits: Option<bool>,
    /// Whether the last look found a connection.
    was_connected: bool,
    /// The campaign served last.
    last_served: i64,
}

impl Sender {
    pub fn new(
        context: Context,
        gateway: Arc<dyn Gateway>,
        lease: SessionLease,
        held_deliveries: HeldDeliveries,
    ) -> Sender {
        let mut pacer = Pacer::new(context.settings.pace);
        pacer.acquired(&context.clock);
        Sender {
            link: gateway.link(),
            work: context.state.work(),
            pacer,
            reported: None,
            refusal: None,
            waits: None,
            was_connected: false,
            last_served: 0,
            context,
            gateway,
            lease,
            held_deliveries,
        }
    }

    /// Runs until the session is lost or kabari ends.
    pub async fn run(mut self) {
        while !self.context.is_stopping() {
            let began = self.context.clock.monotonic();
            match self.round().await {
                Ok(AfterRound::Again) => {}
                Ok(AfterRound::Wait(duration)) => self.wait(began, duration).await,
                Ok(AfterRound::Pause(duration)) => self.pause(began, duration).await,
                Ok(AfterRound::Leave) => return,
                Err(error) => self.context.after_store_error("sending", &error).await,
            }
        }
        // What has ended the connection since the last round, where the end comes first.
        let link = self.link.borrow().clone();
        if !link.is_connected()
            && let Err(error) = self.report(&link).await
        {
            tracing::warn!(session = self.lease.name, %error, "the last state of the link is not written");
        }
    }

    /// Does one round: sees whether anything may go out, takes a batch, sends it.
    async fn round(&mut self) -> Result<AfterRound, StoreError> {
        self.work.borrow_and_update();
        let link = self.link.borrow_and_update().clone();
        if !self.report(&link).await? {
            return Ok(AfterRound::Leave);
        }
        let session = self.context.state.session_now(&self.lease.name).await?;
        let ours = session.filter(|(session, _)| session.epoch == self.lease.epoch);
        let Some((session, now)) = ours else { return Ok(AfterRound::Leave) };
        let quotas = self.context.settings.quotas.clone();
        let readiness = Readiness { link: Some(link.state), ..session.readiness(now) };
        let waiting = readiness.waiting(&quotas, now).map(|waiting| waiting.reason);
        let urgent_only = waiting == Some(WaitReason::QuietHours);
        // At night people who wrote are no reason to wake the others.
        let contacts_only = session.reach_out_until > now;
        let may_send = match waiting {
            None | Some(WaitReason::QuietHours | WaitReason::ReachOutLimit) => true,
            Some(_) => false,
        };
        self.note_waiting(!may_send).await?;
        if !may_send {
            self.pacer.idle();
            return Ok(AfterRound::Wait(LOOK_EVERY));
        }
        self.pacer.set_pace(pace_of(&session, self.context.settings.pace));
        let left_today = quotas.left_today(&session.usage(), now).unwrap_or(u32::MAX);
        let phone = number_of(&link);
        let claim_began = Instant::now();
        let batch = self
            .context
            .state
            .claim(&Claim {
                owner: &self.context.settings.node,
                session: &self.lease.name,
                phone: &phone,
                contacts_only,
                urgent_only,
                affinity: self.context.settings.affinity,
                after: self.last_served,
                per_campaign: if self.pacer.has_no_pause() { MAX_BATCH } else { PER_CAMPAIGN },
                max: self.batch_size().min(left_today),
                lease: self.context.settings.timeouts.lease,
            })
            .await?;
        self.context.metrics.claimed(claim_began.elapsed());
        let Some(last) = batch.last() else {
            self.pacer.idle();
            return Ok(AfterRound::Wait(IDLE));
        };
        self.last_served = last.campaign_id;
        let _held = self.held_deliveries.hold(&batch);
        let campaigns: BTreeSet<i64> = batch.iter().map(|delivery| delivery.campaign_id).collect();
        let next = match registration::check(&self.context, &*self.gateway, batch).await? {
            Checked::Ready(ready) => self.send_all(&phone, now, ready).await?,
            Checked::AskAgain(wait) => {
                self.pacer.idle();
                AfterRound::Pause(wait)
            }
        };
        for campaign in campaigns {
            self.context.state.complete_if_done(campaign).await?;
        }
        Ok(next)
    }

    async fn send_all(
        &mut self,
        phone: &Phone,
        now: Timestamp,
        ready: Vec<Addressed>,
    ) -> Result<AfterRound, StoreError> {
        let day = self.context.settings.quotas.day(now);
        let (lease, gateway) = (self.lease.clone(), self.gateway.clone());
        let from = SendingSession { lease: &lease, phone, gateway: &*gateway, day, now };
        if self.pacer.has_no_pause() {
            let addresses: Vec<_> = ready.iter().filter_map(|next| next.jid.clone()).collect();
            gateway.prepare(&addresses).await;
        }
        let mut carried = Carried::default();
        let sent = self.send_each(from, ready.into(), &mut carried).await;
        // However it ended: what WhatsApp has taken is written down.
        write_carried_ack(&self.context, &lease, &mut carried).await;
        sent
    }

    /// Sends one after the other.
    async fn send_each(
        &mut self,
        mut from: SendingSession<'_>,
        mut waiting: VecDeque<Addressed>,
        carried: &mut Carried,
    ) -> Result<AfterRound, StoreError> {
        let quotas = self.context.settings.quotas.clone();
        let (began, asked) = (self.context.clock.monotonic(), from.now);
        while !waiting.is_empty() {
            if !self.pacer.wait(&self.context.clock).is_zero() {
                write_carried_ack(&self.context, from.lease, carried).await;
                self.wait_for_pace().await;
            }
            from.now = asked + self.context.clock.monotonic().saturating_sub(began);
            from.day = quotas.day(from.now);
            let Some(next) = waiting.pop_front() else { break };
            let may_go = !self.context.is_stopping()
                && self.link.borrow().is_connected()
                && (next.delivery.urgent || quotas.quiet_until(from.now).is_none());
            let then = if may_go {
                let upcoming = waiting.front();
                attempt(&self.context, &mut self.pacer, &from, next, carried, upcoming).await?
            } else {
                waiting.push_front(next);
                AfterAttempt::Stop
            };
            if matches!(then, AfterAttempt::Acked) {
                continue;
            }
            if carried.begun_at.take().is_some()
                && let Some(begun) = waiting.pop_front()
            {
                let not_sent = DeliveryEvent::NotSent(from.now);
                self.context.state.settle(&begun.delivery, not_sent, None).await?;
            }
            let next = match then {
                AfterAttempt::Acked | AfterAttempt::GoOn => continue,
                AfterAttempt::Stop => AfterRound::Again,
                AfterAttempt::SessionLost => AfterRound::Leave,
            };
            let rest: Vec<_> = waiting.into_iter().map(|addressed| addressed.delivery).collect();
            self.context.state.release(&rest).await?;
            return Ok(next);
        }
        Ok(AfterRound::Again)
    }

    /// Writes what has changed about the link into the session's row. Returns whether the session
    /// is still ours.
    async fn report(&mut self, link: &Link) -> Result<bool, StoreError> {
        let connected = link.is_connected();
        if connected && !self.was_connected {
            self.pacer.connected();
            self.context.metrics.connected(&self.lease.name);
        }
        let report = LinkReport {
            state: link.state,
            phone: (link.phone.is_some() || connected).then(|| number_of(link)),
            qr: link.qr.clone(),
            passkey: link.passkey.clone(),
            error: link.error.clone().or_else(|| self.refusal.clone()),
        };
        if self.reported.as_ref() != Some(&report) {
            match self.context.state.report_link(&self.lease, &report).await? {
                Reported::Written => {
                    if report.phone.is_some() {
                        self.refusal = None;
                    }
                    self.reported = Some(report);
                }
                Reported::Lost => return Ok(false),
                Reported::NumberTaken { by } => self.unlink_second(&by).await,
            }
            tracing::debug!(
                session = self.lease.name,
                state = link.state.as_str(),
                "link reported"
            );
        }
        if connected && !self.was_connected {
            self.learn_limits().await?;
        }
        self.was_connected = connected;
        Ok(true)
    }

    /// Unlinks a phone that is linked in another session already, which keeps its pace.
    async fn unlink_second(&mut self, by: &str) {
        tracing::error!(
            session = self.lease.name,
            by,
            "this number is linked in another session already: unlinking it here"
        );
        self.refusal = Some(wording::number_taken(by));
        if let Err(error) = self.gateway.logout().await {
            tracing::warn!(%error, "the second link of a number could not be ended; trying again");
        }
    }

    /// Asks WhatsApp before the first message, rather than learn it from a refusal that counts.
    async fn learn_limits(&self) -> Result<(), StoreError> {
        match self.gateway.limits().await {
            Ok(Limits { reach_out_until: Some(until), .. }) => {
                self.context.state.limit_reach_out(&self.lease.name, until).await
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "WhatsApp does not tell the limits of the number");
                Ok(())
            }
        }
    }

    async fn note_waiting(&mut self, waits: bool) -> Result<(), StoreError> {
        if self.waits != Some(waits) {
            self.context.state.session_waits(&self.lease, waits).await?;
            self.waits = Some(waits);
        }
        Ok(())
    }

    /// Returns how many deliveries to claim: no more than can go out within half a lease, so that
    /// leases rarely run out unused.
    fn batch_size(&self) -> u32 {
        let gap = self.pacer.longest_gap().as_millis().max(1);
        let fitting = self.context.settings.timeouts.lease.as_millis() / 2 / gap;
        u32::try_from(fitting).unwrap_or(MAX_BATCH).clamp(1, MAX_BATCH)
    }

    /// Waits until the next message may go out, or the connection has ended: why is written at
    /// once then, for a start after a crash to go by.
    async fn wait_for_pace(&mut self) {
        while self.link.borrow().is_connected() && !self.context.is_stopping() {
            let began = self.context.clock.monotonic();
            let left = self.pacer.wait(&self.context.clock);
            if left.is_zero() {
                return;
            }
            self.pause(began, left).await;
        }
    }

    /// Waits until there may be something to send, or it is time to look.
    async fn wait(&mut self, began: Duration, duration: Duration) {
        tokio::select! {
            _ = self.link.changed() => {}
            _ = self.work.changed() => {}
            () = self.context.clock.sleep_since(began, duration) => {}
            () = self.context.stopping.cancelled() => {}
        }
    }

    /// Waits until this time is over, or the link has changed.
    async fn pause(&mut self, began: Duration, duration: Duration) {
        tokio::select! {
            _ = self.link.changed() => {}
            () = self.context.clock.sleep_since(began, duration) => {}
            () = self.context.stopping.cancelled() => {}
        }
    }
}

/// Returns the session's own pace, or that of the settings.
fn pace_of(session: &Session, settings: Pace) -> Pace {
    Pace {
        delay: session.delay.unwrap_or(settings.delay),
        jitter: session.jitter.unwrap_or(settings.jitter),
    }
}

fn number_of(link: &Link) -> Phone {
    Phone::from_stored(link.phone.as_deref().unwrap_or(UNNAMED_NUMBER))
}
