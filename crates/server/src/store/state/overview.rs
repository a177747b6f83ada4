//! What the operator wants to know at a glance: which campaigns are not done, whom a notice has
//! reached, and what has gone out today.

use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::params;
use super::StateStore;
use super::bulk_transitions::state_list;
use super::campaigns::Campaign;
use kabari_domain::{CampaignStatus, DeliveryState, Phone, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// An hour, in which messages are counted.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How many messages went out from a number in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourOfMessages {
    /// The number.
    pub sender: Phone,
    /// When the hour begins.
    pub begins: Timestamp,
    /// Messages that went to the wire for the first time.
    pub messages: u64,
}

impl StateStore {
    /// Returns the newest campaigns that are neither completed nor cancelled, newest first.
    pub async fn open_campaigns(&self, limit: u32) -> Result<Vec<Campaign>, StoreError> {
        let open: Vec<_> = CampaignStatus::ALL.into_iter().filter(|s| !s.is_final()).collect();
        let (among, mut values) = one_of("status", open.iter().map(|status| status.as_str()));
        let sql = Campaign::select(&format!("WHERE {among} ORDER BY id DESC LIMIT ?"));
        values.push(i64::from(limit).into());
        self.db().rows(&sql, values).await?.iter().map(Campaign::read).collect()
    }

    /// Returns how many numbers have been sent something for each of these notices.
    pub async fn told(&self, notices: &[i64]) -> Result<HashMap<i64, u64>, StoreError> {
        if notices.is_empty() {
            return Ok(HashMap::new());
        }
        let sent: Vec<_> = DeliveryState::ALL.into_iter().filter(|state| state.is_sent()).collect();
        let (among, values) = one_of("c.notice_id", notices.iter().copied());
        let sql = format!(
            "SELECT c.notice_id, COUNT(DISTINCT d.phone) AS people FROM campaigns c \
             JOIN deliveries d ON d.campaign_id = c.id AND d.state IN ({}) \
             WHERE {among} GROUP BY c.notice_id",
            state_list(&sent)
        );
        let rows = self.db().rows(&sql, values).await?;
        rows.iter().map(|row| Ok((row.get("notice_id")?, row.get("people")?))).collect()
    }

    /// Returns how many messages have gone out from each number in each hour since `begins`.
    ///
    /// Only campaigns that ran since then are looked at, by the keys that they have.
    pub async fn sent_since(&self, begins: Timestamp) -> Result<Vec<HourOfMessages>, StoreError> {
        let sql = "SELECT sender, first_sent_at - (first_sent_at - ?) % ? AS hour_begins, \
                   COUNT(*) AS messages FROM deliveries WHERE campaign_id IN \
                   (SELECT id FROM campaigns WHERE finished_at IS NULL OR finished_at >= ?) \
                   AND first_sent_at >= ? AND sender IS NOT NULL GROUP BY sender, hour_begins";
        let hour = HOUR.as_millis() as i64;
        let rows = self.db().rows(sql, params![begins.0, hour, begins.0, begins.0]).await?;
        let hour_of = |row: &super::Row| {
            Ok(HourOfMessages {
                sender: row.get("sender")?,
                begins: row.get("hour_begins")?,
                messages: row.get("messages")?,
            })
        };
        rows.iter().map(hour_of).collect()
    }
}
