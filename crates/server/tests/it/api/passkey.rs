//! An account with a passkey is linked through the page, with a browser that has the passkey, and
//! in the terminal.

use crate::harness::browser::Browser;
use crate::harness::database::Engine;
use crate::harness::served::PATIENCE;
use crate::harness::world::{OWN, World};
use kabari::clock::Clock;
use kabari_domain::wording;
use kabari_gateway::{LinkState, WHATSAPP_ORIGIN};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const PASSKEY: &str = "/api/whatsapp/passkey";

async fn world() -> World {
    let world = World::unlinked(Engine::Sqlite, Clock::System, |_| {}).await;
    world.simulator.set_passkey(OWN, true).unwrap();
    world
}

/// Opens an empty page as if it came from this address, which is asked for nothing.
async fn pretend(url: &str) -> Browser {
    let mut browser = Browser::open("about:blank").await;
    browser.call("Fetch.enable", json!({})).await;
    browser.send("Page.navigate", json!({ "url": url })).await;
    let paused = browser.message(|message| message["method"] == "Fetch.requestPaused").await;
    let html = [json!({ "name": "content-type", "value": "text/html" })];
    let request = &paused["params"]["requestId"];
    let page = json!({ "requestId": request, "responseCode": 200, "responseHeaders": html });
    browser.call("Fetch.fulfillRequest", page).await;
    browser.call("Fetch.disable", json!({})).await;
    browser.until(&format!("location.href === '{url}'")).await;
    browser
}

/// A browser on WhatsApp's page that can use this number's passkey.
async fn browser_with_passkey(world: &World) -> Browser {
    let mut browser = pretend(&format!("{WHATSAPP_ORIGIN}/")).await;
    browser.call("WebAuthn.enable", json!({})).await;
    let options = json!({ "options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
    }});
    let added = browser.call("WebAuthn.addVirtualAuthenticator", options).await;
    let credential = json!({
        "authenticatorId": added["result"]["authenticatorId"],
        "credential": world.simulator.passkey(OWN).unwrap(),
    });
    let added = browser.call("WebAuthn.addCredential", credential).await;
    assert!(added["error"].is_null(), "{added}");
    browser
}

/// What the console of the browser gives for a script.
async fn in_console(browser: &mut Browser, script: &str) -> Value {
    let run = json!({
        "expression": script, "includeCommandLineAPI": true, "awaitPromise": true,
        "userGesture": true,
    });
    browser.call("Runtime.evaluate", run).await["result"]["result"]["value"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_leads_through_the_passkey_and_the_script_gets_its_answer() {
    let world = world().await;
    world.until("a QR code", |link| link.qr.is_some()).await;
    let mut page = Browser::open(&world.url("/api/whatsapp/qr")).await;
    page.until("document.getElementById('qr')?.checkVisibility() === true").await;
    world.scan().await;
    page.until("document.getElementById('passkey-answer').checkVisibility()").await;
    page.until("!document.getElementById('linking').checkVisibility()").await;
    page.until("/\\d+:\\d\\d/.test(document.getElementById('time-left').textContent)").await;

    // All of it fits a phone, the script when it is shown too.
    let phone = json!({ "width": 375, "height": 720, "deviceScaleFactor": 2, "mobile": true });
    page.call("Emulation.setDeviceMetricsOverride", phone).await;
    page.until("(document.querySelector('details').open = true, innerWidth === 375)").await;
    let fits = "document.documentElement.scrollWidth === 375 && \
                [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()) \
                .every(e => e.getBoundingClientRect().right <= 375)";
    page.until(fits).await;

    let typed = |text: &str| {
        format!(
            "(document.getElementById('assertion').value = {}, \
             document.getElementById('answer').requestSubmit(), true)",
            json!(text)
        )
    };
    let fault = "document.getElementById('passkey-error').checkVisibility() && \
                 document.getElementById('passkey-error').textContent";
    page.until(&typed("{")).await;
    page.until(&format!("/JSON/.test({fault})")).await;
    page.until("(document.querySelector('[value=id]').click(), true)").await;
    page.until(&typed("{}")).await;
    page.until(&format!("{fault} === {}", json!(wording::assertion_field("type")))).await;

    let snippet = world.get(PASSKEY).await["snippet"].as_str().unwrap().to_owned();
    page.until(&format!("document.getElementById('snippet').textContent === {}", json!(snippet)))
        .await;
    let mut whatsapp = browser_with_passkey(&world).await;
    let answer = in_console(&mut whatsapp, &snippet).await;
    page.until(&typed(answer.as_str().expect("the script returns the answer"))).await;
    page.until("document.getElementById('passkey-compare').checkVisibility()").await;
    let code = world.get(PASSKEY).await["code"].as_str().unwrap().to_owned();
    page.until(&format!("document.getElementById('passkey-code').textContent === '{code}'")).await;
    page.until(fits).await;
    page.until("(document.getElementById('same').click(), true)").await;
    page.until("document.getElementById('passkey-finish').checkVisibility()").await;
    world.simulator.compare_code(OWN, &code).unwrap();
    page.until(&format!("document.getElementById('number').textContent === '+{OWN}'")).await;
    page.until("!document.getElementById('passkey').checkVisibility()").await;
    assert_eq!(world.simulator.violations().len(), 0, "{:?}", world.simulator.violations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_does_nothing_on_another_page() {
    let world = world().await;
    world.scan().await;
    let passkey = world.wait_for(PASSKEY, |passkey| passkey["snippet"].is_string()).await;
    let mut elsewhere = pretend("https://example.net/").await;
    let answer = in_console(&mut elsewhere, passkey["snippet"].as_str().unwrap()).await;
    assert_eq!(answer, Value::Null);
}

/// `kabari link`, as a person uses it.
struct Terminal {
    typed: ChildStdin,
    shown: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Terminal {
    fn start(world: &World, arguments: &[&str]) -> Terminal {
        let port = world.app().api.unwrap().port();
        let mut process = Command::new(env!("CARGO_BIN_EXE_kabari"))
            .arg("link")
            .args(arguments)
            .current_dir(std::env::temp_dir())
            .env("API_PORT", port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let typed = process.stdin.take().unwrap();
        let shown = BufReader::new(process.stdout.take().unwrap()).lines();
        Terminal { typed, shown, process }
    }

    /// Reads until a line that holds this, and returns that line.
    async fn until(&mut self, wanted: &str) -> String {
        let found = async {
            while let Some(line) = self.shown.next_line().await.unwrap() {
                if line.contains(wanted) {
                    return line;
                }
            }
            panic!("kabari link has ended without {wanted:?}");
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {wanted:?}"))
    }

    async fn type_line(&mut self, line: &str) {
        self.typed.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn ends_well(mut self) {
        let ended = timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap();
        assert!(ended.success());
    }
}

/// Answers, compares and confirms in the terminal.
async fn passkey_in_the_terminal(world: &World, mut terminal: Terminal) {
    terminal.until("Paste that line here").await;
    terminal.type_line("what?").await;
    terminal.until("no JSON").await;
    terminal.until("Paste that line here").await;
    let options = world.get(PASSKEY).await["options"].take();
    let assertion = world.simulator.answer_with_passkey(OWN, &options).unwrap();
    terminal.type_line(&assertion.to_string()).await;
    terminal.until("Compare this code").await;
    let code = world.get(PASSKEY).await["code"].as_str().unwrap().to_owned();
    terminal.until(&code).await;
    terminal.until("Type y or n").await;
    terminal.type_line("y").await;
    terminal.until("Finish on the phone").await;
    world.simulator.compare_code(OWN, &code).unwrap();
    terminal.until(&format!("Linked as +{OWN}")).await;
    terminal.ends_well().await;
    world.until_link(LinkState::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_links_by_qr() {
    let world = world().await;
    let mut terminal = Terminal::start(&world, &[]);
    terminal.until("Scan this").await;
    world.scan().await;
    passkey_in_the_terminal(&world, terminal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_links_by_code() {
    let world = world().await;
    world.until("a QR code", |link| link.qr.is_some()).await;
    let mut terminal = Terminal::start(&world, &["--phone", OWN]);
    terminal.until("Type this code").await;
    terminal.until("").await;
    let code = terminal.until("    ").await;
    world.simulator.pair(code.trim(), OWN).await.unwrap();
    passkey_in_the_terminal(&world, terminal).await;
}
