//! From one message of a session to the next, in one commit.
//!
//! What a message changes of its session is written before it leaves. Where no pause lies between
//! the messages, two things are due at that moment too, and go along: the ack of the message before
//! it, and the begin of the one after it.

use super::super::batch::{Batched, Statement};
use super::super::error::StoreError;
use super::super::row::params;
use super::StateStore;
use super::attempt::{Attempt, ack_statement, begin_statements};
use super::claim::LeasedDelivery;
use super::sessions::SessionLease;
use crate::crash_point::crash_point;
use kabari_domain::{DeliveryEvent, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What of a handover is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// The ack, of a delivery that was still ours.
    pub acked: bool,
    /// The begin of the next delivery.
    pub begun: bool,
}

/// What is to be written with the next change of a session.
#[derive(Debug)]
pub(super) struct Handover {
    ack: Option<Statement>,
    /// Those of the next delivery's begin, if there is one.
    begin: Vec<Statement>,
    handed_over: HandedOver,
}

type Waiting = Arc<tokio::sync::Mutex<Handover>>;

/// The handovers that wait for a change, by session and epoch.
pub(super) type Handovers = Mutex<HashMap<(String, i64), Waiting>>;

impl Handover {
    fn withdraw(&mut self) {
        self.ack = None;
        self.begin.clear();
    }
}

/// A handover that waits for a change of its session.
#[derive(Debug)]
pub struct PendingHandover<'a> {
    handovers: &'a Handovers,
    key: (String, i64),
    handover: Waiting,
}

impl PendingHandover<'_> {
    /// Withdraws what is not written. Returns what is.
    pub async fn finish(self) -> HandedOver {
        let mut handover = self.handover.lock().await;
        handover.withdraw();
        handover.handed_over
    }
}

impl Drop for PendingHandover<'_> {
    fn drop(&mut self) {
        lock(self.handovers).remove(&self.key);
    }
}

impl StateStore {
    /// Lets the next change of the session take along the ack of one delivery and the begin of
    /// another, both of which [`finish`](PendingHandover::finish) withdraws if there is no change
    /// by then. The attempt must leave no gap. `now` is the store's time.
    pub fn hand_over(
        &self,
        acked: Option<(&LeasedDelivery, Timestamp)>,
        next: Option<(&LeasedDelivery, Attempt<'_>)>,
        session: &SessionLease,
        now: Timestamp,
    ) -> PendingHandover<'_> {
        let begin = next.and_then(|(delivery, attempt)| {
            let progress = delivery.progress.after(DeliveryEvent::Begin).ok()?;
            Some(begin_statements(delivery, progress, attempt, now))
        });
        let handover = Arc::new(tokio::sync::Mutex::new(Handover {
            ack: acked.map(|(delivery, at)| ack_statement(delivery, at)),
            begin: begin.map(Vec::from).unwrap_or_default(),
            handed_over: HandedOver::default(),
        }));
        let key = key_of(session);
        lock(&self.0.handovers).insert(key.clone(), handover.clone());
        PendingHandover { handovers: &self.0.handovers, key, handover }
    }

    /// Returns whether a handover waits for a change of the session.
    pub(super) fn hands_over(&self, session: &SessionLease) -> bool {
        lock(&self.0.handovers).contains_key(&key_of(session))
    }

    /// Writes changes of a session, together with the handover if one waits for them. Returns how
    /// many rows the changes made, or `None` if the session is no longer held: then nothing is
    /// written.
    pub(super) async fn write_changes(
        &self,
        session: &SessionLease,
        changes: &[Statement],
    ) -> Result<Option<u64>, StoreError> {
        let waiting = lock(&self.0.handovers).get(&key_of(session)).cloned();
        let Some(handover) = waiting else {
            return self.db().retry(|| self.write_entries(session, changes)).await;
        };
        let mut handover = handover.lock().await;
        let written = self.db().retry(|| self.try_hand_over(&handover, session, changes)).await?;
        let Some((rows, handed_over)) = written else { return Ok(None) };
        handover.withdraw();
        handover.handed_over.acked |= handed_over.acked;
        handover.handed_over.begun |= handed_over.begun;
        Ok(Some(rows))
    }

    async fn write_entries(
        &self,
        session: &SessionLease,
        changes: &[Statement],
    ) -> Result<Option<u64>, StoreError> {
        let mut batch = vec![fence(session)];
        batch.extend_from_slice(changes);
        let batched = self.db().write(batch, || crash_point("entries.written")).await?;
        crash_point("entries.committed");
        Ok(match batched {
            Batched::Written(rows) => Some(rows[1..].iter().sum()),
            Batched::Refused(_) => None,
        })
    }

    /// Returns `None` if the session is no longer held.
    async fn try_hand_over(
        &self,
        handover: &Handover,
        session: &SessionLease,
        changes: &[Statement],
    ) -> Result<Option<(u64, HandedOver)>, StoreError> {
        let fence = vec![fence(session)];
        // The begin is a fence too. Where it is refused, the rest is written all the same.
        let heads = [&handover.begin, &fence].into_iter().filter(|head| !head.is_empty());
        for head in heads {
            let mut batch = head.clone();
            batch.extend(handover.ack.clone());
            batch.extend_from_slice(changes);
            match self.db().write(batch, || crash_point("handover.written")).await? {
                Batched::Refused(0) => return Ok(None),
                Batched::Refused(_) => {}
                Batched::Written(rows) => {
                    crash_point("handover.committed");
                    self.db().announce();
                    let (acks, changed) = rows[head.len()..].split_at(handover.ack.iter().len());
                    let handed_over =
                        HandedOver { acked: acks.iter().sum::<u64>() > 0, begun: head.len() > 1 };
                    return Ok(Some((changed.iter().sum(), handed_over)));
                }
            }
        }
        Ok(None)
    }
}

/// Changes nothing, and keeps the session from changing hands until the transaction ends.
pub(super) fn fence(session: &SessionLease) -> Statement {
    let SessionLease { name, owner, epoch } = session;
    let sql = "UPDATE sessions SET epoch = epoch WHERE name = ? AND owner = ? AND epoch = ?";
    Statement::required(sql, params![name.as_str(), owner.as_str(), *epoch])
}

fn key_of(session: &SessionLease) -> (String, i64) {
    (session.name.clone(), session.epoch)
}

fn lock(handovers: &Handovers) -> MutexGuard<'_, HashMap<(String, i64), Waiting>> {
    handovers.lock().unwrap_or_else(PoisonError::into_inner)
}
