//! `cargo xtask dist`: the Debian package and the container image, built and tried.

mod debian;
mod image;
mod podman;
mod whatsapp;

use crate::process::{self, find_program};
use crate::{test, tools};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// What may be chosen.
#[derive(Args)]
pub struct Options {
    /// Build the package, and nothing that wants root or Debian's mirror.
    #[arg(long)]
    build_only: bool,
    /// Only one of the two.
    #[arg(long, value_enum, conflicts_with = "build_only")]
    only: Option<Product>,
}

/// What people install.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Product {
    Deb,
    Image,
}

/// Builds the package and the image into `target/dist`, and tries both.
pub fn run(options: Options) -> Result<()> {
    let root = test::root()?;
    let dist = root.join("target/dist");
    fs::create_dir_all(dist.join("man"))?;
    let wants = |product| options.only.is_none_or(|only| only == product);
    if wants(Product::Deb) {
        package(&root, &dist, options.build_only)?;
    }
    if wants(Product::Image) && !options.build_only {
        ensure_root()?;
        image::build_and_try(&root, &dist)?;
    }
    Ok(())
}

fn ensure_root() -> Result<()> {
    ensure!(process::is_root(), "run this as root, or with --build-only");
    Ok(())
}

/// Builds the package; installs, upgrades and purges it.
fn package(root: &Path, dist: &Path, build_only: bool) -> Result<()> {
    let program = root.join("target/release/kabari");
    build_auditable(&program)?;
    write_sbom(root, dist)?;
    write_companions(&program, dist)?;
    let package = pack(dist, "1")?;
    println!("{}: {} bytes", package.display(), package.metadata()?.len());
    if build_only {
        return Ok(());
    }
    ensure_root()?;
    tools::ensure(&[tools::MMDEBSTRAP])?;
    let next = pack(dist, "2")?;
    debian::try_out(&package, &next, root)?;
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

/// Returns what a command prints.
fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let (said, complaint) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{command:?} failed: {}\n{said}{complaint}", done.status);
    Ok(said.into_owned())
}
