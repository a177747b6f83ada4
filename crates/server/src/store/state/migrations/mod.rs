//! The schema of the state database, in steps that are never changed once released.

mod columns;
mod m0001_campaigns;
mod m0002_sessions;
mod m0003_session_entries;
mod m0004_gateways;

use super::super::database::Database;
use super::super::error::{StoreError, Which};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use sqlx::mysql::MySqlConnectOptions;

use super::super::database::params;

/// The name of the lock that lets one node at a time change the schema: locks are the server's, so
/// each database has its own. MySQL takes at most 64 characters.
const LOCK: &str = "CONCAT('kabari_', LEFT(DATABASE(), 50))";
/// How long a node waits for another to finish, in seconds.
const LOCK_SECONDS: i64 = 50;

struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_campaigns::Migration),
            Box::new(m0002_sessions::Migration),
            Box::new(m0003_session_entries::Migration),
            Box::new(m0004_gateways::Migration),
        ]
    }
}

/// How many steps a database is behind. Changes nothing.
pub(super) async fn pending(database: &Database) -> Result<usize, StoreError> {
    let sql = "SELECT COUNT(*) AS done FROM seaql_migrations";
    let done = match database.row(sql, vec![]).await {
        Ok(row) => row.map_or(Ok(0), |row| row.get::<i64>("done"))?,
        // Nothing has been done yet.
        Err(StoreError::Missing { .. }) => 0,
        Err(error) => return Err(error),
    };
    Ok(Migrations::migrations().len().saturating_sub(usize::try_from(done).unwrap_or(0)))
}

/// On a file: all steps in one transaction, which also keeps other processes out.
pub(super) async fn run_on_file(database: &Database) -> Result<(), StoreError> {
    database
        .retry(|| async {
            let tx = database.begin().await?;
            Migrations::up(tx.inner(), None)
                .await
                .map_err(|e| StoreError::from_db(Which::State, e))?;
            tx.commit().await
        })
        .await
}

/// On a server: schema changes commit by themselves there, so a named lock, held by the only
/// connection of a pool of its own, keeps other nodes out. Every step can be repeated, in case a
/// node dies half way.
pub(super) async fn run_on_server(options: MySqlConnectOptions) -> Result<(), StoreError> {
    let session = Database::state_session(options).await?;
    let locked = session
        .row(&format!("SELECT GET_LOCK({LOCK}, ?) AS locked"), params![LOCK_SECONDS])
        .await?;
    let locked = locked.map(|row| row.get::<Option<i64>>("locked")).transpose()?.flatten();
    if locked != Some(1) {
        return Err(StoreError::Busy { which: Which::State });
    }
    let migrated = Migrations::up(session.writer(), None).await;
    // The lock goes with the connection.
    let closed = session.close().await;
    migrated.map_err(|e| StoreError::from_db(Which::State, e))?;
    closed
}
