//! A child process, what it says, and what it has used.

use anyhow::{Context, bail};
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a process may take to say that it is ready, and so what it has been told is done.
const PATIENCE: Duration = Duration::from_secs(600);
/// The unit of processor times in `/proc` on Linux, whatever the kernel counts in itself.
const TICK: Duration = Duration::from_millis(10);

/// It is killed when this is dropped.
pub struct Process {
    child: Child,
    orders: ChildStdin,
    /// What it says on its standard error.
    lines: mpsc::UnboundedReceiver<String>,
}

impl Process {
    /// Starts it; it gets orders on its standard input and answers on its standard error.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Process> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let orders = child.stdin.take().context("its input is ours")?;
        let output = child.stderr.take().context("its output is ours")?;
        let (said, lines) = mpsc::unbounded_channel();
        // Also when nobody listens: a full pipe would hold the process up.
        tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                let _ = said.send(line);
            }
        });
        Ok(Process { child, orders, lines })
    }

    pub async fn order(&mut self) -> anyhow::Result<()> {
        Ok(self.orders.write_all(b"\n").await?)
    }

    /// Waits for a line with this in it; answers what comes after it.
    pub async fn says(&mut self, marker: &str) -> anyhow::Result<String> {
        let mut before = Vec::new();
        let said = timeout(PATIENCE, async {
            while let Some(line) = self.lines.recv().await {
                if let Some((_, rest)) = line.split_once(marker) {
                    return Some(rest.to_owned());
                }
                before.push(line);
            }
            None
        });
        match said.await {
            Ok(Some(rest)) => Ok(rest),
            Ok(None) => bail!("a process ended before its time:\n{}", before.join("\n")),
            Err(_) => bail!("no {marker:?} in time, but\n{}", before.join("\n")),
        }
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("a process has ended")
    }

    /// The processor time it has used so far, in all its threads.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.id()?)
    }

    /// The most memory it ever had resident, in MB.
    pub fn peak_mb(&self) -> anyhow::Result<f64> {
        Ok(self.status::<f64>("VmHWM")? * 1024.0 / 1e6)
    }

    /// The memory it has resident now, in MB.
    pub fn resident_mb(&self) -> anyhow::Result<f64> {
        Ok(self.status::<f64>("VmRSS")? * 1024.0 / 1e6)
    }

    /// How many threads it has.
    pub fn threads(&self) -> anyhow::Result<u32> {
        self.status("Threads")
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id()?))?.count())
    }

    /// A number from `/proc/PID/status`; memory is in KiB there.
    fn status<T: FromStr>(&self, field: &str) -> anyhow::Result<T> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next());
        let number = number.and_then(|number| number.parse().ok());
        number.with_context(|| format!("/proc tells no {field}"))
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let id = self.id()?.to_string();
        Command::new("kill").args(["-TERM", &id]).status().await?;
        timeout(PATIENCE, self.child.wait())
            .await
            .context("a process does not end")?
            .map_err(Into::into)
    }

    /// Ends it with `kill -9`.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The processor time a process has used so far, in user and in kernel mode.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets, which may hold anything; utime and stime are the
    // 14th and 15th.
    let (_, rest) = stat.rsplit_once(')').context("/proc has an unknown form")?;
    let fields = rest.split_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}
