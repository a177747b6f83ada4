//! schemathesis: requests of all kinds, made from our own OpenAPI document, to a running kabari
//! whose answers have to be what that document says.

use crate::harness::database::SeedBilling;
use crate::harness::node::Setup;
use crate::harness::world::OWN;
use kabari::store::BillingTarget;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use wa_sim::{Config, Simulator};

const API_KEY: &str = "rahasia-untuk-uji";
const COMPAT_KEY: &str = "rahasia-untuk-tiruan";

/// How many examples of each operation are tried, if not as many as the configuration says. More
/// than that is for people, and with another seed each time.
const EXAMPLES_VARIABLE: &str = "SCHEMATHESIS_EXAMPLES";

/// How long a run of the configuration's examples may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Runs schemathesis, which has to find nothing.
async fn schemathesis(api: SocketAddr, arguments: &[&str]) {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis"));
    let program = directory.join(".venv/bin/schemathesis");
    assert!(
        program.exists(),
        "schemathesis is not installed: run `cargo xtask test --only test`, which installs it"
    );
    let mut command = Command::new(program);
    command.arg("run").arg(format!("http://{api}/openapi.json")).arg("--no-color").args(arguments);
    // Where its configuration is.
    command.current_dir(directory).env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
    command.env("COMPAT_KEY", COMPAT_KEY);
    let patience = match std::env::var(EXAMPLES_VARIABLE) {
        Ok(examples) => {
            let seed = std::process::id().to_string();
            command.args(["--max-examples", &examples, "--seed", &seed]);
            Duration::MAX
        }
        Err(_) => PATIENCE,
    };
    let output = timeout(patience, command.output()).await.expect("it takes too long").unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

/// `kabari serve` with the seed's customers and notices, linked to a simulator.
async fn setup(simulator: &Simulator, data_dir: &Path, billing: &SeedBilling) -> Setup {
    let BillingTarget::MySql { host, port, database, username, password } = &billing.target else {
        panic!("the seed is on a server")
    };
    let setup = Setup::new(data_dir, simulator)
        .with("DB_HOST", host)
        .with("DB_PORT", port.to_string())
        .with("DB_DATABASE", database)
        .with("DB_USERNAME", username)
        .with("DB_PASSWORD", password);
    setup.link(simulator, OWN).await;
    setup
}

#[tokio::test]
async fn every_answer_is_as_documented() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let (data_dir, billing) = (TempDir::new().unwrap(), SeedBilling::create().await);
    let mut kabari = setup(&simulator, data_dir.path(), &billing).await.start();
    let api = kabari.address().await.unwrap();
    schemathesis(api, &[]).await;
    assert!(!kabari.has_ended(), "{}", kabari.log());
}

#[tokio::test]
async fn with_a_key_every_answer_is_as_documented() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let (data_dir, billing) = (TempDir::new().unwrap(), SeedBilling::create().await);
    let setup = setup(&simulator, data_dir.path(), &billing).await;
    let mut kabari = setup.with("API_KEY", API_KEY).with("COMPAT_KEY", COMPAT_KEY).start();
    let api = kabari.address().await.unwrap();
    let key = format!("X-API-Key: {API_KEY}");
    let compat_key = format!("Authorization: {COMPAT_KEY}");
    let headers = ["--header", &key, "--header", &compat_key];
    schemathesis(api, &[&["--phases", "examples,coverage"], &headers[..]].concat()).await;
    assert!(!kabari.has_ended(), "{}", kabari.log());
}
