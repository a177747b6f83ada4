//! The billing database for those who have none: a file with the tables kabari reads, to fill by
//! hand or by another program.

use super::super::error::{StoreError, Which};
use super::super::state::make_private_file;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::path::Path;

/// Makes the file with empty tables, unless it is there already. Columns are named as in the
/// billing application's own schema.
pub async fn create(path: &Path) -> Result<(), StoreError> {
    run(path, include_str!("schema.sql")).await
}

/// The same, with sample customers and notices of our own making.
pub async fn sample(path: &Path) -> Result<(), StoreError> {
    create(path).await?;
    run(path, include_str!("sample.sql")).await
}

async fn run(path: &Path, sql: &'static str) -> Result<(), StoreError> {
    let failed = |e: sqlx::Error| StoreError::from_sqlx(Which::Billing, &e);
    make_private_file(path).map_err(|e| failed(e.into()))?;
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.map_err(failed)?;
    let made = sqlx::raw_sql(sql).execute(&mut connection).await;
    let closed = sqlx::Connection::close(connection).await;
    made.map_err(failed)?;
    closed.map_err(failed)
}
