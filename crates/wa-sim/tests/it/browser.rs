//! Chromium for the tests of pages, here and in `crates/server/tests/it`.

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the browser is asked whether something has become true.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A browser without a window, told over its DevTools what to do.
pub struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    calls: u64,
    _profile: tempfile::TempDir,
    _process: Child,
}

impl Browser {
    /// Opens a page.
    pub async fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--remote-debugging-port=0"])
            // Whatever a page names, nothing leaves this machine.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium is missing: install it, or run `cargo xtask test`");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let devtools = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("chromium has ended");
                if let Some(url) = line.strip_prefix("DevTools listening on ") {
                    return url.to_owned();
                }
            }
        };
        let devtools = tokio::time::timeout(PATIENCE, devtools).await.expect("no DevTools");
        let (socket, _) = ClientBuilder::new().uri(&devtools).unwrap().connect().await.unwrap();
        // Read on, or chromium ends as soon as it has something to say.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut browser =
            Self { socket, session: None, calls: 0, _profile: profile, _process: process };
        let target = browser.call("Target.createTarget", json!({ "url": url })).await;
        let attach = json!({ "targetId": target["result"]["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["result"]["sessionId"].as_str().map(str::to_owned);
        browser
    }

    /// Calls a method of the DevTools protocol, and returns its answer.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        self.message(|message| message["id"] == id).await
    }

    /// Calls a method without waiting for its answer, and returns the number of the call.
    pub async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(call.to_string())).await.unwrap();
        self.calls
    }

    /// Waits for a message of the browser, be it an answer or an event; others are dropped.
    pub async fn message(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let message = async {
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                let message: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
                if wanted(&message) {
                    return message;
                }
            }
        };
        tokio::time::timeout(PATIENCE, message).await.expect("the browser does not answer")
    }

    /// Waits until a JavaScript expression is true on the page.
    pub async fn until(&mut self, expression: &str) {
        let mut asks = tokio::time::interval(ASK_EVERY);
        let held = async {
            loop {
                asks.tick().await;
                let ask = json!({ "expression": expression });
                if self.call("Runtime.evaluate", ask).await["result"]["result"]["value"] == true {
                    return;
                }
            }
        };
        let held = tokio::time::timeout(PATIENCE, held).await;
        held.unwrap_or_else(|_| panic!("never true on the page: {expression}"));
    }
}
