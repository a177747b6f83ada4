//! Rows without an engine, for backups: a database is read as it was at one moment, while others
//! write, and its rows are written into another one, of either engine.

use super::database::Database;
use super::error::StoreError;
use super::lists::placeholders;
use super::row::{Row, Value};
use super::transaction::Transaction;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::slice::Iter;

/// Rows that one statement reads or writes.
const ROWS: usize = 200;
/// Bytes after which a statement ends that writes rows: servers take 16 MiB.
const STATEMENT_BYTES: usize = 1024 * 1024;

/// A table that a backup has.
pub(super) struct Table {
    pub name: &'static str,
    /// `*`, or those that are kept.
    pub columns: &'static str,
    /// Its primary key.
    pub key: &'static [&'static str],
}

/// Some rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// The table's name.
    pub table: String,
    /// The columns, in the order of each row's cells.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    Integer(i64),
    Text(String),
    Bytes { base64: String },
    Null,
}

/// Reads a database as it was when this began.
pub struct Snapshot<'d> {
    tx: Transaction<'d>,
    tables: Iter<'static, Table>,
    /// The table being read, and the key of the last row read.
    at: Option<(&'static Table, Vec<Value>)>,
}

impl<'d> Snapshot<'d> {
    pub(super) async fn begin(
        database: &'d Database,
        tables: &'static [Table],
    ) -> Result<Snapshot<'d>, StoreError> {
        Ok(Snapshot { tx: database.begin_snapshot().await?, tables: tables.iter(), at: None })
    }

    /// Returns the next rows, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<TablePart>, StoreError> {
        loop {
            let (table, after) = match self.at.take() {
                Some(at) => at,
                None => match self.tables.next() {
                    Some(table) => (table, vec![]),
                    None => return Ok(None),
                },
            };
            let rows = page(&mut self.tx, table, after).await?;
            let Some(last) = rows.last() else { continue };
            let columns = last.column_names();
            if rows.len() == ROWS {
                let key = table.key.iter().map(|column| last.value(column));
                self.at = Some((table, key.collect::<Result<_, _>>()?));
            }
            let cells = |row: &Row| {
                let cells = columns.iter().map(|column| row.value(column).map(Cell::from));
                cells.collect::<Result<Vec<_>, _>>()
            };
            let rows = rows.iter().map(cells).collect::<Result<_, _>>()?;
            return Ok(Some(TablePart { table: table.name.to_owned(), columns, rows }));
        }
    }
}

/// Reads the rows that follow the one with this key; without one, the first.
async fn page(
    tx: &mut Transaction<'_>,
    table: &Table,
    after: Vec<Value>,
) -> Result<Vec<Row>, StoreError> {
    let Table { name, columns, key } = table;
    let (mut follows, mut values) = (vec![], vec![]);
    // Not as `(a, b) > (?, ?)`: servers would read the whole index for each page.
    for (at, value) in after.iter().enumerate() {
        let same: String = key[..at].iter().map(|column| format!("{column} = ? AND ")).collect();
        follows.push(format!("({same}{} > ?)", key[at]));
        values.extend(after[..at].iter().chain([value]).cloned());
    }
    let condition = match follows.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", follows.join(" OR ")),
    };
    let order = key.join(", ");
    let sql = format!("SELECT {columns} FROM {name} {condition} ORDER BY {order} LIMIT {ROWS}");
    tx.rows(&sql, values).await
}

/// Writes rows into a database that has none.
pub(super) struct Restore<'d> {
    tx: Transaction<'d>,
    tables: &'static [Table],
}

impl<'d> Restore<'d> {
    /// Begins, if none of these tables has a row.
    pub async fn begin(
        database: &'d Database,
        tables: &'static [Table],
    ) -> Result<Restore<'d>, StoreError> {
        let mut tx = database.begin().await?;
        for table in tables {
            let sql = format!("SELECT 1 AS found FROM {} LIMIT 1", table.name);
            match tx.row(&sql, vec![]).await {
                Ok(None) => {}
                Ok(Some(_)) => return Err(StoreError::NotEmpty { which: database.which() }),
                // The schema is that of an older backup, which has no such table.
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Restore { tx, tables })
    }

    pub async fn write(&mut self, part: &TablePart) -> Result<(), StoreError> {
        // Names become part of statements.
        let is_name = |name: &String| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !self.tables.iter().any(|table| table.name == part.table)
            || !part.columns.iter().all(is_name)
            || part.rows.iter().any(|row| row.len() != part.columns.len())
        {
            return Err(DAMAGED);
        }
        let mut rows = vec![];
        let mut bytes = 0;
        for row in &part.rows {
            let row = row.iter().map(Value::try_from).collect::<Result<Vec<_>, _>>()?;
            bytes += row.iter().map(Value::bytes).sum::<usize>();
            rows.push(row);
            if bytes >= STATEMENT_BYTES || rows.len() == ROWS {
                self.insert(part, std::mem::take(&mut rows)).await?;
                bytes = 0;
            }
        }
        if !rows.is_empty() {
            self.insert(part, rows).await?;
        }
        Ok(())
    }

    async fn insert(&mut self, part: &TablePart, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let row = format!("({})", placeholders(part.columns.len()));
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            part.table,
            part.columns.join(", "),
            vec![row; rows.len()].join(", ")
        );
        self.tx.execute(&sql, rows.into_iter().flatten().collect()).await?;
        Ok(())
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}

/// What is said of rows that no backup has.
pub(super) const DAMAGED: StoreError =
    StoreError::Conflict("the backup has rows that do not belong there: take another backup");

impl From<Value> for Cell {
    fn from(value: Value) -> Cell {
        match value {
            Value::Integer(Some(number)) => Cell::Integer(number),
            Value::Text(Some(text)) => Cell::Text(text),
            Value::Bytes(bytes) => Cell::Bytes { base64: BASE64_STANDARD.encode(bytes) },
            Value::Integer(None) | Value::Text(None) => Cell::Null,
        }
    }
}

impl TryFrom<&Cell> for Value {
    type Error = StoreError;

    fn try_from(cell: &Cell) -> Result<Value, StoreError> {
        Ok(match cell {
            Cell::Integer(number) => Value::from(*number),
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Bytes { base64 } => {
                Value::from(BASE64_STANDARD.decode(base64).map_err(|_| DAMAGED)?)
            }
            Cell::Null => Value::Integer(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_it_was_written() {
        for value in [
            Value::from(-7),
            Value::from("{\"base64\": \"AA==\"}"),
            Value::from(vec![0, 255]),
            Value::Text(None),
        ] {
            let cell = Cell::from(value);
            let json = serde_json::to_string(&cell).unwrap();
            let read: Cell = serde_json::from_str(&json).unwrap();
            assert_eq!(read, cell, "{json}");
            assert_eq!(Cell::from(Value::try_from(&read).unwrap()), cell);
        }
    }
}
