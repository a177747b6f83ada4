//! Databases that earlier versions of kabari have made, and changes of the schema that ended half
//! way.

use super::fixtures::*;
use crate::harness::database::TestState;
use kabari::clock::Clock;
use kabari::store::{Campaign, StateStore, StateTarget, StoreError};
use kabari_domain::campaign::Phase;
use kabari_domain::{CampaignStatus, DeliveryState, PauseReason, Phone};

on_both_engines!(
    the_first_schema_goes_on_without_loss,
    the_schema_of_sessions_goes_on_without_loss,
    a_step_that_ended_half_way_is_repeated,
    a_newer_schema_is_refused,
);

/// Everything that a database may have in it.
const TABLES: [&str; 19] = [
    "campaigns",
    "deliveries",
    "senders",
    "numbers",
    "contacts",
    "idempotency_keys",
    "fingerprints",
    "sessions",
    "session_requests",
    "session_entries",
    "gateway_messages",
    "gateway_events",
    "users",
    "logins",
    "api_keys",
    "audit",
    "node_tasks",
    "drafts",
    "_sqlx_migrations",
];

/// Leaves nothing in the database, as before the first start.
pub async fn drop_all(test: &TestState) {
    let drops: Vec<_> = TABLES.iter().map(|table| format!("DROP TABLE {table};")).collect();
    test.execute(&drops.join(" ")).await;
}

/// Puts the schema that an earlier version made in place of today's.
async fn put_back(test: &TestState, sqlite: &str, mysql: &str) {
    drop_all(test).await;
    let schema = match test.target {
        StateTarget::Sqlite { .. } => sqlite,
        StateTarget::MySql { .. } => mysql,
    };
    test.execute(schema).await;
}

async fn reopen(test: &TestState) -> Result<StateStore, StoreError> {
    StateStore::open(test.target.clone(), Clock::System).await
}

/// The only campaign, with the two deliveries that the earlier schemas have in them.
async fn the_campaign(state: &StateStore) -> Campaign {
    let campaigns = state.campaigns(None, 10).await.unwrap();
    let [campaign] = campaigns.as_slice() else { panic!("{campaigns:?}") };
    let deliveries = state.deliveries(campaign.id, None, 10).await.unwrap();
    let states: Vec<_> = deliveries.iter().map(|delivery| delivery.progress.state).collect();
    assert_eq!(states, [DeliveryState::Queued, DeliveryState::Delivered]);
    assert_eq!(deliveries[0].customer_name, "Budi");
    assert_eq!(deliveries[0].text.as_deref(), Some("Halo Budi"));
    assert_eq!(deliveries[1].phone, Some(Phone::from_stored("6281234567802")));
    campaign.clone()
}

async fn the_first_schema_goes_on_without_loss(test: TestState) {
    put_back(
        &test,
        include_str!("schemas/0001.sqlite.sql"),
        include_str!("schemas/0001.mysql.sql"),
    )
    .await;
    let (_, behind) = StateStore::inspect(test.target.clone(), Clock::System).await.unwrap();
    assert!(behind > 0, "the rest of the steps are to be done");

    let state = reopen(&test).await.unwrap();
    let campaign = the_campaign(&state).await;
    assert_eq!(campaign.phase, Phase::RUNNING, "what a number cannot do is no pause any more");
    let session = hold_as(&state, SESSION, &Phone::from_stored("6281100000001"), NODE).await;
    let session = state.session(&session.name).await.unwrap().unwrap();
    assert_eq!((session.day, session.sent_today), (20454, 7), "what its number has sent");
    let (_, behind) = StateStore::inspect(test.target.clone(), Clock::System).await.unwrap();
    assert_eq!(behind, 0);
}

async fn the_schema_of_sessions_goes_on_without_loss(test: TestState) {
    put_back(
        &test,
        include_str!("schemas/0003.sqlite.sql"),
        include_str!("schemas/0003.mysql.sql"),
    )
    .await;
    for _ in 0..2 {
        let state = reopen(&test).await.unwrap();
        let phase = the_campaign(&state).await.phase;
        assert_eq!(phase.status, CampaignStatus::Paused);
        assert_eq!(phase.reason, Some(PauseReason::Manual));
        let session = state.session(SESSION).await.unwrap().unwrap();
        assert_eq!(session.phone, Some(Phone::from_stored("6281100000001")));
    }
}

async fn a_step_that_ended_half_way_is_repeated(test: TestState) {
    // On a server each statement commits by itself; a file has all of them or none.
    let half_done = match test.target {
        StateTarget::Sqlite { .. } => {
            "DROP TABLE gateway_messages; DROP TABLE gateway_events; \
             ALTER TABLE deliveries DROP COLUMN unrepeatable; \
             ALTER TABLE sessions DROP COLUMN heard; \
             ALTER TABLE campaigns DROP COLUMN request_id; \
             ALTER TABLE campaigns DROP COLUMN traceparent; \
             ALTER TABLE campaigns DROP COLUMN counts; DROP TABLE node_tasks; \
             DROP TABLE users; DROP TABLE logins; DROP TABLE api_keys; \
             DROP TABLE audit; DROP INDEX deliveries_listed; DROP INDEX deliveries_customer; \
             DROP TABLE drafts; DROP INDEX campaigns_finished; \
             DELETE FROM _sqlx_migrations WHERE version > 5"
        }
        StateTarget::MySql { .. } => {
            "ALTER TABLE deliveries DROP KEY deliveries_waiting; DROP TABLE session_entries; \
             DELETE FROM _sqlx_migrations WHERE version > 2; \
             UPDATE _sqlx_migrations SET success = FALSE WHERE version = 2"
        }
    };
    test.execute(half_done).await;
    let state = reopen(&test).await.unwrap();
    create(&state, new_campaign(), recipients(3)).await;
    let (_, behind) = StateStore::inspect(test.target.clone(), Clock::System).await.unwrap();
    assert_eq!(behind, 0);
}

async fn a_newer_schema_is_refused(test: TestState) {
    let id = create(&test.state, new_campaign(), recipients(3)).await;
    test.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99, 'of a later version', TRUE, X'00', 1)",
    )
    .await;
    let refused = reopen(&test).await.unwrap_err();
    assert!(matches!(refused, StoreError::NewerSchema { version: 99 }), "{refused:?}");
    assert!(refused.to_string().contains("newer kabari"), "{refused}");
    assert!(test.state.campaign(id).await.unwrap().is_some(), "nothing was changed");
}
