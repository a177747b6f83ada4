//! A MariaDB server of our own: private, on a free port of the loopback, gone afterwards.

use crate::process::{self, Daemon, find_program};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

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
    port: u16,
    directory: TempDir,
}

impl MariaDb {
    /// Makes an empty database and starts a server on it; `root` has no password there.
    pub fn start() -> Result<MariaDb> {
        let directory = TempDir::with_prefix("kabari-mariadb-")?;
        let path = directory.path();
        if let Some(user) = server_user()? {
            process::run(Command::new("chown").arg(user).arg(path))?;
        }
        let data = format!("--datadir={}", path.join("data").display());
        process::run(
            server_command("mariadb-install-db")?
                .args(["--no-defaults", &data, "--auth-root-authentication-method=normal"])
                .args(["--skip-test-db", "--skip-name-resolve"])
                .stdout(Stdio::null()),
        )
        .context("cannot make an empty MariaDB")?;

        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let server = Daemon::spawn(
            server_command("mariadbd")?
                .args(["--no-defaults", &data, &format!("--port={port}")])
                .args(["--bind-address=127.0.0.1", "--skip-name-resolve"])
                .arg(format!("--socket={}", path.join("socket").display()))
                .arg(format!("--pid-file={}", path.join("pid").display()))
                .arg(format!("--log-error={}", path.join("log").display()))
                .args(["--character-set-server=utf8mb4"])
                .args(["--collation-server=utf8mb4_unicode_ci", MAX_CONNECTIONS])
                // Durable as in production: the tests kill it and count what is left.
                .args(["--innodb-flush-log-at-trx-commit=1", "--skip-log-bin"])
                .args(["--innodb-buffer-pool-size=256M", "--innodb-log-file-size=64M"])
                .args(["--performance-schema=OFF", "--innodb-buffer-pool-dump-at-shutdown=OFF"])
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        let mut mariadb = MariaDb { server, port, directory };
        if let Err(error) = mariadb.wait_until_it_greets() {
            bail!("{error:#}\n{}", last_lines(&mariadb.directory.path().join("log")));
        }
        Ok(mariadb)
    }

    /// `mysql://root@127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    /// A server that accepts connections speaks first.
    fn wait_until_it_greets(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            process::check_interrupted()?;
            if let Some(status) = self.server.exited()? {
                bail!("mariadbd did not start: {status}");
            }
            if greets(self.port).unwrap_or(false) {
                return Ok(());
            }
            sleep(POLL);
        }
        bail!("mariadbd is silent after {} s", START_TIMEOUT.as_secs())
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

/// The account to run the server under: it refuses to be root.
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

/// A program of the server, under the server's account, that dies with this one even when this
/// one is killed.
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
