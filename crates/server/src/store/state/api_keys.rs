//! Named API keys. Only their hashes are stored.

use super::super::error::StoreError;
use super::super::row::{params, record, stored_by_name};
use super::StateStore;
use kabari_domain::{Scope, Timestamp};
use std::time::Duration;

/// How often it is written down that a key is used.
const USED_EVERY: Duration = Duration::from_secs(60);

record! {
from "api_keys";
/// An API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The name, unique: that of a revoked key is not used again.
    pub name: String,
    /// What the key is good for.
    pub scope: Scope,
    /// When the key was made.
    pub created_at: Timestamp,
    pub created_by: String,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is good for nothing.
    pub revoked_at: Option<Timestamp>,
}
}

stored_by_name!(Scope);

impl StateStore {
    /// Adds an API key. Returns false if the name is taken.
    pub async fn add_api_key(
        &self,
        name: &str,
        scope: Scope,
        key_hash: &str,
        created_by: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now().await?.0;
        let sql = "INSERT INTO api_keys (name, scope, key_hash, created_at, created_by) \
                   VALUES (?, ?, ?, ?, ?)";
        let values = params![name, scope.as_str(), key_hash, now, created_by];
        match self.db().retry(|| self.db().execute(sql, values.clone())).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns all API keys, by name, revoked ones too.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = self.db().rows(&ApiKey::select("ORDER BY name"), vec![]).await?;
        rows.iter().map(ApiKey::read).collect()
    }

    /// Returns the key that has this hash, unless it is revoked, and writes down that it is used.
    pub async fn use_api_key(&self, key_hash: &str) -> Result<Option<ApiKey>, StoreError> {
        let sql = ApiKey::select("WHERE key_hash = ? AND revoked_at IS NULL");
        let Some(row) = self.db().row(&sql, params![key_hash]).await? else { return Ok(None) };
        let key = ApiKey::read(&row)?;
        let now = self.now().await?;
        if key.last_used_at.is_none_or(|used| now.since(used) >= USED_EVERY) {
            let used = "UPDATE api_keys SET last_used_at = ? WHERE key_hash = ?";
            self.write_aside(used, params![now.0, key_hash]);
        }
        Ok(Some(key))
    }

    /// Revokes a key. Returns false if no key that is good for something has this name.
    pub async fn revoke_api_key(&self, name: &str) -> Result<bool, StoreError> {
        let now = self.now().await?.0;
        let sql = "UPDATE api_keys SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL";
        let revoke = || self.db().execute(sql, params![now, name]);
        Ok(self.db().retry(revoke).await?.rows > 0)
    }
}
