//! What is overdue, asked in one statement that locks nothing: most of the time it is nothing.

use super::super::error::StoreError;
use super::super::row::params;
use super::campaigns::{EXPIRES, STARTS, is_done};
use super::idempotency::KEY_LIFETIME;
use super::reclaim::{BOUND, HELD, LAPSED};
use super::{LONGEST_LEASE, StateStore};
use kabari_domain::Timestamp;

/// What is to be done because time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// [`start_due`](StateStore::start_due).
    pub starts: bool,
    /// [`expire_due`](StateStore::expire_due).
    pub expiries: bool,
    /// [`reclaim`](StateStore::reclaim).
    pub leases: bool,
    /// Deliveries wait that one number alone may send: [`abandon`](StateStore::abandon) where it
    /// is gone.
    pub resends: bool,
    /// Campaigns run: [`announce_due`](StateStore::announce_due).
    pub running: bool,
    /// [`complete_all_done`](StateStore::complete_all_done).
    pub completions: bool,
    /// [`forget_keys`](StateStore::forget_keys).
    pub keys: bool,
}

impl StateStore {
    /// Returns what is overdue at this time.
    pub async fn overdue(&self, now: Timestamp) -> Result<Overdue, StoreError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM campaigns WHERE {STARTS}) AS starts, \
             EXISTS (SELECT 1 FROM campaigns WHERE {EXPIRES}) AS expiries, \
             EXISTS (SELECT 1 FROM deliveries WHERE {HELD} AND {LAPSED}) AS leases, \
             EXISTS (SELECT 1 FROM deliveries WHERE {BOUND}) AS resends, \
             EXISTS (SELECT 1 FROM campaigns WHERE status = 'running') AS running, \
             EXISTS (SELECT 1 FROM campaigns WHERE {}) AS completions, \
             EXISTS (SELECT 1 FROM idempotency_keys WHERE created_at <= ?) AS forgettable",
            is_done(self.db().engine())
        );
        let longest = (now + LONGEST_LEASE).0;
        let values = params![now.0, now.0, now.0, longest, (now - KEY_LIFETIME).0];
        let row = self.db().row(&sql, values).await?;
        let row = row.ok_or_else(|| StoreError::unreadable(self.db().which(), "overdue"))?;
        Ok(Overdue {
            starts: row.get("starts")?,
            expiries: row.get("expiries")?,
            leases: row.get("leases")?,
            resends: row.get("resends")?,
            running: row.get("running")?,
            completions: row.get("completions")?,
            keys: row.get("forgettable")?,
        })
    }
}
