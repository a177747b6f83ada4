//! Databases that say no for a while.

use super::fixtures::*;
use crate::harness::database::{Engine, TestState};
use kabari::store::StoreError;
use kabari::store::state::{Creation, IdempotencyKey};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::time::Duration;

/// Makes every connection's next two inserts of a campaign fail with this error.
async fn refuse_two_inserts(test: &TestState, error: u32) {
    test.execute(&format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON campaigns FOR EACH ROW BEGIN \
         SET @refused = COALESCE(@refused, 0) + 1; \
         IF @refused <= 2 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {error}; END IF; END"
    ))
    .await;
}

/// Deadlock, lock wait timeout, and a row changed since it was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflicting_write_is_repeated() {
    for error in [1213, 1205, 1020] {
        let test = TestState::open(Engine::MariaDb).await;
        refuse_two_inserts(&test, error).await;
        create(&test.state, new_campaign(), recipients(3)).await;
        let [campaign] = test.state.campaigns(None, 9).await.unwrap().try_into().unwrap();
        assert_eq!(campaign.total, 3, "error {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_always_conflicts_is_reported() {
    let test = TestState::open(Engine::MariaDb).await;
    test.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON campaigns FOR EACH ROW \
         SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213",
    )
    .await;
    let result = create_with(&test.state, new_campaign(), recipients(1), None, None).await;
    assert!(matches!(result, Err(StoreError::Busy { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_or_read_only_server_is_reported_and_loses_nothing() {
    for (error, full) in [(1021, true), (1114, true), (1290, false), (1836, false)] {
        let test = TestState::open(Engine::MariaDb).await;
        let id = create(&test.state, new_campaign(), recipients(3)).await;
        test.execute(&format!(
            "CREATE TRIGGER refuse BEFORE UPDATE ON deliveries FOR EACH ROW \
             SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {error}"
        ))
        .await;
        let result = test.state.claim(&claim(NODE, &sender(), 9, 9)).await;
        let told = match &result {
            Err(StoreError::Full { .. }) => full,
            Err(StoreError::ReadOnly { .. }) => !full,
            _ => false,
        };
        assert!(told, "error {error}: {result:?}");
        test.execute("DROP TRIGGER refuse").await;
        assert_eq!(lease(&test.state, 9).await.len(), 3);
        assert_eq!(test.state.counts(id).await.unwrap().total(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_cut_are_replaced() {
    let test = TestState::open(Engine::MariaDb).await;
    for round in 1..=3 {
        create(&test.state, new_campaign(), recipients(3)).await;
        test.cut_connections().await;
        assert_eq!(test.state.campaigns(None, 9).await.unwrap().len(), round);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_while_recording_leaves_nothing_behind() {
    let test = TestState::open(Engine::MariaDb).await;
    let key = || Some(IdempotencyKey { key: "k".to_owned(), fingerprint: "f".to_owned() });
    // Somebody else's row makes the recording wait in its second INSERT.
    let mut rows = recipients(1200);
    let id = rows[1100].message_id.to_string();
    let mut other = test.connect().await;
    sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
    sqlx::query(
        "INSERT INTO deliveries (campaign_id, position, customer_name, message_id, state, due_at) \
         VALUES (0, 0, '', ?, 'skipped', 0)",
    )
    .bind(&id)
    .execute(&mut other)
    .await
    .unwrap();
    let state = test.state.clone();
    let recording = tokio::spawn(async move {
        create_with(&state, new_campaign(), std::mem::take(&mut rows), key(), None).await
    });
    test.until_somebody_waits_for_a_row().await;
    test.cut_connections().await;
    let result = recording.await.unwrap();
    assert!(matches!(&result, Err(StoreError::Unavailable { .. })), "{result:?}");
    assert!(test.state.campaigns(None, 9).await.unwrap().is_empty());
    let again = create_with(&test.state, new_campaign(), recipients(2), key(), None).await;
    assert!(matches!(again, Ok(Creation::Created(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_locked_by_another_process_is_waited_for() {
    let test = TestState::open(Engine::Sqlite).await;
    let kabari::store::StateTarget::Sqlite { path } = &test.target else { panic!("it is a file") };
    let mut other = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let state = test.state.clone();
    let waiting = tokio::spawn(async move { create(&state, new_campaign(), recipients(1)).await });
    // Readers are not kept waiting.
    assert!(test.state.campaigns(None, 9).await.unwrap().is_empty());
    assert!(!waiting.is_finished());
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let id = tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    assert_eq!(test.state.campaign(id).await.unwrap().unwrap().total, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_url_is_not_shown() {
    let url = "postgres://root:a-secret@nowhere".to_owned();
    let target = kabari::store::StateTarget::MySql { url };
    let error =
        kabari::store::StateStore::open(target, kabari::clock::Clock::System).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("mysql://") && !text.contains("a-secret"), "{text}");
}
