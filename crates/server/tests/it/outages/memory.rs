//! The process gets no more memory.

use super::Installation;
use crate::harness::served::PATIENCE;
use reqwest::Method;
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use tokio::time::timeout;

/// How much memory a request asks for, which only waits to be refused.
const REQUEST_BYTES: usize = 1_500_000;
const AT_ONCE: usize = 32;
/// What a process ends itself with that gets no memory.
const SIGABRT: i32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_gets_no_memory_ends_and_the_next_goes_on() {
    let installation = Installation::linked(|setup| setup).await;
    let mut node = installation.setup.start();
    let caller = node.caller().await.unwrap();
    let campaign = installation.send_half(&caller).await;

    node.limit_memory().await;
    let body = json!({ "message": "x".repeat(REQUEST_BYTES), "customer_ids": [1] });
    let asked = async {
        loop {
            let requests = (0..AT_ONCE)
                .map(|_| caller.try_request(Method::POST, "/api/send/custom", &[], &body));
            let answers = futures_util::future::join_all(requests).await;
            if answers.iter().any(Result::is_err) && node.has_ended() {
                return;
            }
        }
    };
    timeout(PATIENCE, asked).await.expect("it ends for want of memory");
    let status = node.ended().await.unwrap();
    assert_eq!(status.signal(), Some(SIGABRT), "{}", node.log());
    node.logged("memory allocation").await;
    installation.finish(&mut installation.setup.start(), campaign).await;
}
