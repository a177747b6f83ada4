//! Between two messages of one number lies the delay, as the wire shows it, whatever happens in
//! between.

use crate::harness::caller::Caller;
use crate::harness::clock_file::ClockFile;
use crate::harness::database::{Engine, MariaDbDatabase, billing_file};
use crate::harness::node::{Node, Setup};
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, billing_sql};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, LedgerEntry, MessageFilter, Simulator};

super::on_both_engines! { kills_and_clock_steps_keep_the_pace }

/// Long enough that a message without its pause stands out.
const DELAY: Duration = Duration::from_millis(150);
/// Lets something happen among them.
const RECIPIENTS: i64 = 24;
const HOUR: Duration = Duration::from_secs(3600);

async fn kills_and_clock_steps_keep_the_pace(engine: Engine) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    let database = match engine {
        Engine::Sqlite => None,
        Engine::MariaDb => Some(MariaDbDatabase::create().await),
    };
    let mut clock = ClockFile::new(directory.path());
    billing_file(&directory, &billing_sql(CUSTOMERS)).await;
    let mut setup = Setup::new(directory.path(), &simulator)
        .with("SEND_DELAY_MS", DELAY.as_millis().to_string())
        .with("CLOCK_STEP_FILE", clock.path());
    if let Some(database) = &database {
        setup = setup.on_server(database.url());
    }
    setup.link(&simulator, OWN).await;
    let mut node = setup.start();
    let campaign = begin(&mut node).await;
    for more in 1..=3 {
        until_reached(&simulator, 3 * more).await;
        node.kill().await;
        node = setup.start();
    }
    until_reached(&simulator, 12).await;
    clock.forward(HOUR);
    until_reached(&simulator, 15).await;
    clock.back(2 * HOUR);
    until_reached(&simulator, 18).await;
    clock.catch_up();
    node.caller().await.unwrap().completed(campaign).await;
    assert_pace(&simulator);
}

/// Two nodes in front of one gateway have one number, which goes from one to the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takeovers_keep_the_pace() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let database = MariaDbDatabase::create().await;
    let directories = [(); 3].map(|()| TempDir::new().unwrap());
    let delay = DELAY.as_millis().to_string();
    let gateway =
        Setup::gateway(directories[2].path(), &simulator).with("SEND_DELAY_MS", delay.as_str());
    gateway.link(&simulator, OWN).await;
    let mut gateway = gateway.start();
    let url = format!("http://{}", gateway.address().await.unwrap());
    let mut nodes = vec![];
    for directory in &directories[..2] {
        billing_file(directory, &billing_sql(CUSTOMERS)).await;
        let setup = Setup::new(directory.path(), &simulator)
            .with("SEND_DELAY_MS", delay.as_str())
            .on_server(database.url())
            .with("WA_GATEWAY_URL", url.as_str());
        nodes.push((setup.start(), setup));
    }
    let campaign = begin(&mut nodes[0].0).await;
    nodes[1].0.caller().await.unwrap();
    // Whoever has the number, one of the first two and one of the last two is that node.
    for (round, dying) in [0, 1, 0, 1].into_iter().enumerate() {
        until_reached(&simulator, 3 + 5 * round).await;
        let (node, setup) = &mut nodes[dying];
        if round < 2 {
            node.kill().await;
            until_reached(&simulator, 6 + 5 * round).await;
            *node = setup.start();
            node.caller().await.unwrap();
        } else {
            node.signal("STOP").await;
            until_reached(&simulator, 6 + 5 * round).await;
            node.signal("CONT").await;
        }
    }
    let caller: Caller = nodes[0].0.caller().await.unwrap();
    caller.completed(campaign).await;
    assert_pace(&simulator);
}

async fn begin(node: &mut Node) -> i64 {
    node.caller().await.unwrap().send(1..=RECIPIENTS).await
}

async fn until_reached(simulator: &Simulator, number: usize) {
    let reached = |s: &Simulator| s.messages(MessageFilter::default()).len() >= number;
    simulator.wait_for(reached, PATIENCE).await.unwrap();
}

fn assert_pace(simulator: &Simulator) {
    assert_eq!(simulator.messages(MessageFilter::default()).len() as i64, RECIPIENTS);
    let gap = smallest_gap(&simulator.ledger(0)).unwrap();
    assert!(gap >= DELAY, "two messages came within {gap:?}");
}

/// Between two stanzas of one number, when they came in over the wire.
pub fn smallest_gap(ledger: &[LedgerEntry]) -> Option<Duration> {
    gaps(ledger).into_iter().min()
}

/// All of these.
pub fn gaps(ledger: &[LedgerEntry]) -> Vec<Duration> {
    // A stanza has an entry for each device, all of the same time.
    let mut by_sender: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for entry in ledger {
        by_sender.entry(&entry.from).or_default().insert(entry.wire_ns);
    }
    let gaps = by_sender
        .values()
        .flat_map(|times| times.iter().zip(times.iter().skip(1)).map(|(one, next)| next - one));
    gaps.map(Duration::from_nanos).collect()
}
