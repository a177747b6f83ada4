//! Large campaigns are recorded in seconds, and stay quick to read and to take from.

use super::fixtures::*;
use crate::harness::database::TestState;
use futures_util::{StreamExt, TryStreamExt, stream};
use kabari::store::StateTarget;
use kabari::store::state::{Creation, DeliveryFilter};
use kabari_domain::DeliveryState::{Failed, Leased, Queued};
use kabari_domain::{Phone, Timestamp};
use std::time::{Duration, Instant};

on_both_engines!(a_hundred_thousand_recipients);

const RECIPIENTS: usize = 100_000;
/// Those of them that have failed, all at the end of the list.
const FAILED: usize = 10;
const PAGE: u32 = 51;
/// What a page of a list may read, whatever the length of the list.
const FEW_ROWS: i64 = 300;
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
    test.execute(&format!(
        "UPDATE deliveries SET state = 'failed' WHERE position >= {}",
        RECIPIENTS - FAILED
    ))
    .await;
    reads_few_rows(&test, "the failed ones at the end", async || {
        let failed = DeliveryFilter { states: vec![Failed], ..DeliveryFilter::default() };
        let found = state.find_deliveries(id, &failed, None, PAGE).await.unwrap();
        assert_eq!(found.len(), FAILED);
    })
    .await;
    reads_few_rows(&test, "a page of several states", async || {
        let open = DeliveryFilter { states: vec![Queued, Leased], ..DeliveryFilter::default() };
        let found = state.find_deliveries(id, &open, Some(50_000), PAGE).await.unwrap();
        assert_eq!(found.first().unwrap().position, 50_001);
        assert_eq!(found.len(), PAGE as usize);
    })
    .await;
    quickly("a search", async || {
        let search = "Pelanggan 99999".to_owned();
        let named = DeliveryFilter { search, ..DeliveryFilter::default() };
        assert_eq!(state.find_deliveries(id, &named, None, PAGE).await.unwrap().len(), 1);
    })
    .await;
    reads_few_rows(&test, "what customers were last sent", async || {
        let last = state.last_deliveries_to(&[5, 7, 99_998]).await.unwrap();
        assert_eq!(last[&99_998].position, 99_998);
    })
    .await;
    test.execute("UPDATE deliveries SET state = 'queued' WHERE state = 'failed'").await;
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
    let all_but_one = RECIPIENTS - 1;
    test.execute(&format!(
        "UPDATE deliveries SET state = 'accepted' WHERE position < {all_but_one}"
    ))
    .await;
    reads_few_rows(&test, "leasing the last one", async || {
        assert_eq!(lease(state, 10).await.len(), 1);
    })
    .await;
    reads_few_rows(&test, "completion check", async || {
        assert!(!state.complete_if_done(id).await.unwrap());
    })
    .await;
    reads_few_rows(&test, "what is overdue", async || {
        assert!(!state.overdue(test.clock.now()).await.unwrap().completions);
    })
    .await;
    let reported = state.report_rows(id).try_fold(0, async |count, _| Ok(count + 1)).await;
    assert_eq!(reported.unwrap(), RECIPIENTS);
}

/// Holds for a MariaDB, which counts the rows that are read of each table; elsewhere the time counts.
async fn reads_few_rows(test: &TestState, what: &str, read: impl AsyncFn()) {
    let before = rows_read(test).await;
    quickly(what, read).await;
    if let (Some(before), Some(after)) = (before, rows_read(test).await) {
        println!("{what}: {} rows", after - before);
        assert!(after - before <= FEW_ROWS, "{what} read {} rows", after - before);
    }
}

/// The rows that have been read of the table of deliveries; `None` where nobody counts them.
async fn rows_read(test: &TestState) -> Option<i64> {
    if !matches!(test.target, StateTarget::MySql { .. }) {
        return None;
    }
    let mut connection = test.connect().await;
    let version: String =
        sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await.unwrap();
    if !version.contains("MariaDB") {
        return None;
    }
    sqlx::raw_sql("SET GLOBAL userstat = 1").execute(&mut connection).await.unwrap();
    let read = "SELECT CAST(COALESCE(SUM(rows_read), 0) AS SIGNED) \
                FROM information_schema.table_statistics \
                WHERE table_schema = DATABASE() AND table_name = 'deliveries'";
    Some(sqlx::query_scalar(read).fetch_one(&mut connection).await.unwrap())
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
