//! The billing database for those who have none: a file with the tables kabari reads, to fill on
//! the operator's page, by hand or by another program.

use super::super::database::Database;
use super::super::engine::Engine;
use super::super::error::{StoreError, Which};
use super::super::row::{Value, params};
use super::super::state::make_private_file;
use super::super::transaction::Transaction;
use super::import::{Change, CustomerRow, ImportPlan, plan};
use super::{Billing, CUSTOMER, read_customer};
use chrono::NaiveDateTime;
use kabari_domain::{Customer, Notice};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::path::Path;

/// How times are written in the file.
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The billing database that kabari keeps itself, and so may write.
pub struct EmbeddedBilling<'b>(pub(super) &'b Database);

impl Billing {
    /// Returns the embedded database, if that is what it is.
    pub fn embedded(&self) -> Option<EmbeddedBilling<'_>> {
        (self.0.engine() == Engine::Sqlite).then(|| EmbeddedBilling(&self.0))
    }
}

impl EmbeddedBilling<'_> {
    /// Adds a notice, whatever its id says. Returns its id.
    pub async fn add_notice(&self, notice: &Notice) -> Result<i64, StoreError> {
        let sql = "INSERT INTO network_notices (title, message, type, severity, is_mass, \
                   affected_area, affected_odp, start_time, end_time, is_active, created_at) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let mut values = notice_values(notice);
        values.extend(params![time(notice.created_at)]);
        Ok(self.0.execute(sql, values).await?.last_id)
    }

    /// Changes everything of a notice but when it was written. Returns whether there is one of
    /// its id.
    pub async fn change_notice(&self, notice: &Notice) -> Result<bool, StoreError> {
        let sql = "UPDATE network_notices SET title = ?, message = ?, type = ?, severity = ?, \
                   is_mass = ?, affected_area = ?, affected_odp = ?, start_time = ?, end_time = ?, \
                   is_active = ? WHERE id = ?";
        let mut values = notice_values(notice);
        values.extend(params![notice.id]);
        Ok(self.0.execute(sql, values).await?.rows > 0)
    }

    /// Says what an import would do. Changes nothing.
    pub async fn plan_import(&self, rows: &[CustomerRow]) -> Result<ImportPlan, StoreError> {
        let mut tx = self.0.begin().await?;
        let plan = plan(customers(&mut tx).await?, rows);
        tx.rollback().await?;
        Ok(plan)
    }

    /// Imports customers, all of them or, if one contradicts what is there, none. Returns what
    /// was done, or why nothing was.
    pub async fn import(&self, rows: &[CustomerRow]) -> Result<ImportPlan, StoreError> {
        let mut tx = self.0.begin().await?;
        let plan = plan(customers(&mut tx).await?, rows);
        if !plan.conflicts.is_empty() {
            tx.rollback().await?;
            return Ok(plan);
        }
        for change in &plan.changes {
            let (id, sql) = match change {
                Change::Add(customer) => {
                    // An id of 0 is none: SQLite takes the next one.
                    let id = Some(customer.id).filter(|id| *id != 0);
                    (
                        id,
                        "INSERT INTO customers (name, phone, odp, is_active, id) VALUES (?, ?, ?, ?, ?)",
                    )
                }
                Change::Update(customer) => (
                    Some(customer.id),
                    "UPDATE customers SET name = ?, phone = ?, odp = ?, is_active = ? WHERE id = ?",
                ),
            };
            let Customer { name, phone, odp, is_active, .. } = change.customer();
            let active = i64::from(*is_active);
            let (phone, odp) = (phone.as_deref(), odp.as_deref());
            tx.execute(sql, params![name.as_str(), phone, odp, active, id]).await?;
        }
        tx.commit().await?;
        Ok(plan)
    }
}

fn notice_values(notice: &Notice) -> Vec<Value> {
    params![
        notice.title.as_str(),
        notice.message.as_str(),
        notice.kind.as_str(),
        notice.severity.as_str(),
        i64::from(notice.is_mass),
        notice.affected_area.as_deref(),
        notice.affected_odp.as_deref(),
        time(notice.start_time),
        time(notice.end_time),
        i64::from(notice.is_active),
    ]
}

fn time(time: Option<NaiveDateTime>) -> Option<String> {
    time.map(|time| time.format(TIME_FORMAT).to_string())
}

/// Everybody, for an import that changes some of them.
async fn customers(tx: &mut Transaction<'_>) -> Result<Vec<Customer>, StoreError> {
    let sql = format!("SELECT {CUSTOMER} FROM customers ORDER BY id");
    tx.rows(&sql, vec![]).await?.iter().map(read_customer).collect()
}

/// Makes the file with empty tables, unless it is there already. Columns are named as in the
/// billing application's own schema.
pub async fn create(path: &Path) -> Result<(), StoreError> {
    run(path, include_str!("schema.sql")).await
}

/// The same, with sample customers and notices of our own making.
pub async fn sample(path: &Path) -> Result<(), StoreError> {
    create(path).await?;
    run(path, include_str!("sample.sql")).await
}

async fn run(path: &Path, sql: &'static str) -> Result<(), StoreError> {
    let failed = |e: sqlx::Error| StoreError::from_sqlx(Which::Billing, &e);
    make_private_file(path).map_err(|e| failed(e.into()))?;
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.map_err(failed)?;
    let made = sqlx::raw_sql(sql).execute(&mut connection).await;
    let closed = sqlx::Connection::close(connection).await;
    made.map_err(failed)?;
    closed.map_err(failed)
}
