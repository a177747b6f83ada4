//! A backup is made while messages go out, and brought back on another machine.

use crate::harness::caller::Caller;
use crate::harness::database::{Engine, MariaDbDatabase, billing_file};
use crate::harness::driven_client::assert_no_violations;
use crate::harness::node::Setup;
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, billing_sql, phone};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use wa_sim::{Config, Message, MessageFilter, Simulator};

super::on_both_engines! {
    restored_elsewhere_in_mid_campaign_nothing_is_sent_twice,
    a_move_while_nothing_runs_goes_on_where_it_stopped,
}

const RECIPIENTS: i64 = 14;
/// Enough that some are not out yet when the backup is brought back.
const DELAY_MS: &str = "400";
const PASSPHRASE: &str = "kucing hitam di atap";

/// A machine: its directory, and its database where that is on a server.
struct Machine {
    directory: TempDir,
    setup: Setup,
    _database: Option<MariaDbDatabase>,
}

impl Machine {
    async fn new(engine: Engine, simulator: &Simulator) -> Machine {
        let directory = TempDir::new().unwrap();
        billing_file(&directory, &billing_sql(CUSTOMERS)).await;
        let mut setup = Setup::new(directory.path(), simulator)
            .with("SEND_DELAY_MS", DELAY_MS)
            .with("BACKUP_PASSPHRASE", PASSPHRASE);
        let database = match engine {
            Engine::Sqlite => None,
            Engine::MariaDb => Some(MariaDbDatabase::create().await),
        };
        if let Some(database) = &database {
            setup = setup.on_server(database.url());
        }
        Machine { directory, setup, _database: database }
    }

    /// Runs a command, which has to succeed, and answers what it prints.
    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.setup.run(arguments).await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }
}

fn shown(simulator: &Simulator, customer: i64) -> Vec<Message> {
    simulator.messages(MessageFilter { to: Some(phone(customer)), from: Some(OWN.into()) })
}

async fn until_reached(simulator: &Simulator, number: usize) {
    let all = |simulator: &Simulator| simulator.messages(MessageFilter::default()).len();
    simulator.wait_for(|simulator| all(simulator) >= number, PATIENCE).await.unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn link_state(caller: &Caller, state: &str) {
    caller.wait_for("/api/whatsapp/status", |status| status["state"] == state).await;
}

async fn restored_elsewhere_in_mid_campaign_nothing_is_sent_twice(engine: Engine) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let old = Machine::new(engine, &simulator).await;
    old.setup.link(&simulator, OWN).await;
    let mut old_node = old.setup.start();
    let old_caller = old_node.caller().await.unwrap();
    let campaign = old_caller.send(1..=RECIPIENTS).await;
    until_reached(&simulator, 3).await;
    let file = old.directory.path().join("backup");
    old.run(&["backup", text(&file)]).await;
    let at_backup = simulator.messages(MessageFilter::default()).len();
    // Of these the backup cannot know.
    until_reached(&simulator, at_backup + 2).await;

    let new = Machine::new(engine, &simulator).await;
    let said = new.run(&["restore", text(&file)]).await;
    assert!(said.contains("`uncertain`") && said.contains("replaced"), "{said}");
    assert!(!said.contains(PASSPHRASE), "{said}");
    let twice = new.setup.run(&["restore", text(&file)]).await;
    assert!(!twice.status.success(), "there is something in it by now");

    // The old one still runs: WhatsApp lets one of them be connected.
    let mut new_node = new.setup.start();
    let caller = new_node.caller().await.unwrap();
    link_state(&caller, "connected").await;
    link_state(&old_caller, "replaced").await;
    let report = caller.completed(campaign).await;
    let known = report["counts"]["uncertain"].as_u64().unwrap();
    assert!(known >= 2 && report["total"] == RECIPIENTS, "{report}");
    let mut has_it = None;
    let mut has_nothing = None;
    for (customer, delivery) in caller.deliveries(campaign).await {
        let shown = shown(&simulator, customer);
        match delivery["state"].as_str().unwrap() {
            "uncertain" if shown.len() == 1 => has_it = Some(customer),
            "uncertain" => has_nothing = Some(customer),
            "accepted" | "delivered" | "read" => {}
            state => panic!("{customer} is {state}"),
        }
        assert!(shown.len() <= 1, "{customer} has it twice: {shown:?}");
    }

    // A person may decide: the same id goes out again, and arrives once.
    for customer in [has_it.unwrap(), has_nothing.unwrap()] {
        let delivery = caller.delivery(campaign, customer).await;
        let path = format!("/api/deliveries/{}/resolve", delivery["id"]);
        caller.post(&path, json!({ "decision": "send_again" })).await;
        let path = format!("/api/campaigns/{campaign}/deliveries?limit=1000");
        let is_read = |page: &Value| {
            let deliveries = page["deliveries"].as_array().unwrap();
            deliveries.iter().any(|one| one["customer_id"] == customer && one["state"] == "read")
        };
        caller.wait_for(&path, is_read).await;
        let ids: Vec<_> = shown(&simulator, customer).into_iter().map(|one| one.id).collect();
        assert_eq!(ids, [delivery["message_id"].as_str().unwrap()]);
    }
    assert_no_violations(&simulator);
}

async fn a_move_while_nothing_runs_goes_on_where_it_stopped(engine: Engine) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let old = Machine::new(engine, &simulator).await;
    old.setup.link(&simulator, OWN).await;
    let mut node = old.setup.start();
    let campaign = node.caller().await.unwrap().send(1..=RECIPIENTS).await;
    until_reached(&simulator, 3).await;
    node.signal("TERM").await;
    assert!(node.ended().await.unwrap().success());
    let file = old.directory.path().join("backup");
    old.run(&["backup", text(&file)]).await;

    let new = Machine::new(engine, &simulator).await;
    new.run(&["restore", text(&file), "--nothing-sent-since"]).await;
    let mut node = new.setup.start();
    let caller = node.caller().await.unwrap();
    let report = caller.completed(campaign).await;
    assert_eq!(report["counts"]["uncertain"], Value::Null, "{report}");
    for customer in 1..=RECIPIENTS {
        assert_eq!(shown(&simulator, customer).len(), 1, "customer {customer}");
    }
    assert_no_violations(&simulator);
}
