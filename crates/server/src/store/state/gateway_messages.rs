//! What `kabari gateway` has been asked to send, so that a repeat is answered as the first was,
//! whatever has happened to the gateway in between.

use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::params;
use super::StateStore;
use kabari_domain::{MessageId, Phone};
use std::time::Duration;

/// How long an outcome is kept. Whoever asks for a message asks again within minutes.
pub const OUTCOME_LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Message ids per statement.
const CHUNK: usize = 500;

/// A message that was asked for before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedMessage {
    /// The number it is for.
    pub phone: Phone,
    /// What came of it: taken by WhatsApp, or refused, with the refusal as JSON. `None`: nobody
    /// knows; under the same id it may go out again.
    pub outcome: Option<Result<(), String>>,
}

impl StateStore {
    /// Returns the message that was asked for under this id.
    pub async fn asked_message(&self, id: &MessageId) -> Result<Option<AskedMessage>, StoreError> {
        let sql = "SELECT phone, answered, refusal FROM gateway_messages WHERE message_id = ?";
        let Some(row) = self.db().row(sql, params![id.as_str()]).await? else { return Ok(None) };
        let outcome = match (row.get("answered")?, row.get("refusal")?) {
            (false, _) => None,
            (true, None) => Some(Ok(())),
            (true, Some(refusal)) => Some(Err(refusal)),
        };
        Ok(Some(AskedMessage { phone: row.get("phone")?, outcome }))
    }

    /// Writes down that this message is about to go out, unless it was asked for before. Forgets
    /// those whose time is over.
    pub async fn ask_message(&self, id: &MessageId, phone: &Phone) -> Result<(), StoreError> {
        let now = self.now().await?;
        let forget = "DELETE FROM gateway_messages WHERE asked_at <= ?";
        let insert = "INSERT INTO gateway_messages (message_id, phone, asked_at) VALUES (?, ?, ?)";
        let written = self
            .db()
            .retry(|| async {
                let mut tx = self.db().begin().await?;
                tx.execute(forget, params![(now - OUTCOME_LIFETIME).0]).await?;
                tx.execute(insert, params![id.as_str(), phone.digits(), now.0]).await?;
                tx.commit().await
            })
            .await;
        match written {
            Err(StoreError::Conflict(_)) => Ok(()),
            written => written,
        }
    }

    /// Writes what came of a message, unless that is known: the first word counts.
    pub async fn answer_message(
        &self,
        id: &MessageId,
        outcome: Result<(), &str>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE gateway_messages SET answered = 1, refusal = ? \
                   WHERE message_id = ? AND answered = 0";
        let values = params![outcome.err(), id.as_str()];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }

    /// Records that WhatsApp has taken these messages, as an ack or a receipt shows.
    pub async fn messages_taken(&self, ids: &[MessageId]) -> Result<(), StoreError> {
        for chunk in ids.chunks(CHUNK) {
            let (among, values) = one_of("message_id", chunk.iter().map(MessageId::as_str));
            let sql =
                format!("UPDATE gateway_messages SET answered = 1 WHERE {among} AND answered = 0");
            self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
        }
        Ok(())
    }
}
