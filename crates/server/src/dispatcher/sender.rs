//! Sends: one number, one message at a time.

use super::attempt::{Breaker, Held, Outcome, attempt};
use super::gate::Gate;
use super::numbers::{self, Addressed, Checked};
use super::pace::Pacer;
use super::{Context, LOOK_EVERY};
use crate::store::StoreError;
use kabari_domain::Phone;
use kabari_gateway::{Limits, Link};
use std::time::Duration;
use tokio::sync::watch;

/// The most deliveries taken at once: enough to ask for many numbers in one request.
const MAX_BATCH: u32 = 50;
/// The most of one campaign: others should not wait long for their turn.
const PER_CAMPAIGN: u32 = 10;
/// A gateway that is linked but does not say to which number.
const UNNAMED_SENDER: &str = "unknown";

/// Runs until shutdown.
pub async fn run(context: Context) {
    let mut sender = Sender::new(context);
    while !sender.context.is_stopping() {
        let began = sender.context.clock.monotonic();
        match sender.turn().await {
            Ok(Next::Turn) => {}
            Ok(Next::Wait(duration)) => sender.wait(sender.context.left_of(duration, began)).await,
            Ok(Next::Pause(duration)) => {
                sender.pause(sender.context.left_of(duration, began)).await
            }
            Err(error) => sender.context.after_store_error("sending", &error).await,
        }
    }
    if let Err(error) = sender.let_go().await {
        tracing::warn!(%error, "could not release the sender number; its lease runs out by itself");
    }
}

enum Next {
    Turn,
    /// Unless something changes earlier.
    Wait(Duration),
    /// Whatever changes in the database: WhatsApp wants to be left alone.
    Pause(Duration),
}

struct Sender {
    context: Context,
    link: watch::Receiver<Link>,
    changes: watch::Receiver<u64>,
    pacer: Pacer,
    breaker: Breaker,
    /// The number, while it is ours.
    held: Option<Held>,
    /// Since when there is no connection, on the monotonic clock.
    away_since: Option<Duration>,
}

impl Sender {
    fn new(context: Context) -> Sender {
        Sender {
            link: context.gateway.link(),
            changes: context.state.changes(),
            pacer: Pacer::new(context.settings.pace),
            breaker: Breaker::default(),
            held: None,
            away_since: None,
            context,
        }
    }

    /// One round: see whether anything may go out, take a batch, send it.
    async fn turn(&mut self) -> Result<Next, StoreError> {
        self.changes.borrow_and_update();
        let link = self.link.borrow_and_update().clone();
        let gate = Gate::of_link(&link, self.away_for(&link));
        if gate != Gate::Open {
            self.let_go().await?;
            gate.apply(&self.context).await?;
            return Ok(Next::Wait(LOOK_EVERY));
        }
        let phone = Phone::from_stored(link.phone.as_deref().unwrap_or(UNNAMED_SENDER));
        let Some(held) = self.hold_number(&phone).await? else {
            return Ok(Next::Wait(LOOK_EVERY));
        };
        let now = self.context.state.now().await?;
        let left_today = match self.context.state.sender(&phone).await? {
            Some(sender) => {
                self.context.care_gate(&sender, now).await?.apply(&self.context).await?;
                self.context.settings.left_today(&sender, now)
            }
            None => None,
        };
        let batch = self
            .context
            .state
            .lease_deliveries(
                &self.context.settings.node,
                &phone,
                PER_CAMPAIGN,
                self.batch_size().min(left_today.unwrap_or(u32::MAX)),
                self.context.settings.waits.lease,
            )
            .await?;
        if batch.is_empty() {
            return Ok(Next::Wait(LOOK_EVERY));
        }
        match numbers::check(&self.context, batch).await? {
            Checked::Ready(ready) => self.send_all(&held, ready).await,
            Checked::AskAgain(wait) => Ok(Next::Pause(wait)),
        }
    }

    async fn send_all(&mut self, held: &Held, ready: Vec<Addressed>) -> Result<Next, StoreError> {
        let mut waiting = ready.into_iter();
        while let Some(next) = waiting.next() {
            self.context.sleep(self.pacer.wait(&self.context.clock)).await;
            let may_go = !self.context.is_stopping()
                && self.link.borrow().is_connected()
                && (next.delivery.urgent || !self.context.settings.is_quiet(self.now().await?));
            let outcome = if may_go {
                attempt(&self.context, &mut self.pacer, &mut self.breaker, held, &next).await?
            } else {
                self.context.state.release(std::slice::from_ref(&next.delivery)).await?;
                Outcome::Stop
            };
            if outcome != Outcome::GoOn {
                let rest: Vec<_> = waiting.map(|addressed| addressed.delivery).collect();
                self.context.state.release(&rest).await?;
                if outcome == Outcome::NumberLost {
                    self.held = None;
                }
                return Ok(Next::Turn);
            }
        }
        Ok(Next::Turn)
    }

    async fn now(&self) -> Result<kabari_domain::Timestamp, StoreError> {
        self.context.state.now().await
    }

    /// The number, if no other node has it.
    async fn hold_number(&mut self, phone: &Phone) -> Result<Option<Held>, StoreError> {
        if let Some(held) = self.held.as_ref().filter(|held| held.phone == *phone) {
            return Ok(Some(held.clone()));
        }
        let settings = &self.context.settings;
        let taken = self.context.state.lease_sender(phone, &settings.node, settings.waits.lease);
        let Some(lease) = taken.await? else {
            return Ok(None);
        };
        self.pacer.acquired(&self.context.clock);
        self.held = Some(Held { phone: phone.clone(), epoch: lease.epoch });
        self.learn_limits(phone).await?;
        Ok(self.held.clone())
    }

    /// Asks WhatsApp before the first message, rather than learn it from a refusal that counts.
    async fn learn_limits(&self, phone: &Phone) -> Result<(), StoreError> {
        match self.context.gateway.limits().await {
            Ok(Limits { reach_out_until: Some(until), .. }) => {
                self.context.state.limit_reach_out(phone, until).await
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "WhatsApp does not tell the limits of the number");
                Ok(())
            }
        }
    }

    async fn let_go(&mut self) -> Result<(), StoreError> {
        if let Some(held) = self.held.take() {
            let node = &self.context.settings.node;
            self.context.state.release_sender(&held.phone, node).await?;
        }
        Ok(())
    }

    /// How long there has been no connection.
    fn away_for(&mut self, link: &Link) -> Duration {
        let now = self.context.clock.monotonic();
        if link.is_connected() {
            if self.away_since.take().is_some() {
                self.pacer.connected();
            }
            return Duration::ZERO;
        }
        now.saturating_sub(*self.away_since.get_or_insert(now))
    }

    /// No more than can go out within half a lease, so that leases rarely run out unused.
    fn batch_size(&self) -> u32 {
        let gap = self.pacer.longest_gap().as_millis().max(1);
        let fitting = self.context.settings.waits.lease.as_millis() / 2 / gap;
        u32::try_from(fitting).unwrap_or(MAX_BATCH).clamp(1, MAX_BATCH)
    }

    /// Until something has changed, here or at another node.
    async fn wait(&mut self, duration: Duration) {
        tokio::select! {
            _ = self.link.changed() => {}
            _ = self.changes.changed() => {}
            () = self.context.clock.sleep(duration) => {}
            () = self.context.stopping.cancelled() => {}
        }
    }

    /// Until this time is over, or the link is another one.
    async fn pause(&mut self, duration: Duration) {
        tokio::select! {
            _ = self.link.changed() => {}
            () = self.context.clock.sleep(duration) => {}
            () = self.context.stopping.cancelled() => {}
        }
    }
}
