//! The way of a delivery to the wire and back: leased, begun, settled.

use super::super::database::{Row, Transaction, params};
use super::super::error::StoreError;
use super::campaigns::lock_phase;
use super::contacts::WROTE_TO;
use super::deliveries::read_progress;
use super::moves::{one_of, stamps};
use super::senders;
use super::{LONGEST_LEASE, State, clip};
use crate::crash_point::crash_point;
use kabari_domain::{
    CampaignStatus, DeliveryEvent, DeliveryState, MessageId, Phone, Progress, Timestamp,
};
use sea_orm::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Lapsed leases taken back per transaction.
const RECLAIM_CHUNK: i64 = 500;
const ERROR_LENGTH: usize = 500;

/// A delivery that is ours for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedDelivery {
    /// Its number.
    pub id: i64,
    /// The campaign it belongs to.
    pub campaign_id: i64,
    /// Who leased it.
    pub owner: String,
    /// Rises with every lease: writes under an older one are refused.
    pub epoch: i64,
    /// Until when it is ours.
    pub lease_until: Timestamp,
    /// Where it goes.
    pub phone: Phone,
    /// What it says.
    pub text: String,
    /// The id it has on every attempt.
    pub message_id: MessageId,
    /// The address of the first attempt, which every later one keeps.
    pub jid: Option<String>,
    /// Whether its campaign goes out in quiet hours too.
    pub urgent: bool,
    /// State, attempts and unanswered attempts at the lease.
    pub progress: Progress,
}

/// What an attempt fixes before it touches the wire.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The number it goes out from.
    pub sender: &'a Phone,
    /// The epoch of our lease on that number.
    pub sender_epoch: i64,
    /// The recipient's address, if known.
    pub jid: Option<&'a str>,
    /// From this message to the next of the same sender.
    pub gap: Duration,
    /// For how long the delivery and the sender are ours from now on.
    pub lease: Duration,
    /// The day `sent_today` counts, a number that changes at midnight.
    pub day: i64,
}

/// Whether an attempt may touch the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It may, at `send_at`.
    Started(Begun),
    /// Another node holds the sender number.
    SenderLost,
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

impl State {
    /// Takes deliveries that are due: of running campaigns, urgent ones first, then in turn, at
    /// most `per_campaign` of each and `max` in all. What has been on the wire from another
    /// number stays with that number; what is for strangers stays while the number's limit for
    /// new chats lasts.
    pub async fn lease_deliveries(
        &self,
        owner: &str,
        sender: &Phone,
        per_campaign: u32,
        max: u32,
        lease: Duration,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        self.db().retry(|| self.try_lease(owner, sender, per_campaign, max, lease)).await
    }

    async fn try_lease(
        &self,
        owner: &str,
        sender: &Phone,
        per_campaign: u32,
        max: u32,
        lease: Duration,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        let now = self.now().await?;
        let campaigns = self.campaigns_in_turn(now, max).await?;
        if campaigns.is_empty() {
            return Ok(vec![]);
        }
        let limit = self.sender(sender).await?.map(|sender| sender.reach_out_until);
        let whom = Whom { sender, contacts_only: limit.is_some_and(|until| until > now) };
        let tx = self.db().begin().await?;
        let lease_until = now + lease;
        let mut leased: Vec<LeasedDelivery> = vec![];
        for campaign in &campaigns {
            let id: i64 = campaign.get("id")?;
            let template: String = campaign.get("template")?;
            let urgent = campaign.get::<i64>("urgent")? != 0;
            let mut quota = per_campaign.min(max - leased.len() as u32);
            // What has waited for an answer goes before what nobody has tried.
            for state in [DeliveryState::RetryWait, DeliveryState::Queued] {
                for row in due_rows(&tx, id, state, whom, now, quota).await? {
                    let progress = read_progress(&row)?;
                    let Ok(progress) = progress.after(DeliveryEvent::Lease) else { continue };
                    quota -= 1;
                    leased.push(LeasedDelivery {
                        id: row.get("id")?,
                        campaign_id: id,
                        owner: owner.to_owned(),
                        epoch: row.get::<i64>("epoch")? + 1,
                        lease_until,
                        phone: Phone::from_stored(row.get::<String>("phone")?),
                        text: row
                            .get::<Option<String>>("text")?
                            .unwrap_or_else(|| template.clone()),
                        message_id: MessageId::from_stored(row.get::<String>("message_id")?),
                        jid: row.get("jid")?,
                        urgent,
                        progress,
                    });
                }
            }
            if leased.len() >= max as usize {
                break;
            }
        }
        let Some(last) = leased.last() else { return Ok(leased) };
        let (among, ids) = one_of("id", leased.iter().map(|delivery| delivery.id));
        let mut values = params![owner, lease_until.0];
        values.extend(ids);
        let sql = format!(
            "UPDATE deliveries SET state = 'leased', owner = ?, epoch = epoch + 1, \
             lease_until = ? WHERE {among}"
        );
        tx.execute(&sql, values).await?;
        crash_point("lease.written");
        tx.commit().await?;
        crash_point("lease.committed");
        self.0.last_served.store(last.campaign_id, Ordering::Relaxed);
        Ok(leased)
    }

    /// The running campaigns with something due: urgent ones first, then the oldest after the
    /// one served last.
    async fn campaigns_in_turn(&self, now: Timestamp, max: u32) -> Result<Vec<Row>, StoreError> {
        let due = |state: &str| {
            format!(
                "EXISTS (SELECT 1 FROM deliveries d WHERE d.campaign_id = c.id \
                 AND d.state = '{state}' AND d.due_at <= ?)"
            )
        };
        let sql = format!(
            "SELECT c.id, c.template, c.urgent FROM campaigns c WHERE c.status = 'running' \
             AND (c.expires_at IS NULL OR c.expires_at > ?) AND ({} OR {}) \
             ORDER BY c.urgent DESC, CASE WHEN c.id > ? THEN 0 ELSE 1 END, c.id LIMIT ?",
            due("queued"),
            due("retry_wait"),
        );
        let last_served = self.0.last_served.load(Ordering::Relaxed);
        let values = params![now.0, now.0, now.0, last_served, i64::from(max)];
        self.db().rows(&sql, values).await
    }

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
        let tx = self.db().begin().await?;
        let now = self.now_in(&tx).await?;

        let sql = format!("{} WHERE phone = ?{}", senders::SELECT, tx.engine().lock_row());
        let row = tx.row(&sql, params![attempt.sender.digits()]).await?;
        let sender = row.map(|row| senders::read(&row)).transpose()?.filter(|sender| {
            sender.owner.as_deref() == Some(delivery.owner.as_str())
                && sender.epoch == attempt.sender_epoch
                && sender.lease_until > now
        });
        let Some(sender) = sender else { return Ok(Begin::SenderLost) };
        // A slot further away than one gap was taken under a clock that has been set back since;
        // whoever took it has finished, so one gap from now is far enough.
        let send_at = sender.next_slot_at.clamp(now, now + attempt.gap);
        let sent_today = if sender.day == attempt.day { sender.sent_today + 1 } else { 1 };

        let campaign = tx
            .row(
                "SELECT status, expires_at FROM campaigns WHERE id = ?",
                params![delivery.campaign_id],
            )
            .await?
            .ok_or(StoreError::NotFound { what: "campaign", id: delivery.campaign_id })?;
        let expired = campaign.get::<Option<i64>>("expires_at")?.is_some_and(|at| at <= now.0);
        if expired
            || campaign.parse("status", CampaignStatus::from_name)? != CampaignStatus::Running
        {
            return Ok(Begin::NotRunning);
        }

        let Ok(progress) = delivery.progress.after(DeliveryEvent::Begin) else {
            return Ok(Begin::DeliveryLost);
        };
        let lease_until = now + attempt.lease;
        let begun = tx
            .execute(
                "UPDATE deliveries SET state = 'sending', attempts = ?, lease_until = ?, \
                 sender = COALESCE(sender, ?), jid = COALESCE(jid, ?), \
                 first_sent_at = COALESCE(first_sent_at, ?) \
                 WHERE id = ? AND owner = ? AND epoch = ? AND state = 'leased' AND lease_until > ?",
                params![
                    i64::from(progress.attempts),
                    lease_until.0,
                    attempt.sender.digits(),
                    attempt.jid,
                    send_at.0,
                    delivery.id,
                    delivery.owner.as_str(),
                    delivery.epoch,
                    now.0,
                ],
            )
            .await?;
        if begun.rows == 0 {
            return Ok(Begin::DeliveryLost);
        }
        tx.execute(
            "UPDATE senders SET lease_until = ?, next_slot_at = ?, day = ?, sent_today = ? \
             WHERE phone = ?",
            params![
                lease_until.max(sender.lease_until).0,
                (send_at + attempt.gap).0,
                attempt.day,
                i64::from(sent_today),
                attempt.sender.digits(),
            ],
        )
        .await?;
        crash_point("begin.written");
        tx.commit().await?;
        crash_point("begin.committed");
        let jid = delivery.jid.clone().or_else(|| attempt.jid.map(str::to_owned));
        Ok(Begin::Started(Begun { send_at, now, jid, attempt: progress.attempts }))
    }

    /// Writes what became of a delivery that is ours: `Acked`, `Refused`, `Deferred`,
    /// `Unanswered` or `NotSent`. `error` is for the report. `false`: it is no longer ours, or
    /// an ack or receipt has already moved it on; there is nothing left to do.
    pub async fn settle(
        &self,
        delivery: &LeasedDelivery,
        event: DeliveryEvent,
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        let closed = self.db().retry(|| self.try_settle(delivery, event, error)).await?;
        if closed.is_some_and(|state| !state.is_open()) {
            self.complete_if_done(delivery.campaign_id).await?;
        }
        Ok(closed.is_some())
    }

    async fn try_settle(
        &self,
        delivery: &LeasedDelivery,
        event: DeliveryEvent,
        error: Option<&str>,
    ) -> Result<Option<DeliveryState>, StoreError> {
        let tx = self.db().begin().await?;
        let now = self.now_in(&tx).await?;
        let sql = format!(
            "SELECT state, attempts, unanswered, due_at FROM deliveries \
             WHERE id = ? AND owner = ? AND epoch = ?{}",
            tx.engine().lock_row()
        );
        let ours = params![delivery.id, delivery.owner.as_str(), delivery.epoch];
        let Some(row) = tx.row(&sql, ours).await? else { return Ok(None) };
        let Ok(after) = read_progress(&row)?.after(event) else { return Ok(None) };
        let after = given_up(&tx, delivery.campaign_id, delivery.id, after).await?;
        write_progress(&tx, delivery.id, after, error, now).await?;
        crash_point("settle.written");
        tx.commit().await?;
        crash_point("settle.committed");
        Ok(Some(after.state))
    }

    /// Puts leased deliveries back that will not be sent now. Those that are no longer ours stay
    /// with whoever has them.
    pub async fn release(&self, deliveries: &[LeasedDelivery]) -> Result<(), StoreError> {
        for delivery in deliveries {
            crash_point("release");
            self.db().retry(|| self.try_settle(delivery, DeliveryEvent::Release, None)).await?;
        }
        Ok(())
    }

    /// Takes back what nodes that died had leased: untouched deliveries are free again, those
    /// being sent count as unanswered and go out again after `resend_wait`. Answers how many.
    pub async fn reclaim(
        &self,
        now: Timestamp,
        resend_wait: Duration,
    ) -> Result<usize, StoreError> {
        let mut reclaimed = 0;
        let lapsed = [
            (DeliveryState::Leased, DeliveryEvent::Release),
            (DeliveryState::Sending, DeliveryEvent::Unanswered(now + resend_wait)),
        ];
        for (state, event) in lapsed {
            loop {
                let campaigns = self.db().retry(|| self.try_reclaim(state, event, now)).await?;
                if campaigns.is_empty() {
                    break;
                }
                reclaimed += campaigns.len();
                let mut closed: Vec<i64> = campaigns.into_iter().flatten().collect();
                closed.sort_unstable();
                closed.dedup();
                for campaign in closed {
                    self.complete_if_done(campaign).await?;
                }
            }
        }
        Ok(reclaimed)
    }

    /// One entry for each delivery; with its campaign, if that delivery is closed now.
    async fn try_reclaim(
        &self,
        state: DeliveryState,
        event: DeliveryEvent,
        now: Timestamp,
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let sql = format!(
            "SELECT id, campaign_id, state, attempts, unanswered, due_at FROM deliveries \
             WHERE state = ? AND (lease_until <= ? OR lease_until > ?) LIMIT ?{}",
            self.db().engine().lock_rows()
        );
        let values = params![state.as_str(), now.0, (now + LONGEST_LEASE).0, RECLAIM_CHUNK];
        let tx = self.db().begin().await?;
        let mut reclaimed = vec![];
        for row in tx.rows(&sql, values).await? {
            let Ok(after) = read_progress(&row)?.after(event) else { continue };
            let (id, campaign): (i64, i64) = (row.get("id")?, row.get("campaign_id")?);
            let after = given_up(&tx, campaign, id, after).await?;
            write_progress(&tx, id, after, None, now).await?;
            reclaimed.push((!after.state.is_open()).then_some(campaign));
        }
        crash_point("reclaim.written");
        tx.commit().await?;
        crash_point("reclaim.committed");
        Ok(reclaimed)
    }
}

/// Whom a number may write to now.
#[derive(Clone, Copy)]
struct Whom<'a> {
    sender: &'a Phone,
    /// Only to those who wrote to it.
    contacts_only: bool,
}

async fn due_rows(
    tx: &Transaction<'_>,
    campaign: i64,
    state: DeliveryState,
    whom: Whom<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Row>, StoreError> {
    if limit == 0 {
        return Ok(vec![]);
    }
    let sender = whom.sender.digits();
    let mut values = params![campaign, state.as_str(), now.0, sender];
    let mut contacts = String::new();
    if whom.contacts_only {
        contacts = format!(" AND {WROTE_TO}");
        values.push(sender.into());
    }
    values.push(i64::from(limit).into());
    let sql = format!(
        "SELECT id, epoch, phone, text, message_id, jid, state, attempts, unanswered, due_at \
         FROM deliveries WHERE campaign_id = ? AND state = ? AND due_at <= ? \
         AND (sender IS NULL OR sender = ?){contacts} ORDER BY due_at, id LIMIT ?{}",
        tx.engine().lock_rows()
    );
    tx.rows(&sql, values).await
}

/// Where a delivery that would wait again ends up instead, if its campaign was cancelled or a
/// newer one for the same notice has come while it was out of their reach.
///
/// The campaign's row is locked first, which those who give up its deliveries hold too: either
/// they see this delivery waiting, or this sees what they have done.
async fn given_up(
    tx: &Transaction<'_>,
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
    tx: &Transaction<'_>,
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
async fn write_progress(
    tx: &Transaction<'_>,
    id: i64,
    after: Progress,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (stamps, stamp_values) = stamps(after.state, now);
    // A delivery that never was on the wire may go out from another number.
    let untouched = after.attempts == 0;
    let binding = if untouched { ", sender = NULL, jid = NULL, first_sent_at = NULL" } else { "" };
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
