//! A backup is made while messages go out, and restored on another machine.

use crate::harness::caller::Caller;
use crate::harness::database::{Engine, MariaDbDatabase, billing_file};
use crate::harness::node::{Node, SESSION_KEY, Setup};
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, billing_sql, phone, text};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use wa_sim::{Config, Message, MessageFilter, Simulator};

super::on_both_engines! {
    restored_in_mid_campaign_nothing_is_sent_twice,
    a_move_goes_on_where_it_stopped,
    a_backup_that_cannot_be_used_changes_nothing,
}

const RECIPIENTS: i64 = 20;
/// A customer who is no recipient.
const ANOTHER: i64 = 30;
/// The pace of the machine that is backed up: slow enough that some are not out yet when the
/// backup is restored.
const DELAY_MS: &str = "1500";
const PASSPHRASE: &str = "kucing hitam di atap";

/// A machine: its directory, and its database where that is on a server.
struct Machine {
    directory: TempDir,
    setup: Setup,
    _database: Option<MariaDbDatabase>,
}

impl Machine {
    /// One on which nothing has run yet.
    async fn new(engine: Engine, simulator: &Simulator) -> Machine {
        let directory = TempDir::new().unwrap();
        let mut setup =
            Setup::new(directory.path(), simulator).with("BACKUP_PASSPHRASE", PASSPHRASE);
        let database = match engine {
            Engine::Sqlite => None,
            Engine::MariaDb => Some(MariaDbDatabase::create().await),
        };
        if let Some(database) = &database {
            setup = setup.on_server(database.url());
        }
        Machine { directory, setup, _database: database }
    }

    /// One with customers and a linked phone.
    async fn linked(engine: Engine, simulator: &Simulator) -> Machine {
        let mut machine = Machine::new(engine, simulator).await;
        machine.setup = machine.setup.with("SEND_DELAY_MS", DELAY_MS);
        billing_file(&machine.directory, &billing_sql(CUSTOMERS)).await;
        machine.setup.link(simulator, OWN).await;
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command, which has to succeed. Returns what it says.
    async fn run(&self, arguments: &[&str]) -> String {
        let (succeeded, said) = outcome(&self.setup, arguments).await;
        assert!(succeeded, "{arguments:?}: {said}");
        said
    }

    /// Runs a command, which has to fail. Returns what it says.
    async fn refused(&self, arguments: &[&str]) -> String {
        let (succeeded, said) = outcome(&self.setup, arguments).await;
        assert!(!succeeded, "{arguments:?}: {said}");
        said
    }

    async fn back_up(&self) -> PathBuf {
        let file = self.file("backup");
        let said = self.run(&["backup", file.to_str().unwrap()]).await;
        assert!(said.contains("encrypted") && !said.contains(PASSPHRASE), "{said}");
        file
    }
}

async fn outcome(setup: &Setup, arguments: &[&str]) -> (bool, String) {
    let output = setup.run(arguments).await;
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for customer in [phone(1), phone(RECIPIENTS), OWN.to_owned()] {
        assert!(!said.contains(&customer), "{said}");
    }
    (output.status.success(), said)
}

fn shown(simulator: &Simulator, customer: i64) -> Vec<Message> {
    simulator.messages(MessageFilter { to: Some(phone(customer)), from: Some(OWN.into()) })
}

fn reached(simulator: &Simulator) -> usize {
    simulator.messages(MessageFilter::default()).len()
}

async fn until_reached(simulator: &Simulator, number: usize) {
    simulator.wait_for(|simulator| reached(simulator) >= number, PATIENCE).await.unwrap();
}

async fn until_link(caller: &Caller, state: &str) {
    caller.wait_for("/api/whatsapp/status", |status| status["state"] == state).await;
}

async fn stop(node: &mut Node) {
    node.signal("TERM").await;
    assert!(node.ended().await.unwrap().success());
}

async fn decide(caller: &Caller, delivery: &Value, decision: &str) {
    let path = format!("/api/deliveries/{}/resolve", delivery["id"]);
    caller.post(&path, json!({ "decision": decision })).await;
}

async fn restored_in_mid_campaign_nothing_is_sent_twice(engine: Engine) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let old = Machine::linked(engine, &simulator).await;
    let mut old_node = old.setup.start();
    let old_caller = old_node.caller().await.unwrap();
    let campaign = old_caller.send(1..=RECIPIENTS).await;
    until_reached(&simulator, 3).await;
    let file = old.back_up().await;
    // Of these the backup cannot know.
    let at_backup = reached(&simulator);
    until_reached(&simulator, at_backup + 2).await;

    let new = Machine::new(engine, &simulator).await;
    let said = new.run(&["restore", file.to_str().unwrap()]).await;
    assert!(said.contains("`uncertain`") && said.contains("replaced"), "{said}");
    assert!(said.contains(&format!("SEND_DELAY_MS={DELAY_MS}")), "{said}");
    for secret in [PASSPHRASE, SESSION_KEY] {
        assert!(!said.contains(secret), "{said}");
    }

    // The old one still runs: WhatsApp lets one of them be connected.
    let mut new_node = new.setup.start();
    let caller = new_node.caller().await.unwrap();
    until_link(&caller, "connected").await;
    until_link(&old_caller, "replaced").await;
    let sent_by_the_old = reached(&simulator);
    assert!(sent_by_the_old < RECIPIENTS as usize, "the old one was stopped in mid-campaign");
    let report = caller.completed(campaign).await;
    assert_eq!(report["total"], RECIPIENTS);
    let mut unknown = vec![];
    for (customer, delivery) in caller.deliveries(campaign).await {
        match delivery["state"].as_str().unwrap() {
            "uncertain" => {
                assert!(delivery["error"].as_str().unwrap().contains("cadangan"), "{delivery}");
                unknown.push((shown(&simulator, customer).len(), delivery));
            }
            "accepted" | "delivered" | "read" => {}
            state => panic!("{customer} is {state}"),
        }
    }
    let has_it = unknown.iter().filter(|(shown, ..)| *shown == 1).count();
    assert!(has_it >= 1 && has_it < unknown.len(), "{unknown:#?}");
    assert_eq!(reached(&simulator), sent_by_the_old, "the new one sends nothing by itself");

    // A person decides: one that has arrived counts as sent, all others go out again, of which a
    // phone shows no second copy.
    let arrived = unknown.iter().position(|(shown, ..)| *shown == 1).unwrap();
    for (at, (_, delivery)) in unknown.iter().enumerate() {
        let decision = if at == arrived { "count_as_sent" } else { "send_again" };
        decide(&caller, delivery, decision).await;
    }
    until_reached(&simulator, RECIPIENTS as usize).await;
    caller.completed(campaign).await;
    for (customer, delivery) in caller.deliveries(campaign).await {
        let shown: Vec<_> =
            shown(&simulator, customer).into_iter().map(|one| (one.id, one.text)).collect();
        let id = delivery["message_id"].as_str().unwrap().to_owned();
        assert_eq!(shown, [(id, text(customer))], "customer {customer}");
    }

    // The old one is fenced, and stays so when it starts again.
    stop(&mut old_node).await;
    let mut old_node = old.setup.start();
    let old_caller = old_node.caller().await.unwrap();
    old_node.logged("opened elsewhere").await;
    old_caller.waits_for(campaign, "replaced").await;
    let another = caller.send([ANOTHER]).await;
    caller.completed(another).await;
    assert_eq!(shown(&simulator, ANOTHER).len(), 1, "the new one is connected still");
    assert_eq!(reached(&simulator), RECIPIENTS as usize + 1);
    let violations = simulator.violations();
    assert!(violations.is_empty(), "{violations:#?}");
    for digits in [phone(1), phone(RECIPIENTS)] {
        assert!(!old_node.log().contains(&digits) && !new_node.log().contains(&digits));
    }
}

async fn a_move_goes_on_where_it_stopped(engine: Engine) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let old = Machine::linked(engine, &simulator).await;
    let mut node = old.setup.start();
    let campaign = node.caller().await.unwrap().send(1..=RECIPIENTS).await;
    until_reached(&simulator, 3).await;
    stop(&mut node).await;
    let file = old.back_up().await;

    // From one engine to the other.
    let elsewhere = match engine {
        Engine::Sqlite => Engine::MariaDb,
        Engine::MariaDb => Engine::Sqlite,
    };
    let mut new = Machine::new(elsewhere, &simulator).await;
    if elsewhere == Engine::MariaDb {
        let key = fs::read_to_string(old.file("session.key")).unwrap();
        new.setup = new.setup.with("SESSION_KEY", key.trim());
    }
    let said = new.run(&["restore", file.to_str().unwrap(), "--nothing-sent-since"]).await;
    assert!(!said.contains("`uncertain`"), "{said}");
    let mut node = new.setup.start();
    let caller = node.caller().await.unwrap();
    let report = caller.completed(campaign).await;
    assert!(report["counts"]["uncertain"].as_u64().unwrap_or_default() == 0, "{report}");
    for customer in 1..=RECIPIENTS {
        assert_eq!(shown(&simulator, customer).len(), 1, "customer {customer}");
    }
    // The customers have come along.
    let more = caller.send([ANOTHER]).await;
    caller.completed(more).await;
    assert_eq!(shown(&simulator, ANOTHER).len(), 1);
    let violations = simulator.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

async fn a_backup_that_cannot_be_used_changes_nothing(engine: Engine) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let old = Machine::linked(engine, &simulator).await;
    let mut node = old.setup.start();
    let campaign = node.caller().await.unwrap().send(1..=2).await;
    node.caller().await.unwrap().completed(campaign).await;
    stop(&mut node).await;
    let file = old.back_up().await;
    let whole = fs::read(&file).unwrap();
    let key = fs::read_to_string(old.file("session.key")).unwrap_or(SESSION_KEY.to_owned());
    for secret in [phone(1).as_str(), OWN, "Pelanggan", key.trim()] {
        let shows = whole.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!shows, "an encrypted backup shows {secret}");
    }
    let path = file.to_str().unwrap();
    let said = old.refused(&["backup", path]).await;
    assert!(said.contains("is there already"), "{said}");
    let said = old.refused(&["restore", path]).await;
    assert!(said.contains("is not empty"), "{said}");

    let new = Machine::new(engine, &simulator).await;
    let other = new.setup.clone().with("BACKUP_PASSPHRASE", "anjing putih di bawah");
    let (succeeded, said) = outcome(&other, &["restore", path]).await;
    assert!(!succeeded && said.contains("is not that of this backup"), "{said}");
    let middle = whole.len() / 2;
    let mut changed = whole.clone();
    changed[middle] ^= 1;
    for damaged in [&whole[..middle], changed.as_slice()] {
        fs::write(&file, damaged).unwrap();
        let said = new.refused(&["restore", path]).await;
        assert!(said.contains("damaged"), "{said}");
    }
    // It is as empty as before.
    fs::write(&file, &whole).unwrap();
    let said = new.run(&["restore", path]).await;
    assert!(said.contains("1 campaigns, 2 deliveries"), "{said}");
}
