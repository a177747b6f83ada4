//! The schema of the state database, in steps that are never changed once released: a file of SQL
//! for each step and engine.

use super::super::connections;
use super::super::database::Database;
use super::super::engine::Engine;
use super::super::error::{StoreError, Which};
#[cfg(debug_assertions)]
use sqlx::AssertSqlSafe;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, SqliteConnection};
use std::path::Path;

/// The name of the lock that lets one node at a time change the schema: locks are the server's, so
/// each database has its own. MySQL takes at most 64 characters.
const TAKE_LOCK: &str =
    "SELECT COALESCE(GET_LOCK(CONCAT('kabari_', LEFT(DATABASE(), 50)), 50), 0) = 1";

/// The steps by version: name, SQL for SQLite, SQL for MariaDB.
pub(super) const STEPS: [(&str, &str, &str); 12] = [
    (
        "campaigns",
        include_str!("sqlite/0001_campaigns.sql"),
        include_str!("mysql/0001_campaigns.sql"),
    ),
    ("sessions", include_str!("sqlite/0002_sessions.sql"), include_str!("mysql/0002_sessions.sql")),
    (
        "session entries",
        include_str!("sqlite/0003_session_entries.sql"),
        include_str!("mysql/0003_session_entries.sql"),
    ),
    ("history", include_str!("sqlite/0004_history.sql"), include_str!("mysql/0004_history.sql")),
    ("passkey", include_str!("sqlite/0005_passkey.sql"), include_str!("mysql/0005_passkey.sql")),
    ("gateways", include_str!("sqlite/0006_gateways.sql"), include_str!("mysql/0006_gateways.sql")),
    ("access", include_str!("sqlite/0007_access.sql"), include_str!("mysql/0007_access.sql")),
    (
        "retention",
        include_str!("sqlite/0008_retention.sql"),
        include_str!("mysql/0008_retention.sql"),
    ),
    ("lists", include_str!("sqlite/0009_lists.sql"), include_str!("mysql/0009_lists.sql")),
    ("drafts", include_str!("sqlite/0010_drafts.sql"), include_str!("mysql/0010_drafts.sql")),
    ("finished", include_str!("sqlite/0011_finished.sql"), include_str!("mysql/0011_finished.sql")),
    ("traces", include_str!("sqlite/0012_traces.sql"), include_str!("mysql/0012_traces.sql")),
];

/// The version of the schema after the last step.
pub(super) const SCHEMA: i64 = STEPS.len() as i64;

/// SQLite's number for a file that gives back room when it is told to.
const INCREMENTAL: i64 = 2;

/// The steps that kabari has done up to version 0.2, which kept a list of its own.
const EARLIER_STEPS: &str = "SELECT COUNT(*) FROM seaql_migrations";
const DONE_STEPS: &str = "SELECT COUNT(*) FROM _sqlx_migrations WHERE success = TRUE";

fn migrator(engine: Engine) -> Migrator {
    let steps = (1..).zip(STEPS).map(|(version, (name, sqlite, mysql))| {
        let sql = match engine {
            Engine::Sqlite => sqlite,
            Engine::MySql => mysql,
        };
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(steps.chain(later_step()).collect());
    // A named lock with an end, and SQLite's own, stand in for it.
    migrator.set_locking(false);
    migrator
}

/// Returns the step of a later version that tests let a node bring: the SQL in the file that
/// `LATER_STEP_FILE` names. The released program knows no such step.
#[cfg(debug_assertions)]
fn later_step() -> Option<Migration> {
    let sql = std::fs::read_to_string(std::env::var_os("LATER_STEP_FILE")?).ok()?;
    let sql = AssertSqlSafe(sql).into_sql_str();
    Some(Migration::new(SCHEMA + 1, "a later one".into(), MigrationType::Simple, sql, false))
}

/// Returns nothing.
#[cfg(not(debug_assertions))]
fn later_step() -> Option<Migration> {
    None
}

/// Returns the version of the schema after all steps that this program knows.
pub(super) fn newest() -> i64 {
    SCHEMA + i64::from(later_step().is_some())
}

/// Returns how many steps a database is behind. Changes nothing.
pub(super) async fn pending(database: &Database) -> Result<usize, StoreError> {
    let mut done = 0;
    for sql in [DONE_STEPS, EARLIER_STEPS] {
        let sql = sql.replace("COUNT(*)", "COUNT(*) AS done");
        match database.row(&sql, vec![]).await {
            Ok(row) => done = done.max(row.map_or(Ok(0), |row| row.get::<u64>("done"))?),
            // It is not there yet, or not any more.
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(STEPS.len().saturating_sub(usize::try_from(done).unwrap_or(usize::MAX)))
}

/// Runs the steps up to this version on a file: all in one transaction, which also keeps other
/// processes out.
pub(super) async fn run_on_file(path: &Path, to: i64) -> Result<(), StoreError> {
    let mut connection = connections::state_file(path).connect().await.map_err(failed)?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let earlier = sqlx::query_scalar(EARLIER_STEPS).fetch_one(&mut *tx).await;
    migrate(&migrator(Engine::Sqlite), &mut *tx, or_none(earlier)?, to).await?;
    tx.commit().await.map_err(failed)?;
    give_back_from_now_on(&mut connection).await;
    connection.close().await.map_err(failed)
}

/// Lets a file give room back to the disk that deleted rows have left. One that cannot do so yet is
/// written anew once, which takes a while and as much room again.
async fn give_back_from_now_on(connection: &mut SqliteConnection) {
    let mode = sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut *connection).await;
    if mode.is_ok_and(|mode: i64| mode == INCREMENTAL) {
        return;
    }
    let anew = sqlx::raw_sql("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").execute(connection).await;
    if let Err(error) = anew {
        let error = failed(error);
        tracing::warn!(%error, "the state database keeps its size; trying again at the next start");
    }
}

/// Runs the steps up to this version on a server: schema changes commit by themselves there, so a
/// named lock keeps other nodes out, and every step can be repeated, in case a node dies half way.
pub(super) async fn run_on_server(database: &Database, to: i64) -> Result<(), StoreError> {
    let options = database.writer_options().expect("it is on a server");
    let mut connection = options.connect().await.map_err(failed)?;
    let locked = sqlx::query_scalar(TAKE_LOCK).fetch_one(&mut connection).await;
    if !locked.map_err(failed)? {
        return Err(StoreError::Busy { which: Which::State });
    }
    let half_done = sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE");
    or_none(half_done.execute(&mut connection).await.map(|_| 0))?;
    let earlier = sqlx::query_scalar(EARLIER_STEPS).fetch_one(&mut connection).await;
    migrate(&migrator(Engine::MySql), &mut connection, or_none(earlier)?, to).await?;
    // The lock goes with the connection.
    connection.close().await.map_err(failed)
}

/// Does what is left to do up to a version, of which `earlier` steps were done before sqlx kept the list.
async fn migrate(
    migrator: &Migrator,
    connection: &mut impl Migrate,
    earlier: i64,
    to: i64,
) -> Result<(), StoreError> {
    if earlier > 0 {
        let skip = migrator.run_direct(Some(earlier), connection, true);
        skip.await.map_err(not_migrated)?;
    }
    migrator.run_direct(Some(to), connection, false).await.map_err(not_migrated)
}

/// Returns the number a query answers with, 0 where there is no such table.
fn or_none(answer: Result<i64, sqlx::Error>) -> Result<i64, StoreError> {
    match answer.map_err(failed) {
        Ok(number) => Ok(number),
        Err(StoreError::Missing { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::from_sqlx(Which::State, &error)
}

fn not_migrated(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(error),
        MigrateError::VersionMissing(version) => StoreError::NewerSchema { version },
        error => StoreError::Failed { which: Which::State, reason: error.to_string() },
    }
}
