//! The whole state as rows, for backups: read as it was at one moment while others write, and
//! written into an empty database of either engine.

use super::super::database::Transaction;
use super::super::engine::{Engine, placeholders};
use super::super::error::StoreError;
use super::super::row::{Value, params};
use super::StateStore;
use super::migrations::SCHEMA_VERSION;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kabari_domain::{DeliveryEvent, DeliveryState, Progress, Timestamp, wording};
use kabari_gateway::embedded::RATCHETS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows read and written at once.
const CHUNK: usize = 500;
/// By how much the epochs of what is restored rise: further than any node can have come since the
/// backup, so that what one writes that still runs on this database is refused.
const EPOCHS: i64 = 1_000_000;

/// A piece of a snapshot: a table is followed by its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// The rows that follow are this table's.
    Table {
        /// Its name.
        name: String,
        /// Its columns, in the order of each row's cells.
        columns: Vec<String>,
    },
    /// A row.
    Row(Vec<Cell>),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes, in base64.
    Bytes {
        /// The base64.
        base64: String,
    },
    /// Nothing.
    Null,
}

/// What has become of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Campaigns that were restored.
    pub campaigns: u64,
    /// Deliveries that were restored,
    pub deliveries: u64,
    /// and those of them that nobody knows about.
    pub uncertain: u64,
}

impl StateStore {
    /// The version of the schema that this program has.
    pub const SCHEMA_VERSION: usize = SCHEMA_VERSION;

    /// Reads everything as it is now, piece by piece.
    pub async fn snapshot<E: From<StoreError>>(
        &self,
        mut write: impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.db().snapshot().await?;
        for table in tables(&mut tx).await? {
            let columns = columns(&mut tx, &table).await?;
            let keys: Vec<&str> =
                columns.iter().filter(|c| c.is_key).map(|c| c.name.as_str()).collect();
            let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            write(Piece::Table { name: table.clone(), columns: names.clone() })?;
            let list = names.join(", ");
            let order = keys.join(", ");
            let mut after: Option<Vec<Value>> = None;
            loop {
                let (condition, values) = match after.take() {
                    Some(last) => {
                        (format!("WHERE ({order}) > ({})", placeholders(last.len())), last)
                    }
                    None => (String::new(), vec![]),
                };
                let sql = format!(
                    "SELECT {list} FROM {table} {condition} ORDER BY {order} LIMIT {CHUNK}"
                );
                let rows = tx.rows(&sql, values).await?;
                for row in &rows {
                    let values = row.values()?;
                    let cells = values.into_iter().map(Cell::of).collect();
                    write(Piece::Row(cells))?;
                }
                let Some(last) = rows.last().filter(|_| rows.len() == CHUNK) else { break };
                let key_of = |(at, _): (usize, &Column)| last.value(at);
                let key =
                    columns.iter().enumerate().filter(|(_, column)| column.is_key).map(key_of);
                after = Some(key.collect::<Result<_, _>>()?);
            }
        }
        tx.rollback().await?;
        Ok(())
    }

    /// Writes a snapshot into this database, which must have no campaign and no WhatsApp session.
    ///
    /// Whoever was sending when it was made may have sent on since: what was open then is
    /// `uncertain` unless `nothing_sent_since`. The ratchets of WhatsApp sessions are left out, so
    /// that no key of theirs is used a second time; they are agreed on anew.
    pub async fn restore<E: From<StoreError>>(
        &self,
        mut next: impl FnMut() -> Result<Option<Piece>, E>,
        nothing_sent_since: bool,
    ) -> Result<Restored, E> {
        let mut restored = Restored::default();
        let mut tx = self.db().begin().await?;
        for table in ["campaigns", "session_entries"] {
            let sql = format!("SELECT 1 AS found FROM {table} LIMIT 1");
            if tx.row(&sql, vec![]).await?.is_some() {
                return Err(StoreError::Conflict("there is something in this database").into());
            }
        }
        let known = tables(&mut tx).await?;
        for table in &known {
            tx.execute(&format!("DELETE FROM {table}"), vec![]).await?;
        }
        let mut open: Option<Open> = None;
        while let Some(piece) = next()? {
            match piece {
                Piece::Table { name, columns } => {
                    if let Some(done) = open.take() {
                        done.write(&mut tx).await?;
                    }
                    // They become part of statements.
                    let theirs = self::columns(&mut tx, &name).await?;
                    let fits = known.contains(&name)
                        && columns.iter().all(|one| theirs.iter().any(|known| known.name == *one));
                    if !fits {
                        return Err(StoreError::Conflict("the backup is damaged").into());
                    }
                    open = Some(Open { table: name, columns, rows: vec![] });
                }
                Piece::Row(cells) => {
                    let damaged = || StoreError::Conflict("the backup is damaged");
                    let table = open.as_mut().ok_or_else(damaged)?;
                    if cells.len() != table.columns.len() {
                        return Err(damaged().into());
                    }
                    let mut row: BTreeMap<&str, Cell> =
                        table.columns.iter().map(String::as_str).zip(cells).collect();
                    if !adapt(&table.table, &mut row, nothing_sent_since, &mut restored)? {
                        continue;
                    }
                    let values = table.columns.iter().map(|column| row[column.as_str()].value());
                    let values = values.collect::<Result<Vec<_>, _>>()?;
                    table.rows.push(values);
                    if table.rows.len() == CHUNK {
                        table.flush(&mut tx).await?;
                    }
                }
            }
        }
        if let Some(done) = open {
            done.write(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(restored)
    }
}

/// A table that rows are written into.
struct Open {
    table: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Open {
    async fn flush(&mut self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let row = format!("({})", placeholders(self.columns.len()));
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table,
            self.columns.join(", "),
            vec![row; rows.len()].join(", ")
        );
        tx.execute(&sql, rows.into_iter().flatten().collect()).await?;
        Ok(())
    }

    async fn write(mut self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        self.flush(tx).await
    }
}

/// Makes a row one of this machine, which holds nothing yet. Returns whether it is restored at all.
fn adapt(
    table: &str,
    row: &mut BTreeMap<&str, Cell>,
    nothing_sent_since: bool,
    restored: &mut Restored,
) -> Result<bool, StoreError> {
    match table {
        "campaigns" => restored.campaigns += 1,
        "sessions" => let_go(row, Cell::Integer(0)),
        "node_tasks" => {
            row.insert("owner", Cell::Null);
            row.insert("lease_until", Cell::Integer(0));
        }
        "session_entries" => {
            let ratchet = |name| row.get("collection") == Some(&Cell::Text(String::from(name)));
            return Ok(!RATCHETS.into_iter().any(ratchet));
        }
        "deliveries" => {
            restored.deliveries += 1;
            if nothing_sent_since {
                return Ok(true);
            }
            let before = progress(row).ok_or(StoreError::Conflict("the backup is damaged"))?;
            if before.state.is_open() {
                let after = sent_unanswered(before)?;
                restored.uncertain += 1;
                row.insert("state", Cell::Text(after.state.as_str().to_owned()));
                row.insert("attempts", Cell::Integer(after.attempts.into()));
                row.insert("unanswered", Cell::Integer(after.unanswered.into()));
                row.insert("error", Cell::Text(wording::UNCERTAIN.to_owned()));
                let_go(row, Cell::Null);
            }
        }
        _ => {}
    }
    Ok(true)
}

fn let_go(row: &mut BTreeMap<&str, Cell>, lease_until: Cell) {
    row.insert("owner", Cell::Null);
    row.insert("lease_until", lease_until);
    if let Some(Cell::Integer(epoch)) = row.get_mut("epoch") {
        *epoch += EPOCHS;
    }
}

fn progress(row: &BTreeMap<&str, Cell>) -> Option<Progress> {
    let number = |column| match row.get(column) {
        Some(Cell::Integer(number)) => u32::try_from(*number).ok(),
        _ => None,
    };
    let Some(Cell::Text(state)) = row.get("state") else { return None };
    Some(Progress {
        state: DeliveryState::from_name(state)?,
        attempts: number("attempts")?,
        unanswered: number("unanswered")?,
        due_at: Timestamp(0),
    })
}

/// Where an open delivery is that may have been sent once more without an answer.
fn sent_unanswered(mut at: Progress) -> Result<Progress, StoreError> {
    for event in [DeliveryEvent::Lease, DeliveryEvent::Begin, DeliveryEvent::AnswerLost] {
        // Some are further on the way already.
        at = at.after(event).unwrap_or(at);
    }
    match at.state {
        DeliveryState::Uncertain => Ok(at),
        _ => Err(StoreError::Conflict("the backup is damaged")),
    }
}

impl Cell {
    fn of(value: Value) -> Cell {
        match value {
            Value::Integer(Some(number)) => Cell::Integer(number),
            Value::Text(Some(text)) => Cell::Text(text),
            Value::Bytes(bytes) => Cell::Bytes { base64: BASE64_STANDARD.encode(bytes) },
            Value::Integer(None) | Value::Text(None) => Cell::Null,
        }
    }

    fn value(&self) -> Result<Value, StoreError> {
        Ok(match self {
            Cell::Integer(number) => Value::from(*number),
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Bytes { base64 } => {
                let bytes = BASE64_STANDARD.decode(base64);
                Value::from(bytes.map_err(|_| StoreError::Conflict("the backup is damaged"))?)
            }
            Cell::Null => Value::Integer(None),
        })
    }
}

/// A column of a table.
struct Column {
    name: String,
    is_key: bool,
}

/// All tables but those that the migrations keep for themselves.
async fn tables(tx: &mut Transaction<'_>) -> Result<Vec<String>, StoreError> {
    let sql = match tx.engine() {
        Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        Engine::MySql => {
            "SELECT table_name AS name FROM information_schema.tables \
             WHERE table_schema = DATABASE() ORDER BY table_name"
        }
    };
    let rows = tx.rows(sql, vec![]).await?;
    let names = rows.iter().map(|row| row.get("name")).collect::<Result<Vec<String>, _>>()?;
    let internal = |name: &String| {
        ["sqlite_", "_sqlx_", "seaql_"].iter().any(|prefix| name.starts_with(prefix))
    };
    Ok(names.into_iter().filter(|name| !internal(name)).collect())
}

async fn columns(tx: &mut Transaction<'_>, table: &str) -> Result<Vec<Column>, StoreError> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "SELECT name, CASE WHEN pk > 0 THEN 1 ELSE 0 END AS is_key FROM pragma_table_info(?) \
             ORDER BY cid"
        }
        Engine::MySql => {
            "SELECT column_name AS name, CASE WHEN column_key = 'PRI' THEN 1 ELSE 0 END AS is_key \
             FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position"
        }
    };
    let rows = tx.rows(sql, params![table]).await?;
    let column = |row: &super::super::row::Row| {
        Ok(Column { name: row.get("name")?, is_key: row.get("is_key")? })
    };
    rows.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_open_is_uncertain() {
        for state in DeliveryState::OPEN {
            for (attempts, unanswered) in [(0, 0), (1, 0), (2, 1)] {
                let before = Progress { state, attempts, unanswered, due_at: Timestamp(0) };
                let after = sent_unanswered(before).unwrap();
                assert_eq!(after.state, DeliveryState::Uncertain, "{before:?}");
                assert!(after.may_have_arrived() && after.attempts > 0, "{before:?}");
            }
        }
    }

    #[test]
    fn a_cell_is_read_as_it_was_written() {
        for value in [
            Value::from(-7),
            Value::from("{\"base64\": \"no\"}"),
            Value::from(vec![0, 255]),
            Value::Text(None),
        ] {
            let cell = Cell::of(value);
            let json = serde_json::to_string(&cell).unwrap();
            let read: Cell = serde_json::from_str(&json).unwrap();
            assert_eq!(read, cell, "{json}");
        }
    }
}
