//! The embedded billing database as a backup has it. A provider's own has backups of its own.

use super::super::error::StoreError;
use super::super::snapshot::{Restore, Snapshot, Table, TablePart};
use super::EmbeddedBilling;

/// What a backup has: what kabari reads.
const TABLES: [Table; 2] = [
    Table { name: "customers", columns: "id, name, phone, odp, is_active", key: &["id"] },
    Table {
        name: "network_notices",
        columns: "id, title, message, type, severity, is_mass, affected_area, affected_odp, \
                  start_time, end_time, is_active, created_at",
        key: &["id"],
    },
];

/// Writes a backup into this database.
pub struct BillingRestore<'b>(Restore<'b>);

impl<'b> EmbeddedBilling<'b> {
    /// Begins to read everything that a backup has, as it is now.
    pub async fn snapshot(&self) -> Result<Snapshot<'b>, StoreError> {
        Snapshot::begin(self.0, &TABLES).await
    }

    /// Begins to restore a backup.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] if there is anything in this database.
    pub async fn restore(&self) -> Result<BillingRestore<'b>, StoreError> {
        Restore::begin(self.0, &TABLES).await.map(BillingRestore)
    }
}

impl BillingRestore<'_> {
    /// Writes some rows of a backup.
    pub async fn write(&mut self, part: &TablePart) -> Result<(), StoreError> {
        self.0.write(part).await
    }

    /// Keeps what was written.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await
    }
}
