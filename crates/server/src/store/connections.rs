//! How connections to a database are opened, tried and kept.

use sqlx::mysql::MySqlPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;
use std::time::Duration;

/// How long a call waits for a connection to the server, connecting included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits for SQLite's only writer: a large campaign is one transaction.
const WRITER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long SQLite waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long MariaDB waits for a row lock, in seconds.
const LOCK_WAIT_SECONDS: u32 = 10;
/// Connections to a state database on a server, per process.
const SERVER_CONNECTIONS: u32 = 12;
/// Connections that only read, on SQLite and for billing.
const READER_CONNECTIONS: u32 = 8;
/// How many rows a thread that reads a file may be ahead of who takes them.
const ROWS_AHEAD: usize = 1000;
/// How many pages the log of a state file grows by before they are written into the file itself.
/// A send changes the same pages again and again: the more of it is in the log, the fewer are
/// written twice. At 4 KiB each, this is 16 MiB of disk.
const PAGES_IN_LOG: &str = "4000";

/// Returns a pool that tries a connection before its use: the server may have closed it.
fn server(max: u32) -> MySqlPoolOptions {
    MySqlPoolOptions::new().max_connections(max).acquire_timeout(CONNECT_TIMEOUT)
}

/// Returns a pool for the provider's server.
pub(super) fn billing_server() -> MySqlPoolOptions {
    server(READER_CONNECTIONS)
}

/// Returns a pool for the state's server.
///
/// READ COMMITTED, because claiming rows deadlocks all the time under the default isolation.
pub(super) fn state_server() -> MySqlPoolOptions {
    server(SERVER_CONNECTIONS).after_connect(|connection, _| {
        Box::pin(async move {
            let settings = format!(
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
                 SET SESSION time_zone = '+00:00', \
                 sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
                 innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}"
            );
            sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await?;
            Ok(())
        })
    })
}

/// Returns a pool that uses connections without trying them first: a file does not go away.
///
/// A full disk ends a transaction without the driver's knowledge: to it the connection would be in
/// that transaction for ever, and begin no other. Such a connection is replaced.
fn file() -> SqlitePoolOptions {
    SqlitePoolOptions::new().test_before_acquire(false).before_acquire(|connection, _| {
        Box::pin(async move { Ok(!connection.is_in_transaction()) })
    })
}

/// Returns a pool for the one connection that writes to a file.
pub(super) fn file_writer() -> SqlitePoolOptions {
    file().max_connections(1).acquire_timeout(WRITER_TIMEOUT)
}

/// Returns a pool for connections that read a file.
pub(super) fn file_reader() -> SqlitePoolOptions {
    file().max_connections(READER_CONNECTIONS).acquire_timeout(CONNECT_TIMEOUT)
}

/// Returns how a state file is opened.
pub(super) fn state_file(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // What is deleted is overwritten: who is forgotten is not left in the file.
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", PAGES_IN_LOG)
        .row_buffer_size(ROWS_AHEAD)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// Returns how a state file is opened by its writer.
pub(super) fn state_file_writer(path: &Path) -> SqliteConnectOptions {
    state_file(path)
        // What a batch would take back is in memory: a large one makes and removes a file for it
        // otherwise, and fails where no file can be opened. Others sort more than memory should
        // hold.
        .pragma("temp_store", "MEMORY")
}

/// Returns how a billing file is opened. Readers may take back what a writer that has died left half
/// done, so they do not open it read-only.
pub(super) fn billing_file(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}
