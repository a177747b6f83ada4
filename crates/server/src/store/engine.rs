//! The two dialects of SQL, and the few places where they differ.

/// What a database runs on. Everything not asked of this enum is the same SQL on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    /// MariaDB 10.6 or MySQL 8, and newer.
    MySql,
}

impl Engine {
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

    /// Joins tables in the order in which they are named, whatever the planner thinks of their size.
    pub fn join_in_order(self) -> &'static str {
        match self {
            Engine::Sqlite => "CROSS JOIN",
            Engine::MySql => "STRAIGHT_JOIN",
        }
    }

    /// Follows a table: its rows are found by this index, whatever the planner knows of them.
    pub fn by_index(self, index: &str) -> String {
        match self {
            Engine::Sqlite => format!(" INDEXED BY {index}"),
            Engine::MySql => format!(" FORCE INDEX ({index})"),
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
