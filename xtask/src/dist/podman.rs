//! podman, with its images and containers in a directory of their own.

use super::output;
use crate::process::{self, find_program};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use tempfile::TempDir;

/// Without it in a mount namespace of its own, crun refuses systems that have both versions of
/// cgroups.
const WITHOUT_SECOND_CGROUPS: &str = "if mountpoint -q /sys/fs/cgroup/unified; then umount \
                                      /sys/fs/cgroup/unified; fi; exec \"$0\" \"$@\"";

/// What podman keeps, until this is dropped.
pub struct Podman {
    storage: TempDir,
}

impl Podman {
    /// Makes the directory.
    pub fn new() -> Result<Podman> {
        Ok(Podman { storage: TempDir::new()? })
    }

    /// Returns podman with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let podman = find_program("podman").context("no podman")?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", WITHOUT_SECOND_CGROUPS]).arg(podman);
        command.arg("--root").arg(self.storage.path().join("root"));
        command.arg("--runroot").arg(self.storage.path().join("run"));
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        command.args(arguments);
        Ok(command)
    }

    /// Runs it to its end, and returns what it prints.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        output(&mut self.command(arguments)?)
    }

    /// Runs it to its end, and shows what it prints.
    pub fn show(&self, arguments: &[&str]) -> Result<()> {
        process::run(&mut self.command(arguments)?)
    }

    /// Makes an image of an archive of a file system, with these variables.
    pub fn import(&self, archive: &str, variables: &[String], image: &str) -> Result<()> {
        let changes = variables.iter().flat_map(|variable| ["--change", variable.as_str()]);
        let import = ["import", "--quiet"].into_iter().chain(changes).chain([archive, image]);
        self.run(&import.collect::<Vec<_>>()).map(drop)
    }

    /// Returns what podman knows of a container or an image, in this format.
    pub fn inspect(&self, name: &str, format: &str) -> Result<String> {
        let found = self.run(&["inspect", "--format", format, name])?;
        ensure!(!found.trim().is_empty(), "podman knows no {format} of {name}");
        Ok(found.trim().to_owned())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.run(&["rm", "--force", "--all", "--time", "1"]).ok();
        // What a container had mounted goes with its process.
        self.run(&["unmount", "--all"]).ok();
    }
}
