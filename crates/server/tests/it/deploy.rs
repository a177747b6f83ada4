//! What is deployed beside kabari goes by names that kabari has.

use crate::architecture::read;
use crate::harness::database::Engine;
use crate::harness::promtool::promtool;
use crate::harness::world::World;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const DASHBOARD: &str = "deploy/grafana/kabari.json";

fn path(file: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    root.join(file).to_str().unwrap().to_owned()
}

/// The metrics of kabari that a text names, without what a histogram appends.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_name(c)).filter(|word| word.starts_with("kabari_"));
    let plain = |word: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    words.map(plain).collect()
}

#[test]
fn the_alert_rules_are_valid_and_fire_when_they_should() {
    promtool(&["check", "rules", &path(ALERTS)], "");
    promtool(&["test", "rules", &path("deploy/prometheus/alerts_test.yml")], "");
    promtool(&["check", "config", &path("deploy/prometheus/prometheus.yml")], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dashboard_and_alerts_name_metrics_that_there_are() {
    let set = |settings: &mut kabari::config::Settings| settings.quotas.daily_cap = Some(100);
    let world = World::linked_with(Engine::Sqlite, kabari::clock::Clock::System, set).await;
    let campaign = world.send([1, 2]).await;
    world.count(campaign, "read", 2).await;
    let Value::String(text) = world.get("/metrics").await else { panic!("no text") };
    let there = metrics_in(&text);

    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(queries.len() >= panels.len(), "a panel shows nothing");
    for (file, named) in
        [(DASHBOARD, metrics_in(&queries.join(" "))), (ALERTS, metrics_in(&read(ALERTS)))]
    {
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(!named.is_empty() && missing.is_empty(), "{file} names {missing:?}");
    }
}
