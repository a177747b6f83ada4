//! A gateway that is linked to the simulator, for a released kabari to send through: by itself it
//! trusts WhatsApp's key alone.

use crate::process::{self, Daemon};
use crate::test;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The number that sends.
const OUR_NUMBER: &str = "6281299990000";

/// How long the two may take to be there, and to be linked.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);

/// How often they are asked meanwhile.
const POLL: Duration = Duration::from_millis(200);

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The simulator and the gateway in front of it.
pub struct WhatsApp {
    simulator: u16,
    gateway: u16,
    // The gateway ends first.
    _gateway: Daemon,
    _simulator: Daemon,
    _data: TempDir,
}

impl WhatsApp {
    /// Builds both, starts them, and links them.
    pub fn start(root: &Path) -> Result<WhatsApp> {
        // As for the tests, which share the build.
        let build = ["build", "--workspace", "--locked", "--bins", "--examples"];
        process::run(test::cargo().args(build))?;
        let data = TempDir::new()?;
        let [simulator, gateway] = [free_port()?, free_port()?];
        let mut command = Command::new(root.join("target/debug/wa-sim"));
        let address = format!("127.0.0.1:{simulator}");
        let simulated = spawn(command.args(["--listen", &address]))?;
        let mut command = Command::new(root.join("target/debug/examples/kabari-sim"));
        command.args(["gateway", "--send-delay-ms", "0", "--send-jitter-ms", "0"]);
        command.args(["--wa-websocket-url", &format!("ws://{address}/ws/chat")]);
        command.args(["--wa-gateway-port", &gateway.to_string()]);
        let served = spawn(command.current_dir(data.path()))?;
        let whatsapp =
            WhatsApp { simulator, gateway, _gateway: served, _simulator: simulated, _data: data };
        whatsapp.link()?;
        Ok(whatsapp)
    }

    /// Returns where the gateway is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway)
    }

    /// Returns what phones have got.
    pub fn messages(&self) -> Result<Vec<Value>> {
        let messages = request(self.simulator, "GET", "/control/messages", &Value::Null)?;
        Ok(messages.as_array().context("the simulator lists no messages")?.clone())
    }

    /// Has a phone scan the gateway's QR code.
    fn link(&self) -> Result<()> {
        let text = until("the gateway shows no QR code", || {
            let shown = request(self.gateway, "GET", "/qr", &Value::Null).ok()?;
            Some(shown["text"].as_str()?.to_owned())
        })?;
        let scan = json!({"qr": text, "phone": OUR_NUMBER});
        let linked = request(self.simulator, "POST", "/control/scan", &scan)?;
        ensure!(linked["device"].is_number(), "the phone does not link the gateway: {linked}");
        until("the gateway does not connect", || {
            let status = request(self.gateway, "GET", "/status", &Value::Null).ok()?;
            (status["ready"] == true).then_some(())
        })
    }
}

fn spawn(command: &mut Command) -> Result<Daemon> {
    Daemon::spawn(command.env("RUST_LOG", "warn").stdout(Stdio::null()))
}

/// Returns a port that nobody has.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Asks until there is an answer.
pub fn until<T>(complaint: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + LINK_TIMEOUT;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        process::check_interrupted()?;
        ensure!(Instant::now() < deadline, "{complaint} within {} s", LINK_TIMEOUT.as_secs());
        sleep(POLL);
    }
}

/// Sends a request to this machine, and returns the JSON of the answer.
fn request(port: u16, method: &str, path: &str, body: &Value) -> Result<Value> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    // In HTTP/1.0 the answer ends where the connection does.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n");
    let about = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    stream.write_all(format!("{head}{about}\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(serde_json::from_str(body)?),
        _ => bail!("{method} {path}: {answer}"),
    }
}
