//! The first schema.
//!
//! Times are milliseconds since 1970 UTC in BIGINT. Text that is compared is utf8mb4_bin by the
//! table's default: keys are equal only if their bytes are.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A node's name.
const OWNER_LENGTH: u32 = 64;
/// E.164 without the plus has at most 15 digits.
const PHONE_LENGTH: u32 = 20;
/// State, status, kind and reason names.
const NAME_LENGTH: u32 = 20;
/// Fingerprints: a SHA-256 in hexadecimal.
const FINGERPRINT_LENGTH: u32 = 64;
/// What people read, cut by the writer.
const LINE_LENGTH: u32 = 255;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let table = |name: &'static str| {
            let mut table = Table::create();
            table.table(name).if_not_exists();
            if backend == sea_orm::DbBackend::MySql {
                table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
            }
            table
        };

        let mut campaigns = table("campaigns");
        campaigns
            .col(auto_id())
            .col(name("kind"))
            .col(time("notice_id").null())
            .col(ColumnDef::new("subject").string_len(LINE_LENGTH).not_null())
            .col(long_text("template").not_null())
            .col(name("status"))
            .col(ColumnDef::new("pause_reason").string_len(NAME_LENGTH).null())
            .col(ColumnDef::new("parent_id").big_integer().null())
            .col(count("urgent"))
            .col(time("starts_at").null())
            .col(time("expires_at").null())
            .col(ColumnDef::new("fingerprint").string_len(FINGERPRINT_LENGTH).not_null())
            .col(long_text("request").not_null())
            .col(count("supersedes"))
            .col(count("total"))
            .col(time("created_at").not_null())
            .col(time("started_at").null())
            .col(time("finished_at").null());
        manager.create_table(campaigns).await?;

        let mut deliveries = table("deliveries");
        deliveries
            .col(auto_id())
            .col(ColumnDef::new("campaign_id").big_integer().not_null())
            .col(ColumnDef::new("position").big_integer().not_null())
            .col(ColumnDef::new("customer_id").big_integer().null())
            .col(ColumnDef::new("customer_name").string_len(LINE_LENGTH).not_null())
            .col(ColumnDef::new("phone_raw").string_len(LINE_LENGTH).null())
            .col(ColumnDef::new("phone").string_len(PHONE_LENGTH).null())
            .col(long_text("text").null())
            .col(ColumnDef::new("message_id").string_len(64).not_null())
            .col(name("state"))
            .col(ColumnDef::new("sender").string_len(PHONE_LENGTH).null())
            .col(ColumnDef::new("jid").string_len(128).null())
            .col(ColumnDef::new("owner").string_len(OWNER_LENGTH).null())
            .col(count("epoch"))
            .col(time("lease_until").null())
            .col(count("attempts"))
            .col(count("unanswered"))
            .col(time("due_at").not_null())
            .col(ColumnDef::new("error").string_len(500).null())
            .col(time("first_sent_at").null())
            .col(time("accepted_at").null())
            .col(time("delivered_at").null())
            .col(time("read_at").null());
        manager.create_table(deliveries).await?;

        let mut senders = table("senders");
        senders
            .col(ColumnDef::new("phone").string_len(PHONE_LENGTH).not_null().primary_key())
            .col(ColumnDef::new("owner").string_len(OWNER_LENGTH).null())
            .col(count("epoch"))
            .col(time("lease_until").not_null())
            .col(time("next_slot_at").not_null())
            .col(time("linked_at").not_null())
            .col(count("day"))
            .col(count("sent_today"))
            .col(count("reach_out_until"));
        manager.create_table(senders).await?;

        let mut numbers = table("numbers");
        numbers
            .col(ColumnDef::new("phone").string_len(PHONE_LENGTH).not_null().primary_key())
            .col(count("registered"))
            .col(ColumnDef::new("jid").string_len(128).null())
            .col(time("checked_at").not_null());
        manager.create_table(numbers).await?;

        let mut contacts = table("contacts");
        contacts
            .col(ColumnDef::new("sender").string_len(PHONE_LENGTH).not_null())
            .col(ColumnDef::new("phone").string_len(PHONE_LENGTH).not_null())
            .col(time("wrote_at").not_null())
            .primary_key(Index::create().col("sender").col("phone"));
        manager.create_table(contacts).await?;

        let mut keys = table("idempotency_keys");
        keys.col(
            ColumnDef::new("idempotency_key").string_len(LINE_LENGTH).not_null().primary_key(),
        )
        .col(ColumnDef::new("fingerprint").string_len(FINGERPRINT_LENGTH).not_null())
        .col(ColumnDef::new("campaign_id").big_integer().not_null())
        .col(time("created_at").not_null());
        manager.create_table(keys).await?;

        let mut fingerprints = table("fingerprints");
        fingerprints
            .col(
                ColumnDef::new("fingerprint")
                    .string_len(FINGERPRINT_LENGTH)
                    .not_null()
                    .primary_key(),
            )
            .col(ColumnDef::new("campaign_id").big_integer().not_null())
            .col(time("created_at").not_null());
        manager.create_table(fingerprints).await?;

        for (name, table, columns, unique) in INDEXES {
            if manager.has_index(table, name).await? {
                continue;
            }
            let mut index = Index::create();
            index.name(*name).table(*table);
            for column in *columns {
                index.col(*column);
            }
            if *unique {
                index.unique();
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

type IndexColumns = &'static [&'static str];

/// Name, table, columns, unique.
const INDEXES: &[(&str, &str, IndexColumns, bool)] = &[
    ("campaigns_status", "campaigns", &["status"], false),
    ("campaigns_notice", "campaigns", &["notice_id"], false),
    ("idempotency_keys_created", "idempotency_keys", &["created_at"], false),
    ("deliveries_phone", "deliveries", &["campaign_id", "phone"], true),
    ("deliveries_message_id", "deliveries", &["message_id"], true),
    ("deliveries_position", "deliveries", &["campaign_id", "position"], false),
    ("deliveries_due", "deliveries", &["campaign_id", "state", "due_at", "id"], false),
    ("deliveries_state", "deliveries", &["state", "due_at", "id"], false),
];

fn auto_id() -> ColumnDef {
    ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key().take()
}

fn name(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).string_len(NAME_LENGTH).not_null().take()
}

/// Not null, from 0.
fn count(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).big_integer().not_null().default(0).take()
}

fn time(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).big_integer().take()
}

/// MariaDB's TEXT ends at 64 KiB, less than the longest WhatsApp message; SQLite takes any name.
fn long_text(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).custom("mediumtext").take()
}
