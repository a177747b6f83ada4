//! Numbers as rows: a session is a WhatsApp number that any node can hold.
//!
//! The table `senders` of the first schema stays as it was; a number that it knows takes what it
//! has sent from there when it is linked (see `sessions.rs`).

use super::columns::{add_column, count, create_index, name, table, time};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut sessions = table(manager, "sessions");
        sessions
            .col(ColumnDef::new("name").string_len(64).not_null().primary_key())
            .col(name("kind"))
            .col(ColumnDef::new("phone").string_len(20).null())
            .col(name("link"))
            .col(time("link_until").null())
            .col(ColumnDef::new("qr").string_len(1000).null())
            .col(ColumnDef::new("last_error").string_len(500).null())
            .col(count("paused"))
            .col(time("delay_ms").null())
            .col(time("jitter_ms").null())
            .col(time("daily_cap").null())
            .col(ColumnDef::new("owner").string_len(64).null())
            .col(count("epoch"))
            .col(count("lease_until"))
            .col(count("next_slot_at"))
            .col(time("linked_at").null())
            .col(count("day"))
            .col(count("sent_today"))
            .col(count("reach_out_until"))
            .col(time("waiting_since").null());
        manager.create_table(sessions).await?;

        let mut requests = table(manager, "session_requests");
        requests
            .col(ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key())
            .col(ColumnDef::new("session").string_len(64).not_null())
            .col(name("action"))
            .col(ColumnDef::new("phone").string_len(20).null())
            .col(time("asked_at").not_null())
            .col(ColumnDef::new("answer").string_len(500).null());
        manager.create_table(requests).await?;

        add_column(manager, "contacts", count("sent_at")).await?;
        add_column(manager, "campaigns", ColumnDef::new("sessions").text().null().take()).await?;
        create_index(manager, "sessions_phone", "sessions", &["phone"]).await?;
        create_index(manager, "contacts_phone", "contacts", &["phone"]).await?;
        create_index(manager, "deliveries_waiting", "deliveries", &["phone", "state"]).await?;
        // What the numbers cannot do just now is no pause any more.
        manager
            .get_connection()
            .execute_unprepared(
                "UPDATE campaigns SET status = 'running', pause_reason = NULL \
                 WHERE status = 'paused' AND pause_reason NOT IN ('manual', 'breaker')",
            )
            .await?;
        Ok(())
    }
}
