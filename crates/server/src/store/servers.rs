//! The server of a database, or several of which one takes writes: the primary of a replication,
//! or a node of a Galera cluster.

use super::error::{StoreError, Which};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{ConnectOptions, Connection, MySqlConnection};
use std::io;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long one of several servers may take to give a connection, or to say whether it takes
/// writes, before another is asked.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long nobody looks again after no server was found that takes writes.
const SEARCH_PAUSE: Duration = Duration::from_millis(500);

/// Writes nothing. A replica refuses it, and so does a Galera node that has lost the others.
const WRITE: &str = "UPDATE sessions SET name = name WHERE 1 = 0";
/// Accounts with all rights may write on a replica too.
const IS_READ_ONLY: &str = "SELECT CAST(@@global.read_only AS SIGNED)";

/// Connections to the server that takes writes.
#[derive(Debug)]
pub(super) struct Servers {
    hosts: Vec<MySqlConnectOptions>,
    connections: MySqlPoolOptions,
    writer: RwLock<Writer>,
    /// When the last search ended that found nothing.
    searching: Mutex<Option<Instant>>,
}

/// The server that takes writes, as far as is known.
#[derive(Debug)]
struct Writer {
    /// Its place among the hosts.
    host: usize,
    pool: MySqlPool,
    /// Whether it has failed since, so that another may have taken its place.
    is_doubtful: bool,
}

impl Servers {
    /// Returns the one server there is; connects when first used.
    pub fn one(host: MySqlConnectOptions, connections: MySqlPoolOptions) -> Servers {
        Servers::at(0, vec![host], connections)
    }

    /// Finds the server that takes writes; one alone is not asked.
    pub async fn find(
        hosts: Vec<MySqlConnectOptions>,
        connections: MySqlPoolOptions,
    ) -> Result<Servers, StoreError> {
        if hosts.len() == 1 {
            return Ok(Servers::at(0, hosts, connections));
        }
        let found = find_writer(&hosts, 0).await;
        let host = found.map_err(|error| StoreError::from_sqlx(Which::State, &error))?;
        Ok(Servers::at(host, hosts, connections.acquire_timeout(PROBE_TIMEOUT)))
    }

    fn at(host: usize, hosts: Vec<MySqlConnectOptions>, connections: MySqlPoolOptions) -> Servers {
        let hosts: Vec<_> = hosts.into_iter().map(plain).collect();
        let pool = connections.clone().connect_lazy_with(hosts[host].clone());
        let writer = RwLock::new(Writer { host, pool, is_doubtful: false });
        Servers { hosts, connections, writer, searching: Mutex::default() }
    }

    /// Returns how to connect to the server that takes writes.
    pub fn writer_options(&self) -> MySqlConnectOptions {
        self.hosts[self.writer().host].clone()
    }

    /// Returns connections to the server that takes writes; looks for it first if it has failed.
    pub async fn pool(&self) -> Result<MySqlPool, sqlx::Error> {
        if let Some(pool) = self.trusted() {
            return Ok(pool);
        }
        let mut last = self.searching.lock().await;
        if let Some(pool) = self.trusted() {
            return Ok(pool);
        }
        if last.is_some_and(|last| last.elapsed() < SEARCH_PAUSE) {
            return Err(unavailable("none of its servers takes writes".to_owned()));
        }
        let before = self.writer().host;
        match find_writer(&self.hosts, before).await {
            Ok(host) => Ok(self.follow(host)),
            Err(error) => {
                *last = Some(Instant::now());
                Err(error)
            }
        }
    }

    /// Notes that the server has failed or refused a write.
    pub fn doubt(&self) {
        if self.hosts.len() > 1 {
            self.writer.write().unwrap_or_else(PoisonError::into_inner).is_doubtful = true;
        }
    }

    fn writer(&self) -> RwLockReadGuard<'_, Writer> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn trusted(&self) -> Option<MySqlPool> {
        let writer = self.writer();
        (!writer.is_doubtful).then(|| writer.pool.clone())
    }

    fn follow(&self, host: usize) -> MySqlPool {
        let mut writer = self.writer.write().unwrap_or_else(PoisonError::into_inner);
        writer.is_doubtful = false;
        if writer.host != host {
            let options = self.hosts[host].clone();
            tracing::warn!(server = address(&options), "another server takes the writes now");
            let pool = self.connections.clone().connect_lazy_with(options);
            let before = std::mem::replace(&mut writer.pool, pool);
            writer.host = host;
            // Whoever still has a connection finishes with it.
            tokio::spawn(async move { before.close().await });
        }
        writer.pool.clone()
    }
}

/// Leaves the session's time zone alone. The driver would set it to UTC and shift TIMESTAMP
/// columns. The billing application reads and writes them in the server's own zone, so we do too.
fn plain(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options.timezone(None).pipes_as_concat(false).charset("utf8mb4").disable_statement_logging()
}

/// Returns the servers that a URL names: `mysql://user:password@one:3306,two:3306/database`.
pub(super) fn hosts(url: &str) -> Option<Vec<MySqlConnectOptions>> {
    // The library reads a URL of any scheme.
    let (scheme, rest) = url.split_once("://")?;
    if !["mysql", "mariadb"].contains(&scheme) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (account, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let options = |host: &str| {
        let url = format!("{scheme}://{account}{host}{path}");
        MySqlConnectOptions::from_str(&url).ok()
    };
    hosts.split(',').map(options).collect()
}

/// Asks the servers, beginning with the one in this place, until one takes writes.
async fn find_writer(hosts: &[MySqlConnectOptions], first: usize) -> Result<usize, sqlx::Error> {
    let mut answers = vec![];
    for host in (first..hosts.len()).chain(0..first) {
        let options = &hosts[host];
        let answer = match timeout(PROBE_TIMEOUT, takes_writes(options)).await {
            Ok(Ok(true)) => return Ok(host),
            Ok(Ok(false)) => "is read-only".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
        };
        answers.push(format!("{}: {answer}", address(options)));
    }
    Err(unavailable(format!("none of its servers takes writes: {}", answers.join("; "))))
}

async fn takes_writes(options: &MySqlConnectOptions) -> Result<bool, sqlx::Error> {
    let mut connection: MySqlConnection = options.connect().await?;
    let is_read_only: i64 = sqlx::query_scalar(IS_READ_ONLY).fetch_one(&mut connection).await?;
    if let Err(error) = sqlx::query(WRITE).execute(&mut connection).await {
        match StoreError::from_sqlx(Which::State, &error) {
            // Nothing is there before the first start.
            StoreError::Missing { .. } => {}
            StoreError::ReadOnly { .. } => return Ok(false),
            _ => return Err(error),
        }
    }
    connection.close().await?;
    Ok(is_read_only == 0)
}

fn address(options: &MySqlConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}

fn unavailable(reason: String) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Option<Vec<String>> {
        Some(hosts(url)?.iter().map(address).collect())
    }

    #[test]
    fn a_url_names_one_server_or_several() {
        for (url, expected) in [
            ("mysql://u:p@one/d", vec!["one:3306"]),
            ("mariadb://one:3307", vec!["one:3307"]),
            (
                "mysql://u:p%40%2C@one:1,two:2,[::1]:3/d?ssl-mode=DISABLED",
                vec!["one:1", "two:2", "[::1]:3"],
            ),
        ] {
            assert_eq!(addresses(url).unwrap(), expected, "{url}");
        }
        for url in ["postgres://u:p@one/d", "one:3306", "", "mysql://u:p@one,two:port/d"] {
            assert_eq!(addresses(url), None, "{url}");
        }
    }

    #[test]
    fn every_server_has_the_same_account_and_database() {
        for options in hosts("mysql://u:p@one,two/d").unwrap() {
            assert_eq!((options.get_username(), options.get_database()), ("u", Some("d")));
        }
    }
}
