//! The released program trusts WhatsApp's key and no other.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};
use wa_sim::{Config, Simulator};

/// What lets a client talk to the simulator.
const DANGER: &str = "danger-skip-cert-chain-verify";

/// What the client library says when a server is not WhatsApp.
const REFUSAL: &str = "certificate verification failed";

/// How often a program is asked for its QR.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a program may take from its start to a first word about its connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// As from a shell: what cargo tells its tests about their package would make it build `ring`, and
/// all that stands on it, once more.
fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Builds the program as users do, in a command of its own: in one with the tests, cargo would
/// give it the features of the tests' dependencies. Quick when `cargo xtask test` has done it.
async fn release_binary() -> PathBuf {
    let build = ["build", "--release", "--locked", "-p", "kabari", "--bin", "kabari"];
    let output = cargo()
        .args(build)
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "cargo {} failed", build.join(" "));
    let messages = String::from_utf8(output.stdout).unwrap();
    let executable = messages
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.expect("cargo names the executable")
}

/// A gateway pointed at the simulator.
fn gateway(program: impl AsRef<OsStr>, simulator: &Simulator, data: &TempDir) -> Child {
    Command::new(program)
        .args(["gateway", "--wa-gateway-port", "0", "--wa-websocket-url", &simulator.ws_url()])
        .env("DATA_DIR", data.path())
        .env("RUST_LOG", "info")
        .current_dir(data.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Whether the server offers the program a pairing, or the program refuses the server.
async fn is_offered_a_pairing(mut program: Child) -> bool {
    let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
    let mut seen = Vec::new();
    let verdict = timeout(PATIENCE, async {
        let mut address = None;
        let mut look = interval(LOOK_EVERY);
        loop {
            tokio::select! {
                line = log.next_line() => {
                    let line = line.unwrap().expect("the program keeps running");
                    if line.contains(REFUSAL) {
                        return false;
                    }
                    let url = line.split_once("gateway on ").map(|(_, url)| url.trim().to_owned());
                    address = address.or(url);
                    seen.push(line);
                }
                _ = look.tick(), if address.is_some() => {
                    let url = format!("{}/qr", address.as_deref().unwrap());
                    let client = kabari_gateway::http::client(&url).build().unwrap();
                    let answer = client.get(url).send().await.unwrap().bytes().await.unwrap();
                    let answer: Value = serde_json::from_slice(&answer).unwrap();
                    if answer["qr"].is_string() {
                        return true;
                    }
                }
            }
        }
    });
    verdict.await.unwrap_or_else(|_| panic!("neither a QR nor a refusal:\n{}", seen.join("\n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_released_program_refuses_the_simulator() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let data = TempDir::new().unwrap();
    // Built together with the tests it has their features: what is looked for below can be seen.
    let of_the_tests = gateway(env!("CARGO_BIN_EXE_kabari"), &simulator, &data);
    assert!(
        is_offered_a_pairing(of_the_tests).await,
        "the tests' own build should take the simulator"
    );

    let data = TempDir::new().unwrap();
    let released = gateway(release_binary().await, &simulator, &data);
    assert!(
        !is_offered_a_pairing(released).await,
        "the released program takes any server for WhatsApp"
    );
}

#[tokio::test]
async fn the_released_program_is_built_without_the_tests_features() {
    let features = async |edges: &str| {
        let output =
            cargo().args(["tree", "--locked", "-p", "kabari", "-e", edges]).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(
        features("normal,dev,features").await.contains(DANGER),
        "{DANGER} has another name now"
    );
    assert!(!features("normal,build,features").await.contains(DANGER));
}

/// It is copied to small machines over slow lines.
#[tokio::test]
async fn the_released_program_does_not_grow_unnoticed() {
    const LIMIT: u64 = 32 * 1024 * 1024;
    let size = release_binary().await.metadata().unwrap().len();
    assert!(size < LIMIT, "the binary has {size} bytes: see what `cargo tree` has grown by");
}
