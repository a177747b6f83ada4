//! The programs that the checks need, and how to get those that are missing.

use crate::process::{self, find_program};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program from Debian's packages.
pub struct Tool {
    /// Names it goes by; any of them will do.
    programs: &'static [&'static str],
    /// What to install when none is there.
    packages: &'static [&'static str],
    /// Arguments under which it has to succeed, where being there is not enough.
    probe: &'static [&'static str],
}

/// The `-core` packages bring the server without a system service that would start by itself.
pub const MARIADB: Tool = Tool {
    programs: &["mariadbd"],
    packages: &["mariadb-server-core", "mariadb-client-core"],
    probe: &[],
};
/// Runs the second WhatsApp client of the tests.
pub const NODE: Tool = Tool { programs: &["node"], packages: &["nodejs"], probe: &[] };
/// Installs it.
pub const NPM: Tool = Tool { programs: &["npm"], packages: &["npm"], probe: &[] };
/// Installs and runs the third, and other checks. Debian's Python comes without what makes an
/// environment.
pub const PYTHON: Tool = Tool {
    programs: &["python3"],
    packages: &["python3", "python3-venv"],
    probe: &["-c", "import ensurepip, venv"],
};
/// Shows the pages as people see them.
pub const CHROMIUM: Tool = Tool {
    programs: &["chromium", "chromium-browser", "google-chrome"],
    packages: &["chromium"],
    probe: &[],
};
/// Draws the signs in messages, on pictures of pages.
pub const EMOJI: Tool = Tool {
    programs: &["sh"],
    packages: &["fontconfig", "fonts-noto-color-emoji"],
    probe: &["-c", "fc-list | grep -qi emoji"],
};
/// Moves the mouse and the keys of that browser.
pub const CHROMEDRIVER: Tool =
    Tool { programs: &["chromedriver"], packages: &["chromium-driver"], probe: &[] };

/// Makes a Debian in a directory or an archive.
pub const MMDEBSTRAP: Tool =
    Tool { programs: &["mmdebstrap"], packages: &["mmdebstrap"], probe: &[] };

/// Judges what is written for it; it needs no docker for that.
pub const COMPOSE: Tool =
    Tool { programs: &["docker-compose"], packages: &["docker-compose"], probe: &[] };

/// Builds and runs container images.
pub const PODMAN: Tool =
    Tool { programs: &["podman"], packages: &["podman", "crun"], probe: &["version"] };

/// Lets several MariaDB servers be one database, and copies it to those that join.
pub const GALERA: Tool = Tool {
    programs: &["sh"],
    packages: &["galera-4", "rsync", "iproute2"],
    probe: &["-c", "test -e /usr/lib/galera/libgalera_smm.so && command -v rsync && command -v ss"],
};

/// A program whose package stays uninstalled: it would start a server.
pub struct Unpacked {
    program: &'static str,
    package: &'static str,
}

/// Judges what is written for Prometheus.
pub const PROMTOOL: Unpacked = Unpacked { program: "promtool", package: "prometheus" };
/// Copies a database to a node that joins a Galera cluster.
pub const STATE_TRANSFER: Unpacked =
    Unpacked { program: "wsrep_sst_rsync", package: "mariadb-server" };

impl Tool {
    fn is_there(&self) -> bool {
        let mut found = self.programs.iter().filter_map(|name| find_program(name));
        found.any(|program| self.probe.is_empty() || succeeds(&program, self.probe))
    }
}

fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Installs with apt what is missing of these.
pub fn ensure(tools: &[Tool]) -> Result<()> {
    let packages: Vec<&str> = tools
        .iter()
        .filter(|tool| !tool.is_there())
        .flat_map(|tool| tool.packages)
        .copied()
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if find_program("apt-get").is_none() {
        bail!(
            "missing: {wanted} (names of Debian packages), and there is no apt-get here to install them with; install them yourself and run this again"
        );
    }
    println!("installing with apt-get: {wanted}");
    apt_get(&["update"]).context("apt-get update")?;
    // Never at the price of something the user has, such as a MySQL server.
    let options = ["install", "--yes", "--no-remove", "--no-install-recommends"];
    apt_get(&[&options[..], &packages[..]].concat())
        .with_context(|| format!("install {wanted} yourself and run this again"))?;
    match tools.iter().find(|tool| !tool.is_there()) {
        None => Ok(()),
        Some(tool) => bail!("{} is still missing after its installation", tool.programs[0]),
    }
}

/// Installs what the `requirements.txt` of a directory names, with its hashes, into `.venv` there.
pub fn install_python_packages(directory: &Path) -> Result<()> {
    process::run(Command::new("python3").args(["-m", "venv", ".venv"]).current_dir(directory))?;
    let mut pip = Command::new(directory.join(".venv/bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    pip.args(["--require-hashes", "--no-deps", "--requirement", "requirements.txt"]);
    process::run(pip.current_dir(directory))
}

/// Unpacks the package of a program below `target`, unless the system has the program.
pub fn unpack(Unpacked { program, package }: &Unpacked, target: &Path) -> Result<()> {
    let directory = target.join("tools");
    if find_program(program).is_some() || directory.join("usr/bin").join(program).exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&directory)?;
    let install = || format!("install the Debian package {package} yourself and run this again");
    let download = || {
        let mut apt = Command::new("apt-get");
        process::run(apt.args(["-qq", "download", package]).current_dir(&directory))
    };
    if download().is_err() {
        apt_get(&["update"]).context("apt-get update")?;
        download().with_context(install)?;
    }
    let is_package = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
    };
    let mut files = std::fs::read_dir(&directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = files.find(is_package).with_context(install)?;
    process::run(Command::new("dpkg-deb").arg("--extract").args([&file, &directory]))
}

/// Stays in the terminal's foreground, unlike other children: sudo may ask for a password.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(if process::is_root() { "env" } else { "sudo" });
    if !process::is_root() {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]).args(arguments);
    let output = command
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    process::check_interrupted()?;
    if !output.status.success() {
        bail!("{command:?} failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

/// Makes sure that rustfmt and clippy are part of the toolchain.
pub fn ensure_cargo_components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if succeeds(Path::new("cargo"), &[subcommand, "--version"]) {
            continue;
        }
        process::run(Command::new("rustup").args(["component", "add", component])).with_context(
            || format!("the Rust toolchain lacks {component}; add it and run this again"),
        )?;
    }
    Ok(())
}
