//! Who has a chat with which of our numbers: a number keeps its contacts, and WhatsApp's limit for
//! new chats spares those who wrote.

use super::super::database::Transaction;
use super::super::error::StoreError;
use super::super::row::{Value, params};
use super::State;
use super::bulk_transitions::state_list;
use kabari_domain::{DeliveryState, Phone, Timestamp};

impl State {
    /// Somebody wrote to a number of ours.
    pub async fn wrote(
        &self,
        sender: &Phone,
        phone: &Phone,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO contacts (sender, phone, wrote_at) VALUES (?, ?, ?){}",
            self.db().engine().or_update("sender, phone", &["wrote_at"])
        );
        let values = params![sender.digits(), phone.digits(), at.0];
        self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
        self.there_is_work();
        Ok(())
    }

    /// Returns whether something open of the campaign is for somebody who wrote to this number.
    pub async fn has_open_contacts(
        &self,
        campaign: i64,
        sender: &Phone,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT 1 AS found FROM contacts k JOIN deliveries d ON d.phone = k.phone \
             AND d.state IN ({}) AND d.campaign_id = ? \
             WHERE k.sender = ? AND k.wrote_at > 0 LIMIT 1",
            state_list(&DeliveryState::OPEN)
        );
        let values = params![campaign, sender.digits()];
        Ok(self.db().row(&sql, values).await?.is_some())
    }
}

/// The recipients of these messages have a chat with the numbers that the messages came from.
pub(super) async fn chats_opened(
    tx: &mut Transaction<'_>,
    scope: &str,
    values: &[Value],
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO contacts (sender, phone, wrote_at, sent_at) \
         SELECT sender, phone, 0, ? FROM deliveries \
         WHERE {scope} AND sender IS NOT NULL AND phone IS NOT NULL{}",
        tx.engine().or_update("sender, phone", &["sent_at"])
    );
    let mut all = params![at.0];
    all.extend(values.iter().cloned());
    tx.execute(&sql, all).await?;
    Ok(())
}
