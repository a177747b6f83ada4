//! WhatsApp sessions: sealed entries.

use super::columns::{count, table};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The longest name of a session.
const SESSION_LENGTH: u32 = 64;
const COLLECTION_LENGTH: u32 = 32;
/// What stands for a key.
const NAME_BYTES: u32 = 16;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut entries = table(manager, "session_entries");
        entries
            .col(ColumnDef::new("session").string_len(SESSION_LENGTH).not_null())
            .col(ColumnDef::new("collection").string_len(COLLECTION_LENGTH).not_null())
            .col(ColumnDef::new("name").var_binary(NAME_BYTES).not_null())
            .col(value())
            .col(count("stamp"))
            .primary_key(Index::create().col("session").col("collection").col("name"));
        manager.create_table(entries).await
    }
}

/// MariaDB's BLOB ends at 64 KiB; SQLite takes any name.
fn value() -> ColumnDef {
    ColumnDef::new("value").custom("mediumblob").not_null().take()
}
