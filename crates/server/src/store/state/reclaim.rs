//! Reclaiming: what is taken back from nodes that died, and from numbers that are gone.

use super::super::error::StoreError;
use super::super::row::params;
use super::attempt::{given_up, write_progress};
use super::bulk_transitions::move_all;
use super::session_links::UNLINKED;
use super::{LONGEST_LEASE, StateStore};
use crate::crash_point::crash_point;
use kabari_domain::{DeliveryEvent, Progress, Timestamp};
use std::time::Duration;

/// Lapsed leases taken back per transaction.
const RECLAIM_CHUNK: i64 = 500;
/// Deliveries per statement.
const CHUNK: usize = 200;
/// How long a number may be away before what it alone may send is for a person to decide.
pub const ABANDON_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Holds for a delivery whose lease has run out. Wants the time, and the end of the longest lease.
pub(super) const LAPSED: &str = "(lease_until <= ? OR lease_until > ?)";
/// Holds for a delivery that waits, and that one number alone may send.
pub(super) const BOUND: &str = "state = 'retry_wait' AND sender IS NOT NULL";
pub(super) const HELD: &str = "state IN ('leased', 'sending')";

impl StateStore {
    /// Extends the leases of these deliveries where they have not run out.
    pub async fn renew_deliveries(
        &self,
        leases: &[(i64, i64)],
        owner: &str,
        duration: Duration,
    ) -> Result<(), StoreError> {
        let now = self.now().await?;
        for chunk in leases.chunks(CHUNK) {
            let which = vec!["(id = ? AND epoch = ?)"; chunk.len()].join(" OR ");
            let sql = format!(
                "UPDATE deliveries SET lease_until = ? WHERE owner = ? AND {HELD} \
                 AND lease_until > ? AND ({which})"
            );
            let mut values = params![(now + duration).0, owner, now.0];
            values.extend(chunk.iter().flat_map(|(id, epoch)| params![*id, *epoch]));
            self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
        }
        Ok(())
    }

    /// Takes up what this node held when it ended, without waiting for its leases to run out:
    /// only for a node that is known not to run. Returns the number of deliveries.
    pub async fn reclaim_from(
        &self,
        node: &str,
        resend_wait: Duration,
    ) -> Result<usize, StoreError> {
        let now = self.now().await?;
        for sql in [
            format!(
                "UPDATE deliveries SET lease_until = ? WHERE owner = ? AND {HELD} AND lease_until > ?"
            ),
            "UPDATE sessions SET lease_until = ? WHERE owner = ? AND lease_until > ?".into(),
        ] {
            self.db().retry(|| self.db().execute(&sql, params![now.0, node, now.0])).await?;
        }
        self.reclaim(now, resend_wait).await
    }

    /// Takes back what nodes that died had leased: untouched deliveries are free again, those
    /// being sent count as unanswered and go out again after `resend_wait`, unless a repeat would
    /// be a second message. Returns how many were taken back.
    pub async fn reclaim(
        &self,
        now: Timestamp,
        resend_wait: Duration,
    ) -> Result<usize, StoreError> {
        let mut reclaimed = 0;
        let lapsed = [
            ("state = 'leased'", DeliveryEvent::Release),
            (
                "state = 'sending' AND unrepeatable = 0",
                DeliveryEvent::Unanswered(now + resend_wait),
            ),
            ("state = 'sending' AND unrepeatable = 1", DeliveryEvent::AnswerLost),
        ];
        for (which, event) in lapsed {
            loop {
                let campaigns = self.db().retry(|| self.try_reclaim(which, event, now)).await?;
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
        which: &str,
        event: DeliveryEvent,
        now: Timestamp,
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let sql = format!(
            "SELECT id, campaign_id, state, attempts, unanswered, due_at FROM deliveries \
             WHERE {which} AND {LAPSED} LIMIT ?{}",
            self.db().engine().lock_rows()
        );
        let values = params![now.0, (now + LONGEST_LEASE).0, RECLAIM_CHUNK];
        let mut tx = self.db().begin().await?;
        let mut reclaimed = vec![];
        for row in tx.rows(&sql, values).await? {
            let Ok(after) = row.get::<Progress>("progress")?.after(event) else { continue };
            let (id, campaign): (i64, i64) = (row.get("id")?, row.get("campaign_id")?);
            let after = given_up(&mut tx, campaign, id, after).await?;
            write_progress(&mut tx, id, after, None, now).await?;
            reclaimed.push((!after.state.is_open()).then_some(campaign));
        }
        crash_point("reclaim.written");
        tx.commit().await?;
        crash_point("reclaim.committed");
        Ok(reclaimed)
    }

    /// Leaves to a person what may have gone out from a number that is gone: no phone is linked
    /// under it, or it has been away for [`ABANDON_AFTER`]. Returns the number of deliveries.
    pub async fn abandon(&self, now: Timestamp) -> Result<u64, StoreError> {
        let gone = format!(
            "{BOUND} AND NOT EXISTS (\
             SELECT 1 FROM sessions s WHERE s.phone = deliveries.sender \
             AND s.link NOT IN {UNLINKED} AND s.lease_until > ? \
             AND (s.waiting_since IS NULL OR s.waiting_since > ?))"
        );
        let since = (now - ABANDON_AFTER).0;
        self.db()
            .retry(|| async {
                let mut tx = self.db().begin().await?;
                let values = params![since, since];
                let moved = move_all(&mut tx, DeliveryEvent::Abandon, now, &gone, &values).await?;
                tx.commit().await?;
                Ok(moved)
            })
            .await
    }
}
