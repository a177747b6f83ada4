//! Linking where WhatsApp wants a passkey: the step that waits, and answers for other nodes.

use super::columns::add_column;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sessions", "session_requests"] {
            add_column(manager, table, ColumnDef::new("passkey").text().null().take()).await?;
        }
        Ok(())
    }
}
