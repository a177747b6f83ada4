//! Idempotency keys: a request that is made again gets the campaign that the first one made.

use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::{Row, Value, params};
use super::super::transaction::Transaction;
use super::StateStore;
use kabari_domain::Timestamp;
use std::time::Duration;

/// How long an idempotency key answers with the campaign it made.
pub const KEY_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Keys forgotten at once.
const FORGOTTEN_KEYS: i64 = 500;

/// The caller's word that a request with this key is always the same request.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The header's value; at most 255 characters.
    pub key: String,
    /// Equal for equal requests; at most 64 characters.
    pub fingerprint: String,
}

/// What became of the request to record a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// Recorded under this id.
    Created(i64),
    /// The key has made this campaign before, from the same request.
    Replayed(i64),
    /// The key has made a campaign before, from another request.
    KeyReused,
    /// The same send was recorded as this campaign within the guard's time.
    Duplicate(i64),
}

impl StateStore {
    /// Returns what a key has made, if it answers with that still.
    pub async fn made_by(&self, key: &IdempotencyKey) -> Result<Option<Creation>, StoreError> {
        let oldest = (self.now().await? - KEY_LIFETIME).0;
        let sql = "SELECT fingerprint, campaign_id FROM idempotency_keys \
                   WHERE idempotency_key = ? AND created_at > ?";
        let row = self.db().row(sql, params![key.key.as_str(), oldest]).await?;
        row.map(|row| made(&row, key)).transpose()
    }

    /// Deletes keys that answer no more, a limited number at once. Returns the number of them.
    pub async fn forget_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        // Found first, without locks: a key that a recording holds must not hold this up.
        let oldest = (now - KEY_LIFETIME).0;
        let sql = "SELECT idempotency_key FROM idempotency_keys WHERE created_at <= ? LIMIT ?";
        let rows = self.db().rows(sql, params![oldest, FORGOTTEN_KEYS]).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let keys = rows.iter().map(|row| row.get("idempotency_key"));
        let keys = keys.collect::<Result<Vec<String>, _>>()?;
        let (among, mut values) = one_of("idempotency_key", keys);
        let sql = format!("DELETE FROM idempotency_keys WHERE {among} AND created_at <= ?");
        values.push(Value::from(oldest));
        let deleted = self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
        Ok(deleted.rows)
    }
}

/// Takes the key for this transaction, or returns what it has made.
pub(super) async fn claim_key(
    tx: &mut Transaction<'_>,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<Creation>, StoreError> {
    tx.execute(
        "DELETE FROM idempotency_keys WHERE idempotency_key = ? AND created_at <= ?",
        params![key.key.as_str(), (now - KEY_LIFETIME).0],
    )
    .await?;
    let inserted = tx
        .execute(
            "INSERT INTO idempotency_keys (idempotency_key, fingerprint, campaign_id, created_at) \
             VALUES (?, ?, 0, ?)",
            params![key.key.as_str(), key.fingerprint.as_str(), now.0],
        )
        .await;
    match inserted {
        Ok(_) => return Ok(None),
        Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(error),
    }
    let earlier = tx
        .row(
            "SELECT fingerprint, campaign_id FROM idempotency_keys WHERE idempotency_key = ?",
            params![key.key.as_str()],
        )
        .await?;
    match earlier {
        Some(row) => made(&row, key).map(Some),
        // It was there a moment ago: whoever had it has just rolled back.
        None => Err(StoreError::Busy { which: tx.which() }),
    }
}

/// Returns what the key of this row has made, as an answer to a request with the same key.
fn made(row: &Row, key: &IdempotencyKey) -> Result<Creation, StoreError> {
    if row.get::<String>("fingerprint")? == key.fingerprint {
        Ok(Creation::Replayed(row.get("campaign_id")?))
    } else {
        Ok(Creation::KeyReused)
    }
}
