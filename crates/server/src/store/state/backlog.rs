//! What waits to be sent, in numbers, for those who watch kabari.

use super::super::error::StoreError;
use super::super::row::params;
use super::StateStore;
use super::bulk_transitions::state_list;
use kabari_domain::{DeliveryState, Phone, Timestamp};
use std::time::Duration;

/// What waits to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many deliveries that are not at their end are in each state, by the number that they
    /// go out from, where that is decided.
    pub open: Vec<(DeliveryState, Option<Phone>, u64)>,
    /// How many deliveries of running campaigns are due.
    pub due: u64,
    /// For how long the oldest of them has been due.
    pub oldest: Duration,
}

impl StateStore {
    /// Returns what waits to be sent. Deliveries that a person has to decide about are among those
    /// that are not at their end.
    pub async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        let mut states = DeliveryState::OPEN.to_vec();
        states.push(DeliveryState::Uncertain);
        let sql = format!(
            "SELECT state, sender, COUNT(*) AS number FROM deliveries WHERE state IN ({}) \
             GROUP BY state, sender",
            state_list(&states)
        );
        let rows = self.db().rows(&sql, vec![]).await?;
        let open = rows
            .iter()
            .map(|row| Ok((row.get("state")?, row.get("sender")?, row.get("number")?)))
            .collect::<Result<_, StoreError>>()?;
        // What is due at once has no time of its own: it waits since its campaign began.
        let sql = "SELECT COUNT(*) AS due, \
                   MIN(CASE WHEN d.due_at = 0 THEN COALESCE(c.started_at, c.created_at) \
                   ELSE d.due_at END) AS oldest \
                   FROM campaigns c JOIN deliveries d ON d.campaign_id = c.id \
                   WHERE c.status = 'running' AND d.state IN ('queued', 'retry_wait') \
                   AND d.due_at <= ?";
        let Some(row) = self.db().row(sql, params![now.0]).await? else {
            return Ok(Backlog { open, ..Backlog::default() });
        };
        let oldest = row.get::<Option<Timestamp>>("oldest")?;
        let oldest = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        Ok(Backlog { open, due: row.get("due")?, oldest })
    }

    /// Returns how far the clock that decides is from this machine's.
    pub async fn clock_difference(&self) -> Result<Duration, StoreError> {
        let (theirs, ours) = (self.now().await?, self.0.clock.now());
        Ok(theirs.since(ours).max(ours.since(theirs)))
    }
}
