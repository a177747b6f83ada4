//! Who wrote to which of our numbers: WhatsApp's limit for new chats spares them.

use super::super::database::params;
use super::super::error::StoreError;
use super::State;
use kabari_domain::{CampaignStatus, Phone, Timestamp};

/// Holds in an SQL condition on `deliveries` where the recipient wrote to the number given.
pub(super) const WROTE_TO: &str = "phone IN (SELECT phone FROM contacts WHERE sender = ?)";

impl State {
    /// Somebody wrote to a number of ours. What the limit for new chats has put off for them may
    /// go out now.
    pub async fn wrote(
        &self,
        sender: &Phone,
        phone: &Phone,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (sender, phone) = (sender.digits(), phone.digits());
        let contact = format!(
            "INSERT INTO contacts (sender, phone, wrote_at) VALUES (?, ?, ?){}",
            self.db().engine().or_update("sender, phone", &["wrote_at"])
        );
        let due = "UPDATE deliveries SET due_at = ? WHERE state = 'retry_wait' AND due_at > ? \
                   AND unanswered = 0 AND phone = ? AND sender IN (SELECT phone FROM senders \
                   WHERE phone = ? AND reach_out_until > ?)";
        self.db()
            .retry(|| async {
                let tx = self.db().begin().await?;
                let now = self.now_in(&tx).await?.0;
                tx.execute(&contact, params![sender, phone, at.0]).await?;
                tx.execute(due, params![now, now, phone, sender, now]).await?;
                tx.commit().await
            })
            .await
    }

    /// WhatsApp takes nothing from this number for strangers until then. Of two such times the
    /// later holds.
    pub async fn limit_reach_out(
        &self,
        sender: &Phone,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE senders SET reach_out_until = ? WHERE phone = ? AND reach_out_until < ?";
        let values = params![until.0, sender.digits(), until.0];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }

    /// The campaigns that can go on from this number without writing to a stranger: something of
    /// theirs is on its way, or is for somebody who wrote to it.
    pub async fn campaigns_for_contacts(&self, sender: &Phone) -> Result<Vec<i64>, StoreError> {
        let sql = format!(
            "SELECT c.id FROM campaigns c WHERE c.status IN ('{}', '{}') AND (\
             EXISTS (SELECT 1 FROM deliveries d WHERE d.campaign_id = c.id \
             AND d.state IN ('leased', 'sending')) OR \
             EXISTS (SELECT 1 FROM contacts w JOIN deliveries d ON d.campaign_id = c.id \
             AND d.phone = w.phone AND d.state IN ('queued', 'retry_wait') WHERE w.sender = ?))",
            CampaignStatus::Running.as_str(),
            CampaignStatus::Paused.as_str(),
        );
        let rows = self.db().rows(&sql, params![sender.digits()]).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }
}
