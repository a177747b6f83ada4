//! One database behind one set of calls, whichever engine it runs on.

use super::batch::{BatchWriter, Batched, Statement, refusal};
use super::connections;
use super::engine::Engine;
use super::error::{StoreError, Which};
use super::row::{Row, Value};
use super::servers::Servers;
use super::transaction::{EngineConnection, EngineTransaction, Transaction};
use crate::metrics::statement_times;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prometheus::Histogram;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long one statement may take before the connection counts as lost.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a transaction that lost to others is tried again.
const RETRIES: u32 = 8;
/// The pause before the first of them; it doubles each time, and a random part is added so that
/// those who collided once do not collide again.
const RETRY_PAUSE: Duration = Duration::from_millis(4);

/// Pools on one database. SQLite has one connection that writes, so that writers queue up here
/// instead of failing there, and others that only read.
#[derive(Debug)]
pub(super) struct Database {
    which: Which,
    pools: Pools,
    commits: watch::Sender<u64>,
    statement_times: Histogram,
}

#[derive(Debug)]
enum Pools {
    Sqlite {
        reader: SqlitePool,
        writer: SqlitePool,
        /// Started by the first batch.
        batches: OnceLock<BatchWriter>,
    },
    MySql(Box<Servers>),
}

impl Pools {
    fn sqlite(reader: SqlitePool, writer: SqlitePool) -> Pools {
        Pools::Sqlite { reader, writer, batches: OnceLock::new() }
    }
}

/// What a writing statement did.
pub(super) struct WriteResult {
    pub rows: u64,
    pub last_id: i64,
}

impl Database {
    /// Returns the provider's server; connects when first used.
    pub fn billing_server(options: MySqlConnectOptions) -> Database {
        let server = Servers::one(options, connections::billing_server());
        Database::new(Which::Billing, Pools::MySql(Box::new(server)))
    }

    /// Returns a billing file; opened when first used.
    pub fn billing_file(path: &Path) -> Database {
        let options = connections::billing_file(path);
        let writer = connections::file_writer().connect_lazy_with(options.clone());
        let reader = connections::file_reader().connect_lazy_with(only_reading(options));
        Database::new(Which::Billing, Pools::sqlite(reader, writer))
    }

    /// Returns a state database on a server, or on the one of several that takes writes.
    pub async fn state_server(hosts: Vec<MySqlConnectOptions>) -> Result<Database, StoreError> {
        let servers = Servers::find(hosts, connections::state_server()).await?;
        Ok(Database::new(Which::State, Pools::MySql(Box::new(servers))))
    }

    /// Returns a state file, which must be there already.
    pub async fn state_file(path: &Path) -> Result<Database, StoreError> {
        let options = connections::state_file(path);
        let failed = |e: sqlx::Error| StoreError::from_sqlx(Which::State, &e);
        let writer = connections::file_writer().connect_with(connections::state_file_writer(path));
        let writer = writer.await.map_err(failed)?;
        let reader = connections::file_reader().connect_with(only_reading(options));
        let reader = reader.await.map_err(failed)?;
        Ok(Database::new(Which::State, Pools::sqlite(reader, writer)))
    }

    fn new(which: Which, pools: Pools) -> Database {
        let statement_times = statement_times(match which {
            Which::Billing => "billing",
            Which::State => "state",
        });
        Database { which, pools, commits: watch::Sender::new(0), statement_times }
    }

    pub fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::MySql(_) => Engine::MySql,
        }
    }

    pub fn which(&self) -> Which {
        self.which
    }

    /// Changes with every commit that wrote something.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Returns how long statements take, to be shown to Prometheus.
    pub fn statement_times(&self) -> Histogram {
        self.statement_times.clone()
    }

    /// Returns all rows of a query, outside any transaction.
    pub async fn rows(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let rows = async {
            match &self.pools {
                Pools::Sqlite { reader, .. } => {
                    EngineConnection::Sqlite(&mut *reader.acquire().await?)
                        .rows(self.which, sql, values)
                        .boxed()
                        .await
                }
                Pools::MySql(servers) => {
                    EngineConnection::MySql(&mut *servers.pool().await?.acquire().await?)
                        .rows(self.which, sql, values)
                        .boxed()
                        .await
                }
            }
        };
        self.bounded(rows.boxed()).await
    }

    /// Returns the first row of a query, outside any transaction.
    pub async fn row(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Executes one statement that is its own transaction.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<WriteResult, StoreError> {
        let written = self.execute_unannounced(sql, values).await?;
        if written.rows > 0 {
            self.announce();
        }
        Ok(written)
    }

    /// Does the same for what nobody waits for: [`commits`](Database::commits) does not change.
    pub async fn execute_unannounced(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<WriteResult, StoreError> {
        let written = async {
            match &self.pools {
                Pools::Sqlite { writer, .. } => {
                    EngineConnection::Sqlite(&mut *writer.acquire().await?)
                        .execute(sql, values)
                        .await
                }
                Pools::MySql(servers) => {
                    EngineConnection::MySql(&mut *servers.pool().await?.acquire().await?)
                        .execute(sql, values)
                        .await
                }
            }
        };
        self.bounded(written.boxed()).await
    }

    /// Begins a transaction that will write. Without [`Transaction::commit`] it rolls back.
    pub async fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        let inner = async {
            Ok(match &self.pools {
                // A deferred one would fail on its first write if another process wrote since.
                Pools::Sqlite { writer, .. } => {
                    EngineTransaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
                }
                Pools::MySql(servers) => {
                    EngineTransaction::MySql(servers.pool().await?.begin().await?)
                }
            })
        };
        Ok(Transaction::new(self, self.bounded(inner.boxed()).await?))
    }

    /// Runs statements in one transaction, which is given up unless each that is required changes
    /// a row. `before_commit` is called when only the commit is left to do.
    pub async fn write(
        &self,
        statements: Vec<Statement>,
        before_commit: fn(),
    ) -> Result<Batched, StoreError> {
        if let Pools::Sqlite { writer, batches, .. } = &self.pools {
            let batches = batches.get_or_init(|| BatchWriter::spawn(self.which, writer.clone()));
            let began = Instant::now();
            let written = batches.write(statements, before_commit).await;
            self.statement_times.observe(began.elapsed().as_secs_f64());
            return written;
        }
        let mut tx = self.begin().await?;
        let mut rows = Vec::with_capacity(statements.len());
        for Statement { sql, values, .. } in &statements {
            rows.push(tx.execute(sql, values.clone()).await?.rows);
            if let Some(place) = refusal(&statements, &rows) {
                tx.rollback().await?;
                return Ok(Batched::Refused(place));
            }
        }
        before_commit();
        tx.commit_unannounced().await?;
        Ok(Batched::Written(rows))
    }

    /// Tells those who wait for [`commits`](Database::commits) that something was written.
    pub fn announce(&self) {
        self.commits.send_modify(|count| *count += 1);
    }

    /// Begins a transaction that only reads, and sees the database as it is now whatever others
    /// write meanwhile.
    pub async fn begin_snapshot(&self) -> Result<Transaction<'_>, StoreError> {
        let inner = async {
            Ok(match &self.pools {
                // Its first SELECT decides what it sees.
                Pools::Sqlite { reader, .. } => EngineTransaction::Sqlite(reader.begin().await?),
                Pools::MySql(servers) => EngineTransaction::MySql(
                    servers
                        .pool()
                        .await?
                        .begin_with(
                            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
                             START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                        )
                        .await?,
                ),
            })
        };
        Ok(Transaction::new(self, self.bounded(inner.boxed()).await?))
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

    /// Limits how long a call takes: a server that accepts connections and then says nothing must
    /// not hold its callers for ever. A file answers or fails by itself.
    ///
    /// Boxed, because what a driver keeps while it waits is large, and would be part of everything
    /// that waits for it in turn.
    pub(super) async fn bounded<T>(
        &self,
        call: BoxFuture<'_, Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let which = self.which;
        let began = Instant::now();
        let servers = match &self.pools {
            Pools::Sqlite { .. } => None,
            Pools::MySql(servers) => Some(servers),
        };
        let result = match servers {
            None => call.await.map_err(|e| StoreError::from_sqlx(which, &e)),
            Some(_) => match tokio::time::timeout(STATEMENT_TIMEOUT, call).await {
                Ok(result) => result.map_err(|e| StoreError::from_sqlx(which, &e)),
                Err(_) => {
                    let reason = format!("no answer within {} s", STATEMENT_TIMEOUT.as_secs());
                    Err(StoreError::Unavailable { which, reason })
                }
            },
        };
        self.statement_times.observe(began.elapsed().as_secs_f64());
        if let (Some(servers), Err(error)) = (servers, &result)
            && matches!(error, StoreError::Unavailable { .. } | StoreError::ReadOnly { .. })
        {
            servers.doubt();
        }
        result
    }

    /// Returns how to connect to the server that takes writes; `None` for a file.
    pub fn writer_options(&self) -> Option<MySqlConnectOptions> {
        match &self.pools {
            Pools::Sqlite { .. } => None,
            Pools::MySql(servers) => Some(servers.writer_options()),
        }
    }
}

fn only_reading(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.pragma("query_only", "ON")
}
