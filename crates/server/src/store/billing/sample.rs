//! A small billing database of our own making, for the demo.

use super::super::error::{StoreError, Which};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::path::Path;

/// Makes the file with sample customers and notices, unless it is there already. The tables have
/// the columns kabari reads, named as in the billing application's own schema.
pub async fn sample(path: &Path) -> Result<(), StoreError> {
    let failed = |e: sqlx::Error| StoreError::from_sqlx(Which::Billing, &e);
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.map_err(failed)?;
    let made = sqlx::raw_sql(include_str!("sample.sql")).execute(&mut connection).await;
    let closed = sqlx::Connection::close(connection).await;
    made.map_err(failed)?;
    closed.map_err(failed)
}
