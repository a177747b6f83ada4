//! The gateway dies, or the kabari in front of it, at every instant that matters between them.

use crate::harness::database::billing_file;
use crate::harness::node::Setup;
use crate::harness::ports::free_port;
use crate::harness::world::{
    CUSTOMERS, OWN, UNREGISTERED, assert_report_is_true, billing_sql, phone,
};
use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::interval;
use wa_sim::{Config, Simulator};

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Gateway,
    /// The kabari in front of it.
    Client,
}

/// The points, and at which of its visits the process dies.
pub const POINTS: [(&str, u32, Who); 7] = [
    ("message.asked", 1, Who::Gateway),
    ("message.asked", 3, Who::Gateway),
    ("message.answered", 2, Who::Gateway),
    ("message.settled", 2, Who::Gateway),
    ("events.kept", 1, Who::Gateway),
    ("events.heard", 1, Who::Client),
    ("events.heard", 2, Who::Client),
];

/// What `kill -9` ends a process with.
const SIGKILL: i32 = 9;
const KEY: &str = "one send, however often it is asked for";
/// How often a customer writes while the kabari in front is to die: longer than it gathers what it
/// is told.
const WRITE_EVERY: Duration = Duration::from_millis(200);
/// How many deaths at the same time: each takes two processes and a simulator.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_either_process_loses_and_repeats_no_message() {
    use futures_util::StreamExt;
    futures_util::stream::iter(POINTS)
        .for_each_concurrent(AT_ONCE, |(point, hit, who)| async move {
            let survived = tokio::spawn(survive(point, hit, who)).await;
            assert!(survived.is_ok(), "{point}, visit {hit}: see above");
        })
        .await;
}

async fn survive(point: &'static str, hit: u32, who: Who) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directories = [(); 2].map(|()| TempDir::new().unwrap());
    let gateway = Setup::gateway(directories[0].path(), &simulator);
    gateway.link(&simulator, OWN).await;
    // It is found where it was after its restart.
    let port = free_port();
    let gateway = gateway.with("WA_GATEWAY_PORT", port.to_string());
    billing_file(&directories[1], &billing_sql(CUSTOMERS)).await;
    let client = Setup::new(directories[1].path(), &simulator)
        .with("WA_GATEWAY_URL", format!("http://127.0.0.1:{port}"));
    let armed = |setup: &Setup, dies: bool| match dies {
        true => setup.clone().with("CRASH_AT", point).with("CRASH_ON_HIT", hit.to_string()),
        false => setup.clone(),
    };
    let mut gateway_node = armed(&gateway, who == Who::Gateway).start();
    gateway_node.address().await.unwrap();
    let mut client_node = armed(&client, who == Who::Client).start();
    let mut caller = client_node.caller().await.unwrap();
    let customers: Vec<i64> = (1..=6).chain([UNREGISTERED]).collect();
    let campaign = caller.try_send(&customers, KEY).await.unwrap();

    let dying = if who == Who::Gateway { &mut gateway_node } else { &mut client_node };
    let ended = tokio::select! {
        ended = dying.ended() => ended,
        never = keep_writing(&simulator), if who == Who::Client => match never {},
    };
    let signal = ended.and_then(|status| status.signal());
    assert_eq!(signal, Some(SIGKILL), "it came by without dying:\n{}", dying.log());
    match who {
        Who::Gateway => gateway_node = gateway.start(),
        Who::Client => {
            client_node = client.start();
            caller = client_node.caller().await.unwrap();
        }
    }
    caller.completed(campaign).await;
    if who == Who::Client {
        // The gateway keeps what it tells until it is written down.
        caller.count(campaign, "read", 6).await;
    }
    let deliveries = caller.deliveries(campaign).await;
    assert_report_is_true(&simulator, &deliveries);
    let ledger = simulator.ledger(0);
    for customer in 1..=6 {
        let state = &deliveries[&customer]["state"];
        let reached = ["accepted", "delivered", "read"].iter().any(|s| state == s);
        assert!(reached, "{point}: {state}");
        let to = phone(customer);
        let mut ids: Vec<_> =
            ledger.iter().filter(|e| e.to == to).map(|entry| entry.id.as_str()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{point}: one id for {to}, not {ids:?}");
    }
    client_node.kill().await;
    gateway_node.kill().await;
}

/// Has a customer write to the number again and again: all that is told of a few messages may come
/// at once, and be written down in one go.
async fn keep_writing(simulator: &Simulator) -> Infallible {
    let mut ticks = interval(WRITE_EVERY);
    loop {
        ticks.tick().await;
        simulator.write(&phone(1), OWN, "Terima kasih").await.unwrap();
    }
}
