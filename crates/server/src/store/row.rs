//! Values on their way into a statement, and rows on their way out of it.

use super::error::{StoreError, Which};
use kabari_domain::{MessageId, Phone, Timestamp};
use sqlx::mysql::{MySql, MySqlRow};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Arguments, Column as _, Decode, Encode, Row as _, Type};
use std::time::Duration;

/// A value for a `?` of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
}

/// Values for the `?` of a statement, in order.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::row::Value::from($value)),*] };
}
pub(super) use params;

impl Value {
    /// Returns all of them as one engine takes them.
    pub fn arguments<A>(values: Vec<Value>) -> Result<A, sqlx::Error>
    where
        A: Arguments,
        Option<i64>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
        Option<String>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
        Vec<u8>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
    {
        let mut arguments = A::default();
        for value in values {
            match value {
                Value::Integer(integer) => arguments.add(integer),
                Value::Text(text) => arguments.add(text),
                Value::Bytes(bytes) => arguments.add(bytes),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }

    /// Returns about how many bytes it takes in a statement.
    pub fn bytes(&self) -> usize {
        match self {
            Value::Integer(_) => size_of::<i64>(),
            Value::Text(text) => text.as_deref().unwrap_or_default().len(),
            Value::Bytes(bytes) => bytes.len(),
        }
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Value {
        Value::Integer(Some(integer))
    }
}

impl From<Option<i64>> for Value {
    fn from(integer: Option<i64>) -> Value {
        Value::Integer(integer)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Value {
        Value::Text(text.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Value {
        Value::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Bytes(bytes)
    }
}

/// One row of an answer.
pub(super) struct Row {
    which: Which,
    inner: Inner,
}

enum Inner {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
}

impl Row {
    pub fn sqlite(which: Which, row: SqliteRow) -> Row {
        Row { which, inner: Inner::Sqlite(row) }
    }

    pub fn my_sql(which: Which, row: MySqlRow) -> Row {
        Row { which, inner: Inner::MySql(row) }
    }

    /// Returns the column of this name.
    pub fn get<T: Stored>(&self, column: &str) -> Result<T, StoreError> {
        T::read(self, column)
    }

    /// Returns the names of its columns, in order.
    pub fn column_names(&self) -> Vec<String> {
        match &self.inner {
            Inner::Sqlite(row) => column_names(row),
            Inner::MySql(row) => column_names(row),
        }
    }

    /// Returns the column of this name as what it is in the database.
    pub fn value(&self, column: &str) -> Result<Value, StoreError> {
        match &self.inner {
            Inner::Sqlite(row) => value(row, column),
            Inner::MySql(row) => value(row, column),
        }
        .map_err(|e| StoreError::from_sqlx(self.which, &e))
    }

    fn decode<'r, T>(&'r self, column: &str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, MySql> + Type<MySql>,
    {
        match &self.inner {
            Inner::Sqlite(row) => row.try_get(column),
            Inner::MySql(row) => row.try_get(column),
        }
        .map_err(|e| StoreError::from_sqlx(self.which, &e))
    }

    /// Returns a stored word that must be one of those this version knows.
    pub fn parse<T>(
        &self,
        column: &str,
        from_name: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        from_name(&self.get::<String>(column)?)
            .ok_or_else(|| StoreError::unreadable(self.which, column))
    }
}

/// What a column can be read as.
pub(super) trait Stored: Sized {
    /// The columns it is made of: those of its field's name, unless it says otherwise.
    const COLUMNS: Option<&'static str> = None;

    fn read(row: &Row, column: &str) -> Result<Self, StoreError>;
}

/// Types that the drivers read.
macro_rules! decoded {
    ($($stored:ty),*) => {
        $(impl Stored for $stored {
            fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
                row.decode(column)
            }
        })*
    };
}
decoded!(i64, String, Vec<u8>);

impl<T: Stored> Stored for Option<T> {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        let null = match &row.inner {
            Inner::Sqlite(row) => is_null(row, column),
            Inner::MySql(row) => is_null(row, column),
        };
        match null.map_err(|e| StoreError::from_sqlx(row.which, &e))? {
            true => Ok(None),
            false => row.get(column).map(Some),
        }
    }
}

fn is_null<R>(row: &R, column: &str) -> Result<bool, sqlx::Error>
where
    R: sqlx::Row,
    for<'c> &'c str: sqlx::ColumnIndex<R>,
{
    use sqlx::ValueRef;
    Ok(row.try_get_raw(column)?.is_null())
}

fn column_names<R: sqlx::Row>(row: &R) -> Vec<String> {
    row.columns().iter().map(|column| column.name().to_owned()).collect()
}

fn value<'r, R>(row: &'r R, column: &str) -> Result<Value, sqlx::Error>
where
    R: sqlx::Row,
    for<'c> &'c str: sqlx::ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    if is_null(row, column)? {
        return Ok(Value::Integer(None));
    }
    // Both drivers refuse to read bytes as text, and text as a number.
    if let Ok(integer) = row.try_get::<i64, _>(column) {
        return Ok(Value::from(integer));
    }
    if let Ok(text) = row.try_get::<String, _>(column) {
        return Ok(Value::from(text));
    }
    row.try_get::<Vec<u8>, _>(column).map(Value::from)
}

/// Flags are 0 or 1.
impl Stored for bool {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        Ok(row.get::<i64>(column)? != 0)
    }
}

/// A share in percent.
impl Stored for u8 {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        Ok(u8::try_from(row.get::<i64>(column)?).unwrap_or(0))
    }
}

/// A count; never negative.
impl Stored for u32 {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        Ok(u32::try_from(row.get::<i64>(column)?).unwrap_or(0))
    }
}

/// A count; never negative.
impl Stored for u64 {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        Ok(u64::try_from(row.get::<i64>(column)?).unwrap_or(0))
    }
}

/// Milliseconds.
impl Stored for Duration {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        row.get(column).map(Duration::from_millis)
    }
}

impl Stored for Timestamp {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        row.get(column).map(Timestamp)
    }
}

impl Stored for Phone {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        row.get::<String>(column).map(Phone::from_stored)
    }
}

impl Stored for MessageId {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        row.get::<String>(column).map(MessageId::from_stored)
    }
}

/// Types that are stored as one of a few words, which `from_name` knows.
macro_rules! stored_by_name {
    ($($stored:ty),*) => {
        $(impl $crate::store::row::Stored for $stored {
            fn read(
                row: &$crate::store::row::Row,
                column: &str,
            ) -> Result<Self, $crate::store::error::StoreError> {
                row.parse(column, <$stored>::from_name)
            }
        })*
    };
}
pub(super) use stored_by_name;

/// Declares a struct whose fields are columns of a table, and how to read one from it. A column
/// of another name than its field's follows the type: `delay: Option<Duration> = "delay_ms"`.
macro_rules! record {
    (
        from $table:literal;
        $(#[$attribute:meta])*
        pub struct $record:ident {
            $($(#[$field_attribute:meta])* pub $field:ident: $type:ty $(= $column:literal)?,)*
        }
    ) => {
        $(#[$attribute])*
        pub struct $record {
            $($(#[$field_attribute])* pub $field: $type,)*
        }

        impl $record {
            /// A SELECT of all columns it is made of.
            pub(in $crate::store) fn select(clauses: &str) -> String {
                format!("SELECT {} FROM {} {clauses}", $record::columns(), $table)
            }

            /// All columns it is made of.
            pub(in $crate::store) fn columns() -> String {
                let columns = [$(
                    <$type as $crate::store::row::Stored>::COLUMNS
                        .unwrap_or($crate::store::row::record!(@column $field $($column)?)),
                )*];
                columns.join(", ")
            }

            pub(in $crate::store) fn read(
                row: &$crate::store::row::Row,
            ) -> Result<$record, $crate::store::error::StoreError> {
                Ok($record {
                    $($field: row.get($crate::store::row::record!(@column $field $($column)?))?,)*
                })
            }
        }
    };
    (@column $field:ident) => { stringify!($field) };
    (@column $field:ident $column:literal) => { $column };
}
pub(super) use record;
