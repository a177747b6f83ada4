//! Sends that somebody prepares on the operator's page: kept until they are sent, or forgotten.

use super::super::error::StoreError;
use super::super::row::params;
use super::StateStore;
use kabari_domain::Timestamp;
use std::time::Duration;

/// How long a draft is kept after its last change.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl StateStore {
    /// Keeps a new draft.
    pub async fn create_draft(&self, id: &str, content: &str) -> Result<(), StoreError> {
        let now = self.now().await?;
        let sql = "INSERT INTO drafts (id, content, changed_at) VALUES (?, ?, ?)";
        self.db().retry(|| self.db().execute(sql, params![id, content, now.0])).await?;
        Ok(())
    }

    /// Keeps another content of a draft. Returns whether it is there.
    pub async fn change_draft(&self, id: &str, content: &str) -> Result<bool, StoreError> {
        let now = self.now().await?;
        let sql = "UPDATE drafts SET content = ?, changed_at = ? WHERE id = ?";
        let changed =
            self.db().retry(|| self.db().execute(sql, params![content, now.0, id])).await?;
        Ok(changed.rows > 0)
    }

    /// Returns the content of a draft.
    pub async fn draft(&self, id: &str) -> Result<Option<String>, StoreError> {
        let row = self.db().row("SELECT content FROM drafts WHERE id = ?", params![id]).await?;
        row.map(|row| row.get("content")).transpose()
    }

    /// Deletes drafts that nobody has changed for long. Returns the number of them.
    pub async fn forget_drafts(&self, now: Timestamp) -> Result<u64, StoreError> {
        let oldest = (now - LIFETIME).0;
        let sql = "DELETE FROM drafts WHERE changed_at <= ?";
        let deleted = self.db().retry(|| self.db().execute(sql, params![oldest])).await?;
        Ok(deleted.rows)
    }
}
