//! Three nodes are replaced by a newer version, one after the other, in mid-campaign.

use super::torture::verdict::Verdict;
use crate::harness::caller::Caller;
use crate::harness::database::{MariaDbDatabase, billing_file};
use crate::harness::node::{Node, Setup};
use crate::harness::served::PATIENCE;
use crate::harness::world::{OWN, billing_sql};
use kabari::clock::Clock;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, Simulator};

/// How many seconds of kabari's time pass in one.
const SPEED: u32 = 4;
/// The default lease, in true time.
const LEASE: Duration = Duration::from_millis(15_000 / SPEED as u64);
/// The longest time between two messages at the default pace, which is doubled after a connect.
const LONGEST_GAP: Duration = Duration::from_millis(2 * 3_000 / SPEED as u64);
const NODES: usize = 3;
const RECIPIENTS: i64 = 90;
/// The phones that are linked beside [`OWN`].
const OTHERS: [(&str, &str); 2] = [("second", "6281299990010"), ("third", "6281299990020")];
/// How many messages go out between two replacements.
const BETWEEN: usize = 8;
/// Like every step, it only adds.
const LATER_STEP: &str = "ALTER TABLE deliveries ADD COLUMN of_a_later_version BIGINT; \
     CREATE TABLE of_a_later_version (id BIGINT NOT NULL PRIMARY KEY);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_replaced_one_by_one_in_mid_campaign() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let database = MariaDbDatabase::create().await;
    let directory = TempDir::new().unwrap();
    let base = Clock::System.now().0.to_string();
    let mut setups = vec![];
    for node in 0..=NODES {
        let path = directory.path().join(node.to_string());
        std::fs::create_dir(&path).unwrap();
        billing_file(&path, &billing_sql(RECIPIENTS)).await;
        let setup = Setup::ordinary(&path, &simulator).on_server(database.url());
        let setup = setup.with("CLOCK_SPEED", SPEED.to_string()).with("CLOCK_BASE", base.as_str());
        setups.push(setup);
    }
    let another_old_one = setups.pop().unwrap();
    setups[0].link(&simulator, OWN).await;
    let mut nodes: Vec<Node> = setups.iter().map(Setup::start).collect();
    let caller = nodes[0].caller().await.unwrap();
    link_others(&caller, &simulator).await;
    let customers: Vec<i64> = (1..=RECIPIENTS).collect();
    let campaign = caller.try_send(&customers, "in mid-upgrade").await.unwrap();
    until_more(&simulator, BETWEEN).await;

    let later_step = directory.path().join("later.sql");
    std::fs::write(&later_step, LATER_STEP).unwrap();
    let later_step = later_step.display().to_string();
    for (node, setup) in nodes.iter_mut().zip(&setups) {
        node.signal("TERM").await;
        assert!(node.ended().await.expect("it ends in order").success(), "{}", node.log());
        // The first of them changes the schema, while two of before are at work.
        *node = setup.clone().with("LATER_STEP_FILE", later_step.as_str()).start();
        node.caller().await.unwrap();
        until_more(&simulator, BETWEEN).await;
    }
    let longest = longest_gap(&simulator);
    assert!(longest <= LEASE + LONGEST_GAP, "a number was silent for {longest:?}");

    let mut refused = another_old_one.start();
    assert!(!refused.ended().await.expect("it does not start").success());
    refused.logged("made ready by a newer kabari").await;
    for node in &mut nodes {
        assert!(!node.has_ended(), "{}", node.log());
    }

    let caller = nodes[0].caller().await.unwrap();
    caller.completed(campaign).await;
    Verdict::of(&simulator, &caller.deliveries(campaign).await).assert_good();
}

async fn link_others(caller: &Caller, simulator: &Simulator) {
    for (name, phone) in OTHERS {
        caller.post("/api/whatsapp/sessions", json!({ "name": name })).await;
        let path = format!("/api/whatsapp/sessions/{name}");
        let qr = caller.wait_for(&format!("{path}/qr"), |qr| qr["text"].is_string()).await;
        simulator.scan(qr["text"].as_str().unwrap(), phone).await.unwrap();
        caller.wait_for(&path, |session| session["state"] == "connected").await;
    }
}

/// Waits until so many more messages are on the wire.
async fn until_more(simulator: &Simulator, more: usize) {
    let enough = simulator.ledger(0).len() + more;
    let come = |s: &Simulator| s.ledger(0).len() >= enough;
    simulator.wait_for(come, PATIENCE).await.unwrap();
}

/// The longest time that one number sent nothing between two messages.
fn longest_gap(simulator: &Simulator) -> Duration {
    let mut last = BTreeMap::new();
    let gaps = simulator.ledger(0).into_iter().filter_map(|entry| {
        let before = last.insert(entry.from, entry.wire_ns)?;
        Some(Duration::from_nanos(entry.wire_ns - before))
    });
    gaps.max().expect("every number sends")
}
