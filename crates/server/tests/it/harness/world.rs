//! All of kabari in this process, with customers to write to and a WhatsApp to do it through.

use super::database::{Engine, MariaDbDatabase, billing_file};
use super::served::{PATIENCE, answer};
use clap::Parser;
use kabari::app::{App, Role};
use kabari::clock::Clock;
use kabari::config::{Options, Settings};
use kabari::waits::Waits;
use kabari_domain::Timestamp;
use kabari_gateway::{Link, LinkState};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, Message, MessageFilter, Outcome, Rule, Simulator};

/// The number kabari is linked to.
pub const OWN: &str = "6281299990000";
/// A customer whose number is not on WhatsApp.
pub const UNREGISTERED: i64 = 9001;
/// A customer whose number is `0`.
pub const ZERO: i64 = 9002;
/// A customer who lets nobody know what has arrived.
pub const SILENT: i64 = 9003;
/// Customers with nothing special about them are numbered from 1 up to this.
pub const CUSTOMERS: i64 = 40;

/// What everybody is written, before their names are filled in.
pub const TEMPLATE: &str = "Halo {nama}, jaringan sudah pulih.";

/// Shorter than in production, and longer than a busy machine takes.
const WAITS: Waits = Waits {
    lease: Duration::from_secs(15),
    resend: Duration::from_millis(300),
    ack: Duration::from_secs(4),
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

/// A billing database with all of these customers.
pub fn billing_sql() -> String {
    let customers = (1..=CUSTOMERS).chain([UNREGISTERED, ZERO, SILENT]);
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
    client: Client,
    _directory: TempDir,
    _database: Option<MariaDbDatabase>,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
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
        let simulator = Simulator::start(Config::default()).await.unwrap();
        let directory = TempDir::new().unwrap();
        billing_file(&directory, &billing_sql()).await;
        let database = match engine {
            Engine::Sqlite => None,
            Engine::MariaDb => Some(MariaDbDatabase::create().await),
        };
        let data_dir = directory.path().to_str().unwrap();
        let arguments = ["kabari", "--api-port=0", "--send-delay-ms=0", "--send-jitter-ms=0"];
        let arguments = arguments.into_iter().chain(["--data-dir", data_dir]);
        let mut settings = Cli::parse_from(arguments).options.check().unwrap();
        settings.websocket_url = Some(simulator.ws_url());
        settings.state_database_url = database.as_ref().map(MariaDbDatabase::url);
        settings.waits = WAITS;
        change(&mut settings);
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        let mut world = World {
            simulator,
            clock,
            app: None,
            settings,
            client,
            _directory: directory,
            _database: database,
        };
        world.start().await;
        world.scan().await;
        world.until_link(LinkState::Connected).await;
        world
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Starts another process, so to say, on the same data.
    pub async fn start(&mut self) {
        let started = App::start(self.settings.clone(), Role::Serve, self.clock.clone()).await;
        self.app = Some(started.unwrap());
    }

    /// Ends kabari in order.
    pub async fn stop(&mut self) {
        self.app.take().unwrap().stop().await;
    }

    /// The phone scans the code that kabari shows.
    pub async fn scan(&self) {
        let link = self.until("a QR code", |link| link.qr.is_some()).await;
        self.simulator.scan(&link.qr.unwrap(), OWN).await.unwrap();
    }

    pub async fn until_link(&self, state: LinkState) -> Link {
        self.until(&format!("{state:?}"), |link| link.state == state).await
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Link) -> bool) -> Link {
        let mut link = self.app().gateway.link();
        let waited = tokio::time::timeout(PATIENCE, link.wait_for(condition)).await;
        let waited = waited.map(|link| link.unwrap().clone());
        waited.unwrap_or_else(|_| panic!("no {what}, but {:?}", link.borrow()))
    }

    /// Asks the API; the answer has to be a success.
    pub async fn request(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("http://{}{path}", self.app().api.unwrap());
        let (status, answer) = answer(self.client.request(method, url).json(&body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Value {
        self.request(Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.request(Method::POST, path, body).await
    }

    /// Begins a send to these customers, and answers its campaign.
    pub async fn send(&self, customers: impl IntoIterator<Item = i64>) -> i64 {
        let customers: Vec<i64> = customers.into_iter().collect();
        let url = format!("http://{}/api/send/custom", self.app().api.unwrap());
        let request = self.client.post(url).header("prefer", "respond-async");
        let body = json!({ "message": TEMPLATE, "customer_ids": customers });
        let (status, campaign) = answer(request.json(&body)).await;
        assert_eq!(status, 202, "{campaign}");
        campaign["id"].as_i64().unwrap()
    }

    /// Waits until the campaign is as wanted, and answers it.
    pub async fn campaign(&self, id: i64, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/campaigns/{id}");
        let mut changes = self.app().state.changes();
        let mut seen = Value::Null;
        let waiting = async {
            loop {
                seen = self.get(&path).await;
                if wanted(&seen) {
                    return;
                }
                // Whatever comes first: a change, or time to look again.
                let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("the campaign is not as wanted, but {seen:#}");
        }
        seen
    }

    pub async fn completed(&self, id: i64) -> Value {
        self.campaign(id, |campaign| campaign["status"] == "completed").await
    }

    /// Waits until the campaign is paused for this reason.
    pub async fn paused(&self, id: i64, reason: &str) -> Value {
        self.campaign(id, |campaign| {
            (&campaign["status"], &campaign["pause_reason"]) == (&json!("paused"), &json!(reason))
        })
        .await
    }

    /// Waits until so many deliveries are in this state.
    pub async fn count(&self, id: i64, state: &str, number: u64) {
        self.campaign(id, |campaign| campaign["counts"][state] == number).await;
    }

    /// What has become of each customer of a campaign.
    pub async fn deliveries(&self, id: i64) -> BTreeMap<i64, Value> {
        let page = self.get(&format!("/api/campaigns/{id}/deliveries?limit=1000")).await;
        let deliveries = page["deliveries"].as_array().unwrap().iter();
        deliveries.map(|one| (one["customer_id"].as_i64().unwrap(), one.clone())).collect()
    }

    /// What has become of one customer of a campaign.
    pub async fn delivery(&self, id: i64, customer: i64) -> Value {
        self.deliveries(id).await.remove(&customer).unwrap()
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

    pub fn faults<const N: usize>(&self, rules: [Rule; N]) {
        self.simulator.set_faults(rules.into());
    }

    /// The time, on the clock that counts here.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Holds the campaign's report against what the phones say: whoever counts as sent has the
    /// one right text once, under the one id; whoever does not has nothing.
    pub async fn assert_report_is_true(&self, id: i64) {
        for (customer, delivery) in self.deliveries(id).await {
            let shown: Vec<_> =
                self.received(customer).into_iter().map(|m| (m.id, m.text)).collect();
            let state = delivery["state"].as_str().unwrap();
            let expected = match state {
                "accepted" | "delivered" | "read" => {
                    vec![(delivery["message_id"].as_str().unwrap().to_owned(), text(customer))]
                }
                _ => vec![],
            };
            assert_eq!(shown, expected, "customer {customer} is reported as {state}");
        }
        self.assert_nothing_undecryptable();
    }

    pub fn assert_nothing_undecryptable(&self) {
        let ledger = self.simulator.ledger(0);
        let lost: Vec<_> = ledger.iter().filter(|e| e.outcome == Outcome::Undecryptable).collect();
        assert!(lost.is_empty(), "{lost:#?}");
        let violations = self.simulator.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}
