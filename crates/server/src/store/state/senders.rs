//! Sender numbers: each belongs to one node at a time, by lease, and has one pace.

use super::super::database::params;
use super::super::error::StoreError;
use super::{LONGEST_LEASE, State};
use crate::crash_point::crash_point;
use kabari_domain::{Phone, Timestamp};
use std::time::Duration;

/// A sender number as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The linked number.
    pub phone: Phone,
    /// The node that holds it, or held it last.
    pub owner: Option<String>,
    /// Rises with every change of owner.
    pub epoch: i64,
    /// Until when the owner holds it.
    pub lease_until: Timestamp,
    /// Nothing goes out from this number before.
    pub next_slot_at: Timestamp,
    /// When the number was first linked here; the warm-up ramp counts from it.
    pub linked_at: Timestamp,
    /// The day `sent_today` counts, as the caller numbers days.
    pub day: i64,
    /// Messages that went to the wire that day.
    pub sent_today: u32,
    /// Until when WhatsApp takes nothing from this number for people who never wrote to it.
    pub reach_out_until: Timestamp,
}

impl Sender {
    /// Whether its owner may still use it.
    pub fn is_held(&self, now: Timestamp) -> bool {
        let runs = self.lease_until > now && self.lease_until <= now + LONGEST_LEASE;
        self.owner.is_some() && runs
    }
}

/// A sender number that is ours for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderLease {
    /// To show with every write in its name; see [`State::begin`].
    pub epoch: i64,
    /// Until when it is ours.
    pub lease_until: Timestamp,
    /// Nothing may go out from it before.
    pub next_slot_at: Timestamp,
    /// When the number was first linked here.
    pub linked_at: Timestamp,
    /// Whether another node held it last: it may have left deliveries behind.
    pub taken_over: bool,
    /// The store's time at the lease.
    pub now: Timestamp,
}

impl State {
    /// Takes the number for this owner, or extends what it holds. `None`: another node has it.
    pub async fn lease_sender(
        &self,
        phone: &Phone,
        owner: &str,
        duration: Duration,
    ) -> Result<Option<SenderLease>, StoreError> {
        self.db().retry(|| self.try_lease_sender(phone, owner, duration)).await
    }

    async fn try_lease_sender(
        &self,
        phone: &Phone,
        owner: &str,
        duration: Duration,
    ) -> Result<Option<SenderLease>, StoreError> {
        let tx = self.db().begin().await?;
        let now = self.now_in(&tx).await?;
        tx.execute(
            &format!(
                "INSERT INTO senders (phone, epoch, lease_until, next_slot_at, linked_at, day, sent_today) \
                 VALUES (?, 0, 0, 0, ?, 0, 0){}",
                tx.engine().or_update("phone", &["phone"])
            ),
            params![phone.digits(), now.0],
        )
        .await?;
        let select = format!("{SELECT} WHERE phone = ?{}", tx.engine().lock_row());
        let Some(row) = tx.row(&select, params![phone.digits()]).await? else { return Ok(None) };
        let sender = read(&row)?;
        let ours = sender.owner.as_deref() == Some(owner);
        if !ours && sender.is_held(now) {
            return Ok(None);
        }
        let lease = SenderLease {
            epoch: if ours { sender.epoch } else { sender.epoch + 1 },
            lease_until: now + duration,
            next_slot_at: sender.next_slot_at,
            linked_at: sender.linked_at,
            taken_over: !ours && sender.epoch > 0,
            now,
        };
        tx.execute(
            "UPDATE senders SET owner = ?, epoch = ?, lease_until = ? WHERE phone = ?",
            params![owner, lease.epoch, lease.lease_until.0, phone.digits()],
        )
        .await?;
        crash_point("sender.written");
        tx.commit().await?;
        crash_point("sender.committed");
        Ok(Some(lease))
    }

    /// Lets go of the number, if this owner has it, so that others need not wait for the lease.
    pub async fn release_sender(&self, phone: &Phone, owner: &str) -> Result<(), StoreError> {
        let sql = "UPDATE senders SET lease_until = 0 WHERE phone = ? AND owner = ?";
        self.db().retry(|| self.db().execute(sql, params![phone.digits(), owner])).await?;
        Ok(())
    }

    /// The number as it is stored.
    pub async fn sender(&self, phone: &Phone) -> Result<Option<Sender>, StoreError> {
        let sql = format!("{SELECT} WHERE phone = ?");
        self.db().row(&sql, params![phone.digits()]).await?.map(|row| read(&row)).transpose()
    }

    /// All numbers ever linked here, by number.
    pub async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        let rows = self.db().rows(&format!("{SELECT} ORDER BY phone"), vec![]).await?;
        rows.iter().map(read).collect()
    }

    /// The number was linked anew: its warm-up starts again.
    pub async fn sender_linked(&self, phone: &Phone) -> Result<(), StoreError> {
        let now = self.now().await?;
        let sql = "UPDATE senders SET linked_at = ? WHERE phone = ?";
        self.db().retry(|| self.db().execute(sql, params![now.0, phone.digits()])).await?;
        Ok(())
    }
}

pub(super) const SELECT: &str = "SELECT phone, owner, epoch, lease_until, next_slot_at, \
     linked_at, day, sent_today, reach_out_until FROM senders";

pub(super) fn read(row: &super::super::database::Row) -> Result<Sender, StoreError> {
    Ok(Sender {
        phone: Phone::from_stored(row.get::<String>("phone")?),
        owner: row.get("owner")?,
        epoch: row.get("epoch")?,
        lease_until: Timestamp(row.get("lease_until")?),
        next_slot_at: Timestamp(row.get("next_slot_at")?),
        linked_at: Timestamp(row.get("linked_at")?),
        day: row.get("day")?,
        sent_today: super::count(row.get("sent_today")?),
        reach_out_until: Timestamp(row.get("reach_out_until")?),
    })
}
