//! Statements that are written together: all of them, in one transaction, or none.
//!
//! Nothing of a batch is decided between its statements, so it costs few turns with the database.
//! On SQLite one task writes the batches of the whole process: those that come in while it commits
//! share the next commit, and so one write to the disk.

use super::error::{StoreError, Which};
use super::row::Value;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqlitePool};
use sqlx::{AssertSqlSafe, Either, Executor, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

/// The most batches that share a commit: the first of them waits for all.
const BATCHES_PER_COMMIT: usize = 64;

/// One statement of a batch.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub sql: String,
    pub values: Vec<Value>,
    /// Whether nothing of the batch is written unless this changes a row.
    pub required: bool,
}

impl Statement {
    pub fn new(sql: impl Into<String>, values: Vec<Value>) -> Statement {
        Statement { sql: sql.into(), values, required: false }
    }

    pub fn required(sql: impl Into<String>, values: Vec<Value>) -> Statement {
        Statement { sql: sql.into(), values, required: true }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Batched {
    /// It is written: how many rows each statement has changed.
    Written(Vec<u64>),
    /// Nothing is written: the required statement in this place changed no row.
    Refused(usize),
}

/// Returns the place of the first required statement that changed no row.
pub(super) fn refusal(statements: &[Statement], rows: &[u64]) -> Option<usize> {
    statements.iter().zip(rows).position(|(statement, rows)| statement.required && *rows == 0)
}

/// The task that writes batches to an SQLite file. It ends with the last of these.
#[derive(Debug, Clone)]
pub(super) struct BatchWriter(mpsc::UnboundedSender<Job>);

/// A batch, and who waits for it.
#[derive(Debug)]
struct Job {
    statements: Vec<Statement>,
    before_commit: fn(),
    answer: oneshot::Sender<Result<Batched, StoreError>>,
}

impl BatchWriter {
    /// Starts the task, which writes on connections of this pool.
    pub fn spawn(which: Which, writer: SqlitePool) -> BatchWriter {
        let (jobs, queue) = mpsc::unbounded_channel();
        tokio::spawn(write_all(which, writer, queue));
        BatchWriter(jobs)
    }

    /// Writes a batch. `before_commit` is called when all of it is done except for the commit.
    pub async fn write(
        &self,
        statements: Vec<Statement>,
        before_commit: fn(),
    ) -> Result<Batched, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::from_sqlx(Which::State, &sqlx::Error::PoolClosed);
        self.0.send(Job { statements, before_commit, answer }).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn write_all(which: Which, writer: SqlitePool, mut queue: mpsc::UnboundedReceiver<Job>) {
    let mut group = Vec::with_capacity(BATCHES_PER_COMMIT);
    while queue.recv_many(&mut group, BATCHES_PER_COMMIT).await > 0 {
        let written = match writer.acquire().await {
            Ok(mut connection) => {
                let written = write_group(which, &mut connection, &group).await;
                if written.is_err() && connection.execute("ROLLBACK").await.is_err() {
                    // Nobody shall go on in whatever state it is in.
                    connection.close_on_drop();
                }
                written
            }
            Err(error) => Err(error),
        };
        // Whoever gave up waiting needs no answer.
        match written {
            Ok(outcomes) => group.drain(..).zip(outcomes).for_each(|(job, outcome)| {
                let _ = job.answer.send(outcome);
            }),
            Err(error) => group.drain(..).for_each(|job| {
                let _ = job.answer.send(Err(StoreError::from_sqlx(which, &error)));
            }),
        }
    }
}

/// Writes batches in one transaction. A batch that fails is left out; an error is that of the
/// transaction, and then nothing is written.
async fn write_group(
    which: Which,
    connection: &mut SqliteConnection,
    group: &[Job],
) -> Result<Vec<Result<Batched, StoreError>>, sqlx::Error> {
    let mut outcomes = Vec::with_capacity(group.len());
    let mut begin = "BEGIN IMMEDIATE; ";
    for job in group {
        let ran = run(connection, begin, &job.statements).await;
        begin = "";
        let refused = match &ran {
            Ok(rows) => refusal(&job.statements, rows),
            Err(_) => None,
        };
        if (ran.is_err() || refused.is_some())
            && let Err(error) = connection.execute("ROLLBACK TO batch").await
        {
            // There was no transaction to begin with, or the first error has ended it.
            return Err(ran.err().unwrap_or(error));
        }
        outcomes.push(match (ran, refused) {
            (Ok(_), Some(place)) => Ok(Batched::Refused(place)),
            (Ok(rows), None) => Ok(Batched::Written(rows)),
            (Err(error), _) => Err(StoreError::from_sqlx(which, &error)),
        });
    }
    group.iter().for_each(|job| (job.before_commit)());
    connection.execute("COMMIT").await?;
    Ok(outcomes)
}

/// Runs the statements of a batch in one turn, after a savepoint, and returns how many rows each
/// has changed. Savepoints end with the transaction.
async fn run(
    connection: &mut SqliteConnection,
    begin: &str,
    statements: &[Statement],
) -> Result<Vec<u64>, sqlx::Error> {
    let mut sql = format!("{begin}SAVEPOINT batch");
    let before = sql.matches(';').count() + 1;
    let mut values = Vec::new();
    for statement in statements {
        sql.push_str("; ");
        sql.push_str(&statement.sql);
        values.extend(statement.values.iter().cloned());
    }
    let query = sqlx::query_with(AssertSqlSafe(sql), Value::arguments::<SqliteArguments>(values)?);
    let done = connection.fetch_many(query).try_filter_map(|done| {
        std::future::ready(Ok(match done {
            Either::Left(done) => Some(done.rows_affected()),
            Either::Right(_) => None,
        }))
    });
    let mut rows: Vec<u64> = done.try_collect().await?;
    Ok(rows.split_off(before))
}
