//! MariaDB servers of a test's own, to be killed and promoted.

use super::ports::free_port;
use super::served::PATIENCE;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// The database and the account that kabari has there, with rights over nothing else.
const ACCOUNT: &str = "CREATE DATABASE kabari; \
     CREATE USER kabari IDENTIFIED BY 'only its own'; GRANT ALL ON kabari.* TO kabari";
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a server may take to make its files, and how long to start, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Debian's `nobody` and `nogroup`: the server refuses to be root.
const NOBODY: u32 = 65534;

/// A server on a free port of the loopback.
pub struct MariaDb {
    child: Child,
    port: u16,
    directory: TempDir,
}

/// Returns the URL of kabari's database on all of these servers.
pub fn url(servers: &[&MariaDb]) -> String {
    let addresses: Vec<_> = servers.iter().map(|s| format!("127.0.0.1:{}", s.port)).collect();
    format!("mysql://kabari:only%20its%20own@{}/kabari", addresses.join(","))
}

impl MariaDb {
    /// Starts a server with an empty database.
    pub async fn start(arguments: &[&str]) -> MariaDb {
        let directory = directory();
        let data = data(&directory);
        let mut install = command("mariadb-install-db");
        install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal"]);
        install.arg(temporary(&directory));
        install.args(["--skip-test-db", "--skip-name-resolve"]).stdin(Stdio::null());
        let installed = timeout(START_PATIENCE, install.output()).await.expect("a database");
        let installed = installed.unwrap();
        assert!(installed.status.success(), "mariadb-install-db failed: {installed:?}");
        MariaDb::serve(directory, arguments).await
    }

    /// Starts a server without a database of its own: it gets one from its cluster.
    pub async fn join(arguments: &[&str]) -> MariaDb {
        let directory = directory();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        own(&directory.path().join("data"));
        MariaDb::serve(directory, arguments).await
    }

    async fn serve(directory: TempDir, arguments: &[&str]) -> MariaDb {
        let port = free_port();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let mut server = command("mariadbd");
        server.args(["--no-defaults", &data(&directory), &format!("--port={port}")]);
        server.arg(temporary(&directory));
        server.args(["--bind-address=127.0.0.1", "--skip-name-resolve"]);
        server
            .args([format!("--socket={}", path("socket")), format!("--pid-file={}", path("pid"))]);
        server.arg(format!("--log-error={}", path("log")));
        server.args(["--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M"]);
        server.args(["--innodb-log-file-size=32M", "--performance-schema=OFF"]).args(arguments);
        let child = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = MariaDb { child, port, directory };
        let starting = async {
            let mut looks = interval(LOOK_EVERY);
            // A node of a cluster listens before it takes statements.
            while server.try_connect().await.is_none() {
                looks.tick().await;
            }
        };
        if timeout(START_PATIENCE, starting).await.is_err() {
            panic!("mariadbd does not start:\n{}", server.log());
        }
        server
    }

    async fn try_connect(&self) -> Option<MySqlConnection> {
        let mut connection = self.options().connect().await.ok()?;
        sqlx::raw_sql("SELECT * FROM mysql.db").execute(&mut connection).await.ok()?;
        Some(connection)
    }

    /// Makes kabari's database and account there.
    pub async fn make_account(&self) {
        self.execute(ACCOUNT).await;
    }

    /// Connects with every right.
    pub async fn connect(&self) -> MySqlConnection {
        self.options().connect().await.unwrap()
    }

    /// Runs statements with every right.
    pub async fn execute(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Waits until the first row of a query is as wanted.
    pub async fn wait_for(&self, sql: &str, wanted: impl Fn(&MySqlRow) -> bool) -> MySqlRow {
        let mut connection = self.connect().await;
        let mut looks = interval(LOOK_EVERY);
        let waiting = async {
            loop {
                looks.tick().await;
                let sql = AssertSqlSafe(sql.to_owned());
                let row = sqlx::raw_sql(sql).fetch_optional(&mut connection).await.unwrap();
                if let Some(row) = row.filter(&wanted) {
                    return row;
                }
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{sql}:\n{}", self.log()))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `kill -9`
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    fn options(&self) -> MySqlConnectOptions {
        MySqlConnectOptions::new().host("127.0.0.1").port(self.port).username("root")
    }

    fn log(&self) -> String {
        let path = self.directory.path().join("log");
        let log = |path: PathBuf| std::fs::read_to_string(path).ok();
        log(path.with_extension("err")).or_else(|| log(path)).unwrap_or_default()
    }
}

fn directory() -> TempDir {
    let directory = TempDir::with_prefix("kabari-mariadb-").unwrap();
    own(directory.path());
    directory
}

fn data(directory: &TempDir) -> String {
    format!("--datadir={}", directory.path().join("data").display())
}

/// A server that starts deletes all temporary tables that it finds, another server's too.
fn temporary(directory: &TempDir) -> String {
    format!("--tmpdir={}", directory.path().display())
}

/// Lets the server's account write there, where it is another than ours.
fn own(path: &Path) {
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Returns a program of the server, which ends with this process.
fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        command.args(ids).arg("--clear-groups");
    }
    // Where servers live that an ordinary user's PATH leaves out, and what `cargo xtask test` unpacks.
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/usr/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:{}", unpacked.display()));
    command.args(["--pdeathsig=KILL", "--", program]).kill_on_drop(true);
    command
}
