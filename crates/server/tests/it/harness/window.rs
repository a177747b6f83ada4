//! A browser's window for the tests of pages, driven by Debian's chromedriver.

use kabari_gateway::http;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a page is asked whether something has become true.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The key of an element in what chromedriver answers, as the WebDriver standard has it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// What chromedriver says of an element that is no longer on the page.
const IS_GONE: [&str; 2] = ["stale element reference", "no such element"];
/// The most controls of a page.
const MOST_STOPS: usize = 200;

/// What chromedriver prints before the port that it has chosen.
const READY: &str = "started successfully on port ";

/// The rules of WCAG 2.2 AA, as axe-core tags them.
const WCAG: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/// Finds what a person would press or fill in, by the name that they see or hear.
const FIND_CONTROL: &str = r#"
    const wanted = arguments[0];
    const name = (element) => (element.getAttribute("aria-label")
        ?? (element.labels?.length ? element.labels[0].textContent : element.textContent)).trim();
    const controls = [...document.querySelectorAll("a, button, input, select, textarea, summary")]
        .filter((element) => element.checkVisibility());
    const found = controls.find((element) => name(element) === wanted)
        ?? controls.find((element) => name(element).startsWith(wanted)) ?? null;
"#;

const RUN_AXE: &str = r#"
    const [tags, done] = arguments;
    axe.run(document, { runOnly: tags, resultTypes: ["violations"] }).then(({ violations }) => {
        done(violations.flatMap(({ id, nodes }) =>
            nodes.map((node) => `${id}: ${node.html}\n${node.failureSummary}`)));
    }, (error) => done([`axe failed: ${error}`]));
"#;

/// What a page is looked at with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub is_dark: bool,
}

impl Screen {
    pub const DESK: Screen = Screen { width: 1280, height: 800, is_dark: false };
    pub const PHONE: Screen = Screen { width: 375, height: 720, is_dark: false };

    /// The same screen with dark colours.
    pub const fn dark(self) -> Screen {
        Screen { is_dark: true, ..self }
    }
}

/// A window of a browser that ends with it.
pub struct Window {
    client: Client,
    /// Where chromedriver takes commands for the window.
    session: String,
    origin: String,
    _profile: TempDir,
    _chromedriver: Child,
}

impl Window {
    /// The keys that people work a page with.
    pub const ENTER: &str = "\u{e007}";
    pub const SPACE: &str = " ";
    const TAB: &str = "\u{e004}";

    /// Opens a window for the pages of this origin.
    pub async fn open(origin: &str, screen: Screen) -> Window {
        let mut chromedriver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is missing: install chromium-driver, or run `cargo xtask test`");
        let mut lines = BufReader::new(chromedriver.stdout.take().unwrap()).lines();
        let port = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("chromedriver has ended");
                if let Some((_, port)) = line.split_once(READY) {
                    return port.trim_end_matches('.').to_owned();
                }
            }
        };
        let port = tokio::time::timeout(PATIENCE, port).await.expect("chromedriver is not ready");
        // Read on, or chromedriver ends as soon as it has something to say.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

        let profile = TempDir::new().unwrap();
        let server = format!("http://127.0.0.1:{port}/session");
        let client = http::client(&server).timeout(PATIENCE).build().unwrap();
        let capabilities =
            json!({ "capabilities": { "alwaysMatch": capabilities(profile.path()) } });
        let opened = command(&client, &server, capabilities).await.unwrap();
        let session = format!("{server}/{}", opened["sessionId"].as_str().unwrap());
        let window = Window {
            client,
            session,
            origin: origin.to_owned(),
            _profile: profile,
            _chromedriver: chromedriver,
        };
        window.look_with(screen).await;
        window
    }

    /// Looks at the page with another screen.
    pub async fn look_with(&self, screen: Screen) {
        let Screen { width, height, is_dark } = screen;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
                              "mobile": width < Screen::DESK.width });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Gives chromedriver a command for the window.
    async fn tell(&self, path: &str, body: Value) -> Result<Value, WebDriverError> {
        command(&self.client, &format!("{}/{path}", self.session), body).await
    }

    /// Calls a method of the DevTools protocol, and returns its answer.
    pub async fn devtools(&self, method: &str, parameters: Value) -> Value {
        let call = json!({ "cmd": method, "params": parameters });
        self.tell("goog/cdp/execute", call).await.unwrap()
    }

    /// Runs a script on the page, and returns what it returns.
    async fn execute(&self, script: &str, arguments: Value) -> Result<Value, WebDriverError> {
        self.tell("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// Goes to a page of the origin, or to any address.
    pub async fn visit(&self, address: &str) {
        let address = match address.starts_with('/') {
            true => format!("{}{address}", self.origin),
            false => address.to_owned(),
        };
        self.tell("url", json!({ "url": address })).await.unwrap();
    }

    /// Returns the path and the query of the page.
    pub async fn path(&self) -> String {
        let path = self.value("location.pathname + location.search").await;
        path.as_str().unwrap_or_default().to_owned()
    }

    /// Goes back in the window's history.
    pub async fn back(&self) {
        self.tell("back", json!({})).await.unwrap();
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.tell("refresh", json!({})).await.unwrap();
    }

    /// Returns the value of a JavaScript expression on the page.
    pub async fn value(&self, expression: &str) -> Value {
        self.try_value(expression).await.unwrap()
    }

    async fn try_value(&self, expression: &str) -> Result<Value, WebDriverError> {
        self.execute(&format!("return ({expression});"), json!([])).await
    }

    /// Waits until a JavaScript expression is true on the page.
    pub async fn until(&self, expression: &str) {
        let mut asks = tokio::time::interval(ASK_EVERY);
        let held = async {
            loop {
                asks.tick().await;
                // Between two pages there is nothing to ask.
                if self.try_value(expression).await.is_ok_and(|value| value == true) {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, held).await.is_err() {
            let text = self.text().await;
            panic!("never true: {expression}\non {}:\n{text}", self.path().await);
        }
    }

    /// Waits until the page shows this text.
    pub async fn until_shown(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Returns the text that the page shows.
    pub async fn text(&self) -> String {
        let text = self.value("document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Presses the link or button of this name, or the control of this label, with the mouse.
    pub async fn press(&self, name: &str) {
        self.with_control(name, async |control| self.act(control, "click", json!({})).await).await;
    }

    /// Presses it twice, as fast as a person can.
    pub async fn double_press(&self, name: &str) {
        self.with_control(name, async |control| {
            let (down, up) = ("pointerDown", "pointerUp");
            let clicks = [down, up, down, up].map(|kind| json!({ "type": kind, "button": 0 }));
            let to = json!({ "type": "pointerMove", "x": 0, "y": 0, "origin": control });
            let actions: Vec<Value> = std::iter::once(to).chain(clicks).collect();
            let mouse = json!({ "type": "pointer", "id": "mouse", "actions": actions });
            self.tell("actions", json!({ "actions": [mouse] })).await
        })
        .await;
    }

    /// Writes into the field of this label, instead of what is in it.
    pub async fn fill(&self, label: &str, text: &str) {
        self.with_control(label, async |control| {
            self.act(control, "clear", json!({})).await?;
            self.act(control, "value", json!({ "text": text })).await
        })
        .await;
    }

    /// Does something with a control as soon as it is there. A page that renews itself may take
    /// it away meanwhile: then the one that has come for it is meant.
    async fn with_control(
        &self,
        name: &str,
        act: impl AsyncFn(&Value) -> Result<Value, WebDriverError>,
    ) {
        let mut looks = tokio::time::interval(ASK_EVERY);
        let done = async {
            loop {
                looks.tick().await;
                let found =
                    self.execute(&format!("{FIND_CONTROL} return found;"), json!([name])).await;
                let Some(control) = found.ok().filter(Value::is_object) else { continue };
                // Where a person would have it: not below the navigation of a phone.
                let centre = "arguments[0].scrollIntoView({ block: 'center' });";
                let _ = self.execute(centre, json!([control])).await;
                match act(&control).await {
                    Err(WebDriverError { error, .. }) if IS_GONE.contains(&error.as_str()) => {}
                    Err(error) => panic!("{name}: {error:?}"),
                    Ok(_) => return,
                }
            }
        };
        if tokio::time::timeout(PATIENCE, done).await.is_err() {
            panic!("nothing is called {name:?} on {}:\n{}", self.path().await, self.text().await);
        }
    }

    async fn act(&self, control: &Value, act: &str, body: Value) -> Result<Value, WebDriverError> {
        let id = control[ELEMENT].as_str().unwrap_or_default();
        self.tell(&format!("element/{id}/{act}"), body).await
    }

    /// Presses a key, wherever the focus is.
    pub async fn key(&self, key: &str) {
        let actions = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.tell("actions", json!({ "actions": [keyboard] })).await.unwrap();
    }

    /// Types a text, wherever the focus is.
    pub async fn type_text(&self, text: &str) {
        for character in text.chars() {
            self.key(&character.to_string()).await;
        }
    }

    /// Moves the focus on by the keyboard until it is on the control of this name.
    pub async fn tab_to(&self, name: &str) {
        for _ in 0..MOST_STOPS {
            self.key(Window::TAB).await;
            let is_there = format!("{FIND_CONTROL} return found === document.activeElement;");
            if self.execute(&is_there, json!([name])).await.is_ok_and(|is_there| is_there == true) {
                return;
            }
        }
        panic!("the Tab key does not lead to {name:?} on {}", self.path().await);
    }

    /// Asserts that the page can be used by everybody, as far as axe-core can tell, in both
    /// colour schemes, and that it does not scroll sideways.
    pub async fn assert_accessible(&self) {
        for screen in [Screen::DESK, Screen::DESK.dark(), Screen::PHONE, Screen::PHONE.dark()] {
            self.look_with(screen).await;
            let path = self.path().await;
            let faults = self.accessibility_faults().await;
            assert!(faults.is_empty(), "{path}, {screen:?}:\n{}", faults.join("\n"));
            let width =
                "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(self.value(width).await, 0, "{path} is too wide for {screen:?}");
        }
    }

    async fn accessibility_faults(&self) -> Vec<String> {
        let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/axe/node_modules/axe-core");
        let axe = std::fs::read_to_string(axe.join("axe.min.js")).expect(
            "axe-core is not installed: run `cargo xtask test`, or `npm ci` in crates/server/tests/axe",
        );
        self.execute(&axe, json!([])).await.unwrap();
        let run = json!({ "script": RUN_AXE, "args": [WCAG] });
        let faults = self.tell("execute/async", run).await.unwrap();
        serde_json::from_value(faults).unwrap()
    }

    /// Returns the addresses that pages have asked for since the last call.
    pub async fn requested(&self) -> Vec<String> {
        let log = self.tell("se/log", json!({ "type": "performance" })).await.unwrap();
        let entries = log.as_array().cloned().unwrap_or_default();
        let messages = entries.iter().filter_map(|entry| entry["message"].as_str());
        let events = messages.map(|message| serde_json::from_str::<Value>(message).unwrap());
        events
            .filter(|event| event["message"]["method"] == "Network.requestWillBeSent")
            .filter_map(|event| {
                event["message"]["params"]["request"]["url"].as_str().map(Into::into)
            })
            .collect()
    }
}

/// What chromedriver refuses a command with.
#[derive(Debug, Deserialize)]
struct WebDriverError {
    error: String,
    #[allow(dead_code, reason = "shown when a test fails")]
    message: String,
}

/// Sends a command, and returns its value.
async fn command(client: &Client, address: &str, body: Value) -> Result<Value, WebDriverError> {
    let answer = client.post(address).json(&body).send().await.unwrap();
    let is_done = answer.status().is_success();
    let value = answer.json::<Value>().await.unwrap()["value"].take();
    if is_done { Ok(value) } else { Err(serde_json::from_value(value).unwrap()) }
}

fn capabilities(profile: &Path) -> Value {
    let arguments = json!([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
        "--disable-component-update",
        // The browser hangs on chromedriver's pipe: whatever becomes of the test, it ends with it.
        "--remote-debugging-pipe",
        // Whatever a page names, nothing leaves this machine.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
        format!("--user-data-dir={}", profile.display()),
    ]);
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "performance": "ALL" },
    })
}
