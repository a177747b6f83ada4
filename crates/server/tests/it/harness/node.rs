//! kabari as a process of its own, to be killed.

use super::caller::Caller;
use super::served::PATIENCE;
use super::world::options;
use kabari::app;
use kabari::clock::Clock;
use kabari::data_dir::DataDir;
use kabari::store::state::SessionKind;
use kabari::whatsapp_session;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use wa_sim::Simulator;

/// How much of a process's log is kept for the case that a test fails.
const LOG_LINES: usize = 60;
/// What sessions on a server are stored with.
pub const SESSION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// What the log says in front of the address at which it can be called.
const ANNOUNCED: [&str; 2] = ["API on http://", "gateway on http://"];

/// How to start the process, again and again on the same data.
#[derive(Clone)]
pub struct Setup {
    command: &'static str,
    data_dir: PathBuf,
    environment: Vec<(&'static str, String)>,
    /// The words before the command.
    within: Vec<String>,
}

impl Setup {
    /// `kabari serve` on this directory, towards this simulator, without pauses between messages.
    pub fn new(data_dir: &Path, simulator: &Simulator) -> Setup {
        Setup::of("serve", data_dir, simulator)
    }

    /// `kabari gateway`, just so.
    pub fn gateway(data_dir: &Path, simulator: &Simulator) -> Setup {
        Setup::of("gateway", data_dir, simulator)
    }

    /// `kabari serve` at the settings that users have.
    pub fn ordinary(data_dir: &Path, simulator: &Simulator) -> Setup {
        let environment = vec![
            ("DATA_DIR", data_dir.display().to_string()),
            ("API_PORT", "0".to_owned()),
            ("WA_WEBSOCKET_URL", simulator.ws_url()),
        ];
        Setup { command: "serve", data_dir: data_dir.to_owned(), environment, within: vec![] }
    }

    fn of(command: &'static str, data_dir: &Path, simulator: &Simulator) -> Setup {
        let environment = vec![
            ("DATA_DIR", data_dir.display().to_string()),
            ("API_PORT", "0".to_owned()),
            ("WA_GATEWAY_PORT", "0".to_owned()),
            ("WA_WEBSOCKET_URL", simulator.ws_url()),
            ("SEND_DELAY_MS", "0".to_owned()),
            ("SEND_JITTER_MS", "0".to_owned()),
            ("LEASE_MS", "1500".to_owned()),
            ("RESEND_WAIT_MS", "300".to_owned()),
            ("ACK_TIMEOUT_MS", "3000".to_owned()),
        ];
        Setup { command, data_dir: data_dir.to_owned(), environment, within: vec![] }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Setup {
        self.environment.push((name, value.into()));
        self
    }

    /// Starts it by way of a program that becomes the one it is told to start, such as `prlimit`.
    pub fn within(self, words: Vec<String>) -> Setup {
        Setup { within: words, ..self }
    }

    /// Keeps the state, and so the session, on this server.
    pub fn on_server(self, url: String) -> Setup {
        self.with("STATE_DATABASE_URL", url).with("SESSION_KEY", SESSION_KEY)
    }

    /// Links the session of this setup to a simulated phone, without any process.
    pub async fn link(&self, simulator: &Simulator, phone: &str) {
        let value =
            |name: &str| self.environment.iter().rfind(|(n, _)| *n == name).map(|(_, v)| v.clone());
        let mut options = options(&self.data_dir);
        options.wa_websocket_url = Some(simulator.ws_url());
        options.wa_session = value("WA_SESSION").unwrap_or(options.wa_session);
        let settings = options.check_with(&value).unwrap();
        let data_dir = DataDir::open(&settings.data_dir).unwrap();
        let state = app::open_state(&settings, Clock::System).await.unwrap();
        let key = whatsapp_session::key(&settings).unwrap();
        state.check_session_key(&key).await.unwrap();
        let (name, kind) = (settings.session.as_str(), SessionKind::Embedded);
        state.create_session(name, kind).await.unwrap();
        let held = state.hold_session(name, kind, data_dir.node(), settings.timeouts.lease).await;
        let lease = held.unwrap().expect("nobody else has it");
        let gateway = app::embedded(&settings, &state, key)(lease.clone()).await.unwrap();
        let mut link = gateway.link();
        let qr = timeout(PATIENCE, link.wait_for(|link| link.qr.is_some())).await.unwrap();
        let qr = qr.unwrap().qr.clone().unwrap();
        simulator.scan(&qr, phone).await.unwrap();
        timeout(PATIENCE, link.wait_for(|link| link.is_connected())).await.unwrap().unwrap();
        gateway.close().await;
        state.release_session(&lease).await.unwrap();
    }

    /// Runs another command with the same settings, to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kabari"));
        command.args(arguments).current_dir(&self.data_dir).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.output().await.unwrap()
    }

    pub fn start(&self) -> Node {
        let program = [env!("CARGO_BIN_EXE_kabari"), self.command];
        let words: Vec<&str> = self.within.iter().map(String::as_str).chain(program).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            // Where no `.env` is.
            .current_dir(&self.data_dir)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (keep, log) = watch::channel(VecDeque::with_capacity(LOG_LINES));
        let (announce, address) = watch::channel(None);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, rest)) = ANNOUNCED.iter().find_map(|a| line.split_once(a)) {
                    announce.send_replace(rest.split(' ').next().and_then(|a| a.parse().ok()));
                }
                keep.send_modify(|kept| {
                    if kept.len() == LOG_LINES {
                        kept.pop_front();
                    }
                    kept.push_back(line);
                });
            }
        });
        Node { child, address, log }
    }
}

/// A running process. It is killed when this is dropped.
pub struct Node {
    child: Child,
    address: watch::Receiver<Option<SocketAddr>>,
    log: watch::Receiver<VecDeque<String>>,
}

impl Node {
    /// Its API, once it listens; `None` if it has ended before.
    pub async fn caller(&mut self) -> Option<Caller> {
        self.address().await.map(Caller::of)
    }

    /// Where it listens, once it does; `None` if it has ended before.
    pub async fn address(&mut self) -> Option<SocketAddr> {
        let address = timeout(PATIENCE, self.address.wait_for(Option::is_some)).await.unwrap();
        address.ok().and_then(|address| *address)
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        timeout(PATIENCE, self.child.wait()).await.ok().map(Result::unwrap)
    }

    /// The most memory it has had so far, in MiB; on Linux.
    pub fn peak_memory(&self) -> Option<u64> {
        const KIBIBYTES: u64 = 1024;
        Some(self.kibibytes("VmHWM:")? / KIBIBYTES)
    }

    /// What the system says of its memory.
    fn kibibytes(&self, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Lets it open a file only while it has fewer; on Linux.
    pub async fn limit_files(&self, files: usize) {
        self.limit(format!("--nofile={files}:")).await;
    }

    /// Lets it get no more memory than it has; on Linux.
    pub async fn limit_memory(&self) {
        let bytes = self.kibibytes("VmData:").unwrap() * 1024;
        self.limit(format!("--data={bytes}")).await;
    }

    async fn limit(&self, limit: String) {
        let id = format!("--pid={}", self.id());
        let limited = Command::new("prlimit").args([&id, &limit]).status().await.unwrap();
        assert!(limited.success(), "{limit} could not be set");
    }

    fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// `kill -9`
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal by its name, such as `STOP`.
    pub async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(sent.success(), "SIG{name} could not be sent");
    }

    /// Waits until its log has a line with these words.
    pub async fn logged(&mut self, words: &str) {
        let has = |log: &VecDeque<String>| log.iter().any(|line| line.contains(words));
        let logged = timeout(PATIENCE, self.log.wait_for(has)).await.is_ok_and(|seen| seen.is_ok());
        assert!(logged, "nothing says {words:?}:\n{}", self.log());
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        self.log.borrow().iter().map(|line| format!("{line}\n")).collect()
    }
}
