//! What is deployed beside kabari goes by names that kabari has.

use crate::architecture::read;
use crate::harness::database::Engine;
use crate::harness::promtool::promtool;
use crate::harness::world::World;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const COMPOSE: &str = "deploy/compose.yml";
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
    // The key that it names is on the machine of whoever runs it.
    let composed = path("deploy/compose/prometheus.yml");
    promtool(&["check", "config", "--syntax-only", &composed], "");
}

/// Has docker-compose read the file as it stands beside an `.env` with this in it.
fn compose(env: &str, profiles: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("compose.yml"), read(COMPOSE)).unwrap();
    std::fs::write(directory.path().join(".env"), env).unwrap();
    let mut command = Command::new("docker-compose");
    for profile in profiles {
        command.args(["--profile", profile]);
    }
    command.arg("config").current_dir(directory.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap_or_else(|error| {
        panic!("no docker-compose ({error}): run the tests with `cargo xtask test`, which gets it")
    })
}

#[test]
fn compose_takes_the_file_with_each_option_and_not_without_a_key() {
    let example = read("deploy/compose.env.example");
    let with_key = example.replace("\nAPI_KEY=\n", "\nAPI_KEY=0123456789abcdef\n");
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    for profiles in [&[][..], &["mariadb"], &["monitoring"], &["mariadb", "monitoring"]] {
        let output = compose(&with_key, profiles);
        assert!(output.status.success(), "{profiles:?}: {}", said(&output));
    }
    let without = compose(&example, &[]);
    assert!(!without.status.success() && said(&without).contains("openssl"), "{}", said(&without));
}

#[test]
fn every_composed_service_is_confined_and_stays_on_this_machine() {
    let text = read(COMPOSE);
    let (_, services) = text.split_once("\nservices:\n").unwrap();
    let (services, _) = services.split_once("\nvolumes:\n").unwrap();
    let confined = text.split_once("\nservices:\n").unwrap().0;
    for rule in ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "max-size:"] {
        assert!(confined.contains(rule), "{rule}");
    }
    let is_name =
        |line: &&str| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
    let names: Vec<_> = services.lines().filter(is_name).map(|name| name.trim()).collect();
    assert_eq!(names, ["kabari:", "mariadb:", "prometheus:", "grafana:"]);
    for name in names {
        let (_, service) = services.split_once(&format!("  {name}\n")).unwrap();
        let end = service.lines().position(|line| is_name(&line)).unwrap_or(usize::MAX);
        let lines: Vec<_> = service.lines().take(end).map(str::trim).collect();
        let value = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key));
        assert_eq!(value("<<: "), Some("*confined"), "{name}");
        assert!(value("mem_limit: ").is_some(), "{name}");
        let (_, version) = value("image: ").unwrap().rsplit_once(':').unwrap();
        assert!(version.split('.').count() == 3, "{name} has no fixed version: {version}");
        let ports = value("ports: ").unwrap_or("[\"127.0.0.1\"]");
        let here = ["[\"127.0.0.1", "[\"${PUBLISH:-127.0.0.1}"];
        assert!(here.iter().any(|address| ports.starts_with(address)), "{name} {ports}");
        for line in &lines {
            let secret = line.split_once("PASSWORD: ").map_or("", |(_, value)| value);
            assert!(["", "\"1\"", "${MARIADB_PASSWORD:-}"].contains(&secret), "{name} {line}");
        }
    }
}

#[test]
fn the_services_of_macos_and_windows_are_well_formed() {
    let check = "import plistlib, sys, xml.dom.minidom as xml\n\
                 job = plistlib.load(open(sys.argv[1], 'rb'))\n\
                 assert job['ProgramArguments'][1] == 'serve' and job['Umask'] == 0o077\n\
                 assert sys.argv[1].endswith(job['Label'] + '.plist')\n\
                 xml.parse(sys.argv[2])";
    let files = ["deploy/launchd/id.kabari.plist", "deploy/windows/kabari-service.xml"].map(path);
    let output = Command::new("python3").args(["-c", check]).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_image_has_this_version_and_is_built_with_the_tools_of_the_package() {
    let version = env!("CARGO_PKG_VERSION");
    let image = read("Dockerfile");
    assert!(image.contains(&format!("image.version=\"{version}\"")));
    assert!(read(COMPOSE).contains(&format!("image: kabari:{version}\n")));
    let dist = read("xtask/src/dist.rs");
    let (_, tool) = dist.split_once("name: \"cargo-auditable\", version: \"").unwrap();
    let (auditable, _) = tool.split_once('"').unwrap();
    for file in ["Dockerfile", ".github/workflows/ci.yml"] {
        assert!(read(file).contains(&format!("cargo-auditable@{auditable}")), "{file}");
    }
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
