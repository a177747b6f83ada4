//! Everything at once, at random, at the settings that users have: processes killed and stopped,
//! the database restarted, cut off and hanging, clocks set, numbers banned, unlinked and replaced,
//! acks lost, connections dropped, receipts late, twice and out of order. Several campaigns run at
//! once, one of them urgent. Judged by the simulator's ledger, and nothing is restarted at the end.
//!
//! `cargo xtask torture` orders larger runs through the environment.

mod cluster;
mod disruptions;
pub(super) mod verdict;

use crate::harness::database::Engine;
use crate::harness::world::phone;
use cluster::Cluster;
use disruptions::{Disruption, Tally};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::str::FromStr;
use std::time::Duration;
use verdict::Verdict;
use wa_sim::{Action, Config, FaultRule, NumberSettings, Receipts, Simulator, Stanza};

/// How many seconds of kabari's time pass in one: an hour's waits take minutes.
const SPEED: u32 = 10;
/// The shortest time between two messages of one number at the default pace, in true time.
const DELAY: Duration = Duration::from_millis(2000 / SPEED as u64);
/// The default lease, in true time. A stopped process stays so for longer.
const LEASE: Duration = Duration::from_millis(15_000 / SPEED as u64);
/// How long the database may be away, in true time: 0.2 to 30 s of kabari's.
const AWAY: std::ops::Range<Duration> =
    Duration::from_millis(200 / SPEED as u64)..Duration::from_millis(30_000 / SPEED as u64);
/// Without any message on the wire for this long, nothing will come any more.
const STUCK_AFTER: Duration = Duration::from_secs(90);
/// Without any message on the wire for this long, the next disruption falls all the same.
const NEXT_DISRUPTION_AFTER: Duration = Duration::from_secs(5);
/// The longest time between a message on the wire and the disruption that follows it.
const MAX_AFTER_MESSAGE: Duration = Duration::from_millis(200);
/// How many campaigns run at once; the last is urgent.
const CAMPAIGNS: i64 = 4;

/// How much of it.
#[derive(Debug, Clone, Copy)]
struct Order {
    recipients: i64,
    kills: usize,
    engine: Engine,
    nodes: usize,
    numbers: usize,
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
            numbers: number("TORTURE_NUMBERS"),
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
    let small =
        Order { recipients: 40, kills: 4, engine: Engine::Sqlite, nodes: 1, numbers: 2, seed: 1 };
    let cluster =
        Order { recipients: 60, kills: 6, engine: Engine::MariaDb, nodes: 3, numbers: 4, seed: 1 };
    let orders = match Order::from_environment() {
        Some(order) => vec![order],
        None => vec![small, cluster],
    };
    for order in orders {
        let (verdict, tally) = inflict(order).await;
        println!("{order:?}: {verdict}; {tally}");
        verdict.assert_good();
    }
}

async fn inflict(order: Order) -> (Verdict, Tally) {
    let mut rng = StdRng::seed_from_u64(order.seed);
    let config = Config { seed: order.seed, ..Config::default() };
    let simulator = Simulator::start(config).await.unwrap();
    // Where a receipt comes, it makes up for a lost ack.
    for customer in (1..=order.recipients).step_by(3) {
        let silent = NumberSettings { registered: true, receipts: Receipts::None };
        simulator.set_number(&phone(customer), silent);
    }
    let mut cluster = Cluster::start(order, &simulator).await;
    cluster.set_faults(dropped_connections().into_iter().chain(lost_answers()).collect());
    cluster.send(order.recipients).await;

    let disruptions = Disruption::some(&mut rng, order.kills, |disruption| cluster.can(disruption));
    let every = (order.recipients as usize / (disruptions.len() + 1)).max(1);
    let mut tally = Tally::default();
    for disruption in disruptions {
        let more = rng.random_range(1..=2 * every);
        cluster.until_more_on_the_wire(more, NEXT_DISRUPTION_AFTER).await;
        tokio::time::sleep(rng.random_range(Duration::ZERO..MAX_AFTER_MESSAGE)).await;
        cluster.suffer(disruption, &mut rng).await;
        tally.count(disruption);
    }

    // What follows ends by itself: nothing is started anew.
    cluster.set_faults(lost_answers());
    cluster.let_time_catch_up();
    cluster.until_the_end().await;
    let mut verdict = Verdict::of(&simulator, &cluster.deliveries().await);
    verdict.ranks_fallen = cluster.ranks_fallen();
    cluster.end().await;
    (verdict, tally)
}

/// One message in ten takes its connection with it, after it went through or before.
fn dropped_connections() -> Vec<FaultRule> {
    [Action::DropBeforeAck, Action::Drop]
        .map(|action| FaultRule::on(Stanza::Message, action).probability(0.05))
        .into()
}

/// One ack in five is lost; receipts come late, often and in the wrong order.
fn lost_answers() -> Vec<FaultRule> {
    let receipts = [Action::Duplicate { copies: 2 }, Action::Reorder, Action::Hold { ms: 800 }]
        .map(|action| FaultRule::on(Stanza::Receipt, action).probability(0.1));
    let mut rules = vec![FaultRule::on(Stanza::Message, Action::NoAck).probability(0.2)];
    rules.extend(receipts);
    rules
}
