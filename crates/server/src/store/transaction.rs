//! Transactions and connections of either engine.

use super::database::{Database, WriteResult};
use super::engine::Engine;
use super::error::{StoreError, Which};
use super::row::{Row, Value};
use futures_util::FutureExt;
use sqlx::mysql::{MySql, MySqlArguments};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, MySqlConnection, SqliteConnection};

/// A transaction in progress.
pub(super) struct Transaction<'d> {
    database: &'d Database,
    inner: EngineTransaction,
    wrote: bool,
}

pub(super) enum EngineTransaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    MySql(sqlx::Transaction<'static, MySql>),
}

impl EngineTransaction {
    fn connection(&mut self) -> EngineConnection<'_> {
        match self {
            EngineTransaction::Sqlite(inner) => EngineConnection::Sqlite(&mut *inner),
            EngineTransaction::MySql(inner) => EngineConnection::MySql(&mut *inner),
        }
    }
}

impl<'d> Transaction<'d> {
    pub fn new(database: &'d Database, inner: EngineTransaction) -> Transaction<'d> {
        Transaction { database, inner, wrote: false }
    }

    pub fn engine(&self) -> Engine {
        self.database.engine()
    }

    pub fn which(&self) -> Which {
        self.database.which()
    }

    pub async fn rows(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let rows = self.inner.connection().rows(self.database.which(), sql, values);
        self.database.bounded(rows.boxed()).await
    }

    pub async fn row(&mut self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    pub async fn execute(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<WriteResult, StoreError> {
        let execute = self.inner.connection().execute(sql, values);
        let written = self.database.bounded(execute.boxed()).await?;
        self.wrote |= written.rows > 0;
        Ok(written)
    }

    /// Commits what nobody waits for: [`Database::commits`] does not change.
    pub async fn commit_unannounced(self) -> Result<(), StoreError> {
        let commit = async {
            match self.inner {
                EngineTransaction::Sqlite(inner) => inner.commit().await,
                EngineTransaction::MySql(inner) => inner.commit().await,
            }
        };
        self.database.bounded(commit.boxed()).await
    }

    /// Gives up what was done, and lets go of the rows that were locked: without it that happens a
    /// moment after the transaction is dropped.
    pub async fn rollback(self) -> Result<(), StoreError> {
        let rollback = async {
            match self.inner {
                EngineTransaction::Sqlite(inner) => inner.rollback().await,
                EngineTransaction::MySql(inner) => inner.rollback().await,
            }
        };
        self.database.bounded(rollback.boxed()).await
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        let (database, wrote) = (self.database, self.wrote);
        self.commit_unannounced().await?;
        if wrote {
            database.announce();
        }
        Ok(())
    }
}

/// A connection of either engine, for one statement.
pub(super) enum EngineConnection<'c> {
    Sqlite(&'c mut SqliteConnection),
    MySql(&'c mut MySqlConnection),
}

impl EngineConnection<'_> {
    pub async fn rows(
        self,
        which: Which,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let sql = AssertSqlSafe(sql);
        Ok(match self {
            EngineConnection::Sqlite(connection) => {
                let query = sqlx::query_with(sql, Value::arguments::<SqliteArguments>(values)?);
                query
                    .fetch_all(connection)
                    .await?
                    .into_iter()
                    .map(|row| Row::sqlite(which, row))
                    .collect()
            }
            EngineConnection::MySql(connection) => {
                let query = sqlx::query_with(sql, Value::arguments::<MySqlArguments>(values)?);
                query
                    .fetch_all(connection)
                    .await?
                    .into_iter()
                    .map(|row| Row::my_sql(which, row))
                    .collect()
            }
        })
    }

    pub async fn execute(self, sql: &str, values: Vec<Value>) -> Result<WriteResult, sqlx::Error> {
        let sql = AssertSqlSafe(sql);
        Ok(match self {
            EngineConnection::Sqlite(connection) => {
                let query = sqlx::query_with(sql, Value::arguments::<SqliteArguments>(values)?);
                let done = query.execute(connection).await?;
                WriteResult { rows: done.rows_affected(), last_id: done.last_insert_rowid() }
            }
            EngineConnection::MySql(connection) => {
                let query = sqlx::query_with(sql, Value::arguments::<MySqlArguments>(values)?);
                let done = query.execute(connection).await?;
                let last_id = i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX);
                WriteResult { rows: done.rows_affected(), last_id }
            }
        })
    }
}
