//! The server's disk is full for a while: that is said, and nothing is lost.

use crate::harness::database::{MariaDbDatabase, billing_file};
use crate::harness::node::Setup;
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, TEMPLATE, assert_report_is_true, billing_sql};
use kabari_domain::wording;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use wa_sim::{Config, MessageFilter, Simulator};

const RECIPIENTS: i64 = 12;
/// Enough that not everything is out before the disk is full.
const DELAY_MS: &str = "150";

const FILL: &str = "
    CREATE TRIGGER no_campaign BEFORE INSERT ON campaigns FOR EACH ROW
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021;
    CREATE TRIGGER no_delivery BEFORE UPDATE ON deliveries FOR EACH ROW
        SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021;";
const MAKE_ROOM: &str = "DROP TRIGGER no_campaign; DROP TRIGGER no_delivery;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_said_and_loses_nothing() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directory = TempDir::new().unwrap();
    billing_file(&directory, &billing_sql(CUSTOMERS)).await;
    let database = MariaDbDatabase::create().await;
    let setup = Setup::new(directory.path(), &simulator)
        .with("SEND_DELAY_MS", DELAY_MS)
        .on_server(database.url());
    setup.link(&simulator, OWN).await;
    let mut node = setup.start();
    let caller = node.caller().await.unwrap();
    let campaign = caller.send(1..=RECIPIENTS).await;
    let reached = |s: &Simulator| s.messages(MessageFilter::default()).len();
    let some = |s: &Simulator| reached(s) >= 3;
    simulator.wait_for(some, PATIENCE).await.unwrap();

    database.execute(FILL).await;
    node.logged("is full; free some space").await;
    let body = json!({ "message": TEMPLATE, "customer_ids": [13] });
    let refused = caller.try_request(Method::POST, "/api/send/custom", &[], &body).await.unwrap();
    let said = wording::database_full("kabari");
    assert_eq!((refused.0, &refused.1["detail"]), (503, &json!(said)), "{refused:?}");
    assert!((reached(&simulator) as i64) < RECIPIENTS, "nothing goes out unwritten");

    database.execute(MAKE_ROOM).await;
    caller.completed(campaign).await;
    let deliveries = caller.deliveries(campaign).await;
    assert_report_is_true(&simulator, &deliveries);
    assert_eq!(reached(&simulator) as i64, RECIPIENTS);
}
