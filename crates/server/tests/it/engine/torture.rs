//! Everything at once, at random: processes killed and stopped, acks lost, connections dropped,
//! receipts late, twice and out of order. Judged by the simulator's ledger.
//!
//! `cargo xtask torture` orders larger runs through the environment.

use crate::harness::caller::Caller;
use crate::harness::database::{Engine, MariaDbDatabase, billing_file};
use crate::harness::node::{Node, Setup};
use crate::harness::world::{billing_sql, phone, text};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{
    Action, Config, Entry, MessageFilter, NumberSettings, Outcome, Receipts, Rule, Simulator,
    Stanza,
};

/// Shortest time between two messages of one sender.
const DELAY: Duration = Duration::from_millis(10);
/// As in `LEASE_MS` below; a stopped process stays so for longer.
const LEASE: Duration = Duration::from_millis(1500);
/// Without any message on the wire for this long, nothing will come any more.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// How many of the blows stop a process instead of killing it.
const STOPS: f64 = 0.15;
/// The longest time between a message on the wire and the blow that follows it.
const MAX_AFTER_MESSAGE: Duration = Duration::from_millis(40);

/// How much of it.
#[derive(Debug, Clone, Copy)]
struct Order {
    recipients: i64,
    kills: u32,
    engine: Engine,
    nodes: usize,
    seed: u64,
}

impl Order {
    /// What the environment asks for.
    fn from_environment() -> Option<Order> {
        let engine = match std::env::var("TORTURE_ENGINE").ok()?.as_str() {
            "sqlite" => Engine::Sqlite,
            "mariadb" => Engine::MariaDb,
            other => panic!("TORTURE_ENGINE is {other}, not sqlite or mariadb"),
        };
        Some(Order {
            recipients: number("TORTURE_RECIPIENTS"),
            kills: number("TORTURE_KILLS"),
            engine,
            nodes: number("TORTURE_NODES"),
            seed: number("TORTURE_SEED"),
        })
    }
}

fn number<T: FromStr>(variable: &str) -> T {
    let value = std::env::var(variable).unwrap_or_default();
    value.parse().unwrap_or_else(|_| panic!("{variable} is {value:?}, not a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torture() {
    let small = Order { recipients: 60, kills: 6, engine: Engine::Sqlite, nodes: 1, seed: 1 };
    let orders = match Order::from_environment() {
        Some(order) => vec![order],
        None => vec![small, Order { engine: Engine::MariaDb, nodes: 2, ..small }],
    };
    for order in orders {
        let verdict = inflict(order).await;
        println!("{order:?}: {verdict}");
        verdict.assert_good();
    }
}

async fn inflict(order: Order) -> Verdict {
    let mut rng = StdRng::seed_from_u64(order.seed);
    let config = Config { seed: order.seed, ..Config::default() };
    let simulator = Simulator::start(config).await.unwrap();
    let directory = TempDir::new().unwrap();
    let database = match order.engine {
        Engine::Sqlite => None,
        Engine::MariaDb => Some(MariaDbDatabase::create().await),
    };
    assert!(order.nodes == 1 || database.is_some(), "several nodes need --engine mariadb");

    let mut nodes = Vec::new();
    for index in 0..order.nodes {
        let path = directory.path().join(format!("node-{index}"));
        std::fs::create_dir(&path).unwrap();
        let mut setup = Setup::new(&path, &simulator)
            .with("LEASE_MS", LEASE.as_millis().to_string())
            .with("SEND_DELAY_MS", DELAY.as_millis().to_string())
            .with("ACK_TIMEOUT_MS", "250");
        if let Some(database) = &database {
            setup = setup.with("STATE_DATABASE_URL", database.url());
        }
        billing_file_in(&path, order.recipients).await;
        setup.link(&simulator, &sender(index)).await;
        nodes.push((setup.start(), setup));
    }

    simulator.set_faults(dropped_connections().into_iter().chain(lost_answers()).collect());
    // Where a receipt comes, it makes up for a lost ack.
    for customer in (1..=order.recipients).step_by(3) {
        let silent = NumberSettings { registered: true, receipts: Receipts::None };
        simulator.set_number(&phone(customer), silent);
    }
    let caller = nodes[0].0.caller().await.unwrap();
    let customers: Vec<i64> = (1..=order.recipients).collect();
    let campaign = caller.try_send(&customers, "one send").await.unwrap();

    let every = order.recipients as usize / (order.kills as usize + 1);
    for _ in 0..order.kills {
        let more = shown(&simulator) + rng.random_range(1..(2 * every).max(2));
        let enough = |s: &Simulator| shown(s) >= more;
        // If nothing more comes, the next blow comes all the same: the end will tell.
        let _ = simulator.wait_for(enough, STUCK_AFTER / 4).await;
        tokio::time::sleep(rng.random_range(Duration::ZERO..MAX_AFTER_MESSAGE)).await;
        let (node, setup) = &mut nodes[rng.random_range(0..order.nodes)];
        if rng.random_bool(STOPS) {
            node.signal("STOP").await;
            tokio::time::sleep(LEASE * 4 / 3).await;
            node.signal("CONT").await;
        } else {
            node.kill().await;
            *node = setup.start();
        }
    }

    // A client whose connections keep breaking waits ever longer before the next, as WhatsApp's
    // own does, up to a quarter of an hour; only a new process begins anew.
    simulator.set_faults(lost_answers());
    for (node, setup) in &mut nodes {
        node.kill().await;
        *node = setup.start();
    }
    let caller = nodes[0].0.caller().await.unwrap();
    let ending = tokio::spawn(until_the_end(caller.clone(), campaign, simulator.clone()));
    let end = ending.await.unwrap_or_else(|_| panic!("{}", nodes[0].0.log()));
    if end["status"] != "completed" {
        println!("not at its end: {end:#}\n{}", nodes[0].0.log());
    }
    let verdict = Verdict::of(&simulator, &caller.deliveries(campaign).await);
    for (node, _) in &mut nodes {
        Node::kill(node).await;
    }
    verdict
}

async fn billing_file_in(path: &Path, recipients: i64) {
    let made = TempDir::new().unwrap();
    billing_file(&made, &billing_sql(recipients)).await;
    std::fs::copy(made.path().join("billing.db"), path.join("billing.db")).unwrap();
}

/// One message in ten takes its connection with it, after it went through or before.
fn dropped_connections() -> Vec<Rule> {
    [Action::DropBeforeAck, Action::Drop]
        .map(|action| Rule::on(Stanza::Message, action).probability(0.05))
        .into()
}

/// One ack in five is lost; receipts come late, often and in the wrong order.
fn lost_answers() -> Vec<Rule> {
    let receipts = [Action::Duplicate { copies: 2 }, Action::Reorder, Action::Hold { ms: 800 }]
        .map(|action| Rule::on(Stanza::Receipt, action).probability(0.1));
    let mut rules = vec![Rule::on(Stanza::Message, Action::NoAck).probability(0.2)];
    rules.extend(receipts);
    rules
}

/// The number that a node is linked to.
fn sender(index: usize) -> String {
    format!("6281299990{index}00")
}

fn shown(simulator: &Simulator) -> usize {
    simulator.messages(MessageFilter::default()).len()
}

/// Waits for the campaign's end as long as anything still happens on the wire.
async fn until_the_end(caller: Caller, campaign: i64, simulator: Simulator) -> Value {
    let path = format!("/api/campaigns/{campaign}");
    loop {
        let before = simulator.ledger(0).len();
        let ended = tokio::time::timeout(STUCK_AFTER, async {
            let mut looks = tokio::time::interval(Duration::from_millis(200));
            loop {
                looks.tick().await;
                let seen = caller.get(&path).await;
                if seen["status"] == "completed" {
                    return;
                }
                if seen["pause_reason"] == "breaker" {
                    caller.post(&format!("{path}/resume"), Value::Null).await;
                }
            }
        });
        if ended.await.is_ok() || simulator.ledger(0).len() == before {
            return caller.get(&path).await;
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Verdict {
    /// Recipients whose phones show nothing.
    lost: usize,
    /// Recipients who were written under another id, or from another number, as well.
    second_ids: usize,
    /// Stanzas beyond the first under one id: the phones drop them.
    same_id_resends: usize,
    /// Stanzas that no committed attempt allowed.
    stale_commits: usize,
    /// Deliveries with something left to do.
    stuck: usize,
    /// Deliveries whose report is not what the phone shows, or whose text is not theirs.
    untrue: usize,
    /// Deliveries that a person has to decide about.
    uncertain: usize,
    /// Between two stanzas of one sender, at the server.
    smallest_gap: Option<Duration>,
}

impl Verdict {
    fn of(simulator: &Simulator, deliveries: &BTreeMap<i64, Value>) -> Verdict {
        let mut verdict = Verdict::default();
        let mut stanzas: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut by_sender: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for entry in simulator.ledger(0) {
            by_sender.entry(entry.from.clone()).or_default().insert(entry.wire_ns);
            // One copy of each stanza: that for the recipient's phone.
            if entry.owner == entry.to && entry.device == 0 {
                stanzas.entry(entry.to.clone()).or_default().push(entry);
            }
        }
        for (customer, delivery) in deliveries {
            let of_one = stanzas.remove(&phone(*customer)).unwrap_or_default();
            let decrypted: Vec<_> =
                of_one.iter().filter(|entry| entry.outcome == Outcome::Decrypted).collect();
            let ids: BTreeSet<_> = of_one.iter().map(|entry| (&entry.id, &entry.from)).collect();
            let state = delivery["state"].as_str().unwrap();
            let id = delivery["message_id"].as_str().unwrap();
            let attempts = delivery["attempts"].as_u64().unwrap() as usize;
            let is_right =
                |entry: &&&Entry| entry.id == id && entry.text.as_deref() == Some(&text(*customer));
            let is_shown = decrypted.iter().filter(is_right).count() == 1 && decrypted.len() == 1;
            verdict.lost += usize::from(decrypted.is_empty());
            verdict.second_ids += ids.len().saturating_sub(1);
            verdict.same_id_resends += of_one.len().saturating_sub(1);
            verdict.stale_commits += of_one.len().saturating_sub(attempts);
            verdict.uncertain += usize::from(state == "uncertain");
            match state {
                "accepted" | "delivered" | "read" => verdict.untrue += usize::from(!is_shown),
                "uncertain" => {}
                "queued" | "leased" | "sending" | "retry_wait" => verdict.stuck += 1,
                _ => verdict.untrue += usize::from(!decrypted.is_empty()),
            }
        }
        let gaps = by_sender
            .values()
            .flat_map(|times| times.iter().zip(times.iter().skip(1)).map(|(one, next)| next - one));
        verdict.smallest_gap = gaps.min().map(Duration::from_nanos);
        verdict
    }

    fn assert_good(&self) {
        let faults = [self.lost, self.second_ids, self.stale_commits, self.stuck, self.untrue];
        assert_eq!(faults, [0; 5], "{self}");
        assert!(self.smallest_gap.is_none_or(|gap| gap >= DELAY), "{self}");
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "lost {}, second ids {}, same-id resends {}, stale commits accepted {}, stuck {}, \
             untrue reports {}, uncertain {}, smallest gap {:.1} ms (delay {} ms)",
            self.lost,
            self.second_ids,
            self.same_id_resends,
            self.stale_commits,
            self.stuck,
            self.untrue,
            self.uncertain,
            self.smallest_gap.unwrap_or_default().as_secs_f64() * 1000.0,
            DELAY.as_millis(),
        )
    }
}
