//! What is tortured: the nodes, a gateway that two of them share, and their database.

use super::blows::{Blow, one_of};
use super::verdict::Ranks;
use super::{DELAY, LEASE, Order, STUCK_AFTER};
use crate::harness::caller::Caller;
use crate::harness::clock_file::ClockFile;
use crate::harness::database::{Engine, MariaDbDatabase, MariaDbServer, billing_file};
use crate::harness::node::{Node, Setup};
use crate::harness::proxy::Proxy;
use crate::harness::world::billing_sql;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wa_sim::Simulator;

/// From this many nodes on, the first two share a number.
const SHARING_NODES: usize = 3;
/// How long the database refuses connections after a cut.
const CUT: Duration = Duration::from_millis(300);
/// How far the clock is set.
const HOUR: Duration = Duration::from_secs(3600);
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

pub struct Cluster {
    simulator: Simulator,
    /// The nodes, then the gateway if there is one.
    processes: Vec<Process>,
    nodes: usize,
    gateway: Option<Proxy>,
    clock: ClockFile,
    campaign: i64,
    /// The last entry seen in the ledger.
    wire: u64,
    ranks: Ranks,
    /// Where the next look begins.
    next_page: Option<String>,
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
        let make = |name: String| -> PathBuf {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let tortured = |setup: Setup| {
            setup
                .with("LEASE_MS", LEASE.as_millis().to_string())
                .with("SEND_DELAY_MS", DELAY.as_millis().to_string())
                .with("ACK_TIMEOUT_MS", "250")
                .with("CLOCK_STEP_FILE", clock.path())
        };

        let mut gateway = None;
        let mut shared = None;
        if order.nodes >= SHARING_NODES {
            let setup = tortured(Setup::gateway(&make("gateway".to_owned()), simulator));
            setup.link(simulator, &sender(order.nodes)).await;
            let mut process = Process::start(setup);
            let proxy = Proxy::start(process.node.address().await.unwrap()).await;
            shared = Some(format!("http://{}", proxy.address()));
            gateway = Some((process, proxy));
        }
        let mut setups = vec![];
        for index in 0..order.nodes {
            let path = make(format!("node-{index}"));
            billing_file(&path, &billing_sql(order.recipients)).await;
            let mut setup = tortured(Setup::new(&path, simulator));
            if let (Some(database), Some(line)) = (&database, &line) {
                setup = setup.on_server(database.url_through(line.address()));
            }
            match &shared {
                Some(url) if index < 2 => setup = setup.with("WA_GATEWAY_URL", url),
                _ => {
                    let name = if index == 0 { "default".into() } else { format!("node-{index}") };
                    setup.clone().with("WA_SESSION", name).link(simulator, &sender(index)).await;
                }
            }
            setups.push(setup);
        }
        // Whoever runs takes every session there is: all are linked before.
        let mut processes: Vec<Process> = setups.into_iter().map(Process::start).collect();
        let gateway = gateway.map(|(process, proxy)| {
            processes.push(process);
            proxy
        });
        Cluster {
            simulator: simulator.clone(),
            processes,
            nodes: order.nodes,
            gateway,
            clock,
            campaign: 0,
            wire: 0,
            ranks: Ranks::default(),
            next_page: None,
            line,
            server: server.filter(|_| order.engine == Engine::MariaDb),
            _database: database,
            _directory: directory,
        }
    }

    /// Whether there is a line to the database that can be cut.
    pub fn has_line(&self) -> bool {
        self.line.is_some()
    }

    /// Whether there is a database server that can be killed.
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// Begins the one send, to customers 1 up to this.
    pub async fn send(&mut self, recipients: i64) {
        let customers: Vec<i64> = (1..=recipients).collect();
        let caller = self.processes[0].node.caller().await.unwrap();
        self.campaign = caller.try_send(&customers, "one send").await.unwrap();
    }

    pub async fn suffer(&mut self, blow: Blow, rng: &mut StdRng) {
        match blow {
            Blow::Kill => {
                one_of(rng, &mut self.processes).restart().await;
                self.follow_gateway().await;
            }
            Blow::Stop => {
                let node = &one_of(rng, &mut self.processes).node;
                node.signal("STOP").await;
                tokio::time::sleep(LEASE * 4 / 3).await;
                node.signal("CONT").await;
            }
            Blow::Cut => self.line.as_ref().unwrap().cut(CUT).await,
            Blow::Restart => self.server.as_ref().unwrap().restart().await,
            Blow::Forward => self.clock.forward(HOUR),
            Blow::Back => self.clock.back(HOUR),
        }
    }

    /// A new gateway listens at another port.
    async fn follow_gateway(&mut self) {
        if let Some(proxy) = &self.gateway
            && let Some(address) = self.processes[self.nodes].node.address().await
        {
            proxy.lead_to(address);
        }
    }

    pub async fn restart_all(&mut self) {
        for process in &mut self.processes {
            process.restart().await;
        }
        self.follow_gateway().await;
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

    /// Waits until the campaign is at its end, as long as anything still happens on the wire.
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
        for process in &self.processes {
            println!("not at its end:\n{}", process.node.log());
        }
    }

    /// Everybody's message, once the campaign is at its end.
    pub async fn deliveries(&mut self) -> BTreeMap<i64, Value> {
        let caller = self.processes[0].node.caller().await.unwrap();
        let deliveries = caller.deliveries(self.campaign).await;
        self.ranks.see(deliveries.values());
        deliveries
    }

    /// Deliveries that were seen at a lower rank than before.
    pub fn ranks_fallen(&self) -> usize {
        self.ranks.fallen
    }

    pub async fn end(&mut self) {
        for process in &mut self.processes {
            process.node.kill().await;
        }
    }

    /// Does what the operator and the service manager do: starts what has ended, resumes what the
    /// breaker has paused, and reads a page of the report. Answers whether the campaign is over.
    async fn look_after(&mut self) -> bool {
        for process in &mut self.processes {
            // For want of a database, for example.
            if process.node.has_ended() {
                process.node = process.setup.start();
            }
        }
        for index in 0..self.nodes {
            let Some(caller) = self.processes[index].node.caller().await else { continue };
            let path = format!("/api/campaigns/{}", self.campaign);
            let Some(campaign) = try_get(&caller, &path).await else { continue };
            if campaign["pause_reason"] == "breaker" {
                let resume = format!("{path}/resume");
                let _ = caller.try_request(Method::POST, &resume, &[], &Value::Null).await;
            }
            let page = self.next_page.take();
            let page = page.unwrap_or_else(|| format!("{path}/deliveries?limit={PAGE}"));
            if let Some(page) = try_get(&caller, &page).await {
                self.ranks.see(page["deliveries"].as_array().unwrap());
                self.next_page = page["next"].as_str().map(str::to_owned);
            }
            return campaign["status"] == "completed";
        }
        false
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

/// The number that a node, or the gateway, is linked to.
fn sender(index: usize) -> String {
    format!("6281299990{index}00")
}
