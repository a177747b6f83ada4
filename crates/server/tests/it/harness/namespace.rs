//! A part of the machine for one test: mounts that nobody else sees.

use super::served::PATIENCE;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const READY: &str = "ready";

/// A mount namespace, with root's rights over it. It ends with this value and whoever is in it.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Makes one, and runs this shell script in it.
    pub async fn start(script: &str) -> Namespace {
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--", "sh", "-ec"])
            .arg(format!("{script}\necho {READY}\nexec cat"))
            // Its end is the end of `cat`.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program `unshare` (util-linux)");
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        assert_eq!(
            line.as_deref(),
            Some(READY),
            "this test mounts in a user namespace: run it as root, or allow those (sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0, kernel.unprivileged_userns_clone=1)"
        );
        Namespace { holder }
    }

    /// The words before a command that let it run in here.
    pub fn entrance(&self) -> Vec<String> {
        let target = format!("--target={}", self.id());
        ["nsenter", &target, "--user", "--mount", "--preserve-credentials", "--"]
            .map(str::to_owned)
            .into()
    }

    /// Runs a shell script in here, which has to succeed.
    pub async fn run(&self, script: &str) {
        let entrance = self.entrance();
        let mut command = Command::new(&entrance[0]);
        command.args(&entrance[1..]).args(["sh", "-ec", script]);
        assert!(command.status().await.unwrap().success(), "{script}");
    }

    /// Where a path of it is found from outside.
    pub fn path(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.id()));
        root.join(inside.strip_prefix("/").unwrap())
    }

    fn id(&self) -> u32 {
        self.holder.id().unwrap()
    }
}
