//! Large campaigns are recorded in seconds, and stay quick to read and to take from.

use super::fixtures::*;
use crate::harness::database::TestState;
use futures_util::{StreamExt, TryStreamExt, stream};
use kabari::store::state::Creation;
use kabari_domain::DeliveryState::Queued;
use kabari_domain::{Phone, Timestamp};
use std::time::{Duration, Instant};

on_both_engines!(a_hundred_thousand_recipients);

const RECIPIENTS: usize = 100_000;
/// Ten times what it takes unoptimized on a small machine that does nothing else.
const RECORDED_WITHIN: Duration = Duration::from_secs(120);
const READ_WITHIN: Duration = Duration::from_secs(5);

async fn a_hundred_thousand_recipients(test: TestState) {
    let state = &test.state;
    let memory_before = resident_mebibytes();
    let started = Instant::now();
    // Made one by one, so that whatever memory this takes is the store's.
    let recipients = stream::iter(0..RECIPIENTS).map(|n| Ok(recipient(n)));
    let created = state.create_campaign(new_campaign(), recipients, None, None, true).await;
    let Creation::Created(id) = created.unwrap() else { panic!("it is the first") };
    let recorded = started.elapsed();
    println!(
        "{RECIPIENTS} recipients recorded in {recorded:.2?}; resident before {memory_before:?} MiB, after {:?} MiB",
        resident_mebibytes()
    );
    assert!(recorded < RECORDED_WITHIN, "{recorded:?}");

    quickly("counts", async || {
        assert_eq!(state.counts(id).await.unwrap().get(Queued), RECIPIENTS as u64);
    })
    .await;
    quickly("a page far into the list", async || {
        assert_eq!(state.deliveries(id, Some(90_000), 100).await.unwrap().len(), 100);
    })
    .await;
    quickly("leasing", async || assert_eq!(lease(state, 10).await.len(), 10)).await;
    let contacts = (0..RECIPIENTS).step_by(2);
    let contacts = contacts.map(|n| (recipient(n).phone.unwrap(), Timestamp(1)));
    let contacts: Vec<(Phone, Timestamp)> = contacts.collect();
    hold(state, NODE).await;
    state.wrote(&sender(), &contacts).await.unwrap();
    quickly("warm recipients", async || {
        let warm = state.warm_recipients(id, &[]).await.unwrap();
        assert_eq!(warm, RECIPIENTS as u64 / 2);
    })
    .await;
    quickly("warm numbers", async || {
        let warm = state.warm_numbers(&[SESSION.to_owned()]).await.unwrap();
        assert!(warm.contains(&contacts[7].0));
        assert!(!warm.contains(&recipient(1).phone.unwrap()));
    })
    .await;
    quickly("completion check", async || {
        assert!(!state.complete_if_done(id).await.unwrap());
    })
    .await;
    let reported = state.report_rows(id).try_fold(0, async |count, _| Ok(count + 1)).await;
    assert_eq!(reported.unwrap(), RECIPIENTS);
}

async fn quickly(what: &str, read: impl AsyncFn()) {
    let started = Instant::now();
    read().await;
    let took = started.elapsed();
    println!("{what}: {took:.2?}");
    assert!(took < READ_WITHIN, "{what} took {took:?}");
}

/// Linux only; others measure the time alone.
fn resident_mebibytes() -> Option<u64> {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE / (1 << 20))
}
