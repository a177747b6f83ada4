//! Columns as the migrations write them, and steps that can be repeated.

use sea_orm_migration::prelude::*;

/// State, status, kind and reason names.
const NAME_LENGTH: u32 = 20;

/// A table that is made unless it is there. Text compares by its bytes.
pub fn table(manager: &SchemaManager<'_>, name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).if_not_exists();
    if manager.get_database_backend() == sea_orm::DbBackend::MySql {
        table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}

/// One of a few words.
pub fn name(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).string_len(NAME_LENGTH).not_null().take()
}

/// Not null, from 0.
pub fn count(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).big_integer().not_null().default(0).take()
}

/// Milliseconds since 1970 UTC, or another large number.
pub fn time(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).big_integer().take()
}

/// Adds a column unless it is there.
pub async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    if manager.has_column(table, column.get_column_name()).await? {
        return Ok(());
    }
    manager.alter_table(Table::alter().table(table).add_column(column).take()).await
}

/// Makes an index unless it is there.
pub async fn create_index(
    manager: &SchemaManager<'_>,
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    if manager.has_index(table, name).await? {
        return Ok(());
    }
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index.take()).await
}
