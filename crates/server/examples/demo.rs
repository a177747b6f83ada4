//! The main job on embedded defaults: sample customers, a simulated WhatsApp, one notice sent to
//! everybody it concerns, and the report. Then the API stays up to play with.
//!
//! `cargo run --example demo`, or with `-- --once` to end after the report, or with `-- --passkey`
//! to see how an account is linked that wants its passkey.

use anyhow::Context;
use clap::Parser;
use kabari::app::{App, NodeRole};
use kabari::cli::client::ApiClient;
use kabari::cli::send;
use kabari::clock::Clock;
use kabari::config::{BillingDatabase, Options, Settings};
use kabari::logging::{self, LogFormat};
use kabari_domain::session::DEFAULT_SESSION;
use kabari_gateway::{Assertion, LinkState, PasskeyStep, qr};
use std::fs::DirBuilder;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, Simulator};

/// The number of the simulated phone that scans kabari's QR code.
const OPERATOR_PHONE: &str = "6281299990000";
/// The demo need not be as patient as production is.
const DELAY_MS: &str = "300";
const JITTER_MS: &str = "200";
/// How long linking may take; a person may look at each step.
const LINK_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Runs kabari's main job against a simulated WhatsApp, and keeps serving.
#[derive(Parser)]
struct Demo {
    /// End after the report.
    #[arg(long)]
    once: bool,
    /// Let the simulated account want its passkey, and show each step.
    #[arg(long)]
    passkey: bool,
    /// Where the simulated WhatsApp listens.
    #[arg(long, env = "WA_SIM_LISTEN", default_value = "127.0.0.1:9080")]
    wa_sim_listen: SocketAddr,
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    logging::init(LogFormat::Human);
    let mut demo = Demo::parse();
    // Kept until the end of the demo, then deleted.
    let scratch = TempDir::new()?;
    let given = |name: &str| std::env::var_os(name).is_some();
    if !given("DATA_DIR") {
        demo.options.state.data_dir = scratch.path().join("data");
    }
    if !given("SEND_DELAY_MS") && !given("SEND_JITTER_MS") {
        demo.options.send_delay_ms = DELAY_MS.into();
        demo.options.send_jitter_ms = JITTER_MS.into();
    }
    let mut settings = demo.options.check().map_err(|faults| anyhow::anyhow!("{faults:?}"))?;

    // Before the simulator makes it: sessions are for their owner only.
    DirBuilder::new().recursive(true).mode(0o700).create(&settings.data_dir)?;
    let simulator = Simulator::start(Config {
        listen: demo.wa_sim_listen,
        data: Some(settings.data_dir.join("wa-sim")),
        ..Config::default()
    })
    .await
    .with_context(|| {
        format!("cannot listen on {}: set WA_SIM_LISTEN to another address", demo.wa_sim_listen)
    })?;
    simulator.set_passkey(OPERATOR_PHONE, demo.passkey)?;
    settings.websocket_url = Some(simulator.ws_url());
    settings.gateway_url = None;
    if let BillingDatabase::Embedded { sample } = &mut settings.billing {
        *sample = true;
    }

    let api_key = settings.api_key.clone();
    let app = App::start(settings.clone(), NodeRole::Serve, Clock::System).await?;
    let api = app.api.context("the demo serves the API")?;
    println!("Watch it on the operator's page: http://{api}/\n");
    tokio::time::timeout(LINK_TIMEOUT, link(&app, &simulator))
        .await
        .context("the simulated phone was not linked in time")??;

    let client = ApiClient::at(&format!("http://{api}"), api_key)?;
    println!("\nThe newest active notice goes to the active customers it concerns:\n");
    let body = serde_json::json!({});
    let campaign = send::start(&client, "/api/send/notification", &body, None).await?;
    send::follow(&client, campaign).await?;
    send::print_report(&client, campaign).await?;

    if !demo.once {
        print_next_steps(api, &simulator, &settings);
        tokio::signal::ctrl_c().await?;
    }
    app.stop().await;
    simulator.stop().await?;
    Ok(())
}

/// Waits until kabari is linked; a simulated phone scans its QR code.
async fn link(app: &App, simulator: &Simulator) -> anyhow::Result<()> {
    let mut open = app.sessions.open();
    let opened = open.wait_for(|open| open.contains_key(DEFAULT_SESSION)).await?;
    let gateway = opened[DEFAULT_SESSION].clone();
    drop(opened);
    let mut link = gateway.link();
    let mut scanned = None;
    loop {
        let now = link.borrow_and_update().clone();
        if now.state == LinkState::Connected {
            println!("Linked to WhatsApp as {}.", now.phone.unwrap_or_default());
            return Ok(());
        }
        if let Some(text) = now.qr.filter(|text| scanned.as_ref() != Some(text)) {
            println!("Scan this with WhatsApp > Linked devices > Link a device:\n");
            println!("{}", qr::terminal(&text).unwrap_or_default());
            println!("A simulated phone scans it.");
            simulator.scan(&text, OPERATOR_PHONE).await?;
            scanned = Some(text);
        }
        match now.passkey {
            Some(PasskeyStep::Answer { options }) => {
                println!("WhatsApp wants the account's passkey. {}", page(app));
                wait_for_enter("let a simulated browser answer with it").await?;
                let answer = simulator.answer_with_passkey(OPERATOR_PHONE, &options)?;
                gateway.answer_passkey(&Assertion::from_json(&answer)?).await?;
            }
            Some(PasskeyStep::Compare { code }) => {
                println!("kabari and the simulated phone show this code: {code}");
                wait_for_enter("confirm it on both sides").await?;
                gateway.confirm_passkey().await?;
                simulator.compare_code(OPERATOR_PHONE, &code)?;
            }
            _ => {}
        }
        link.changed().await?;
    }
}

fn page(app: &App) -> String {
    app.api.map_or_else(String::new, |api| {
        format!("This page leads through it: http://{api}/app/whatsapp")
    })
}

/// Waits for a person, if there is one.
async fn wait_for_enter(to_do: &str) -> anyhow::Result<()> {
    if std::io::stdin().is_terminal() {
        println!("Press Enter to {to_do}.");
        let read = || std::io::stdin().read_line(&mut String::new());
        tokio::task::spawn_blocking(read).await??;
    }
    Ok(())
}

fn print_next_steps(api: SocketAddr, simulator: &Simulator, settings: &Settings) {
    let simulator = simulator.addr();
    let data = settings.data_dir.display();
    println!(
        "
It keeps running; end it with Ctrl-C. Look around:

  http://{api}/                   the operator's page: link, send, watch
  http://{api}/docs               the API, to try in the browser
  http://{simulator}/                   the simulated phones, and faults to try
  curl -X POST http://{api}/api/send/phone \\
       -H 'content-type: application/json' \\
       -d '{{\"phone\": \"081234567801\", \"message\": \"Halo!\"}}'

To production, in five minutes:

  1. cargo build --release        the program is target/release/kabari
  2. write .env                   DB_HOST, DB_DATABASE, DB_USERNAME, DB_PASSWORD of the
                                  billing database; an account that may only SELECT is enough
  3. kabari doctor                says what is missing
  4. kabari serve                 scan the QR code with the phone that sends
  5. POST /api/send/notification  everybody it concerns has the message, and you the report

(The demo's data is in {data}; it stays only if you set DATA_DIR.)"
    );
}
