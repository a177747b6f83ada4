//! An attempt: committed before it touches the wire, settled by its answer.

use super::super::batch::{Batched, Statement};
use super::super::error::StoreError;
use super::super::row::{Stored, Value, params};
use super::super::transaction::Transaction;
use super::bulk_transitions::{move_statements, stamps};
use super::campaigns::lock_phase;
use super::claim::LeasedDelivery;
use super::sessions::SessionLease;
use super::{StateStore, clip};
use crate::crash_point::crash_point;
use kabari_domain::{CampaignStatus, DeliveryEvent, DeliveryState, Phone, Progress, Timestamp};
use std::time::Duration;

const ERROR_LENGTH: usize = 500;

/// What an attempt fixes before it touches the wire.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The session it goes out from.
    pub session: &'a SessionLease,
    /// The number of that session.
    pub sender: &'a Phone,
    /// The recipient's address, if known.
    pub jid: Option<&'a str>,
    /// From this message to the next of the same session.
    pub gap: Duration,
    /// For how long the delivery and the session are ours from now on.
    pub lease: Duration,
    /// The day `sent_today` counts, a number that changes at midnight.
    pub day: i64,
    /// Whether the gateway would make a second message of a repeat.
    pub unrepeatable: bool,
}

/// Whether an attempt may touch the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It may, at `send_at`.
    Started(Begun),
    /// Another node holds the session.
    SessionLost,
    /// The delivery is no longer ours, or its lease has run out.
    DeliveryLost,
    /// Its campaign is not running, or has expired. The delivery is still leased: release it.
    NotRunning,
}

/// An attempt that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The slot it got: not before this, by the store's clock.
    pub send_at: Timestamp,
    /// The store's time now, to measure the wait until `send_at` from.
    pub now: Timestamp,
    /// The address it goes to: the first attempt's.
    pub jid: Option<String>,
    /// 1 for the first.
    pub attempt: u32,
}

impl Begun {
    /// Describes an attempt at a delivery that is committed.
    pub fn of(
        delivery: &LeasedDelivery,
        jid: Option<&str>,
        send_at: Timestamp,
        now: Timestamp,
    ) -> Begun {
        let jid = delivery.jid.clone().or_else(|| jid.map(str::to_owned));
        Begun { send_at, now, jid, attempt: delivery.progress.attempts + 1 }
    }
}

impl StateStore {
    /// Commits an attempt before it touches the wire: the delivery is being sent, and the
    /// sender's next slot is taken, so that no crash can make it burst.
    pub async fn begin(
        &self,
        delivery: &LeasedDelivery,
        attempt: Attempt<'_>,
    ) -> Result<Begin, StoreError> {
        self.db().retry(|| self.try_begin(delivery, attempt)).await
    }

    async fn try_begin(
        &self,
        delivery: &LeasedDelivery,
        attempt: Attempt<'_>,
    ) -> Result<Begin, StoreError> {
        let now = self.now().await?;
        let Ok(progress) = delivery.progress.after(DeliveryEvent::Begin) else {
            return Ok(Begin::DeliveryLost);
        };
        let batch = Vec::from(begin_statements(delivery, progress, attempt, now));
        match self.db().write(batch, || crash_point("begin.written")).await? {
            Batched::Written(_) => crash_point("begin.committed"),
            Batched::Refused(0) => return Ok(Begin::SessionLost),
            Batched::Refused(_) => return self.why_not_begun(delivery.campaign_id, now).await,
        }
        self.db().announce();
        let send_at = if attempt.gap.is_zero() {
            now
        } else {
            self.next_slot(attempt.session).await? - attempt.gap
        };
        Ok(Begin::Started(Begun::of(delivery, attempt.jid, send_at, now)))
    }

    /// Returns when the session's next message may go out.
    async fn next_slot(&self, session: &SessionLease) -> Result<Timestamp, StoreError> {
        let sql = "SELECT next_slot_at FROM sessions WHERE name = ?";
        let row = self.db().row(sql, params![session.name.as_str()]).await?;
        row.map_or(Ok(Timestamp(0)), |row| row.get("next_slot_at"))
    }

    async fn why_not_begun(&self, campaign: i64, now: Timestamp) -> Result<Begin, StoreError> {
        let sql = "SELECT status, expires_at FROM campaigns WHERE id = ?";
        let row = self.db().row(sql, params![campaign]).await?;
        let row = row.ok_or(StoreError::NotFound { what: "campaign", id: campaign })?;
        let expires_at: Option<Timestamp> = row.get("expires_at")?;
        let runs = row.get::<CampaignStatus>("status")? == CampaignStatus::Running
            && expires_at.is_none_or(|at| at > now);
        Ok(if runs { Begin::DeliveryLost } else { Begin::NotRunning })
    }

    /// Writes the server's ack of a delivery that is ours. Returns whether it was still ours, and
    /// waited for it.
    pub async fn ack(&self, delivery: &LeasedDelivery, at: Timestamp) -> Result<bool, StoreError> {
        let batch = || vec![ack_statement(delivery, at)];
        let write = || self.db().write(batch(), || crash_point("ack.written"));
        let batched = self.db().retry(write).await?;
        crash_point("ack.committed");
        self.db().announce();
        Ok(matches!(batched, Batched::Written(rows) if rows != [0]))
    }

    /// Writes what became of a delivery that is ours: `Acked`, `Refused`, `Deferred`,
    /// `Unanswered`, `AnswerLost`, `Abandon` or `NotSent`. `error` is for the report. Returns the
    /// state it is in now, or `None` if it is no longer ours, or an ack or receipt has already moved
    /// it on: there is nothing left to do. Where that closes it,
    /// [complete](StateStore::complete_if_done) its campaign.
    pub async fn settle(
        &self,
        delivery: &LeasedDelivery,
        event: DeliveryEvent,
        error: Option<&str>,
    ) -> Result<Option<DeliveryState>, StoreError> {
        self.db()
            .retry(|| async {
                let mut tx = self.db().begin().await?;
                let settled = self.settle_in(&mut tx, delivery, event, error).await?;
                if settled.is_some() {
                    crash_point("settle.written");
                    tx.commit().await?;
                    crash_point("settle.committed");
                } else {
                    tx.rollback().await?;
                }
                Ok(settled)
            })
            .await
    }

    async fn settle_in(
        &self,
        tx: &mut Transaction<'_>,
        delivery: &LeasedDelivery,
        event: DeliveryEvent,
        error: Option<&str>,
    ) -> Result<Option<DeliveryState>, StoreError> {
        let (now_column, mut values) = self.now_column();
        let sql = format!(
            "SELECT {}, {now_column} FROM deliveries WHERE id = ? AND owner = ? AND epoch = ?{}",
            <Progress as Stored>::COLUMNS.unwrap_or_default(),
            tx.engine().lock_row()
        );
        values.extend(params![delivery.id, delivery.owner.as_str(), delivery.epoch]);
        let Some(row) = tx.row(&sql, values).await? else { return Ok(None) };
        let before: Progress = row.get("progress")?;
        let Ok(after) = before.after(event) else { return Ok(None) };
        let after = given_up(tx, delivery.campaign_id, delivery.id, after).await?;
        write_progress(tx, delivery.id, after, error, self.now_of(&row)?).await?;
        Ok(Some(after.state))
    }

    /// Puts leased deliveries back that will not be sent now. Those that are no longer ours stay
    /// with whoever has them.
    pub async fn release(&self, deliveries: &[LeasedDelivery]) -> Result<(), StoreError> {
        for delivery in deliveries {
            crash_point("release");
            self.settle(delivery, DeliveryEvent::Release, None).await?;
        }
        Ok(())
    }
}

/// Begins an attempt: its session takes the next slot, and the delivery is being sent. Both are
/// required: without the first the session is lost, without the second the delivery, or its
/// campaign does not run.
pub(super) fn begin_statements(
    delivery: &LeasedDelivery,
    progress: Progress,
    attempt: Attempt<'_>,
    now: Timestamp,
) -> [Statement; 2] {
    let SessionLease { name, owner, epoch } = attempt.session;
    let gap = i64::try_from(attempt.gap.as_millis()).unwrap_or(i64::MAX);
    let lease_until = (now + attempt.lease).0;
    // A slot further away than one gap was taken under a clock that has been set back since;
    // whoever took it has finished, so one gap from now is far enough. A lease that has run out is
    // ours as long as nobody has taken the session: its epoch tells.
    let slot = Statement::required(
        "UPDATE sessions SET next_slot_at = CASE WHEN next_slot_at < ? THEN ? \
         WHEN next_slot_at > ? THEN ? ELSE next_slot_at + ? END, \
         lease_until = CASE WHEN lease_until < ? THEN ? ELSE lease_until END, \
         sent_today = CASE WHEN day = ? THEN sent_today + 1 ELSE 1 END, day = ? \
         WHERE name = ? AND owner = ? AND epoch = ?",
        params![
            now.0,
            now.0 + gap,
            now.0 + gap,
            now.0 + 2 * gap,
            gap,
            lease_until,
            lease_until,
            attempt.day,
            attempt.day,
            name.as_str(),
            owner.as_str(),
            *epoch,
        ],
    );
    let sending = Statement::required(
        "UPDATE deliveries SET state = 'sending', attempts = ?, lease_until = ?, \
         unrepeatable = ?, sender = COALESCE(sender, ?), jid = COALESCE(jid, ?), \
         first_sent_at = COALESCE(first_sent_at, \
         (SELECT s.next_slot_at - ? FROM sessions s WHERE s.name = ?)) \
         WHERE id = ? AND owner = ? AND epoch = ? AND state = 'leased' AND lease_until > ? \
         AND EXISTS (SELECT 1 FROM campaigns c WHERE c.id = ? AND c.status = 'running' \
         AND (c.expires_at IS NULL OR c.expires_at > ?))",
        params![
            i64::from(progress.attempts),
            lease_until,
            i64::from(attempt.unrepeatable),
            attempt.sender.digits(),
            attempt.jid,
            gap,
            name.as_str(),
            delivery.id,
            delivery.owner.as_str(),
            delivery.epoch,
            now.0,
            delivery.campaign_id,
            now.0,
        ],
    );
    [slot, sending]
}

/// The server's ack of a delivery that is ours.
pub(super) fn ack_statement(delivery: &LeasedDelivery, at: Timestamp) -> Statement {
    let scope = "id = ? AND owner = ? AND epoch = ?";
    let values = params![delivery.id, delivery.owner.as_str(), delivery.epoch];
    let acked = move_statements(DeliveryEvent::Acked, at, scope, &values).pop();
    acked.expect("there is one state that an ack leads to")
}

/// Returns where a delivery that would wait again ends up instead, if its campaign was cancelled or
/// a newer one for the same notice has come while it was out of their reach.
///
/// The campaign's row is locked first, which those who give up its deliveries hold too: either
/// they see this delivery waiting, or this sees what they have done.
pub(super) async fn given_up(
    tx: &mut Transaction<'_>,
    campaign: i64,
    delivery: i64,
    after: Progress,
) -> Result<Progress, StoreError> {
    if !matches!(after.state, DeliveryState::Queued | DeliveryState::RetryWait) {
        return Ok(after);
    }
    let event = if lock_phase(tx, campaign).await?.status == CampaignStatus::Cancelled {
        DeliveryEvent::Cancel
    } else if is_superseded(tx, campaign, delivery).await? {
        DeliveryEvent::Supersede
    } else {
        return Ok(after);
    };
    Ok(after.after(event).unwrap_or(after))
}

async fn is_superseded(
    tx: &mut Transaction<'_>,
    campaign: i64,
    delivery: i64,
) -> Result<bool, StoreError> {
    let newer = tx
        .row(
            "SELECT 1 AS found FROM campaigns o \
             JOIN campaigns n ON n.notice_id = o.notice_id AND n.id > o.id AND n.supersedes = 1 \
             JOIN deliveries od ON od.id = ? \
             JOIN deliveries nd ON nd.campaign_id = n.id AND nd.phone = od.phone \
             WHERE o.id = ? LIMIT 1",
            params![delivery, campaign],
        )
        .await?;
    Ok(newer.is_some())
}

/// Writes where a row of this transaction's own is after an event that ends its lease.
pub(super) async fn write_progress(
    tx: &mut Transaction<'_>,
    id: i64,
    after: Progress,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (stamps, stamp_values) = stamps(after.state, now);
    // What cannot have arrived may go out from another number.
    let waits = matches!(after.state, DeliveryState::Queued | DeliveryState::RetryWait);
    let binding = match (after.may_have_arrived(), after.attempts) {
        (false, 0) => ", sender = NULL, jid = NULL, first_sent_at = NULL",
        (false, _) if waits => ", sender = NULL, jid = NULL",
        _ => "",
    };
    let error_set = if error.is_some() && !after.state.is_sent() { ", error = ?" } else { "" };
    let sql = format!(
        "UPDATE deliveries SET state = ?, attempts = ?, unanswered = ?, due_at = ?, \
         owner = NULL, lease_until = NULL{stamps}{binding}{error_set} WHERE id = ?"
    );
    let mut values = params![
        after.state.as_str(),
        i64::from(after.attempts),
        i64::from(after.unanswered),
        after.due_at.0,
    ];
    values.extend(stamp_values);
    if !error_set.is_empty() {
        values.extend(error.map(|error| Value::from(clip(error, ERROR_LENGTH))));
    }
    values.push(Value::from(id));
    tx.execute(&sql, values).await?;
    Ok(())
}
