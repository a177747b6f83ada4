//! The process may open no more files.

use super::{Installation, LOOK_EVERY};
use crate::harness::node::Node;
use crate::harness::served::PATIENCE;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

/// Some more than one session needs.
const LIMIT: usize = 64;

/// Connects until the process has no file left for a connection.
async fn use_up(node: &Node, address: SocketAddr) -> Vec<TcpStream> {
    let mut connections = vec![];
    let mut looks = interval(LOOK_EVERY);
    let used_up = async {
        while node.open_files() < LIMIT {
            for _ in node.open_files()..=LIMIT {
                connections.push(TcpStream::connect(address).await.unwrap());
            }
            looks.tick().await;
        }
    };
    timeout(PATIENCE, used_up).await.expect("connections take all files");
    connections
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_take_all_files_stop_no_message() {
    let limit = format!("--nofile={LIMIT}:{LIMIT}");
    let limited = |setup: crate::harness::node::Setup| {
        setup.within(vec!["prlimit".to_owned(), limit, "--".to_owned()])
    };
    let installation = Installation::linked(limited).await;
    let mut node = installation.setup.start();
    let campaign = installation.send_half(&node.caller().await.unwrap()).await;

    let address = node.address().await.unwrap();
    let connections = use_up(&node, address).await;
    installation.until_more(3).await;
    // Connecting anew takes a file too; others may be quicker to take the one that is left.
    installation.simulator.pause().await;
    installation.simulator.resume().await.unwrap();
    drop(connections);
    installation.finish(&mut node, campaign).await;
}
