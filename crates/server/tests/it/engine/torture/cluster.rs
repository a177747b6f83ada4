//! The cluster under test: nodes, numbers and database.

use super::disruptions::{Disruption, one_of};
use super::verdict::Ranks;
use super::{AWAY, CAMPAIGNS, LEASE, Order, SPEED, STUCK_AFTER};
use crate::harness::caller::Caller;
use crate::harness::clock_file::ClockFile;
use crate::harness::database::{Engine, MariaDbDatabase, MariaDbServer, billing_file};
use crate::harness::node::{Node, Setup};
use crate::harness::proxy::Proxy;
use crate::harness::served::PATIENCE;
use crate::harness::world::{TEMPLATE, billing_sql};
use kabari::clock::Clock;
use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wa_sim::{Action, FaultRule, PairError, Simulator, Stanza};

/// How far the clock is set.
const HOUR: Duration = Duration::from_secs(3600);
/// How long a ban lasts, in true seconds: WhatsApp's clock runs as it always does.
const BAN_SECONDS: u64 = 2;
/// How often somebody looks whether all is well.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Deliveries per look.
const PAGE: usize = 500;

/// A process that is started again whenever it has ended, as a service manager does.
struct Process {
    setup: Setup,
    node: Node,
}

impl Process {
    fn start(setup: Setup) -> Process {
        Process { node: setup.start(), setup }
    }

    async fn restart(&mut self) {
        self.node.kill().await;
        self.node = self.setup.start();
    }
}

/// A session, and the phone that its owner links there.
struct Number {
    session: String,
    phone: String,
}

pub struct Cluster {
    simulator: Simulator,
    nodes: Vec<Process>,
    numbers: Vec<Number>,
    clock: ClockFile,
    campaigns: Vec<i64>,
    faults: Vec<FaultRule>,
    /// The last entry seen in the ledger.
    wire: u64,
    ranks: Ranks,
    /// Where the next look begins.
    next_page: Option<String>,
    looks: usize,
    line: Option<Proxy>,
    server: Option<MariaDbServer>,
    _database: Option<MariaDbDatabase>,
    _directory: TempDir,
}

impl Cluster {
    pub async fn start(order: Order, simulator: &Simulator) -> Cluster {
        assert!(order.nodes == 1 || order.engine == Engine::MariaDb, "nodes share a MariaDB");
        let directory = TempDir::new().unwrap();
        let server = MariaDbServer::to_be_killed();
        let database = match (order.engine, &server) {
            (Engine::Sqlite, _) => None,
            (Engine::MariaDb, Some(server)) => Some(MariaDbDatabase::create_on(&server.url).await),
            (Engine::MariaDb, None) => Some(MariaDbDatabase::create().await),
        };
        let line = match &database {
            Some(database) => Some(Proxy::start(database.address()).await),
            None => None,
        };
        let clock = ClockFile::new(directory.path());
        let base = Clock::System.now().0.to_string();
        let mut nodes = vec![];
        for index in 0..order.nodes {
            let path = directory.path().join(format!("node-{index}"));
            std::fs::create_dir(&path).unwrap();
            billing_file(&path, &billing_sql(order.recipients)).await;
            let mut setup = Setup::ordinary(&path, simulator)
                .with("CLOCK_SPEED", SPEED.to_string())
                .with("CLOCK_BASE", base.as_str())
                .with("CLOCK_STEP_FILE", clock.path());
            if let (Some(database), Some(line)) = (&database, &line) {
                setup = setup.on_server(database.url_through(line.address()));
            }
            nodes.push(Process::start(setup));
        }
        let mut cluster = Cluster {
            simulator: simulator.clone(),
            nodes,
            numbers: vec![],
            clock,
            campaigns: vec![],
            faults: vec![],
            wire: 0,
            ranks: Ranks::default(),
            next_page: None,
            looks: 0,
            line,
            server: server.filter(|_| order.engine == Engine::MariaDb),
            _database: database,
            _directory: directory,
        };
        cluster.link(order.numbers).await;
        cluster
    }

    /// Makes the sessions and links a phone in each.
    async fn link(&mut self, numbers: usize) {
        let caller = self.nodes[0].node.caller().await.unwrap();
        for index in 0..numbers {
            let session = match index {
                0 => "default".to_owned(),
                index => format!("number-{index}"),
            };
            if index > 0 {
                caller.post("/api/whatsapp/sessions", json!({ "name": session })).await;
            }
            self.numbers.push(Number { session, phone: format!("6281299{index:03}000") });
        }
        let connected = async {
            loop {
                let sessions = caller.get("/api/whatsapp/sessions").await;
                let sessions = sessions["sessions"].as_array().unwrap();
                if sessions.iter().all(|session| session["state"] == "connected") {
                    return;
                }
                self.operate(&caller).await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("all numbers are linked");
    }

    /// Whether this can be done to it.
    pub fn can(&self, disruption: Disruption) -> bool {
        match disruption {
            Disruption::Cut | Disruption::Hang => self.line.is_some(),
            Disruption::Restart => self.server.is_some(),
            _ => true,
        }
    }

    /// Begins the sends, to customers 1 up to this.
    pub async fn send(&mut self, recipients: i64) {
        let caller = self.nodes[0].node.caller().await.unwrap();
        for part in 0..CAMPAIGNS {
            let customers: Vec<i64> =
                (1..=recipients).filter(|customer| customer % CAMPAIGNS == part).collect();
            let body = json!({
                "message": TEMPLATE, "customer_ids": customers, "urgent": part == CAMPAIGNS - 1,
            });
            let headers = [("prefer", "respond-async")];
            let sent = caller.try_request(Method::POST, "/api/send/custom", &headers, &body);
            let (status, campaign) = sent.await.unwrap();
            assert_eq!(status, 202, "{campaign}");
            self.campaigns.push(campaign["id"].as_i64().unwrap());
        }
    }

    /// What goes wrong from now on, besides the disruptions.
    pub fn set_faults(&mut self, faults: Vec<FaultRule>) {
        self.simulator.set_faults(faults.clone());
        self.faults = faults;
    }

    pub async fn suffer(&mut self, disruption: Disruption, rng: &mut StdRng) {
        match disruption {
            Disruption::Kill => one_of(rng, &mut self.nodes).restart().await,
            Disruption::Stop => {
                let node = &one_of(rng, &mut self.nodes).node;
                node.signal("STOP").await;
                tokio::time::sleep(LEASE * 4 / 3).await;
                node.signal("CONT").await;
            }
            Disruption::Cut => self.line.as_ref().unwrap().cut(rng.random_range(AWAY)).await,
            Disruption::Hang => self.line.as_ref().unwrap().hang(rng.random_range(AWAY)).await,
            Disruption::Restart => self.server.as_ref().unwrap().restart().await,
            Disruption::Forward => self.clock.forward(HOUR),
            Disruption::Back => self.clock.back(HOUR),
            Disruption::Ban => {
                let action =
                    Action::Failure { reason: 402, code: Some(101), expire: Some(BAN_SECONDS) };
                let number = one_of(rng, &mut self.numbers).phone.clone();
                let ban = FaultRule::on(Stanza::Message, action).from(number).times(1);
                let mut faults = vec![ban];
                faults.extend(self.faults.clone());
                self.simulator.set_faults(faults);
            }
            Disruption::Logout => {
                let number = one_of(rng, &mut self.numbers).phone.clone();
                self.unlink(&number);
            }
            Disruption::Replace => {
                let number = one_of(rng, &mut self.numbers);
                let before = number.phone.clone();
                // Numbers that end in 9 are not on WhatsApp.
                let serial: u32 = rng.random_range(1..100);
                number.phone = format!("{}{serial:02}0", &before[..before.len() - 3]);
                self.unlink(&before);
            }
        }
    }

    fn unlink(&self, phone: &str) {
        let accounts = self.simulator.accounts();
        for account in accounts.iter().filter(|account| account.phone == phone) {
            for device in &account.devices {
                self.simulator.unlink(phone, device.device);
            }
        }
    }

    /// Whatever was put off while the clock was ahead is due.
    pub fn let_time_catch_up(&mut self) {
        self.clock.catch_up();
    }

    /// Waits until so many more copies of messages have come in over the wire, but not longer
    /// than this without any.
    pub async fn until_more_on_the_wire(&mut self, more: usize, patience: Duration) {
        let seen = self.on_the_wire();
        let enough = seen + more as u64;
        let mut last = (seen, Instant::now());
        loop {
            let come = |s: &Simulator| !s.ledger(enough - 1).is_empty();
            if self.simulator.wait_for(come, LOOK_EVERY).await.is_ok() {
                return;
            }
            self.look_after().await;
            let seen = self.on_the_wire();
            if seen > last.0 {
                last = (seen, Instant::now());
            } else if last.1.elapsed() > patience {
                return;
            }
        }
    }

    /// Waits until the campaigns are at their end, as long as anything still happens on the wire.
    pub async fn until_the_end(&mut self) {
        let mut last = (self.on_the_wire(), Instant::now());
        while last.1.elapsed() < STUCK_AFTER {
            if self.look_after().await {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let seen = self.on_the_wire();
            if seen > last.0 {
                last = (seen, Instant::now());
            }
        }
        for process in &self.nodes {
            println!("not at its end:\n{}", process.node.log());
        }
    }

    /// Everybody's message.
    pub async fn deliveries(&mut self) -> BTreeMap<i64, Value> {
        let caller = self.nodes[0].node.caller().await.unwrap();
        let mut deliveries = BTreeMap::new();
        for campaign in &self.campaigns {
            deliveries.extend(caller.deliveries(*campaign).await);
        }
        self.ranks.see(deliveries.values());
        deliveries
    }

    /// Deliveries that were seen at a lower rank than before.
    pub fn ranks_fallen(&self) -> usize {
        self.ranks.fallen
    }

    pub async fn end(&mut self) {
        for process in &mut self.nodes {
            process.node.kill().await;
        }
    }

    /// Does what the operator and the service manager do: starts what has ended, links phones,
    /// resumes what the breaker has paused, and reads a page of a report. Returns whether all
    /// campaigns are over.
    async fn look_after(&mut self) -> bool {
        for process in &mut self.nodes {
            // For want of a database, for example.
            if process.node.has_ended() {
                process.node = process.setup.start();
            }
        }
        self.looks += 1;
        let nodes = self.nodes.len();
        let first = self.looks % nodes;
        for index in (first..nodes).chain(0..first) {
            let Some(caller) = self.nodes[index].node.caller().await else { continue };
            self.operate(&caller).await;
            let mut over = true;
            for campaign in &self.campaigns {
                let path = format!("/api/campaigns/{campaign}");
                let Some(campaign) = try_get(&caller, &path).await else {
                    over = false;
                    continue;
                };
                if campaign["pause_reason"] == "breaker" {
                    let resume = format!("{path}/resume");
                    let _ = caller.try_request(Method::POST, &resume, &[], &Value::Null).await;
                }
                over &= campaign["status"] == "completed";
            }
            let campaign = self.campaigns[self.looks % self.campaigns.len()];
            let first = format!("/api/campaigns/{campaign}/deliveries?limit={PAGE}");
            let page = self.next_page.take().unwrap_or(first);
            if let Some(page) = try_get(&caller, &page).await {
                self.ranks.see(page["deliveries"].as_array().unwrap());
                self.next_page = page["next"].as_str().map(str::to_owned);
            }
            return over;
        }
        false
    }

    /// Scans the codes that are shown, and takes back sessions that were opened elsewhere.
    async fn operate(&self, caller: &Caller) {
        let Some(sessions) = try_get(caller, "/api/whatsapp/sessions").await else { return };
        for session in sessions["sessions"].as_array().unwrap() {
            let name = session["name"].as_str().unwrap();
            let path = format!("/api/whatsapp/sessions/{name}");
            if session["state"] == "replaced" {
                let restart = format!("{path}/restart");
                let _ = caller.try_request(Method::POST, &restart, &[], &Value::Null).await;
            }
            if !["not_linked", "logged_out"].iter().any(|state| session["state"] == *state) {
                continue;
            }
            let qr = try_get(caller, &format!("{path}/qr")).await;
            let Some(code) = qr.as_ref().and_then(|qr| qr["text"].as_str()) else { continue };
            let number = self.numbers.iter().find(|number| number.session == name).unwrap();
            match self.simulator.scan(code, &number.phone).await {
                // It is no longer shown; the next look finds the new one.
                Ok(_) | Err(PairError::Unknown(_) | PairError::Failed(_)) => {}
                Err(error) => panic!("{name} cannot be linked: {error}"),
            }
        }
    }

    /// The number of the ledger's last entry.
    fn on_the_wire(&mut self) -> u64 {
        self.wire += self.simulator.ledger(self.wire).len() as u64;
        self.wire
    }
}

/// An answer, if the process and its database are there to give one.
async fn try_get(caller: &Caller, path: &str) -> Option<Value> {
    let (status, answer) = caller.try_request(Method::GET, path, &[], &Value::Null).await.ok()?;
    (status == 200).then_some(answer)
}
