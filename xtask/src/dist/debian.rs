//! The Debian package, installed in a Debian of its own.

use super::output;
use super::whatsapp::{WhatsApp, free_port, until};
use crate::process::{self, Daemon, find_program};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the packages of the system come from in which ours is tried.
const MIRROR: &str = "http://deb.debian.org/debian";

/// How long kabari may take from its start to its first answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(200);

/// A key that is made before the upgrade, and has to be there after it.
const KEY_NAME: &str = "upgrade-test";

/// A campaign at the default pace, which the upgrade comes into.
const SEND: &str = "kabari send custom \"Halo {nama}\" --customers 1,2,3,5,8";
const RECIPIENTS: usize = 5;

/// Installs, starts, upgrades and purges the package as an administrator would.
pub fn try_out(package: &Path, next: &Path, root: &Path) -> Result<()> {
    let system = System::make()?;
    let whatsapp = WhatsApp::start(root)?;
    system.install(package)?;
    system.expect(&["stat", "-c", "%a %U:%G", "/etc/kabari/kabari.env"], "640 root:kabari")?;
    system.expect(&["stat", "-c", "%a %U:%G", "/var/lib/kabari"], "700 kabari:kabari")?;
    system.expect(&["kabari", "--version"], concat!("kabari ", env!("CARGO_PKG_VERSION")))?;
    let (port, gateway) = (free_port()?, whatsapp.url());
    let settings = format!("API_PORT={port}\nSAMPLE_DATA=1\nWA_GATEWAY_URL={gateway}\n");
    system.append("etc/kabari/kabari.env", &settings)?;

    let server = system.start()?;
    println!("{}", system.as_kabari("kabari status")?);
    println!("{}", system.as_kabari("kabari doctor || true")?);
    system.as_kabari(&format!("kabari key add {KEY_NAME} --scope send"))?;
    let sending = system.begin(SEND)?;
    let arrived = || Some(whatsapp.messages().ok()?.len());
    until("nothing is sent", || arrived().filter(|arrived| *arrived > 0))?;
    system.install(next)?;
    drop(server);
    drop(sending);
    ensure!(arrived() < Some(RECIPIENTS), "the campaign was over before the upgrade");
    let server = system.start()?;
    until("the campaign does not end after the upgrade", || {
        let status = system.as_kabari("kabari status").ok()?;
        status.contains("campaign  1 completed").then_some(())
    })?;
    let messages = whatsapp.messages()?;
    let told: BTreeSet<String> = messages.iter().map(|one| one["to"].to_string()).collect();
    ensure!(
        (messages.len(), told.len()) == (RECIPIENTS, RECIPIENTS),
        "not everybody got it once: {messages:?}"
    );
    ensure!(system.as_kabari("kabari key list")?.contains(KEY_NAME), "the upgrade lost a key");
    let kept = fs::read_to_string(system.root().join("etc/kabari/kabari.env"))?;
    ensure!(kept.ends_with(&settings), "the upgrade lost the settings");
    drop(server);

    system.run(&["dpkg", "--purge", "kabari"])?;
    ensure!(!system.root().join("etc/kabari").exists(), "settings outlive the purge");
    ensure!(system.root().join("var/lib/kabari").exists(), "nobody said to remove the data");
    system.install(next)?;
    let answer = "echo 'kabari kabari/remove-data boolean true' | debconf-set-selections";
    system.run(&["sh", "-c", answer])?;
    system.run(&["dpkg", "--purge", "kabari"])?;
    ensure!(!system.root().join("var/lib/kabari").exists(), "the data outlives the purge");
    println!("installed, started, upgraded in mid-campaign and purged");
    Ok(())
}

/// Makes a Debian of the release that runs here with these packages, in a directory or an archive.
pub fn make(variant: &str, packages: &[&str], target: &Path) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release")?;
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite.context("this system is no Debian with a code name")?;
    let mut make = Command::new(find_program("mmdebstrap").context("no mmdebstrap")?);
    make.args(["--quiet", "--mode=root"]).arg(format!("--variant={variant}"));
    make.arg(format!("--include={}", packages.join(","))).arg(suite).arg(target).arg(MIRROR);
    process::run(&mut make)
}

/// A small Debian in a directory.
struct System(TempDir);

impl System {
    fn make() -> Result<System> {
        let directory = TempDir::new()?;
        make("minbase", &["adduser", "debconf", "ca-certificates"], directory.path())?;
        Ok(System(directory))
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.root()).args(words).env_clear().env("DEBIAN_FRONTEND", "noninteractive");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command
    }

    fn run(&self, words: &[&str]) -> Result<String> {
        output(&mut self.command(words))
    }

    fn expect(&self, words: &[&str], wanted: &str) -> Result<()> {
        let said = self.run(words)?;
        ensure!(said.trim() == wanted, "{} says {said:?}, not {wanted:?}", words.join(" "));
        Ok(())
    }

    fn install(&self, package: &Path) -> Result<()> {
        let file = self.root().join("kabari.deb");
        fs::copy(package, file)?;
        self.run(&["dpkg", "--install", "/kabari.deb"]).map(drop)
    }

    fn append(&self, file: &str, text: &str) -> Result<()> {
        let path = self.root().join(file);
        let before = fs::read_to_string(&path)?;
        Ok(fs::write(path, before + text)?)
    }

    /// Runs a command of the shell as the unit would: its user, its settings.
    fn as_kabari(&self, command: &str) -> Result<String> {
        self.run(&["sh", "-c", &self.unit(command)?])
    }

    fn unit(&self, command: &str) -> Result<String> {
        let unit = fs::read_to_string(self.root().join("usr/lib/systemd/system/kabari.service"))?;
        let of_unit = |key: &str| {
            let found = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            found.map(str::to_owned).with_context(|| format!("the unit has no {key}"))
        };
        let command = command.replace("ExecStart", &of_unit("ExecStart")?);
        Ok(format!(
            "set -a; . {}; export {}; cd /; exec setpriv --reuid {} --regid {} --clear-groups \
             --no-new-privs sh -c '{command}'",
            of_unit("EnvironmentFile")?,
            of_unit("Environment")?,
            of_unit("User")?,
            of_unit("Group")?,
        ))
    }

    /// Begins a command of the shell as the unit would.
    fn begin(&self, command: &str) -> Result<Daemon> {
        let unit = self.unit(command)?;
        let mut command = self.command(&["sh", "-c", &unit]);
        Daemon::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Starts the unit's command line, and waits until it answers.
    fn start(&self) -> Result<Daemon> {
        let mut server = self.begin("exec ExecStart")?;
        let deadline = Instant::now() + START_TIMEOUT;
        while self.as_kabari("kabari status").is_err() {
            process::check_interrupted()?;
            if let Some(status) = server.exited()? {
                bail!("the unit's command line ended: {status}");
            }
            ensure!(Instant::now() < deadline, "kabari does not answer");
            sleep(POLL);
        }
        Ok(server)
    }
}
