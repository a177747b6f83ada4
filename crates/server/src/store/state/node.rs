//! What a node holds: it keeps it while it lives, and finds it again after a restart.

use super::super::database::params;
use super::super::error::StoreError;
use super::State;
use crate::crash_point::crash_point;
use std::time::Duration;

const HELD: &str = "state IN ('leased', 'sending')";

impl State {
    /// Extends every lease of this node that has not run out: its deliveries and its number.
    pub async fn renew_leases(&self, node: &str, duration: Duration) -> Result<(), StoreError> {
        let now = self.now().await?;
        let until = (now + duration).0;
        for sql in [
            format!(
                "UPDATE deliveries SET lease_until = ? WHERE owner = ? AND {HELD} AND lease_until > ?"
            ),
            "UPDATE senders SET lease_until = ? WHERE owner = ? AND lease_until > ?".into(),
        ] {
            crash_point("renew");
            let renew = || self.db().execute(&sql, params![until, node, now.0]);
            self.db().retry(renew).await?;
        }
        Ok(())
    }

    /// Takes up what this node held when it ended, without waiting for its leases to run out:
    /// only for a node that is known not to run. Answers how many deliveries.
    pub async fn reclaim_from(
        &self,
        node: &str,
        resend_wait: Duration,
    ) -> Result<usize, StoreError> {
        for sql in [
            format!("UPDATE deliveries SET lease_until = 0 WHERE owner = ? AND {HELD}"),
            "UPDATE senders SET lease_until = 0, owner = NULL WHERE owner = ?".into(),
        ] {
            self.db().retry(|| self.db().execute(&sql, params![node])).await?;
        }
        let now = self.now().await?;
        self.reclaim(now, resend_wait).await
    }
}
