//! The state database cannot be written for a while: that is said, and nothing is lost.

use crate::harness::database::{Engine, MariaDbDatabase, billing_file, execute_on_file};
use crate::harness::node::Setup;
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, TEMPLATE, assert_report_is_true, billing_sql};
use kabari_domain::wording;
use reqwest::Method;
use serde_json::json;
use std::os::unix::fs::FileExt;
use tempfile::TempDir;
use wa_sim::{Config, MessageFilter, Simulator};

super::on_both_engines! { a_full_disk_is_said_and_loses_nothing }

const RECIPIENTS: i64 = 12;
/// Enough that not everything is out before the disk is full.
const DELAY_MS: &str = "150";

/// SQLite says that a disk is full also when a table has used up its numbers.
const FILL_FILE: &str = "
    CREATE TABLE room (id INTEGER PRIMARY KEY AUTOINCREMENT);
    INSERT INTO room VALUES (9223372036854775807);
    CREATE TRIGGER no_campaign BEFORE INSERT ON campaigns BEGIN INSERT INTO room VALUES (NULL); END;
    CREATE TRIGGER no_delivery BEFORE UPDATE ON deliveries BEGIN INSERT INTO room VALUES (NULL); END;";
const FILL_SERVER: &str = "
    CREATE TRIGGER no_campaign BEFORE INSERT ON campaigns FOR EACH ROW
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021;
    CREATE TRIGGER no_delivery BEFORE UPDATE ON deliveries FOR EACH ROW
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021;";
const MAKE_ROOM: &str = "DROP TRIGGER no_campaign; DROP TRIGGER no_delivery;";

async fn a_full_disk_is_said_and_loses_nothing(engine: Engine) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    billing_file(&directory, &billing_sql(CUSTOMERS)).await;
    let mut setup = Setup::new(directory.path(), &simulator).with("SEND_DELAY_MS", DELAY_MS);
    let database = match engine {
        Engine::Sqlite => None,
        Engine::MariaDb => Some(MariaDbDatabase::create().await),
    };
    if let Some(database) = &database {
        setup = setup.on_server(database.url());
    }
    setup.link(&simulator, OWN).await;
    let mut node = setup.start();
    let caller = node.caller().await.unwrap();
    let campaign = caller.send(1..=RECIPIENTS).await;
    let reached = |s: &Simulator| s.messages(MessageFilter::default()).len();
    let some = |s: &Simulator| reached(s) >= 3;
    simulator.wait_for(some, PATIENCE).await.unwrap();

    let execute = async |file: &str, server: &str| match &database {
        Some(database) => database.execute(server).await,
        None => execute_on_file(&directory.path().join("state.db"), file).await,
    };
    execute(FILL_FILE, FILL_SERVER).await;
    node.logged("is full; free some space").await;
    let body = json!({ "message": TEMPLATE, "customer_ids": [13] });
    let refused = caller.try_request(Method::POST, "/api/send/custom", &[], &body).await.unwrap();
    let said = wording::database_full("kabari");
    assert_eq!((refused.0, &refused.1["detail"]), (503, &json!(said)), "{refused:?}");
    assert!((reached(&simulator) as i64) < RECIPIENTS, "nothing goes out unwritten");

    execute(MAKE_ROOM, MAKE_ROOM).await;
    caller.completed(campaign).await;
    let deliveries = caller.deliveries(campaign).await;
    assert_report_is_true(&simulator, &deliveries);
    assert_eq!(reached(&simulator) as i64, RECIPIENTS);
}

/// As after a restore by another user: the file's header says that it is for newer writers only,
/// which SQLite takes for read-only, whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_file_is_reported_and_loses_nothing() {
    const WRITE_VERSION: u64 = 18;
    const WAL: u8 = 2;
    const UNKNOWN: u8 = 3;
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state.db");
    billing_file(&directory, &billing_sql(CUSTOMERS)).await;
    let setup = Setup::new(directory.path(), &simulator).with("SEND_DELAY_MS", DELAY_MS);
    setup.link(&simulator, OWN).await;
    let mut node = setup.start();
    let campaign = node.caller().await.unwrap().send(1..=RECIPIENTS).await;
    let some = |s: &Simulator| s.messages(MessageFilter::default()).len() >= 3;
    simulator.wait_for(some, PATIENCE).await.unwrap();
    node.kill().await;
    let write_version = async |version: u8| {
        // What is in the log moves into the file, whose header then counts.
        execute_on_file(&path, "PRAGMA wal_checkpoint(TRUNCATE)").await;
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[version], WRITE_VERSION).unwrap();
    };
    write_version(UNKNOWN).await;

    let before = simulator.ledger(0).len();
    let mut node = setup.start();
    assert!(!node.ended().await.expect("it does not start without writing").success());
    node.logged("the state database is read-only; make it writable").await;
    assert_eq!(simulator.ledger(0).len(), before);

    write_version(WAL).await;
    let mut node = setup.start();
    let caller = node.caller().await.unwrap();
    caller.completed(campaign).await;
    assert_report_is_true(&simulator, &caller.deliveries(campaign).await);
    assert_eq!(simulator.messages(MessageFilter::default()).len() as i64, RECIPIENTS);
}
