//! The process may open no more files.

use super::Installation;
use crate::harness::node::Setup;
use futures_util::future::try_join_all;
use tokio::net::TcpStream;

/// Twice what kabari needs with one session.
const FEW: usize = 128;
/// What systems allow as a rule.
const MANY: usize = 1024;

/// Half of the files are kept from clients, so that connecting anew always has one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_leave_files_for_messages() {
    let limit = format!("--nofile={FEW}:{FEW}");
    let limited = |setup: Setup| setup.within(vec!["prlimit".to_owned(), limit, "--".to_owned()]);
    let installation = Installation::linked(limited).await;
    let mut node = installation.setup.start();
    let campaign = installation.send_half(&node.caller().await.unwrap()).await;

    let address = node.address().await.unwrap();
    let idle = try_join_all((0..FEW).map(|_| TcpStream::connect(address))).await.unwrap();
    installation.until_more(3).await;
    installation.simulator.pause().await;
    installation.simulator.resume().await.unwrap();
    installation.until_more(3).await;
    drop(idle);
    installation.finish(&mut node, campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_file_left_the_send_waits() {
    let installation = Installation::linked(|setup| setup).await;
    let mut node = installation.setup.start();
    let campaign = installation.send_half(&node.caller().await.unwrap()).await;

    // Those that are open stay so, and there is no other.
    node.limit_files(0).await;
    installation.simulator.pause().await;
    installation.simulator.resume().await.unwrap();
    node.logged("cannot connect to WhatsApp: Too many open files").await;
    let _client = TcpStream::connect(node.address().await.unwrap()).await.unwrap();
    node.logged("cannot accept connections").await;
    node.limit_files(MANY).await;
    installation.finish(&mut node, campaign).await;
}
