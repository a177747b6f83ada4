//! Acks and receipts: they may come late, twice, in any order, and after a restart.

use super::super::error::StoreError;
use super::StateStore;
use super::bulk_transitions::{move_all, one_of};
use super::contacts::chats_opened;
use crate::crash_point::crash_point;
use kabari_domain::{DeliveryEvent, MessageId, ReceiptRank, Timestamp};

/// Message ids per statement.
const CHUNK: usize = 500;

impl StateStore {
    /// Raises the deliveries with these message ids to what the receipt proves. Returns the
    /// number of deliveries raised; unknown ids are ignored.
    pub async fn receipt(
        &self,
        message_ids: &[MessageId],
        rank: ReceiptRank,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        self.answered(message_ids, DeliveryEvent::Receipt(rank), at).await
    }

    /// Records the server's ack for a message that nobody waits for any more. Returns whether it
    /// changed anything.
    pub async fn acked(&self, message_id: &MessageId) -> Result<bool, StoreError> {
        let now = self.now().await?;
        let ids = std::slice::from_ref(message_id);
        Ok(self.answered(ids, DeliveryEvent::Acked, now).await? > 0)
    }

    async fn answered(
        &self,
        message_ids: &[MessageId],
        event: DeliveryEvent,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut raised = 0;
        for chunk in message_ids.chunks(CHUNK) {
            let (scope, values) = one_of("message_id", chunk.iter().map(MessageId::as_str));
            let moved = self
                .db()
                .retry(|| async {
                    let mut tx = self.db().begin().await?;
                    let moved = move_all(&mut tx, event, at, &scope, &values).await?;
                    if moved > 0 && matches!(event, DeliveryEvent::Receipt(_)) {
                        chats_opened(&mut tx, &scope, &values, at).await?;
                    }
                    crash_point("receipt.written");
                    tx.commit().await?;
                    crash_point("receipt.committed");
                    Ok(moved)
                })
                .await?;
            if moved > 0 {
                let sql = format!("SELECT DISTINCT campaign_id FROM deliveries WHERE {scope}");
                for row in self.db().rows(&sql, values).await? {
                    self.complete_if_done(row.get("campaign_id")?).await?;
                }
            }
            raised += moved;
        }
        Ok(raised)
    }
}
