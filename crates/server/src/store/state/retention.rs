//! What ends: old campaigns keep their counts and lose their texts, names and numbers, and
//! everything else that names people has an end of its own.
//!
//! All of it goes in small batches, each a short transaction, so that sending never waits.

use super::super::engine::Engine;
use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::{Stored, Value, params};
use super::gateway_events::EVENT_LIFETIME;
use super::gateway_messages::OUTCOME_LIFETIME;
use super::{LONGEST_LEASE, StateStore};
use kabari_domain::Timestamp;
use std::time::Duration;

/// How long an answer about a number is kept: much longer than it counts, as campaigns repeat.
pub const REGISTRATION_LIFETIME: Duration = days(90);
/// How long somebody with whom nothing was exchanged counts as a contact.
pub const CONTACT_LIFETIME: Duration = days(730);
/// How long a send is known, to recognize the same one.
pub const FINGERPRINT_LIFETIME: Duration = days(400);
/// How long the audit says who did what.
pub const AUDIT_LIFETIME: Duration = days(730);
/// Rows that one transaction deletes.
const BATCH: usize = 500;
/// Pages that SQLite gives back to the disk in one transaction: less than a MiB.
const PAGES: u32 = 200;
/// The task's name in `node_tasks`.
const TASK: &str = "retention";

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

impl StateStore {
    /// Takes the task for this node, or keeps it. Returns whether it is this node's: one does it
    /// for all.
    pub async fn take_retention(&self, node: &str, lease: Duration) -> Result<bool, StoreError> {
        let now = self.now().await?;
        let sql = "UPDATE node_tasks SET owner = ?, lease_until = ? \
                   WHERE task = ? AND (owner = ? OR lease_until <= ? OR lease_until > ?)";
        let values = params![
            node,
            (now + lease.min(LONGEST_LEASE)).0,
            TASK,
            node,
            now.0,
            (now + LONGEST_LEASE).0
        ];
        let taken = self.db().retry(|| self.db().execute_unannounced(sql, values.clone())).await?;
        Ok(taken.rows > 0)
    }

    /// Deletes a batch of what is at its end; campaigns that ended before `keep` ago go, unless
    /// they are kept for ever. Returns whether there may be more.
    pub async fn delete_expired(&self, keep: Option<Duration>) -> Result<bool, StoreError> {
        let now = self.now().await?;
        if let Some(keep) = keep
            && self.empty_old_campaign(now - keep).await?
        {
            return Ok(true);
        }
        let ends = [
            ("numbers", "phone", "checked_at", REGISTRATION_LIFETIME),
            ("fingerprints", "fingerprint", "created_at", FINGERPRINT_LIFETIME),
            ("gateway_messages", "message_id", "asked_at", OUTCOME_LIFETIME),
        ];
        for (table, key, time, lifetime) in ends {
            let condition = format!("{time} <= ?");
            let old = params![(now - lifetime).0];
            if self.delete_batch::<String>(table, key, &condition, old).await? {
                return Ok(true);
            }
        }
        let numbered = [
            ("gateway_events", "told_at <= ?", EVENT_LIFETIME),
            ("audit", "at <= ?", AUDIT_LIFETIME),
        ];
        for (table, condition, lifetime) in numbered {
            let old = params![(now - lifetime).0];
            if self.delete_batch::<i64>(table, "id", condition, old).await? {
                return Ok(true);
            }
        }
        self.delete_old_contacts(now - CONTACT_LIFETIME).await
    }

    /// Gives room that deleted rows have left back to the disk, a little at once; a server does
    /// that itself. Returns whether there may be more.
    pub async fn give_back_space(&self) -> Result<bool, StoreError> {
        if self.db().engine() != Engine::Sqlite {
            return Ok(false);
        }
        let free = "SELECT freelist_count AS free FROM pragma_freelist_count";
        let free = self.db().row(free, vec![]).await?;
        let free: u32 = free.map_or(Ok(0), |row| row.get("free"))?;
        // A little room is used again soon.
        if free <= PAGES {
            return Ok(false);
        }
        let sql = format!("PRAGMA incremental_vacuum({PAGES})");
        self.db().retry(|| self.db().execute_unannounced(&sql, vec![])).await?;
        Ok(true)
    }

    /// Empties a campaign that ended before this time: its counts are written down first, then
    /// its deliveries go. Returns whether there was one.
    async fn empty_old_campaign(&self, before: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT c.id, c.counts FROM campaigns c \
                   WHERE c.status IN ('completed', 'cancelled') AND c.finished_at <= ? \
                   AND (c.counts IS NULL OR EXISTS \
                   (SELECT 1 FROM deliveries d WHERE d.campaign_id = c.id)) ORDER BY c.id LIMIT 1";
        let Some(row) = self.db().row(sql, params![before.0]).await? else { return Ok(false) };
        let id: i64 = row.get("id")?;
        if row.get::<Option<String>>("counts")?.is_none() {
            let counts = self.counts(id).await?.to_stored();
            let sql = "UPDATE campaigns SET counts = ?, subject = '', template = '', \
                       request = '{}' WHERE id = ? AND status IN ('completed', 'cancelled') \
                       AND finished_at <= ?";
            let values = params![counts, id, before.0];
            let emptied = self.db().retry(|| self.db().execute(sql, values.clone())).await?;
            // Somebody has opened it again.
            if emptied.rows == 0 {
                return Ok(true);
            }
        }
        let scope = "campaign_id = ?";
        self.delete_batch::<i64>("deliveries", "id", scope, params![id]).await?;
        Ok(true)
    }

    async fn delete_old_contacts(&self, before: Timestamp) -> Result<bool, StoreError> {
        let old = "wrote_at <= ? AND sent_at <= ?";
        let times = params![before.0, before.0];
        let select = format!("SELECT sender, phone FROM contacts WHERE {old} LIMIT {BATCH}");
        let rows = self.db().rows(&select, times.clone()).await?;
        for row in &rows {
            let sql = format!("DELETE FROM contacts WHERE sender = ? AND phone = ? AND {old}");
            let mut values = params![row.get::<String>("sender")?, row.get::<String>("phone")?];
            values.extend(times.clone());
            self.db().retry(|| self.db().execute_unannounced(&sql, values.clone())).await?;
        }
        Ok(rows.len() == BATCH)
    }

    /// Deletes a batch of the rows that meet a condition. Returns whether it was a full one.
    async fn delete_batch<K>(
        &self,
        table: &str,
        key: &str,
        condition: &str,
        values: Vec<Value>,
    ) -> Result<bool, StoreError>
    where
        K: Stored + Into<Value>,
    {
        // Found first, without locks: a row that somebody holds must not hold this up.
        let select = format!("SELECT {key} FROM {table} WHERE {condition} LIMIT {BATCH}");
        let rows = self.db().rows(&select, values.clone()).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let keys = rows.iter().map(|row| row.get::<K>(key));
        let (among, mut all) = one_of(key, keys.collect::<Result<Vec<K>, StoreError>>()?);
        all.extend(values);
        let sql = format!("DELETE FROM {table} WHERE {among} AND {condition}");
        self.db().retry(|| self.db().execute_unannounced(&sql, all.clone())).await?;
        Ok(rows.len() == BATCH)
    }
}
