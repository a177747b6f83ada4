//! The process dies at every instant that matters, and the next one goes on.

use crate::architecture::{Source, sources};
use crate::harness::database::{Engine, MariaDbDatabase, billing_file};
use crate::harness::node::{Node, Setup};
use crate::harness::served::PATIENCE;
use crate::harness::world::{
    CUSTOMERS, OWN, UNREGISTERED, assert_report_is_true, billing_sql, phone,
};
use futures_util::StreamExt;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use tempfile::TempDir;
use wa_sim::{Config, NumberSettings, Receipts, Simulator};

super::on_both_engines! { whatever_dies_where_nobody_is_lost_and_nobody_gets_it_twice }

/// What leads to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A send does, with no pause between its messages.
    Sending,
    /// A send does, with a pause between its messages.
    SendingInPace,
    /// A send that the operator pauses.
    Pausing,
    /// The start after a death in mid-send.
    StartingAgain,
}

/// The points, and at which of its visits the process dies.
const POINTS: [(&str, u32, By); 42] = [
    ("create.written", 1, By::Sending),
    ("create.committed", 1, By::Sending),
    ("session.written", 1, By::Sending),
    ("session.committed", 1, By::Sending),
    ("claim.written", 1, By::Sending),
    ("claim.committed", 1, By::Sending),
    ("link.written", 1, By::Sending),
    ("numbers.asked", 1, By::Sending),
    ("numbers.remembered", 1, By::Sending),
    ("numbers.absent", 1, By::Sending),
    ("begin.written", 1, By::Sending),
    ("begin.written", 3, By::SendingInPace),
    ("begin.committed", 1, By::Sending),
    ("begin.committed", 3, By::SendingInPace),
    ("entries.written", 2, By::Sending),
    ("entries.written", 4, By::Sending),
    ("entries.committed", 2, By::Sending),
    ("entries.committed", 4, By::Sending),
    ("send.begun", 2, By::Sending),
    ("send.answered", 1, By::Sending),
    ("send.answered", 4, By::Sending),
    ("handover.written", 1, By::Sending),
    ("handover.written", 3, By::Sending),
    ("handover.committed", 1, By::Sending),
    ("handover.committed", 4, By::Sending),
    ("ack.written", 1, By::SendingInPace),
    ("ack.written", 3, By::SendingInPace),
    ("ack.committed", 1, By::SendingInPace),
    ("ack.committed", 5, By::SendingInPace),
    ("settle.written", 1, By::Pausing),
    ("settle.committed", 1, By::Pausing),
    ("receipt.arrived", 1, By::Sending),
    ("receipt.written", 1, By::Sending),
    ("receipt.committed", 1, By::Sending),
    ("complete.begun", 1, By::Sending),
    ("complete.committed", 1, By::Sending),
    ("renew", 2, By::Sending),
    ("campaign_event.written", 1, By::Pausing),
    ("campaign_event.committed", 1, By::Pausing),
    ("release", 1, By::Pausing),
    ("reclaim.written", 1, By::StartingAgain),
    ("reclaim.committed", 1, By::StartingAgain),
];

/// Whose phones send no receipts, so that only the ack says that they were reached: a receipt
/// that overtakes its ack would take a visit away.
const SILENT: std::ops::RangeInclusive<i64> = 1..=4;
/// What differs between two rounds: keys, and with them everything that is encrypted.
const SEEDS: [u64; 2] = [1, 2];
/// How many deaths at the same time: each takes a few processes and a simulator.
const AT_ONCE: usize = 6;
/// What `kill -9` ends a process with.
const SIGKILL: i32 = 9;
const KEY: &str = "one send, however often it is asked for";

async fn whatever_dies_where_nobody_is_lost_and_nobody_gets_it_twice(engine: Engine) {
    let deaths = SEEDS.into_iter().flat_map(|seed| POINTS.map(|point| (seed, point)));
    futures_util::stream::iter(deaths)
        .for_each_concurrent(AT_ONCE, |(seed, (point, hit, by))| async move {
            let survived = tokio::spawn(survive(engine, seed, point, hit, by)).await;
            assert!(survived.is_ok(), "seed {seed}, {point}, visit {hit}: see above");
        })
        .await;
}

#[test]
fn every_crash_point_has_a_test() {
    let sources = sources("crates/server/src", &["rs"]);
    let lines = sources.iter().flat_map(Source::code);
    let points: BTreeSet<&str> = lines
        .filter_map(|(_, line)| line.split_once("crash_point(\"")?.1.split('"').next())
        .collect();
    let gateway = crate::gateway::crashes::POINTS.map(|(point, ..)| point);
    let deaths: BTreeSet<&str> =
        POINTS.map(|(point, ..)| point).into_iter().chain(gateway).collect();
    assert_eq!(points, deaths);
}

/// One death at this point, and what comes after.
async fn survive(engine: Engine, seed: u64, point: &'static str, hit: u32, by: By) {
    let simulator = Simulator::start(Config { seed, ..Config::default() }).await.unwrap();
    for customer in SILENT {
        let silent = NumberSettings { registered: true, receipts: Receipts::None };
        simulator.set_number(&phone(customer), silent);
    }
    let directory = TempDir::new().unwrap();
    billing_file(&directory, &billing_sql(CUSTOMERS)).await;
    let mut setup = Setup::new(directory.path(), &simulator);
    let database = match engine {
        Engine::Sqlite => None,
        Engine::MariaDb => Some(MariaDbDatabase::create().await),
    };
    if let Some(database) = &database {
        setup = setup.on_server(database.url());
    }
    setup.link(&simulator, OWN).await;
    let pause = match by {
        By::Sending | By::StartingAgain => "0",
        By::SendingInPace => "10",
        By::Pausing => "100",
    };
    setup = setup.with("SEND_DELAY_MS", pause);
    let customers: Vec<i64> = (1..=6).chain([UNREGISTERED]).collect();
    let dying = |point: &str, hit: u32| {
        setup.clone().with("CRASH_AT", point).with("CRASH_ON_HIT", hit.to_string())
    };

    if by == By::StartingAgain {
        die(&mut dying("send.begun", 2).start(), &customers, by, &simulator).await;
    }
    let mut node = dying(point, hit).start();
    die(&mut node, &customers, by, &simulator).await;

    let mut node = setup.start();
    let caller = node.caller().await.unwrap_or_else(|| panic!("{point}: {}", node.log()));
    let campaign = caller.try_send(&customers, KEY).await.unwrap();
    if by == By::Pausing {
        let seen = caller.get(&format!("/api/campaigns/{campaign}")).await;
        if seen["pause_reason"] == "manual" {
            caller.post(&format!("/api/campaigns/{campaign}/resume"), Value::Null).await;
        }
    }
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { caller.completed(campaign).await }
    });
    let completed = waiting.await.unwrap_or_else(|_| panic!("{point}: {}", node.log()));
    assert_eq!(completed["counts"]["failed"], 1, "{point}: {completed}");
    let campaigns = caller.get("/api/campaigns").await;
    assert_eq!(campaigns["campaigns"].as_array().unwrap().len(), 1, "{point}: one key, one send");
    let deliveries = caller.deliveries(campaign).await;
    assert_report_is_true(&simulator, &deliveries);
    for customer in 1..=6 {
        let state = &deliveries[&customer]["state"];
        let reached = ["accepted", "delivered", "read"].iter().any(|s| state == s);
        assert!(reached, "{point}: {state}\n{}", node.log());
    }
    let ledger = simulator.ledger(0);
    for customer in 1..=6 {
        let to = phone(customer);
        let mut ids: Vec<_> =
            ledger.iter().filter(|e| e.to == to).map(|entry| entry.id.as_str()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{point}: one id for {to}, not {ids:?}");
    }
    node.kill().await;
}

/// Does what leads to the point, and waits until the process has died there.
async fn die(node: &mut Node, customers: &[i64], by: By, simulator: &Simulator) {
    if let Some(caller) = node.caller().await {
        // It may die before it has answered.
        let campaign = caller.try_send(customers, KEY).await;
        if let (By::Pausing, Ok(campaign)) = (by, campaign) {
            let begun = |s: &Simulator| !s.ledger(0).is_empty();
            simulator.wait_for(begun, PATIENCE).await.unwrap();
            let path = format!("/api/campaigns/{campaign}/pause");
            let _ = caller.try_request(reqwest::Method::POST, &path, &[], &Value::Null).await;
        }
    }
    let status = node.ended().await;
    let signal = status.and_then(|status| status.signal());
    assert_eq!(signal, Some(SIGKILL), "it came by without dying:\n{}", node.log());
}
