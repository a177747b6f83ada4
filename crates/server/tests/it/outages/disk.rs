//! The disk is full, or read-only.

use super::{Installation, RECIPIENTS, until_reasons, word};
use crate::harness::namespace::Namespace;
use crate::harness::node::Setup;
use crate::harness::world::TEMPLATE;
use kabari_domain::wording;
use reqwest::Method;
use serde_json::json;
use std::io::ErrorKind;
use std::path::Path;

/// More than what counts as nearly full, in MiB.
const ROOM: u32 = 208;

/// Puts `DATA_DIR` on a disk of its own, which is mounted at `disk`.
async fn on_a_small_disk(installation: &Installation, disk: &Path) -> (Setup, Namespace) {
    std::fs::create_dir(disk).unwrap();
    let (data, disk) = (word(&installation.path("data")), word(disk));
    let script =
        format!("mount -t tmpfs -o size={ROOM}m,mode=700 kabari {disk}; cp -a {data}/. {disk}");
    let namespace = Namespace::start(&script).await;
    let path = installation.path("disk").display().to_string();
    (installation.setup.clone().with("DATA_DIR", path).within(namespace.entrance()), namespace)
}

/// Writes until there is no room left.
fn fill(file: &Path) {
    let mut file = std::fs::File::create(file).unwrap();
    let full = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_loses_nothing() {
    let installation = Installation::linked(|setup| setup).await;
    let disk = installation.path("disk");
    let (setup, namespace) = on_a_small_disk(&installation, &disk).await;
    let mut node = setup.start();
    let caller = node.caller().await.unwrap();
    let campaign = installation.send_half(&caller).await;
    until_reasons(&caller, &[]).await;
    let filler = namespace.path(&disk.join("filler"));

    fill(&filler);
    node.logged("is full; free some space").await;
    until_reasons(&caller, &["disk_full"]).await;
    let body = json!({ "message": TEMPLATE, "customer_ids": [RECIPIENTS + 1] });
    let refused = caller.try_request(Method::POST, "/api/send/custom", &[], &body).await.unwrap();
    let said = wording::database_full("kabari");
    assert_eq!((refused.0, &refused.1["detail"]), (503, &json!(said)), "{refused:?}");
    assert!(installation.reached() < RECIPIENTS, "nothing goes out unwritten");
    std::fs::remove_file(&filler).unwrap();
    until_reasons(&caller, &[]).await;
    installation.until_more(3).await;

    fill(&filler);
    node.logged("is full; free some space").await;
    node.kill().await;
    let mut node = setup.start();
    assert!(!node.ended().await.expect("it does not start without writing").success());
    node.logged("is full; free some space").await;
    std::fs::remove_file(&filler).unwrap();
    installation.finish(&mut setup.start(), campaign).await;
}

/// As a system mounts it that has found errors on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_disk_is_said_and_loses_nothing() {
    let installation = Installation::linked(|setup| setup).await;
    let disk = installation.path("disk");
    let (setup, namespace) = on_a_small_disk(&installation, &disk).await;
    let mut node = setup.start();
    let campaign = installation.send_half(&node.caller().await.unwrap()).await;
    // No system makes a disk read-only that is being written.
    node.kill().await;
    namespace.run(&format!("mount -o remount,ro {}", word(&disk))).await;

    let before = installation.simulator.ledger(0).len();
    let mut node = setup.start();
    assert!(!node.ended().await.expect("it does not start without writing").success());
    node.logged("Read-only file system").await;
    assert_eq!(installation.simulator.ledger(0).len(), before);

    namespace.run(&format!("mount -o remount,rw {}", word(&disk))).await;
    installation.finish(&mut setup.start(), campaign).await;
}
