//! Acks and receipts: they may come late, twice, in any order, and after a restart.

use super::super::batch::{Batched, Statement};
use super::super::error::StoreError;
use super::super::lists::one_of;
use super::StateStore;
use super::bulk_transitions::move_statements;
use super::campaigns::is_done;
use super::contacts::chats_opened;
use crate::crash_point::crash_point;
use kabari_domain::{DeliveryEvent, MessageId, ReceiptRank, Timestamp};

/// Message ids per statement.
const CHUNK: usize = 500;

/// What a receipt proves, when it was given, and for which messages.
pub type Receipt = (ReceiptRank, Timestamp, Vec<MessageId>);

impl StateStore {
    /// Raises the deliveries with these message ids to what the receipts prove. Returns the number
    /// of times that one was raised; unknown ids are ignored.
    pub async fn receipts(&self, receipts: &[Receipt]) -> Result<u64, StoreError> {
        let answers = receipts.iter().flat_map(|(rank, at, message_ids)| {
            let event = DeliveryEvent::Receipt(*rank);
            message_ids.chunks(CHUNK).map(move |chunk| (event, *at, chunk))
        });
        self.answered(&answers.collect::<Vec<_>>()).await
    }

    /// Records the server's ack for a message that nobody waits for any more. Returns whether it
    /// changed anything.
    pub async fn acked(&self, message_id: &MessageId) -> Result<bool, StoreError> {
        let now = self.now().await?;
        let answer = (DeliveryEvent::Acked, now, std::slice::from_ref(message_id));
        Ok(self.answered(&[answer]).await? > 0)
    }

    async fn answered(
        &self,
        answers: &[(DeliveryEvent, Timestamp, &[MessageId])],
    ) -> Result<u64, StoreError> {
        let (mut moves, mut chats) = (vec![], vec![]);
        for (event, at, message_ids) in answers {
            let (scope, values) = one_of("message_id", message_ids.iter().map(MessageId::as_str));
            moves.extend(move_statements(*event, *at, &scope, &values));
            if matches!(event, DeliveryEvent::Receipt(_)) {
                chats.push(chats_opened(self.db().engine(), &scope, &values, *at));
            }
        }
        if moves.is_empty() {
            return Ok(0);
        }
        let batch: Vec<Statement> = moves.iter().cloned().chain(chats).collect();
        let write = || self.db().write(batch.clone(), || crash_point("receipt.written"));
        let Batched::Written(rows) = self.db().retry(write).await? else { return Ok(0) };
        crash_point("receipt.committed");
        let raised = rows[..moves.len()].iter().sum();
        if raised > 0 {
            self.db().announce();
            self.complete_those_of(answers).await?;
        }
        Ok(raised)
    }

    /// Completes the campaigns of these messages that are done.
    async fn complete_those_of(
        &self,
        answers: &[(DeliveryEvent, Timestamp, &[MessageId])],
    ) -> Result<(), StoreError> {
        let message_ids = answers.iter().flat_map(|(.., message_ids)| *message_ids);
        let message_ids: Vec<&str> = message_ids.map(MessageId::as_str).collect();
        for chunk in message_ids.chunks(CHUNK) {
            let (scope, values) = one_of("message_id", chunk.iter().copied());
            let sql = format!("SELECT DISTINCT campaign_id FROM deliveries WHERE {scope}");
            let rows = self.db().rows(&sql, values).await?;
            let campaigns = rows.iter().map(|row| row.get::<i64>("campaign_id"));
            let campaigns: Vec<i64> = campaigns.collect::<Result<_, StoreError>>()?;
            if campaigns.is_empty() {
                continue;
            }
            let (among, ids) = one_of("id", campaigns);
            let is_done = is_done(self.db().engine());
            let sql = format!("SELECT id FROM campaigns WHERE {among} AND {is_done}");
            for row in self.db().rows(&sql, ids).await? {
                self.complete_if_done(row.get("id")?).await?;
            }
        }
        Ok(())
    }
}
