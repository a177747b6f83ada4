//! The container image: the Dockerfile is built on images that are made here, since not every
//! machine reaches a registry, and what comes of it is run.

use super::debian;
use super::output;
use super::podman::Podman;
use super::whatsapp::{WhatsApp, free_port, until};
use crate::tools;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Stands in for the images that the Dockerfile begins with.
const BASE: &str = "localhost/kabari-base:dist";

/// What those have that the Dockerfile counts on, beside Rust.
const BASE_PACKAGES: [&str; 5] = ["ca-certificates", "gcc", "libc6-dev", "make", "tzdata"];

/// The authorities that this machine trusts for the way to crates.io. The image has Debian's.
const AUTHORITIES: &str = "/etc/ssl/certs";

/// What comes of it.
const IMAGE: &str = concat!("localhost/kabari:", env!("CARGO_PKG_VERSION"));

/// It is copied over slow lines.
const LARGEST_IMAGE: u64 = 60_000_000;

/// The user in it, that volumes have to belong to.
const USER: &str = "65532";

/// The name of every container.
const CONTAINER: &str = "kabari";

/// How docker has a container run that may do nothing but its work, with limits that also a
/// sandbox allows.
const CONFINED: [&str; 12] = [
    "--network",
    "host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop",
    "all",
    "--security-opt",
    "no-new-privileges",
    "--ulimit",
    "nofile=8192:8192",
    "--ulimit",
    "nproc=4096:4096",
];

/// Builds the image into `target/dist`, and runs it where containers can be run.
pub fn build_and_try(root: &Path, dist: &Path) -> Result<()> {
    tools::ensure(&[tools::PODMAN, tools::MMDEBSTRAP])?;
    let podman = Podman::new()?;
    import_base(&podman)?;
    build(&podman, root)?;
    let size: u64 = podman.inspect(IMAGE, "{{.Size}}")?.parse()?;
    println!("{IMAGE}: {size} bytes");
    ensure!(size < LARGEST_IMAGE, "the image is too large");
    let archive = dist.join("kabari-image.tar");
    // podman adds to an archive that is there.
    if archive.exists() {
        fs::remove_file(&archive)?;
    }
    let save =
        ["save", "--quiet", "--format", "docker-archive", "--output", text(&archive)?, IMAGE];
    podman.run(&save)?;
    if let Err(error) =
        podman.run(&[&["run", "--rm"], &CONFINED[..], &[IMAGE, "--version"]].concat())
    {
        println!("NOT RUN: the image is built, and no container can be run here: {error:#}");
        return Ok(());
    }
    try_out(&podman, root)
}

/// Makes the image to begin with: a Debian with the Rust that runs this, in the place where it is.
fn import_base(podman: &Podman) -> Result<()> {
    let directory = TempDir::new()?;
    let archive = directory.path().join("base.tar");
    debian::make("essential", &BASE_PACKAGES, &archive)?;
    let path = format!("{}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", sysroot()?);
    let variables = [format!("ENV PATH={path}"), format!("ENV CARGO_HOME={}", cargo_home()?)];
    podman.import(text(&archive)?, &variables, BASE)
}

/// Returns a path as the commands take it.
fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}

/// Builds as `docker build` does. What is compiled already is used again.
fn build(podman: &Podman, root: &Path) -> Result<()> {
    let (sysroot, cargo_home) = (sysroot()?, cargo_home()?);
    let root = text(root)?;
    podman.show(&[
        "build",
        "--isolation=chroot",
        "--network=host",
        "--layers=false",
        "--format=docker",
        &format!("--build-arg=RUST_IMAGE={BASE}"),
        &format!("--build-arg=DEBIAN_IMAGE={BASE}"),
        &format!("--volume={sysroot}:{sysroot}:ro"),
        &format!("--volume={cargo_home}:{cargo_home}"),
        &format!("--volume={AUTHORITIES}:{AUTHORITIES}:ro"),
        &format!("--volume={root}/target:/src/target"),
        &format!("--tag={IMAGE}"),
        root,
    ])
}

fn sysroot() -> Result<String> {
    let printed = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(printed.trim().to_owned())
}

fn cargo_home() -> Result<String> {
    let home = |name| std::env::var(name).ok();
    let set = home("CARGO_HOME").or_else(|| Some(format!("{}/.cargo", home("HOME")?)));
    set.context("neither CARGO_HOME nor HOME is set")
}

/// Sends with it, freezes, stops and replaces it.
fn try_out(podman: &Podman, root: &Path) -> Result<()> {
    let without_key = podman.run(&[&["run", "--rm"], &CONFINED[..], &[IMAGE]].concat());
    let refusal = without_key.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refusal.contains("set API_KEY first"), "it starts without a key: {refusal}");

    let whatsapp = WhatsApp::start(root)?;
    let container = Container { podman, port: free_port()?, gateway: whatsapp.url() };
    container.start()?;
    let pid = podman.inspect(CONTAINER, "{{.State.Pid}}")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let has = |field: &str, value: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(field));
        found.is_some_and(|found| found.split_whitespace().all(|one| one == value))
    };
    ensure!(has("Uid:", USER) && has("Gid:", USER), "it runs as another user: {status}");
    ensure!(has("CapEff:", "0000000000000000"), "it has capabilities: {status}");
    ensure!(has("NoNewPrivs:", "1"), "it could gain privileges: {status}");

    let send = ["send", "custom", "Halo {nama}", "--customers", "1,2"];
    println!("{}", container.kabari(&send)?);
    let mut texts: Vec<_> = whatsapp.messages()?.iter().map(|one| one["text"].clone()).collect();
    texts.sort_by_key(|text| text.to_string());
    ensure!(texts == ["Halo Dewi Lestari", "Halo Wayan Sudarma"], "phones have got {texts:?}");

    podman.run(&["kill", "--signal", "STOP", CONTAINER])?;
    ensure!(!container.is_healthy(), "a kabari that hangs passes the health check");
    podman.run(&["kill", "--signal", "CONT", CONTAINER])?;
    until("kabari does not recover", || container.is_healthy().then_some(()))?;
    container.stop()?;

    container.start()?;
    let report = container.kabari(&["status"])?;
    println!("{report}");
    ensure!(report.contains("campaign  1 completed"), "the next container lost the campaign");
    container.stop()?;
    println!("built, sent with, checked, stopped and replaced");
    Ok(())
}

/// A kabari that sends through a gateway, with its data in a volume.
struct Container<'p> {
    podman: &'p Podman,
    port: u16,
    gateway: String,
}

impl Container<'_> {
    /// Starts it, and waits until it passes its health check.
    fn start(&self) -> Result<()> {
        let mut run = vec!["run", "--detach", "--name", CONTAINER, "--log-driver", "k8s-file"];
        run.extend(CONFINED);
        run.extend(["--volume", "kabari:/var/lib/kabari"]);
        let settings = [
            "API_KEY=a key for this test alone".to_owned(),
            format!("API_PORT={}", self.port),
            format!("WA_GATEWAY_URL={}", self.gateway),
            "SAMPLE_DATA=1".to_owned(),
        ];
        run.extend(settings.iter().flat_map(|setting| ["--env", setting.as_str()]));
        run.push(IMAGE);
        self.podman.run(&run)?;
        until("the container is not healthy", || self.is_healthy().then_some(()))
            .with_context(|| self.podman.run(&["logs", CONTAINER]).unwrap_or_default())
    }

    fn is_healthy(&self) -> bool {
        self.podman.run(&["healthcheck", "run", CONTAINER]).is_ok()
    }

    /// Runs a command of kabari in it.
    fn kabari(&self, arguments: &[&str]) -> Result<String> {
        self.podman.run(&[&["exec", CONTAINER, "kabari"], arguments].concat())
    }

    /// Has it end, which it does by itself and without an error, and removes it.
    fn stop(&self) -> Result<()> {
        self.podman.run(&["stop", "--time", "15", CONTAINER])?;
        let code = self.podman.inspect(CONTAINER, "{{.State.ExitCode}}")?;
        ensure!(code == "0", "it ends with {code}: {}", self.podman.run(&["logs", CONTAINER])?);
        self.podman.run(&["rm", CONTAINER]).map(drop)
    }
}
