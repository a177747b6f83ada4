//! A MariaDB server of our own: private, on a free port of the loopback, gone afterwards.

use crate::process::{self, Daemon, find_program};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Below those that systems give to whoever asks for any: nobody else gets the server's while it is
/// restarted. Above those of the tests' own servers.
const PORTS: std::ops::Range<u16> = 30_000..32_000;

/// How long the server may take from its start to its first greeting.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait between two looks at a server that starts.
const POLL: Duration = Duration::from_millis(50);

/// How much of a failed server's log is shown.
const LOG_LINES: usize = 30;

/// Many test processes with a pool each.
const MAX_CONNECTIONS: &str = "--max-connections=2000";

/// A running server. Any system-wide MariaDB, its settings and its data are left alone.
pub struct MariaDb {
    // Ends before its directory goes.
    server: Daemon,
    place: Place,
}

/// Where a server keeps its data and listens, also after a restart.
struct Place {
    port: u16,
    directory: TempDir,
}

impl MariaDb {
    /// Makes an empty database and starts a server on it; `root` has no password there.
    pub fn start() -> Result<MariaDb> {
        let place = Place::make()?;
        let server = place.serve()?;
        let mut mariadb = MariaDb { server, place };
        if let Err(error) = mariadb.wait_until_it_greets() {
            bail!("{error:#}\n{}", last_lines(&mariadb.place.path("log")));
        }
        Ok(mariadb)
    }

    /// `mysql://root@127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.place.port)
    }

    /// Returns the file that has the server's process id.
    pub fn pid_file(&self) -> PathBuf {
        self.place.path("pid")
    }

    /// Returns the server's process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// A server that accepts connections speaks first.
    fn wait_until_it_greets(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            process::check_interrupted()?;
            if let Some(status) = self.server.exited()? {
                bail!("mariadbd did not start: {status}");
            }
            if greets(self.place.port).unwrap_or(false) {
                return Ok(());
            }
            sleep(POLL);
        }
        bail!("mariadbd is silent after {} s", START_TIMEOUT.as_secs())
    }
}

impl Place {
    fn make() -> Result<Place> {
        let directory = TempDir::with_prefix("kabari-mariadb-")?;
        if let Some(user) = server_user()? {
            process::run(Command::new("chown").arg(user).arg(directory.path()))?;
        }
        let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let port = { PORTS }.find(free).context("no free port for MariaDB")?;
        let place = Place { port, directory };
        process::run(
            server_command("mariadb-install-db")?
                .args(["--no-defaults", &place.argument("datadir", "data")])
                .arg(place.argument("tmpdir", ""))
                .args(["--auth-root-authentication-method=normal"])
                .args(["--skip-test-db", "--skip-name-resolve"])
                .stdout(Stdio::null()),
        )
        .context("cannot make an empty MariaDB")?;
        Ok(place)
    }

    fn serve(&self) -> Result<Daemon> {
        Daemon::spawn(
            server_command("mariadbd")?
                .args(["--no-defaults", &self.argument("datadir", "data")])
                // Its own: a server that starts deletes all temporary tables that it finds.
                .arg(self.argument("tmpdir", ""))
                .arg(format!("--port={}", self.port))
                .args(["--bind-address=127.0.0.1", "--skip-name-resolve"])
                .arg(self.argument("socket", "socket"))
                .arg(self.argument("pid-file", "pid"))
                .arg(self.argument("log-error", "log"))
                .args(["--character-set-server=utf8mb4"])
                .args(["--collation-server=utf8mb4_unicode_ci", MAX_CONNECTIONS])
                // Durable as in production: the tests kill it and count what is left.
                .args(["--innodb-flush-log-at-trx-commit=1", "--skip-log-bin"])
                .args(["--innodb-buffer-pool-size=256M", "--innodb-log-file-size=64M"])
                .args(["--performance-schema=OFF", "--innodb-buffer-pool-dump-at-shutdown=OFF"])
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn argument(&self, option: &str, name: &str) -> String {
        format!("--{option}={}", self.path(name).display())
    }
}

/// A server that tests kill: it is started again as soon as it has ended, until this is dropped.
pub struct Revived {
    url: String,
    pid_file: PathBuf,
    stop: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

impl Revived {
    /// Starts one, as [`MariaDb::start`] does.
    pub fn start() -> Result<Revived> {
        let mut mariadb = MariaDb::start()?;
        let (url, pid_file) = (mariadb.url(), mariadb.pid_file());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let keeper = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if !matches!(mariadb.server.exited(), Ok(None)) {
                    match mariadb.place.serve() {
                        Ok(server) => mariadb.server = server,
                        Err(error) => return eprintln!("MariaDB cannot be revived: {error:#}"),
                    }
                }
                sleep(POLL);
            }
        });
        Ok(Revived { url, pid_file, stop, keeper: Some(keeper) })
    }

    /// Tells the tests where it is, and that they may kill it.
    pub fn offer<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("TORTURE_MARIADB_URL", &self.url)
            .env("TORTURE_MARIADB_PID_FILE", &self.pid_file)
    }
}

impl Drop for Revived {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            keeper.join().ok();
        }
    }
}

fn greets(port: u16) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut greeting = [0; 5];
    connection.read_exact(&mut greeting)?;
    // Four bytes of packet header, then the version of the protocol.
    Ok(greeting[4] == 10)
}

/// Returns the account to run the server under: it refuses to be root.
fn server_user() -> Result<Option<&'static str>> {
    if !process::is_root() {
        return Ok(None);
    }
    let has_mysql = Command::new("id")
        .arg("mysql")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start id")?
        .success();
    Ok(Some(if has_mysql { "mysql" } else { "nobody" }))
}

/// Returns a program of the server, under the server's account, that dies with this one even when
/// this one is killed.
fn server_command(program: &str) -> Result<Command> {
    let program = find_program(program).with_context(|| format!("{program} is not installed"))?;
    let Some(setpriv) = find_program("setpriv") else {
        return Ok(Command::new(program));
    };
    let mut command = Command::new(setpriv);
    if let Some(user) = server_user()? {
        command.args(["--reuid", user, "--clear-groups"]);
        let group = if user == "nobody" { "nogroup" } else { user };
        command.args(["--regid", group]);
    }
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    Ok(command)
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
