//! `cargo xtask dist`: the Debian package, tried in a Debian of its own.

use crate::process::{self, Daemon, find_program};
use crate::{test, tools};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A subcommand of cargo, in the version that it was tried with.
struct CargoTool {
    name: &'static str,
    version: &'static str,
}

/// Writes into the program what it was built from, where `cargo audit bin` finds it.
const CARGO_AUDITABLE: CargoTool = CargoTool { name: "cargo-auditable", version: "0.7.7" };
/// Lists the same beside the package.
const CARGO_CYCLONEDX: CargoTool = CargoTool { name: "cargo-cyclonedx", version: "0.5.9" };
/// Packs it.
const CARGO_DEB: CargoTool = CargoTool { name: "cargo-deb", version: "3.8.0" };

/// The section of the program that `cargo auditable` adds.
const AUDITABLE_SECTION: &[u8] = b".dep-v0";

/// The list of what the program is built from, in the format of CycloneDX.
const SBOM: &str = "kabari.cdx.json";

/// Where the packages of the system come from in which ours is tried.
const MIRROR: &str = "http://deb.debian.org/debian";

/// How long kabari may take from its start to its first answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(200);

/// A key that is made before the upgrade, and has to be there after it.
const KEY_NAME: &str = "upgrade-test";

/// What may be chosen.
#[derive(Args)]
pub struct Options {
    /// Build the package, and do not try it: that wants root, and Debian's mirror.
    #[arg(long)]
    build_only: bool,
}

/// Builds the package into `target/dist`, and installs, upgrades and purges it.
pub fn run(options: Options) -> Result<()> {
    let root = test::root()?;
    let dist = root.join("target/dist");
    fs::create_dir_all(dist.join("man"))?;
    let program = root.join("target/release/kabari");
    build_auditable(&program)?;
    write_sbom(&root, &dist)?;
    write_companions(&program, &dist)?;
    let package = pack(&dist, "1")?;
    println!("{}: {} bytes", package.display(), package.metadata()?.len());
    if options.build_only {
        return Ok(());
    }
    ensure!(process::is_root(), "run this as root, or with --build-only");
    tools::ensure(&[tools::DEBOOTSTRAP])?;
    let next = pack(&dist, "2")?;
    try_out(&package, &next)?;
    Ok(fs::remove_file(next)?)
}

/// Has kabari write its manual pages and completions.
fn write_companions(kabari: &Path, dist: &Path) -> Result<()> {
    process::run(Command::new(kabari).arg("manual").arg(dist.join("man")))?;
    for shell in ["bash", "fish", "zsh"] {
        let script = output(Command::new(kabari).args(["completions", shell]))?;
        fs::write(dist.join(format!("kabari.{shell}")), script)?;
    }
    Ok(())
}

impl CargoTool {
    /// Returns a cargo that has it, after its installation below `target/tools` where it is missing.
    fn cargo(&self) -> Result<Command> {
        let tools = test::root()?.join("target/tools");
        if find_program(self.name).is_none() && !tools.join("bin").join(self.name).exists() {
            let mut install = test::cargo();
            install.args(["install", "--locked", "--debug", self.name, "--version", self.version]);
            process::run(install.arg("--root").arg(&tools))?;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
        let mut cargo = test::cargo();
        cargo.env("PATH", std::env::join_paths(paths)?);
        Ok(cargo)
    }
}

/// Builds the program with the list of what it is built from in it.
fn build_auditable(program: &Path) -> Result<()> {
    process::run(CARGO_AUDITABLE.cargo()?.arg("auditable").args(test::RELEASE_BUILD))?;
    let program = fs::read(program)?;
    let mut windows = program.windows(AUDITABLE_SECTION.len());
    ensure!(windows.any(|bytes| bytes == AUDITABLE_SECTION), "the program names no dependencies");
    Ok(())
}

/// Writes the same list beside the package.
fn write_sbom(root: &Path, dist: &Path) -> Result<()> {
    let mut list = CARGO_CYCLONEDX.cargo()?;
    list.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"]);
    list.args(["--no-build-deps", "--override-filename", "kabari.cdx"]);
    process::run(list.arg("--manifest-path").arg(root.join("crates/server/Cargo.toml")))?;
    fs::rename(root.join("crates/server").join(SBOM), dist.join(SBOM))?;
    // It writes one for every crate of the workspace.
    for others in ["crates/domain", "crates/gateway", "crates/wa-sim", "xtask"] {
        fs::remove_file(root.join(others).join(SBOM))?;
    }
    Ok(())
}

/// Packs what is built, as this revision of the package.
fn pack(dist: &Path, revision: &str) -> Result<PathBuf> {
    let mut deb = CARGO_DEB.cargo()?;
    deb.args(["deb", "-p", "kabari", "--no-build", "--no-strip", "--quiet"]);
    deb.args(["--deb-revision", revision, "--output"]).arg(dist);
    let packed = output(&mut deb)?;
    let package = packed.lines().last().context("cargo deb names no package")?;
    Ok(PathBuf::from(package))
}

/// Installs, starts, upgrades and purges the package as an administrator would.
fn try_out(package: &Path, next: &Path) -> Result<()> {
    let system = System::make()?;
    system.install(package)?;
    system.expect(&["stat", "-c", "%a %U:%G", "/etc/kabari/kabari.env"], "640 root:kabari")?;
    system.expect(&["stat", "-c", "%a %U:%G", "/var/lib/kabari"], "700 kabari:kabari")?;
    system.expect(&["kabari", "--version"], concat!("kabari ", env!("CARGO_PKG_VERSION")))?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let settings = format!("API_PORT={port}\nSAMPLE_DATA=1\n");
    system.append("etc/kabari/kabari.env", &settings)?;

    let server = system.start()?;
    println!("{}", system.as_kabari("kabari status")?);
    println!("{}", system.as_kabari("kabari doctor || true")?);
    system.as_kabari(&format!("kabari key add {KEY_NAME} --scope send"))?;
    system.install(next)?;
    drop(server);
    let server = system.start()?;
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
    println!("installed, started, upgraded and purged");
    Ok(())
}

/// A small Debian in a directory.
struct System(TempDir);

impl System {
    fn make() -> Result<System> {
        let directory = TempDir::new()?;
        let release = fs::read_to_string("/etc/os-release")?;
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let suite = suite.context("this system is no Debian with a code name")?;
        let mut make = Command::new(find_program("debootstrap").context("no debootstrap")?);
        make.args(["--variant=minbase", "--include=adduser,debconf,ca-certificates", suite]);
        process::run(make.arg(directory.path()).arg(MIRROR).stdout(Stdio::null()))?;
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

    /// Starts the unit's command line, and waits until it answers.
    fn start(&self) -> Result<Daemon> {
        let unit = self.unit("exec ExecStart")?;
        let mut server = Daemon::spawn(
            self.command(&["sh", "-c", &unit]).stdout(Stdio::null()).stderr(Stdio::null()),
        )?;
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

/// Returns what a command prints.
fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let (said, complaint) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{command:?} failed: {}\n{said}{complaint}", done.status);
    Ok(said.into_owned())
}
