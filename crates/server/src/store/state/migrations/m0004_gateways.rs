//! Gateways in other processes: what ours keeps for those in front of it, and what those in front
//! of one know about theirs.

use super::columns::{add_column, count, create_index, table};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

const SESSION_LENGTH: u32 = 64;
const MESSAGE_ID_LENGTH: u32 = 64;
const PHONE_LENGTH: u32 = 20;
/// The id of an event.
const HEARD_LENGTH: u32 = 64;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut messages = table(manager, "gateway_messages");
        messages
            .col(
                ColumnDef::new("message_id").string_len(MESSAGE_ID_LENGTH).not_null().primary_key(),
            )
            .col(ColumnDef::new("phone").string_len(PHONE_LENGTH).not_null())
            .col(count("answered"))
            .col(json("refusal").null())
            .col(count("asked_at"));
        manager.create_table(messages).await?;

        let mut events = table(manager, "gateway_events");
        events
            .col(ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key())
            .col(ColumnDef::new("session").string_len(SESSION_LENGTH).not_null())
            .col(json("event").not_null())
            .col(count("told_at"));
        manager.create_table(events).await?;

        create_index(manager, "gateway_messages_asked", "gateway_messages", &["asked_at"]).await?;
        create_index(manager, "gateway_events_place", "gateway_events", &["session", "id"]).await?;
        create_index(manager, "gateway_events_age", "gateway_events", &["session", "told_at"])
            .await?;
        add_column(manager, "deliveries", count("unrepeatable")).await?;
        let heard = ColumnDef::new("heard").string_len(HEARD_LENGTH).null().take();
        add_column(manager, "sessions", heard).await
    }
}

/// MariaDB's TEXT ends at 64 KiB, less than a receipt for many messages; SQLite takes any name.
fn json(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).custom("mediumtext").take()
}
