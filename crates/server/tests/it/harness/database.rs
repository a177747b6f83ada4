//! Databases for one test each: a SQLite file, or a database of its own on the test run's
//! MariaDB. Both are gone when the value is dropped.

use super::served::PATIENCE;
use kabari::clock::Clock;
use kabari::store::{BillingTarget, StateStore, StateTarget};
use kabari_domain::Timestamp;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// When manual clocks start: 2026-01-22 01:00 UTC.
pub const START: Timestamp = Timestamp(1_769_043_600_000);

/// What the test run passes: a MariaDB account that may make databases and accounts.
const SERVER_VARIABLE: &str = "TEST_MARIADB_URL";

/// Where `cargo xtask` has a server that may be killed, and which file has its process id.
const KILLED_SERVER_VARIABLE: &str = "TORTURE_MARIADB_URL";
const KILLED_SERVER_PID_VARIABLE: &str = "TORTURE_MARIADB_PID_FILE";
/// How long a killed server may take to come back.
const RESTART_PATIENCE: Duration = Duration::from_secs(60);
const RESTART_POLL: Duration = Duration::from_millis(100);
/// InnoDB shows its transactions anew only when nobody has looked for a tenth of a second.
const TRANSACTIONS_SHOWN_EVERY: Duration = Duration::from_millis(200);

/// Which engine a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    MariaDb,
}

/// A database of its own on a MariaDB, dropped with this value.
pub struct MariaDbDatabase {
    pub name: String,
    server_url: String,
    server: MySqlConnectOptions,
}

impl MariaDbDatabase {
    /// On the test run's MariaDB, which other tests use as well.
    pub async fn create() -> MariaDbDatabase {
        MariaDbDatabase::create_on(&server_url()).await
    }

    /// On the server of this URL.
    pub async fn create_on(server_url: &str) -> MariaDbDatabase {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server_url = server_url.trim_end_matches('/').to_owned();
        let server = MySqlConnectOptions::from_str(&server_url).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kabari_test_{}_{count}", std::process::id());
        let mut connection = connect(&server).await;
        // An earlier process with this id may have been killed.
        let make = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}");
        execute(&mut connection, make).await;
        connection.close().await.unwrap();
        MariaDbDatabase { name, server_url, server }
    }

    /// `mysql://user:password@host:port/database`
    pub fn url(&self) -> String {
        format!("{}/{}", self.server_url, self.name)
    }

    /// The same with another address in it: that of a proxy.
    pub fn url_through(&self, address: SocketAddr) -> String {
        let (account, _) = self.server_url.rsplit_once('@').unwrap();
        format!("{account}@{address}/{}", self.name)
    }

    /// Ends every connection to it.
    pub async fn cut_connections(&self) {
        let mut connection = connect(&self.server).await;
        cut_connections(&mut connection, &self.name).await;
        connection.close().await.unwrap();
    }

    /// Runs statements with every right.
    pub async fn execute(&self, sql: impl Into<String>) {
        let mut connection = connect(&self.server.clone().database(&self.name)).await;
        execute(&mut connection, sql.into()).await;
        connection.close().await.unwrap();
    }

    /// Where its server listens, on the loopback.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.get_port()))
    }

    pub fn host_and_port(&self) -> (String, u16) {
        (self.server.get_host().to_owned(), self.server.get_port())
    }
}

impl Drop for MariaDbDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime cannot be entered from within another one, so this takes a thread.
        let dropped = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = connect(&server).await;
                // A pool of this test may still hold a transaction that its runtime, which
                // waits for us, has had no turn to roll back.
                cut_connections(&mut connection, &name).await;
                let drop = format!("DROP DATABASE {name}; DROP USER IF EXISTS {name}");
                execute(&mut connection, drop).await;
                connection.close().await.unwrap();
            });
        })
        .join();
        assert!(dropped.is_ok() || std::thread::panicking(), "{} was not dropped", self.name);
    }
}

/// A MariaDB that no other test uses, so that it may be killed. Whoever started it starts it again.
pub struct MariaDbServer {
    pub url: String,
    pid_file: PathBuf,
}

impl MariaDbServer {
    /// The one that `cargo xtask` runs for this, if the tests run under it.
    pub fn to_be_killed() -> Option<MariaDbServer> {
        let url = std::env::var(KILLED_SERVER_VARIABLE).ok()?;
        let pid_file = std::env::var_os(KILLED_SERVER_PID_VARIABLE).unwrap().into();
        Some(MariaDbServer { url, pid_file })
    }

    /// `kill -9`; returns when its successor accepts connections.
    pub async fn restart(&self) {
        let before = self.pid();
        let killed = Command::new("kill").args(["-9", &before]).status().await.unwrap();
        assert!(killed.success(), "there is no MariaDB to kill");
        let options = MySqlConnectOptions::from_str(&self.url).unwrap();
        let back = async {
            let mut looks = tokio::time::interval(RESTART_POLL);
            loop {
                looks.tick().await;
                if self.pid() != before && options.connect().await.is_ok() {
                    return;
                }
            }
        };
        tokio::time::timeout(RESTART_PATIENCE, back).await.expect("MariaDB did not come back");
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(&self.pid_file).unwrap_or_default().trim().to_owned()
    }
}

fn server_url() -> String {
    std::env::var(SERVER_VARIABLE).unwrap_or_else(|_| {
        panic!("{SERVER_VARIABLE} is not set: run the tests with `cargo xtask test`, which starts a MariaDB for them")
    })
}

async fn connect(options: &MySqlConnectOptions) -> MySqlConnection {
    options.connect().await.unwrap_or_else(|error| {
        panic!(
            "no connection to {SERVER_VARIABLE} ({error}): run the tests with `cargo xtask test`"
        )
    })
}

async fn execute(connection: &mut MySqlConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// Ends every connection to this database.
async fn cut_connections(connection: &mut MySqlConnection, database: &str) {
    let open = format!(
        "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = '{database}'"
    );
    let open: Vec<i64> =
        sqlx::query_scalar(AssertSqlSafe(open)).fetch_all(&mut *connection).await.unwrap();
    for id in open {
        // It may have ended by itself.
        let kill = sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}")));
        let _ = kill.execute(&mut *connection).await;
    }
}

/// An open state database with a clock to turn.
pub struct TestState {
    pub state: StateStore,
    pub clock: Clock,
    pub target: StateTarget,
    place: Place,
}

enum Place {
    Directory { _directory: TempDir, file: PathBuf },
    Server(Box<MariaDbDatabase>),
}

impl TestState {
    pub async fn open(engine: Engine) -> TestState {
        TestState::open_with(engine, Clock::manual(START)).await
    }

    pub async fn open_with(engine: Engine, clock: Clock) -> TestState {
        let (target, place) = match engine {
            Engine::Sqlite => {
                let directory = TempDir::new().unwrap();
                let file = directory.path().join("state.db");
                let target = StateTarget::Sqlite { path: file.clone() };
                (target, Place::Directory { _directory: directory, file })
            }
            Engine::MariaDb => {
                let database = MariaDbDatabase::create().await;
                (StateTarget::MySql { url: database.url() }, Place::Server(Box::new(database)))
            }
        };
        let state = StateStore::open(target.clone(), clock.clone()).await.unwrap();
        TestState { state, clock, target, place }
    }

    /// Another process on the same database.
    pub async fn another_node(&self) -> StateStore {
        StateStore::open(self.target.clone(), self.clock.clone()).await.unwrap()
    }

    /// Connects to the server's database behind the store's back.
    pub async fn connect(&self) -> MySqlConnection {
        let StateTarget::MySql { url } = &self.target else { panic!("a file has no server") };
        MySqlConnectOptions::from_str(url).unwrap().connect().await.unwrap()
    }

    /// Waits until a connection to this database waits for a row that another has locked.
    pub async fn until_somebody_waits_for_a_row(&self) {
        let mut connection = self.connect().await;
        let waits = "SELECT COUNT(*) FROM information_schema.innodb_trx t \
                     JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                     WHERE t.trx_state = 'LOCK WAIT' AND p.db = DATABASE()";
        let mut looks = tokio::time::interval(TRANSACTIONS_SHOWN_EVERY);
        let waiting = async {
            while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut connection).await.unwrap() == 0
            {
                looks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("somebody waits");
    }

    /// Ends every connection to the server's database.
    pub async fn cut_connections(&self) {
        match &self.place {
            Place::Server(database) => database.cut_connections().await,
            Place::Directory { .. } => panic!("a file has no connections to cut"),
        }
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {table}")).await
    }

    /// How many pages the file has.
    pub async fn pages(&self) -> i64 {
        self.number("PRAGMA page_count").await
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.place {
            Place::Server(_) => {
                sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.unwrap()
            }
            Place::Directory { file, .. } => {
                let options = SqliteConnectOptions::new().filename(file);
                let mut connection: SqliteConnection = options.connect().await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// Runs statements behind the store's back.
    pub async fn execute(&self, sql: &str) {
        match &self.place {
            Place::Server(database) => database.execute(sql).await,
            Place::Directory { file, .. } => execute_on_file(file, sql).await,
        }
    }
}

/// The seed's billing database on MariaDB, with an account that may only SELECT.
pub struct SeedBilling {
    pub database: MariaDbDatabase,
    pub target: BillingTarget,
}

impl SeedBilling {
    pub async fn create() -> SeedBilling {
        const PASSWORD: &str = "only reads";
        let database = MariaDbDatabase::create().await;
        database.execute(include_str!("../../seed/schema.sql")).await;
        database.execute(include_str!("../../seed/data.sql")).await;
        let name = &database.name;
        database
            .execute(format!(
                "CREATE USER {name} IDENTIFIED BY '{PASSWORD}'; \
                 GRANT SELECT ON {name}.customers TO {name}; \
                 GRANT SELECT ON {name}.network_notices TO {name}"
            ))
            .await;
        let (host, port) = database.host_and_port();
        let target = BillingTarget::MySql {
            host,
            port,
            database: name.clone(),
            username: name.clone(),
            password: PASSWORD.to_owned(),
        };
        SeedBilling { database, target }
    }
}

/// A billing file made with these statements; it lives as long as the directory.
pub async fn billing_file(directory: impl AsRef<Path>, sql: &str) -> BillingTarget {
    let path = directory.as_ref().join("billing.db");
    execute_on_file(&path, sql).await;
    BillingTarget::Sqlite { path }
}

/// Runs statements on a SQLite file, which is made if it is not there.
pub async fn execute_on_file(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection: SqliteConnection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
