//! What kabari knows: campaigns, their deliveries, the sessions, and which numbers are on WhatsApp.
//!
//! Every change of a delivery or campaign follows the transition functions in the domain crate:
//! a single row is read, moved with them and written with a compare-and-set; a statement that
//! moves many rows gets its conditions from them (see [`moves`]).

mod api_keys;
mod attempt;
mod audit;
mod backlog;
mod backup;
mod bulk_transitions;
mod campaigns;
mod claim;
mod contacts;
mod create;
mod deliveries;
mod delivery_lists;
mod drafts;
mod gateway_events;
mod gateway_messages;
mod handover;
mod idempotency;
mod logins;
mod migrations;
mod overdue;
mod overview;
mod person;
mod receipts;
mod reclaim;
mod registrations;
mod retention;
mod sealed;
mod session_entries;
mod session_links;
mod session_requests;
mod sessions;
mod users;

pub use api_keys::ApiKey;
pub use attempt::{Attempt, Begin, Begun};
pub use audit::{Action, Actor, ActorKind, AuditEntry, AuditFilter};
pub use backlog::Backlog;
pub use backup::{Restored, StateRestore};
pub use campaigns::{Campaign, CampaignKind, DeliveryCounts};
pub use claim::{Affinity, Claim, LeasedDelivery};
pub use contacts::PhoneSet;
pub use create::{NewCampaign, NewDelivery};
pub use deliveries::{Delivery, Resolution};
pub use delivery_lists::{DeliveryFilter, Timeline};
pub use gateway_events::{EventPlace, KeptEvent};
pub use gateway_messages::AskedMessage;
pub use handover::{HandedOver, PendingHandover};
pub use idempotency::{Creation, IdempotencyKey};
pub use logins::{LOGIN_LIFETIME, LoggedIn, Login};
pub use overdue::Overdue;
pub use overview::HourOfMessages;
pub use person::{Forgotten, PersonData};
pub use registrations::KnownNumber;
pub use retention::{
    AUDIT_LIFETIME, CONTACT_LIFETIME, FINGERPRINT_LIFETIME, REGISTRATION_LIFETIME,
};
pub use session_links::{LinkReport, Reported, UNNAMED_NUMBER};
pub use session_requests::{SessionAction, SessionAnswer, SessionRequest};
pub use sessions::{Session, SessionChange, SessionKind, SessionLease};
pub use users::User;

use super::database::Database;
use super::engine::Engine;
use super::error::{StoreError, Which};
use super::row::{Row, Value, params};
use super::servers;
use super::transaction::Transaction;
use crate::clock::{Clock, stepped};
use crate::private;
use handover::Handovers;
use kabari_domain::Timestamp;
use prometheus::Histogram;
use sqlx::mysql::MySqlConnectOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, watch};

/// How many campaigns one process records at once on a server: each holds a connection while its
/// recipients stream in, and the dispatcher needs some too.
const CREATIONS_AT_ONCE: usize = 4;

/// No lease is given for longer. One that ends later than this from now was given before somebody
/// set the clock back; nobody knows for how long it holds, so it counts as run out.
const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// Where the state is kept.
#[derive(Clone)]
pub enum StateTarget {
    /// A file, made with its directory if it is not there.
    Sqlite { path: PathBuf },
    /// A MariaDB (10.6+) or MySQL (8+) server.
    MySql {
        /// `mysql://user:password@host:port/database`; of several `host:port`, separated by
        /// commas, the one that takes writes is followed.
        url: String,
    },
}

impl StateTarget {
    /// Returns the database at this URL or, without one, the file in the data directory.
    pub fn of(url: Option<&str>, data_dir: &Path) -> StateTarget {
        match url {
            Some(url) => StateTarget::MySql { url: url.to_owned() },
            None => StateTarget::Sqlite { path: data_dir.join("state.db") },
        }
    }
}

/// The state database. Cloning is cheap; all clones are one.
#[derive(Debug, Clone)]
pub struct StateStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    clock: Clock,
    creations: Semaphore,
    /// Whoever claims has this: a claim passes over what another one is looking at, on a server,
    /// and would find nothing where there is something.
    claims: Mutex<()>,
    handovers: Handovers,
    /// Counts commits of this process after which sessions may find something to send.
    work: watch::Sender<u64>,
}

impl StateStore {
    /// Connects, and brings the schema up to date; several nodes may do so at once.
    pub async fn open(target: StateTarget, clock: Clock) -> Result<StateStore, StoreError> {
        StateStore::open_at(target, clock, migrations::newest()).await
    }

    /// Connects, and brings the schema up to this version at least.
    pub async fn open_at(
        target: StateTarget,
        clock: Clock,
        schema: i64,
    ) -> Result<StateStore, StoreError> {
        let database = match target {
            StateTarget::Sqlite { path } => {
                make_private_file(&path).map_err(|e| file_error(&path, &e))?;
                migrations::run_on_file(&path, schema).await?;
                Database::state_file(&path).await?
            }
            StateTarget::MySql { url } => {
                let database = Database::state_server(server_hosts(&url)?).await?;
                migrations::run_on_server(&database, schema).await?;
                database
            }
        };
        Ok(StateStore::of(database, clock))
    }

    /// Connects to a database that is there already, and leaves its schema as it is. Returns with
    /// it how many steps the schema is behind.
    pub async fn inspect(
        target: StateTarget,
        clock: Clock,
    ) -> Result<(StateStore, usize), StoreError> {
        let database = match target {
            StateTarget::Sqlite { path } => Database::state_file(&path).await?,
            StateTarget::MySql { url } => Database::state_server(server_hosts(&url)?).await?,
        };
        let behind = migrations::pending(&database).await?;
        Ok((StateStore::of(database, clock), behind))
    }

    fn of(database: Database, clock: Clock) -> StateStore {
        let creations = Semaphore::new(CREATIONS_AT_ONCE);
        let work = watch::Sender::new(0);
        StateStore(Arc::new(Inner {
            database,
            clock,
            creations,
            claims: Mutex::default(),
            handovers: Handovers::default(),
            work,
        }))
    }

    /// Returns the time all stored times are on: the server's clock, so that nodes agree; the
    /// machine's with a file; the manual one in tests.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        match self.server_clock() {
            Some(now) => {
                let row = self.db().row(&format!("SELECT {now} AS now"), vec![]).await?;
                row.map_or(Ok(Timestamp(0)), |row| self.now_of(&row))
            }
            None => Ok(self.0.clock.now()),
        }
    }

    /// Returns how long statements take, to be shown to Prometheus.
    pub fn statement_times(&self) -> Histogram {
        self.db().statement_times()
    }

    /// Asks the database whether it answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db().row("SELECT 1 AS one", vec![]).await.map(|_| ())
    }

    /// Changes after every commit of this process that wrote something.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.database.commits()
    }

    /// Changes after every commit of this process that may give sessions something to send.
    pub fn work(&self) -> watch::Receiver<u64> {
        self.0.work.subscribe()
    }

    fn there_is_work(&self) {
        self.0.work.send_modify(|count| *count += 1);
    }

    /// Writes what is good to know and may be lost: nobody has to wait while a large campaign is
    /// being written, or be refused because the disk is full.
    fn write_aside(&self, sql: &'static str, values: Vec<Value>) {
        let state = self.clone();
        tokio::spawn(async move {
            if let Err(error) = state.db().execute_unannounced(sql, values).await {
                tracing::debug!(%error, "the time of last use was not written down");
            }
        });
    }

    fn db(&self) -> &Database {
        &self.0.database
    }

    async fn now_in(&self, tx: &mut Transaction<'_>) -> Result<Timestamp, StoreError> {
        match self.server_clock() {
            Some(now) => {
                let row = tx.row(&format!("SELECT {now} AS now"), vec![]).await?;
                row.map_or(Ok(Timestamp(0)), |row| self.now_of(&row))
            }
            None => Ok(self.0.clock.now()),
        }
    }

    /// Returns the time as one more column of a query, with the values of its `?`: it saves a
    /// question of its own. [`now_of`](StateStore::now_of) reads it.
    fn now_column(&self) -> (String, Vec<Value>) {
        match self.server_clock() {
            Some(now) => (format!("{now} AS now"), vec![]),
            None => ("? AS now".to_owned(), params![self.0.clock.now().0]),
        }
    }

    fn now_of(&self, row: &Row) -> Result<Timestamp, StoreError> {
        let now = row.get("now")?;
        Ok(if self.server_clock().is_some() { stepped(now) } else { now })
    }

    fn server_clock(&self) -> Option<&'static str> {
        match (self.db().engine(), &self.0.clock) {
            (Engine::MySql, Clock::System) => Some("CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"),
            _ => None,
        }
    }
}

fn server_hosts(url: &str) -> Result<Vec<MySqlConnectOptions>, StoreError> {
    servers::hosts(url).ok_or(StoreError::Conflict(
        "STATE_DATABASE_URL is not of the form mysql://user:password@host:port/database; several servers stand as host:port,host:port",
    ))
}

/// Makes a file for its owner only: customers' numbers are in it. SQLite gives its other files the
/// same mode.
pub(super) fn make_private_file(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        private::directory().recursive(true).create(parent)?;
    }
    private::file().create(true).append(true).open(path).map(|_| ())
}

fn file_error(path: &Path, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    let which = Which::State;
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            StoreError::ReadOnly { which }
        }
        ErrorKind::StorageFull => StoreError::Full { which },
        _ => StoreError::Unavailable { which, reason: format!("{}: {error}", path.display()) },
    }
}

/// Returns at most `max` characters of it: for columns that only a person reads.
fn clip(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}
