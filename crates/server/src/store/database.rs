//! One database behind one set of calls, whichever engine it runs on.

use super::error::{StoreError, Which};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult,
    SqliteTransactionMode, SqlxMySqlConnector, SqlxSqliteConnector, Statement, TransactionOptions,
    TransactionTrait, TryGetable, Value,
};
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long a call waits for a connection to the server, connecting included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits for SQLite's only writer: a large campaign is one transaction.
const WRITER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long one statement may take before the connection counts as lost.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long SQLite waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long MariaDB waits for a row lock, in seconds.
const LOCK_WAIT_SECONDS: u32 = 10;
/// Connections to a state database on a server, per process.
const SERVER_CONNECTIONS: u32 = 12;
/// Connections that only read, on SQLite and for billing.
const READER_CONNECTIONS: u32 = 8;
/// How often a transaction that lost to others is tried again.
const RETRIES: u32 = 8;
/// The pause before the first of them; it doubles each time, and a random part is added so that
/// those who collided once do not collide again.
const RETRY_PAUSE: Duration = Duration::from_millis(4);

/// Values for the `?` of a statement, in order.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(sea_orm::Value::from($value)),*] };
}
pub(super) use params;

/// The two dialects. Everything not asked of this enum is the same SQL on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    /// MariaDB 10.6 or MySQL 8, and newer.
    MySql,
}

impl Engine {
    pub fn backend(self) -> DbBackend {
        match self {
            Engine::Sqlite => DbBackend::Sqlite,
            Engine::MySql => DbBackend::MySql,
        }
    }

    /// Ends a SELECT that takes rows for itself. SQLite has one writer and needs no row locks.
    pub fn lock_rows(self) -> &'static str {
        match self {
            Engine::Sqlite => "",
            Engine::MySql => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// Ends a SELECT that waits for one row to be its own.
    pub fn lock_row(self) -> &'static str {
        match self {
            Engine::Sqlite => "",
            Engine::MySql => " FOR UPDATE",
        }
    }

    /// Ends an INSERT: on a row with the same `key`, writes the new values of `columns` instead.
    pub fn or_update(self, key: &str, columns: &[&str]) -> String {
        let (head, value): (String, fn(&str) -> String) = match self {
            Engine::Sqlite => {
                (format!(" ON CONFLICT({key}) DO UPDATE SET "), |c| format!("{c} = excluded.{c}"))
            }
            Engine::MySql => {
                (" ON DUPLICATE KEY UPDATE ".to_owned(), |c| format!("{c} = VALUES({c})"))
            }
        };
        head + &columns.iter().map(|column| value(column)).collect::<Vec<_>>().join(", ")
    }

    /// Ends an INSERT: on a row with the same `key`, keeps the greater of both values of `column`.
    pub fn or_raise(self, key: &str, column: &str) -> String {
        match self {
            Engine::Sqlite => format!(
                " ON CONFLICT({key}) DO UPDATE SET {column} = MAX({column}, excluded.{column})"
            ),
            Engine::MySql => {
                format!(" ON DUPLICATE KEY UPDATE {column} = GREATEST({column}, VALUES({column}))")
            }
        }
    }
}

/// `?, ?, ?`
pub(super) fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Pools on one database. SQLite has one connection that writes, so that writers queue up here
/// instead of failing there, and others that only read.
#[derive(Debug)]
pub(super) struct Database {
    which: Which,
    engine: Engine,
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    commits: watch::Sender<u64>,
}

/// One row of an answer.
pub(super) struct Row {
    which: Which,
    inner: QueryResult,
}

/// What a writing statement did.
pub(super) struct Written {
    pub rows: u64,
    pub last_id: i64,
}

impl Database {
    /// The provider's server; connects when first used.
    pub fn billing_server(options: MySqlConnectOptions) -> Database {
        // The driver would set the session to UTC and shift TIMESTAMP columns. The billing
        // application reads and writes them in the server's own zone, so we do too.
        let options = options
            .timezone(None)
            .pipes_as_concat(false)
            .charset("utf8mb4")
            .disable_statement_logging();
        let pool = MySqlPoolOptions::new()
            .max_connections(READER_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        Database::on_server(Which::Billing, SqlxMySqlConnector::from_sqlx_mysql_pool(pool))
    }

    /// A billing file; opened when first used, and never written.
    pub fn billing_file(path: &Path) -> Database {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(READER_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        let reader = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        Database::new(Which::Billing, Engine::Sqlite, reader.clone(), reader)
    }

    /// A state database on a server.
    ///
    /// READ COMMITTED, because claiming rows deadlocks all the time under the default isolation.
    pub async fn state_server(options: MySqlConnectOptions) -> Result<Database, StoreError> {
        Database::state_server_with(options, SERVER_CONNECTIONS).await
    }

    /// The same with a single connection, for what must share a session.
    pub async fn state_session(options: MySqlConnectOptions) -> Result<Database, StoreError> {
        Database::state_server_with(options, 1).await
    }

    async fn state_server_with(
        options: MySqlConnectOptions,
        connections: u32,
    ) -> Result<Database, StoreError> {
        let options = options
            .timezone(None)
            .pipes_as_concat(false)
            .charset("utf8mb4")
            .disable_statement_logging();
        let pool = MySqlPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let settings = format!(
                        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
                         SET SESSION time_zone = '+00:00', \
                         sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
                         innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}"
                    );
                    sqlx::raw_sql(sqlx::AssertSqlSafe(settings)).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(|e| StoreError::from_sqlx(Which::State, &e))?;
        Ok(Database::on_server(Which::State, SqlxMySqlConnector::from_sqlx_mysql_pool(pool)))
    }

    /// A state file, which must be there already.
    pub async fn state_file(path: &Path) -> Result<Database, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let failed = |e: sqlx::Error| StoreError::from_sqlx(Which::State, &e);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(WRITER_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READER_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(failed)?;
        Ok(Database::new(
            Which::State,
            Engine::Sqlite,
            SqlxSqliteConnector::from_sqlx_sqlite_pool(reader),
            SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
        ))
    }

    fn on_server(which: Which, pool: DatabaseConnection) -> Database {
        Database::new(which, Engine::MySql, pool.clone(), pool)
    }

    fn new(
        which: Which,
        engine: Engine,
        reader: DatabaseConnection,
        writer: DatabaseConnection,
    ) -> Database {
        Database { which, engine, reader, writer, commits: watch::Sender::new(0) }
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    pub fn which(&self) -> Which {
        self.which
    }

    /// Ends all connections.
    pub async fn close(self) -> Result<(), StoreError> {
        self.bounded(self.writer.close_by_ref()).await?;
        self.bounded(self.reader.close_by_ref()).await
    }

    /// Changes with every commit that wrote something.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// The connection that writes, for the migrations.
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// All rows of a query, outside any transaction.
    pub async fn rows(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.rows_on(&self.reader, sql, values).await
    }

    /// The first row of a query, outside any transaction.
    pub async fn row(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// One statement that is its own transaction.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Written, StoreError> {
        let written = self.execute_on(&self.writer, sql, values).await?;
        if written.rows > 0 {
            self.commits.send_modify(|count| *count += 1);
        }
        Ok(written)
    }

    /// Begins a transaction that will write. Without [`Transaction::commit`] it rolls back.
    pub async fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        // A deferred transaction would fail on its first write if another process wrote since.
        let immediate = (self.engine == Engine::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options =
            TransactionOptions { sqlite_transaction_mode: immediate, ..Default::default() };
        let inner = self.bounded(self.writer.begin_with_options(options)).await?;
        Ok(Transaction { database: self, inner, wrote: AtomicBool::new(false) })
    }

    /// Runs `attempt` again while it loses to others: a deadlock, a lock wait that ran out, or a
    /// busy file. Each run must be a transaction of its own.
    pub async fn retry<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = RETRY_PAUSE;
        for _ in 0..RETRIES {
            match attempt().await {
                Err(StoreError::Busy { .. }) => {
                    tokio::time::sleep(pause + pause.mul_f64(rand::random::<f64>())).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        attempt().await
    }

    async fn rows_on(
        &self,
        connection: &impl ConnectionTrait,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = Statement::from_sql_and_values(self.engine.backend(), sql, values);
        let rows = self.bounded(connection.query_all_raw(statement)).await?;
        Ok(rows.into_iter().map(|inner| Row { which: self.which, inner }).collect())
    }

    async fn execute_on(
        &self,
        connection: &impl ConnectionTrait,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Written, StoreError> {
        let statement = Statement::from_sql_and_values(self.engine.backend(), sql, values);
        let result = self.bounded(connection.execute_raw(statement)).await?;
        let last_id = i64::try_from(result.last_insert_id()).unwrap_or(i64::MAX);
        Ok(Written { rows: result.rows_affected(), last_id })
    }

    /// A server that accepts connections and then says nothing must not hold its callers for
    /// ever. A file answers or fails by itself.
    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, StoreError> {
        let which = self.which;
        let result = match self.engine {
            Engine::Sqlite => call.await,
            Engine::MySql => match tokio::time::timeout(STATEMENT_TIMEOUT, call).await {
                Ok(result) => result,
                Err(_) => {
                    let reason = format!("no answer within {} s", STATEMENT_TIMEOUT.as_secs());
                    return Err(StoreError::Unavailable { which, reason });
                }
            },
        };
        result.map_err(|e| StoreError::from_db(which, e))
    }
}

/// A transaction in progress.
pub(super) struct Transaction<'d> {
    database: &'d Database,
    inner: DatabaseTransaction,
    wrote: AtomicBool,
}

impl Transaction<'_> {
    pub fn engine(&self) -> Engine {
        self.database.engine
    }

    pub fn which(&self) -> Which {
        self.database.which
    }

    /// The transaction itself, for the migrations.
    pub fn inner(&self) -> &DatabaseTransaction {
        &self.inner
    }

    pub async fn rows(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.database.rows_on(&self.inner, sql, values).await
    }

    pub async fn row(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Written, StoreError> {
        let written = self.database.execute_on(&self.inner, sql, values).await?;
        if written.rows > 0 {
            self.wrote.store(true, Ordering::Relaxed);
        }
        Ok(written)
    }

    /// Commits what nobody waits for: [`Database::commits`] does not change.
    pub async fn commit_unannounced(self) -> Result<(), StoreError> {
        self.database.bounded(self.inner.commit()).await
    }

    /// Gives up what was done, and lets go of the rows that were locked: without it that happens a
    /// moment after the transaction is dropped.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.database.bounded(self.inner.rollback()).await
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        self.database.bounded(self.inner.commit()).await?;
        if self.wrote.into_inner() {
            self.database.commits.send_modify(|count| *count += 1);
        }
        Ok(())
    }
}

impl Row {
    /// The column of this name.
    pub fn get<T: TryGetable>(&self, column: &str) -> Result<T, StoreError> {
        self.inner.try_get("", column).map_err(|e| StoreError::from_db(self.which, e))
    }

    /// A stored value that must be one of those this version knows.
    pub fn parse<T>(
        &self,
        column: &str,
        from_name: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let name: String = self.get(column)?;
        from_name(&name).ok_or_else(|| StoreError::unreadable(self.which, column))
    }
}
