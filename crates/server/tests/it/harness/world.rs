//! All of kabari in this process, with customers to write to and a WhatsApp to do it through.

use super::caller::Caller;
use super::database::{Engine, MariaDbDatabase, billing_file, execute_on_file};
use super::gateway::opened;
use super::node::SESSION_KEY;
use super::running_clock::RunningClock;
use super::served::PATIENCE;
use clap::Parser;
use kabari::app::{App, NodeRole};
use kabari::clock::Clock;
use kabari::config::{Options, Pace, Settings};
use kabari::timeouts::Timeouts;
use kabari_domain::Timestamp;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_gateway::{Gateway, Link, LinkState};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, CopyOutcome, FaultRule, Message, MessageFilter, Simulator};

/// The number kabari is linked to.
pub const OWN: &str = "6281299990000";
/// A customer whose number is not on WhatsApp.
pub const UNREGISTERED: i64 = 90_001;
/// A customer whose number is `0`.
pub const ZERO: i64 = 90_002;
/// A customer who lets nobody know what has arrived.
pub const SILENT: i64 = 90_003;
/// Customers with nothing special about them are numbered from 1 up to this.
pub const CUSTOMERS: i64 = 40;

/// What everybody is written, before their names are filled in.
pub const TEMPLATE: &str = "Halo {nama}, jaringan sudah pulih.";

/// Shorter than in production, and longer than a busy machine takes.
const TIMEOUTS: Timeouts = Timeouts {
    lease: Duration::from_secs(15),
    resend: Duration::from_millis(300),
    ack: Duration::from_secs(4),
    reconnect: Duration::from_secs(8),
};

/// The E.164 digits of a customer's number.
pub fn phone(customer: i64) -> String {
    let last = if customer == UNREGISTERED { 9 } else { 0 };
    format!("62812345{customer:04}{last}")
}

/// What this customer should read.
pub fn text(customer: i64) -> String {
    TEMPLATE.replace("{nama}", &format!("Pelanggan {customer}"))
}

/// A billing database with this many ordinary customers, and the others.
pub fn billing_sql(ordinary: i64) -> String {
    let customers = (1..=ordinary).chain([UNREGISTERED, ZERO, SILENT]);
    let rows: Vec<String> = customers
        .map(|id| {
            let typed = if id == ZERO { "0".to_owned() } else { format!("0{}", &phone(id)[2..]) };
            format!("({id}, 'Pelanggan {id}', '{typed}', 'ODP-1')")
        })
        .collect();
    format!(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, phone TEXT, odp TEXT,
             is_active INTEGER NOT NULL DEFAULT 1);
         CREATE TABLE network_notices (id INTEGER PRIMARY KEY, title TEXT NOT NULL,
             message TEXT NOT NULL, type TEXT NOT NULL, severity TEXT NOT NULL,
             is_mass INTEGER NOT NULL, affected_area TEXT, affected_odp TEXT, start_time TEXT,
             end_time TEXT, is_active INTEGER NOT NULL, created_at TEXT);
         INSERT INTO customers (id, name, phone, odp) VALUES {};",
        rows.join(", ")
    )
}

/// A kabari, linked and connected unless a test makes it otherwise.
pub struct World {
    pub simulator: Simulator,
    pub clock: Clock,
    app: Option<App>,
    settings: Settings,
    caller: Caller,
    directory: TempDir,
    running_clock: Option<RunningClock>,
    _database: Option<MariaDbDatabase>,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

/// Options for a kabari on this directory, without pauses between messages.
pub fn options(data_dir: &Path) -> Options {
    let ports = ["kabari", "--api-port=0", "--wa-gateway-port=0"];
    let pace = ["--send-delay-ms=0", "--send-jitter-ms=0"];
    let data_dir = ["--data-dir", data_dir.to_str().unwrap()];
    Cli::parse_from(ports.into_iter().chain(pace).chain(data_dir)).options
}

/// The pace and the waits that users have.
pub fn ordinary_pace(settings: &mut Settings) {
    settings.pace = Pace { delay: Duration::from_secs(2), jitter: Duration::from_secs(1) };
    settings.timeouts = Timeouts::default();
}

impl World {
    /// Linked, and as fast as it can be.
    pub async fn linked(engine: Engine) -> World {
        World::linked_with(engine, Clock::System, |_| {}).await
    }

    /// Linked, with a clock that only the test turns.
    pub async fn with_manual_clock(engine: Engine) -> World {
        World::linked_with(engine, Clock::manual(Clock::System.now()), |_| {}).await
    }

    /// Linked, with changed settings.
    pub async fn linked_with(
        engine: Engine,
        clock: Clock,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        World::linked_to(engine, clock, |_| {}, change).await
    }

    /// Linked to a WhatsApp that was prepared before, with changed settings.
    pub async fn linked_to(
        engine: Engine,
        clock: Clock,
        prepare: impl FnOnce(&Simulator),
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let simulator = Simulator::start(Config::default()).await.unwrap();
        prepare(&simulator);
        World::on(simulator, engine, clock, change).await
    }

    /// Linked to a simulator that is there already.
    pub async fn on(
        simulator: Simulator,
        engine: Engine,
        clock: Clock,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let world = World::unlinked_on(simulator, engine, clock, change).await;
        world.scan().await;
        world.until_link(LinkState::Connected).await;
        world
    }

    /// Not linked yet.
    pub async fn unlinked(
        engine: Engine,
        clock: Clock,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let simulator = Simulator::start(Config::default()).await.unwrap();
        World::unlinked_on(simulator, engine, clock, change).await
    }

    async fn unlinked_on(
        simulator: Simulator,
        engine: Engine,
        clock: Clock,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let directory = TempDir::new().unwrap();
        billing_file(&directory, &billing_sql(CUSTOMERS)).await;
        let database = match engine {
            Engine::Sqlite => None,
            Engine::MariaDb => Some(MariaDbDatabase::create().await),
        };
        let mut settings = options(directory.path()).check().unwrap();
        settings.websocket_url = Some(simulator.ws_url());
        settings.state_database_url = database.as_ref().map(MariaDbDatabase::url);
        settings.session_key = database.as_ref().map(|_| SESSION_KEY.parse().unwrap());
        settings.timeouts = TIMEOUTS;
        change(&mut settings);
        let app = App::start(settings.clone(), NodeRole::Serve, clock.clone()).await.unwrap();
        World {
            simulator,
            clock,
            caller: Caller::of(app.api.unwrap()),
            app: Some(app),
            settings,
            directory,
            running_clock: None,
            _database: database,
        }
    }

    /// Linked, at the settings that users have, with a clock that runs fast.
    pub async fn ordinary(engine: Engine, change: impl FnOnce(&mut Settings)) -> World {
        World::ordinary_to(engine, |_| {}, change).await
    }

    /// The same with a WhatsApp that was prepared before.
    pub async fn ordinary_to(
        engine: Engine,
        prepare: impl FnOnce(&Simulator),
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let clock = Clock::manual(Clock::System.now());
        let running_clock = RunningClock::start(&clock);
        let mut world = World::linked_to(engine, clock, prepare, |settings| {
            ordinary_pace(settings);
            change(settings);
        })
        .await;
        world.running_clock = Some(running_clock);
        world
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// The session that messages go out from, once it is open.
    pub async fn gateway(&self) -> Arc<dyn Gateway> {
        opened(&self.app().sessions, DEFAULT_SESSION).await
    }

    /// Another node on the same state database, which ends with what it returns.
    pub async fn another_node(&self) -> Standby {
        let directory = TempDir::new().unwrap();
        billing_file(&directory, &billing_sql(CUSTOMERS)).await;
        let data_dir = directory.path().to_owned();
        let settings = Settings { data_dir, ..self.settings.clone() };
        let app = App::start(settings, NodeRole::Serve, self.clock.clone()).await.unwrap();
        Standby { caller: Caller::of(app.api.unwrap()), _app: app, _directory: directory }
    }

    /// Starts another process, so to say, on the same data.
    pub async fn start(&mut self) {
        let started = App::start(self.settings.clone(), NodeRole::Serve, self.clock.clone()).await;
        let app = started.unwrap();
        self.caller = Caller::of(app.api.unwrap());
        self.app = Some(app);
    }

    /// Ends kabari in order.
    pub async fn stop(&mut self) {
        self.app.take().unwrap().stop().await;
    }

    /// The phone scans the code that kabari shows.
    pub async fn scan(&self) {
        self.scan_with(OWN).await;
    }

    /// Another phone scans it.
    pub async fn scan_with(&self, phone: &str) {
        let link = self.until("a QR code", |link| link.qr.is_some()).await;
        self.simulator.scan(&link.qr.unwrap(), phone).await.unwrap();
    }

    /// Adds a session that is linked to this phone.
    pub async fn add_session(&self, name: &str, phone: &str) {
        self.post("/api/whatsapp/sessions", json!({ "name": name })).await;
        let path = format!("/api/whatsapp/sessions/{name}");
        let qr = self.wait_for(&format!("{path}/qr"), |qr| qr["text"].is_string()).await;
        self.simulator.scan(qr["text"].as_str().unwrap(), phone).await.unwrap();
        self.wait_for(&path, |session| session["state"] == "connected").await;
    }

    /// The phone's owner unlinks every device.
    pub fn unlink(&self, phone: &str) {
        let account = self.simulator.accounts().into_iter().find(|a| a.phone == phone).unwrap();
        for device in account.devices {
            self.simulator.unlink(phone, device.device);
        }
    }

    /// Stops the clock where it is.
    pub fn stop_clock(&mut self) {
        self.running_clock = None;
    }

    pub async fn until_link(&self, state: LinkState) -> Link {
        self.until(&format!("{state:?}"), |link| link.state == state).await
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Link) -> bool) -> Link {
        let mut link = self.gateway().await.link();
        let waited = tokio::time::timeout(PATIENCE, link.wait_for(condition)).await;
        let waited = waited.map(|link| link.unwrap().clone());
        waited.unwrap_or_else(|_| panic!("no {what}, but {:?}", link.borrow()))
    }

    /// What a customer's phone shows.
    pub fn received(&self, customer: i64) -> Vec<Message> {
        let filter = MessageFilter { to: Some(phone(customer)), from: Some(OWN.into()) };
        self.simulator.messages(filter)
    }

    /// How many phones show something.
    pub fn reached(&self) -> usize {
        let filter = MessageFilter { to: None, from: Some(OWN.into()) };
        self.simulator.messages(filter).len()
    }

    /// Waits until this many phones show something.
    pub async fn until_reached(&self, number: usize) {
        let reached = |_: &Simulator| self.reached() >= number;
        self.simulator.wait_for(reached, PATIENCE).await.unwrap();
    }

    pub fn faults<const N: usize>(&self, rules: [FaultRule; N]) {
        self.simulator.set_faults(rules.into());
    }

    /// The time, on the clock that counts here.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs statements on the state's file behind kabari's back.
    pub async fn execute(&self, sql: &str) {
        execute_on_file(&self.state_file(), sql).await;
    }

    /// The state's file.
    pub fn state_file(&self) -> PathBuf {
        self.directory.path().join("state.db")
    }

    /// Runs statements on the billing database, as the provider's own program does.
    pub async fn execute_on_billing(&self, sql: &str) {
        execute_on_file(&self.directory.path().join("billing.db"), sql).await;
    }

    /// Holds the campaign's report against what the phones say.
    pub async fn assert_report_is_true(&self, id: i64) {
        assert_report_is_true(&self.simulator, &self.deliveries(id).await);
    }
}

/// A node beside that of a [`World`].
pub struct Standby {
    caller: Caller,
    _app: App,
    _directory: TempDir,
}

impl Deref for Standby {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Deref for World {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// Whoever counts as sent has the one right text once, under the one id; whoever does not has
/// nothing; and kabari has done nothing that WhatsApp would not have taken.
pub fn assert_report_is_true(simulator: &Simulator, deliveries: &BTreeMap<i64, Value>) {
    assert_phones_agree(simulator, deliveries);
    let ledger = simulator.ledger(0);
    let lost: Vec<_> = ledger.iter().filter(|e| e.outcome == CopyOutcome::Undecryptable).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

/// The same for recipients who have lost their keys, and so cannot read every copy.
pub fn assert_phones_agree(simulator: &Simulator, deliveries: &BTreeMap<i64, Value>) {
    for (customer, delivery) in deliveries {
        let filter = MessageFilter { to: Some(phone(*customer)), from: Some(OWN.into()) };
        let shown: Vec<_> =
            simulator.messages(filter).into_iter().map(|m| (m.id, m.text)).collect();
        let state = delivery["state"].as_str().unwrap();
        let expected = match state {
            "accepted" | "delivered" | "read" => {
                vec![(delivery["message_id"].as_str().unwrap().to_owned(), text(*customer))]
            }
            _ => vec![],
        };
        assert_eq!(shown, expected, "customer {customer} is reported as {state}");
    }
    let violations = simulator.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}
