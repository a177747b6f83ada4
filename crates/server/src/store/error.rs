//! What can go wrong with a database, and what the operator should do about it.

use kabari_domain::campaign;
use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use std::fmt;

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The provider's own tables, read only.
    Billing,
    /// Campaigns, deliveries, senders.
    State,
}

impl Which {
    fn settings(self) -> &'static str {
        match self {
            Which::Billing => "DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME and DB_PASSWORD",
            Which::State => "STATE_DATABASE_URL, or DATA_DIR without it,",
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Which::Billing => "billing",
            Which::State => "state",
        })
    }
}

/// A part of the schema that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A whole table.
    Table(String),
    /// One column; the table is empty where the server does not say which.
    Column {
        /// Where it should be.
        table: String,
        column: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Table(table) => write!(f, "table `{table}`"),
            Missing::Column { table, column } if table.is_empty() => write!(f, "column `{column}`"),
            Missing::Column { table, column } => write!(f, "column `{table}.{column}`"),
        }
    }
}

/// Why a database did not do what was asked. Nothing of the operation has been kept, except
/// after [`Unavailable`](StoreError::Unavailable): then a commit may have gone through.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke; trying again later may help.
    #[error("the {which} database cannot be reached ({reason}); check that it runs and that {} are right", which.settings())]
    Unavailable {
        which: Which,
        /// What the connection said.
        reason: String,
    },
    /// The server is there but refuses this account.
    #[error("the {which} database refuses access ({reason}); check {} and the account's grants", which.settings())]
    Denied {
        which: Which,
        /// What the server said.
        reason: String,
    },
    /// Tables or columns that are not there.
    #[error("the {which} database lacks {}; check that {} name the right database", list(missing), which.settings())]
    Missing { which: Which, missing: Vec<Missing> },
    #[error("the disk of the {which} database is full; free some space, then it goes on by itself")]
    Full { which: Which },
    /// It can be read but not written.
    #[error(
        "the {which} database is read-only; make it writable for kabari (file permissions, read_only), then it goes on by itself"
    )]
    ReadOnly { which: Which },
    /// Others held the rows for longer than the bounded retries last; trying again may help.
    #[error(
        "the {which} database is too busy: locks were held by others through every retry; try again"
    )]
    Busy { which: Which },
    /// A newer kabari has changed the schema.
    #[error(
        "the state database was made ready by a newer kabari (step {version} of its schema); start that version, or a newer one"
    )]
    NewerSchema {
        /// The step this version does not know.
        version: i64,
    },
    /// A backup can only be restored where nothing is.
    #[error(
        "the {which} database is not empty, and nothing was restored: restore into a new DATA_DIR, and into a new database where STATE_DATABASE_URL is set"
    )]
    NotEmpty { which: Which },
    /// A WhatsApp session was stored with another key.
    #[error(
        "the WhatsApp sessions in the state database were stored with another key; set SESSION_KEY to that one, which is the same on every node, or bring the file session.key in DATA_DIR back"
    )]
    WrongSessionKey,
    /// A WhatsApp session of an earlier kabari cannot be taken over.
    #[error(
        "the WhatsApp session in {file} cannot be read ({reason}); check its owner and mode, or move it away to link the phone anew"
    )]
    LegacySession {
        file: String,
        /// What the driver said.
        reason: String,
    },
    /// What was asked contradicts what is stored.
    #[error("{0}")]
    Conflict(&'static str),
    /// The campaign's time has run out: nothing of it goes out any more.
    #[error("the campaign has expired; make a new one")]
    Expired,
    /// The campaign is in a state where this means nothing.
    #[error(transparent)]
    NotAllowed(#[from] campaign::CampaignTransitionError),
    /// No campaign or delivery has this id.
    #[error("there is no {what} {id}")]
    NotFound {
        /// `campaign` or `delivery`.
        what: &'static str,
        id: i64,
    },
    /// Reading the recipients failed while they were being recorded; nothing was recorded.
    #[error("the recipients could not be read: {0}")]
    Recipients(Box<StoreError>),
    /// Anything else: a fault in kabari or a damaged database.
    #[error("the {which} database failed: {reason}")]
    Failed {
        which: Which,
        /// What it said.
        reason: String,
    },
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(Missing::to_string).collect::<Vec<_>>().join(", ")
}

impl StoreError {
    /// Returns a stored value that this version does not understand.
    pub(super) fn unreadable(which: Which, column: &str) -> StoreError {
        let reason = format!("column `{column}` holds a value this version does not know");
        StoreError::Failed { which, reason }
    }

    /// Sorts what the driver said.
    pub(super) fn from_sqlx(which: Which, error: &sqlx::Error) -> StoreError {
        use sqlx::Error::*;
        match error {
            Database(e) => match e.try_downcast_ref::<MySqlDatabaseError>() {
                Some(mysql) => from_mysql(which, mysql),
                None => from_sqlite(which, e.as_ref()),
            },
            Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed => {
                StoreError::Unavailable { which, reason: error.to_string() }
            }
            _ => StoreError::Failed { which, reason: error.to_string() },
        }
    }
}

/// Sorts by error number; see the server's list of error codes.
fn from_mysql(which: Which, error: &MySqlDatabaseError) -> StoreError {
    let reason = || error.message().to_owned();
    match error.number() {
        1213 | 1205 | 1020 => StoreError::Busy { which },
        // Too many connections, shutting down, connection killed, query interrupted, gone, lost.
        // Then: a Galera node without the others, and a commit that was neither refused nor done.
        1040 | 1053 | 1927 | 1317 | 1152 | 1184 | 2006 | 2013 | 3168 | 4031 | 1047 | 1180 => {
            StoreError::Unavailable { which, reason: reason() }
        }
        1044 | 1045 | 1049 | 1142 | 1143 | 1227 | 1698 => {
            StoreError::Denied { which, reason: reason() }
        }
        1146 => missing(which, Missing::Table(unqualified(quoted(error.message())))),
        1054 => {
            let column = unqualified(quoted(error.message()));
            missing(which, Missing::Column { table: String::new(), column })
        }
        1021 | 1114 => StoreError::Full { which },
        1036 | 1290 | 1792 | 1836 => StoreError::ReadOnly { which },
        // The message would quote the value, which may be a phone number.
        1062 => StoreError::Conflict(DUPLICATE),
        1048 => StoreError::Conflict(ABSENT),
        1292 | 1366 | 1406 => StoreError::Failed {
            which,
            reason: format!("a value does not fit its column (error {})", error.number()),
        },
        number => StoreError::Failed { which, reason: format!("{} (error {number})", reason()) },
    }
}

const DUPLICATE: &str = "a row with the same unique key is already there";
const ABSENT: &str = "a row that this one belongs to is not there";

/// Sorts by result code; see <https://sqlite.org/rescode.html>. The low byte is the primary code.
fn from_sqlite(which: Which, error: &dyn DatabaseError) -> StoreError {
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(1);
    let message = error.message();
    match (code, code & 0xff) {
        (_, 5 | 6) => StoreError::Busy { which },
        (_, 8) => StoreError::ReadOnly { which },
        (_, 13) => StoreError::Full { which },
        (_, 10 | 14) => StoreError::Unavailable { which, reason: message.to_owned() },
        (1555 | 2067, _) => StoreError::Conflict(DUPLICATE),
        (1299, _) => StoreError::Conflict(ABSENT),
        _ => {
            if let Some(table) = message.strip_prefix("no such table: ") {
                missing(which, Missing::Table(unqualified(table)))
            } else if let Some(column) = message.strip_prefix("no such column: ") {
                let column = unqualified(column);
                missing(which, Missing::Column { table: String::new(), column })
            } else {
                StoreError::Failed { which, reason: format!("{message} (code {code})") }
            }
        }
    }
}

fn missing(which: Which, missing: Missing) -> StoreError {
    StoreError::Missing { which, missing: vec![missing] }
}

/// Returns what stands between the first pair of single quotes.
fn quoted(message: &str) -> &str {
    message.split('\'').nth(1).unwrap_or(message)
}

/// Returns `campaigns` for `kabari.campaigns`.
fn unqualified(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection, SqliteConnection};

    /// Returns what SQLite says to the last of these statements.
    async fn refused(statements: &[&'static str]) -> StoreError {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let (last, first) = statements.split_last().unwrap();
        for statement in first {
            sqlx::raw_sql(*statement).execute(&mut connection).await.unwrap();
        }
        let error = sqlx::raw_sql(*last).execute(&mut connection).await.unwrap_err();
        StoreError::from_sqlx(Which::State, &error)
    }

    #[tokio::test]
    async fn a_full_disk_is_told_from_a_read_only_one() {
        let table = "CREATE TABLE t (a TEXT UNIQUE)";
        let large = "INSERT INTO t VALUES (randomblob(100000))";
        let full = refused(&[table, "PRAGMA max_page_count = 4", large]).await;
        assert!(matches!(full, StoreError::Full { which: Which::State }), "{full:?}");
        let read_only = refused(&[table, "PRAGMA query_only = ON", large]).await;
        assert!(matches!(read_only, StoreError::ReadOnly { .. }), "{read_only:?}");
    }

    #[tokio::test]
    async fn a_repeated_key_does_not_show_its_value() {
        let table = "CREATE TABLE t (a TEXT UNIQUE)";
        let insert = "INSERT INTO t VALUES ('6281234567801')";
        let error = refused(&[table, insert, insert]).await;
        assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("62812"));
    }

    #[tokio::test]
    async fn a_missing_table_or_column_is_named() {
        let error = refused(&["SELECT 1 FROM campaigns"]).await;
        assert!(error.to_string().contains("lacks table `campaigns`"), "{error}");
        let error = refused(&["CREATE TABLE t (a INT)", "SELECT t.total FROM t"]).await;
        assert!(error.to_string().contains("lacks column `total`"), "{error}");
    }
}
