//! Child processes that end with this program.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How long a child may take to leave after it was asked to.
const GRACE: Duration = Duration::from_secs(20);

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Default::default);

/// Makes Ctrl-C, SIGTERM and a closed terminal end the running step; everything else is then
/// cleaned up as after any failure.
pub fn end_children_on_signals() -> Result<()> {
    for signal in
        [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
    {
        signal_hook::flag::register(signal, INTERRUPTED.clone()).context("cannot catch signals")?;
    }
    Ok(())
}

/// Fails once a signal has asked this program to end.
pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// Runs a command to its end in a process group of its own, and ends the whole group when this
/// program is told to end, so that no test binary stays behind cargo.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let mut child =
        command.process_group(0).spawn().with_context(|| format!("cannot start {shown}"))?;
    let group = pid(&child);
    let status = wait_unless_interrupted(&mut child);
    if status.is_err() {
        kill_process_group(group, Signal::TERM).ok();
        wait_at_most(&mut child, GRACE)?;
    }
    // What the step itself forgot; usually nobody is left to get this.
    kill_process_group(group, Signal::KILL).ok();
    let status = status?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}

/// As one would type it; without the environment, which would bury it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn wait_unless_interrupted(child: &mut Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        check_interrupted()?;
        sleep(POLL);
    }
}

/// Waits for the child to leave, and kills it when it does not.
fn wait_at_most(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        sleep(POLL);
    }
    child.kill()?;
    Ok(child.wait()?)
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A server that runs beside the tests and is ended with this value.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it in a process group of its own: Ctrl-C in the terminal must reach the tests
    /// before it takes their server away.
    pub fn spawn(command: &mut Command) -> Result<Daemon> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Daemon { child })
    }

    /// Its process, also when a program such as `setpriv` has become another one.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has left by itself.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        kill_process(pid(&self.child), Signal::TERM).ok();
        wait_at_most(&mut self.child, GRACE).ok();
    }
}

/// Returns where a program is, looking also where servers live that an ordinary user's PATH leaves
/// out.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| is_executable(program))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Returns whether this program runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
