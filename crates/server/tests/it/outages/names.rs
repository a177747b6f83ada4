//! The names of other machines cannot be looked up.

use super::{Installation, until_reasons, word};
use crate::harness::database::MariaDbDatabase;
use crate::harness::namespace::Namespace;
use crate::harness::served::PATIENCE;
use kabari_domain::wording;
use std::path::Path;
use tokio::time::timeout;

const DATABASE: &str = "127.0.0.1 database.kabari.test\n";
const WHATSAPP: &str = "127.0.0.1 whatsapp.kabari.test\n";
/// Nobody answers there.
const RESOLVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

/// Whose names are known from now on.
fn know(hosts: &Path, names: &[&str]) {
    std::fs::write(hosts, names.concat()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_gone_are_said_and_waited_for() {
    let database = MariaDbDatabase::create().await;
    let installation = Installation::linked(|setup| setup.on_server(database.url())).await;
    let (hosts, resolver) = (installation.path("hosts"), installation.path("resolv.conf"));
    know(&hosts, &[DATABASE, WHATSAPP]);
    std::fs::write(&resolver, RESOLVER).unwrap();
    let script = format!(
        "mount --bind {} /etc/hosts; mount --bind {} /etc/resolv.conf",
        word(&hosts),
        word(&resolver)
    );
    let namespace = Namespace::start(&script).await;
    let whatsapp = installation.simulator.ws_url().replace("127.0.0.1", "whatsapp.kabari.test");
    let state = database.url().replace("127.0.0.1", "database.kabari.test");
    let setup = installation.setup.clone().with("WA_WEBSOCKET_URL", whatsapp).on_server(state);
    let setup = setup.within(namespace.entrance());
    let mut node = setup.start();
    let caller = node.caller().await.unwrap();
    let campaign = installation.send_half(&caller).await;

    // Names are asked for by whoever connects.
    know(&hosts, &[]);
    installation.simulator.pause().await;
    database.cut_connections().await;
    installation.simulator.resume().await.unwrap();
    // First that a connection has ended, then that there is no other.
    let said = async {
        loop {
            let readiness = until_reasons(&caller, &["state_database"]).await;
            let said = readiness["reasons"][0]["message"].as_str().unwrap().to_owned();
            if said.contains("lookup") {
                return said;
            }
        }
    };
    let said = timeout(PATIENCE, said).await.expect("the name is said to be gone");
    assert!(said.contains("STATE_DATABASE_URL"), "{said}");
    node.logged(
        "the state database cannot be reached (error communicating with database: failed to lookup",
    )
    .await;
    node.logged("cannot connect to WhatsApp: failed to lookup").await;

    know(&hosts, &[DATABASE]);
    let readiness = until_reasons(&caller, &["unreachable"]).await;
    assert_eq!(readiness["reasons"][0]["message"], wording::WHATSAPP_UNREACHABLE);

    know(&hosts, &[DATABASE, WHATSAPP]);
    installation.finish(&mut node, campaign).await;

    node.kill().await;
    know(&hosts, &[]);
    let mut node = setup.start();
    assert!(!node.ended().await.expect("it does not start without its state").success());
    node.logged("failed to lookup").await;
}
