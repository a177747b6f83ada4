//! The provider's own database: customers and network notices. Read only, over a pool of its
//! own, and only the columns a notice needs. The one that kabari keeps for those who have none is
//! written in [`embedded`].

mod backup;
mod embedded;
mod import;
mod odps;

pub use backup::BillingRestore;
pub use embedded::{EmbeddedBilling, create, sample};
pub use import::{CustomerRow, ImportPlan, RowConflict};
pub use odps::{Odp, OdpCounts};

use super::database::Database;
use super::engine::Engine;
use super::error::{Missing, StoreError};
use super::lists::one_of;
use super::row::{Row, Value, params};
use super::search::Search;
use chrono::NaiveDateTime;
use futures_util::{Stream, TryStreamExt, stream};
use kabari_domain::{Customer, Notice};
use prometheus::Histogram;
use sqlx::mysql::MySqlConnectOptions;
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

/// Customers read at once. Between pages no connection is held and nothing is kept, so that
/// neither a long list nor a slow reader costs the database or this process anything.
const PAGE: usize = 2000;

/// Every column that is read; a test compares it with the queries.
const COLUMNS: [(&str, &[&str]); 2] = [
    ("customers", &["id", "name", "phone", "odp", "is_active"]),
    (
        "network_notices",
        &[
            "id",
            "title",
            "message",
            "type",
            "severity",
            "is_mass",
            "affected_area",
            "affected_odp",
            "start_time",
            "end_time",
            "is_active",
            "created_at",
        ],
    ),
];

/// Where the billing database is.
#[derive(Clone)]
pub enum BillingTarget {
    /// A MariaDB or MySQL server. The account needs SELECT on the two tables, no more.
    MySql { host: String, port: u16, database: String, username: String, password: String },
    /// A file with the same tables; see [`sample`].
    Sqlite { path: PathBuf },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerFilter {
    /// Leave out those who are not active.
    pub active_only: bool,
    /// Only those on one of these ODPs. Blank names match nobody; an empty list is nobody.
    pub odps: Option<Vec<String>>,
    /// Only those with one of these ids. An empty list is nobody.
    pub ids: Option<Vec<i64>>,
    /// Only those whose name or number has this in it; blank for all.
    pub search: String,
    /// Only those with a greater id.
    pub after: Option<i64>,
}

/// The billing database. Cloning is cheap. [`embedded`](Billing::embedded) tells whether it may be
/// written.
#[derive(Debug, Clone)]
pub struct Billing(Arc<Database>);

impl Billing {
    /// Connects when first used: a server that is down is an error of each call, not of the start.
    pub fn connect(target: BillingTarget) -> Result<Billing, StoreError> {
        let database = match target {
            BillingTarget::MySql { host, port, database, username, password } => {
                let mut options = MySqlConnectOptions::new()
                    .host(&host)
                    .port(port)
                    .database(&database)
                    .username(&username);
                // An empty one would be proved to the server like any other, and refused.
                if !password.is_empty() {
                    options = options.password(&password);
                }
                Database::billing_server(options)
            }
            BillingTarget::Sqlite { path } => Database::billing_file(&path),
        };
        Ok(Billing(Arc::new(database)))
    }

    /// Returns how long statements take, to be shown to Prometheus.
    pub fn statement_times(&self) -> Histogram {
        self.0.statement_times()
    }

    /// Whether it answers and has every table and column that is read; each missing one is named.
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut missing = vec![];
        for (table, columns) in COLUMNS {
            let sql = match self.0.engine() {
                Engine::MySql => {
                    "SELECT column_name AS name FROM information_schema.columns \
                     WHERE table_schema = DATABASE() AND table_name = ?"
                }
                Engine::Sqlite => "SELECT name FROM pragma_table_info(?)",
            };
            let rows = self.0.rows(sql, params![table]).await?;
            let names = rows.iter().map(|row| row.get("name"));
            let present = names.collect::<Result<HashSet<String>, _>>()?;
            if present.is_empty() {
                missing.push(Missing::Table(table.to_owned()));
            } else {
                missing.extend(columns.iter().filter(|c| !present.contains(**c)).map(|column| {
                    Missing::Column { table: table.to_owned(), column: (*column).to_owned() }
                }));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(StoreError::Missing { which: self.0.which(), missing })
    }

    /// Notices, newest first, those without a date last.
    pub async fn notices(&self, active_only: bool) -> Result<Vec<Notice>, StoreError> {
        let active = if active_only { "WHERE is_active <> 0" } else { "" };
        self.select_notices(&format!("{active} {NEWEST_FIRST}"), vec![]).await
    }

    /// Returns the notice of this id, active or not.
    pub async fn notice(&self, id: i64) -> Result<Option<Notice>, StoreError> {
        Ok(self.select_notices("WHERE id = ?", params![id]).await?.pop())
    }

    /// Returns notices by id, the last one first: `limit` of them, before notice `before` if given.
    pub async fn notices_before(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        let values = params![before.unwrap_or(i64::MAX), i64::from(limit)];
        self.select_notices("WHERE id < ? ORDER BY id DESC LIMIT ?", values).await
    }

    /// Returns the customer of this id, active or not.
    pub async fn customer(&self, id: i64) -> Result<Option<Customer>, StoreError> {
        let filter = CustomerFilter { ids: Some(vec![id]), ..CustomerFilter::default() };
        pin!(self.customers(&filter)).try_next().await
    }

    /// Returns the first of the active [`notices`](Billing::notices).
    pub async fn newest_active_notice(&self) -> Result<Option<Notice>, StoreError> {
        let newest = format!("WHERE is_active <> 0 {NEWEST_FIRST} LIMIT 1");
        Ok(self.select_notices(&newest, vec![]).await?.pop())
    }

    async fn select_notices(
        &self,
        clauses: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Notice>, StoreError> {
        // As text, so that no driver applies a time zone or stumbles over 0000-00-00.
        let time = |column: &str| match self.0.engine() {
            Engine::MySql => format!("DATE_FORMAT({column}, '%Y-%m-%d %H:%i:%s') AS {column}_text"),
            Engine::Sqlite => format!("strftime('%Y-%m-%d %H:%M:%S', {column}) AS {column}_text"),
        };
        let sql = format!(
            "SELECT CAST(id AS SIGNED) AS notice_id, title, message, type, severity, \
             is_mass <> 0 AS mass, affected_area, affected_odp, {}, {}, \
             is_active <> 0 AS active, {} FROM network_notices {clauses}",
            time("start_time"),
            time("end_time"),
            time("created_at"),
        );
        let rows = self.0.rows(&sql, values).await.map_err(|e| in_table(e, "network_notices"))?;
        rows.iter().map(read_notice).collect()
    }

    /// Customers in the order of their ids, read page by page.
    ///
    /// On a server the column's collation decides whether an ODP is the same, as it does for the
    /// billing application; in a file, case and surrounding blanks do not matter.
    pub fn customers(
        &self,
        filter: &CustomerFilter,
    ) -> impl Stream<Item = Result<Customer, StoreError>> + Send + 'static {
        let pages = Pages::new(self.clone(), filter);
        stream::try_unfold(pages, |mut pages| async move {
            let page = pages.next().await?;
            Ok::<_, StoreError>(page.map(|page| (stream::iter(page.into_iter().map(Ok)), pages)))
        })
        .try_flatten()
    }
}

const NEWEST_FIRST: &str = "ORDER BY created_at IS NULL, created_at DESC, id DESC";

/// The pages of one walk through the customers.
struct Pages {
    billing: Billing,
    active_only: bool,
    odps: Option<Vec<String>>,
    search: Option<Search>,
    /// Ranges still to read: ids, or everything after an id.
    left: VecDeque<Range>,
}

enum Range {
    Ids(Vec<i64>),
    After(i64),
}

impl Pages {
    fn new(billing: Billing, filter: &CustomerFilter) -> Pages {
        let odps = filter.odps.as_ref().map(|odps| {
            let named = odps.iter().filter(|odp| !odp.trim().is_empty());
            named.cloned().collect::<Vec<_>>()
        });
        let left = match &filter.ids {
            _ if odps.as_ref().is_some_and(Vec::is_empty) => VecDeque::new(),
            None => VecDeque::from([Range::After(filter.after.unwrap_or(i64::MIN))]),
            Some(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                ids.chunks(PAGE).map(|chunk| Range::Ids(chunk.to_vec())).collect()
            }
        };
        let search = Search::of(&filter.search);
        Pages { billing, active_only: filter.active_only, odps, search, left }
    }

    async fn next(&mut self) -> Result<Option<Vec<Customer>>, StoreError> {
        let Some(range) = self.left.pop_front() else { return Ok(None) };
        let database = &self.billing.0;
        let (mut conditions, mut values) = match &range {
            Range::After(id) => ("id > ?".to_owned(), params![*id]),
            Range::Ids(ids) => one_of("id", ids.iter().copied()),
        };
        if self.active_only {
            conditions.push_str(" AND is_active <> 0");
        }
        if let Some(search) = &self.search {
            let (found, searched) = search.condition("name", &["phone"]);
            conditions.push_str(&format!(" AND {found}"));
            values.extend(searched);
        }
        let compare_here = match (&self.odps, database.engine()) {
            (Some(odps), Engine::MySql) => {
                // What the collation takes for blank belongs to no ODP, whatever it equals.
                let (among, names) = one_of("odp", odps.iter().map(String::as_str));
                conditions.push_str(&format!(" AND odp <> '' AND {among}"));
                values.extend(names);
                None
            }
            // SQLite folds the case of ASCII letters only.
            (Some(odps), Engine::Sqlite) => Some(odps.iter().map(|odp| fold(odp)).collect()),
            (None, _) => None,
        };
        let sql =
            format!("SELECT {CUSTOMER} FROM customers WHERE {conditions} ORDER BY id LIMIT {PAGE}");
        let rows = database.rows(&sql, values).await.map_err(|e| in_table(e, "customers"))?;
        let full = rows.len() == PAGE;
        let mut page = rows.iter().map(read_customer).collect::<Result<Vec<_>, _>>()?;
        if let (Range::After(_), true, Some(last)) = (range, full, page.last()) {
            self.left.push_back(Range::After(last.id));
        }
        if let Some(odps) = compare_here {
            let odps: HashSet<String> = odps;
            page.retain(|customer| {
                customer.odp.as_deref().is_some_and(|odp| odps.contains(&fold(odp)))
            });
        }
        Ok(Some(page))
    }
}

fn fold(odp: &str) -> String {
    odp.trim().to_lowercase()
}

/// The columns that [`read_customer`] reads.
const CUSTOMER: &str = "CAST(id AS SIGNED) AS customer_id, name, CAST(phone AS CHAR) AS phone_text, \
                        odp, is_active <> 0 AS active";

fn read_customer(row: &Row) -> Result<Customer, StoreError> {
    Ok(Customer {
        id: row.get("customer_id")?,
        name: row.get("name")?,
        phone: row.get("phone_text")?,
        odp: row.get("odp")?,
        is_active: row.get::<Option<i64>>("active")? == Some(1),
    })
}

fn read_notice(row: &Row) -> Result<Notice, StoreError> {
    let time = |column: &str| {
        let text: Option<String> = row.get(column)?;
        let parse = |text: String| NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S").ok();
        Ok::<_, StoreError>(text.and_then(parse))
    };
    Ok(Notice {
        id: row.get("notice_id")?,
        title: row.get("title")?,
        message: row.get("message")?,
        kind: row.get("type")?,
        severity: row.get("severity")?,
        is_mass: row.get::<Option<i64>>("mass")? == Some(1),
        affected_area: row.get("affected_area")?,
        affected_odp: row.get("affected_odp")?,
        start_time: time("start_time_text")?,
        end_time: time("end_time_text")?,
        is_active: row.get::<Option<i64>>("active")? == Some(1),
        created_at: time("created_at_text")?,
    })
}

/// Adds the table to the error: the server names a missing column without it, and the query knows
/// it.
fn in_table(mut error: StoreError, queried: &str) -> StoreError {
    if let StoreError::Missing { missing, .. } = &mut error {
        for missing in missing {
            if let Missing::Column { table, .. } = missing
                && table.is_empty()
            {
                queried.clone_into(table);
            }
        }
    }
    error
}
