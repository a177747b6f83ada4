//! Recording campaigns.

use super::fixtures::*;
use crate::harness::database::TestState;
use futures_util::{StreamExt, stream};
use kabari::store::StoreError;
use kabari::store::state::{Creation, IdempotencyKey};
use kabari::trace::Trail;
use kabari_domain::DeliveryState::{Failed, Queued, Skipped, Superseded};
use kabari_domain::{CampaignStatus, DeliveryEvent};
use std::time::Duration;

on_both_engines!(
    what_was_recorded_is_what_is_read,
    nothing_to_send_is_complete_at_once,
    a_failing_stream_leaves_nothing_behind,
    one_number_twice_in_a_campaign_is_refused,
    a_key_answers_with_its_campaign,
    a_key_is_forgotten_after_seven_days,
    keys_that_nobody_comes_back_with_are_deleted,
    a_hundred_requests_with_one_key_make_one_campaign,
    the_guard_stops_a_double_click,
    a_newer_notice_supersedes_for_its_own_recipients,
    failed_deliveries_are_repeated_once_under_new_ids,
    a_scheduled_campaign_waits,
    others_write_while_recipients_are_read,
);

fn key(fingerprint: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key: "the key".to_owned(), fingerprint: fingerprint.to_owned() })
}

async fn what_was_recorded_is_what_is_read(test: TestState) {
    let state = &test.state;
    let mut campaign = new_campaign();
    campaign.notice_id = Some(7);
    campaign.urgent = true;
    campaign.request = r#"{"nama": "Ñandú 🚀"}"#.to_owned();
    let mut changed = recipient(2);
    changed.text = Some("Halo Ñandú 🚀".to_owned());
    changed.customer_name = "é".repeat(300);
    let id = create(state, campaign.clone(), vec![recipient(0), skipped(1), changed.clone()]).await;

    let stored = state.campaign(id).await.unwrap().unwrap();
    assert_eq!(stored.phase.status, CampaignStatus::Running);
    assert_eq!((stored.total, stored.urgent, stored.notice_id), (3, true, Some(7)));
    assert_eq!((&stored.request, &stored.template), (&campaign.request, &campaign.template));
    assert_eq!(stored.started_at, Some(test.clock.now()));
    assert_eq!(state.campaigns(None, 10).await.unwrap(), vec![stored]);
    assert!(state.campaigns(Some(id), 10).await.unwrap().is_empty());

    let counts = state.counts(id).await.unwrap();
    assert_eq!((counts.get(Queued), counts.get(Skipped), counts.total()), (2, 1, 3));
    assert_eq!(counts.open(), 2);

    let deliveries = state.deliveries(id, None, 10).await.unwrap();
    let names: Vec<_> = deliveries.iter().map(|d| d.customer_name.as_str()).collect();
    assert_eq!(names, ["Pelanggan 0", "Pelanggan 1", &"é".repeat(255)], "long names are cut");
    assert_eq!(deliveries[2].text, changed.text);
    assert_eq!(deliveries[2].message_id, changed.message_id);
    assert_eq!(state.deliveries(id, Some(1), 10).await.unwrap(), deliveries[2..]);

    let report: Vec<_> = collect(state, id).await;
    let positions: Vec<_> = report.iter().map(|d| d.position).collect();
    assert_eq!(positions, [1, 0, 2], "skipped ones first");
}

async fn nothing_to_send_is_complete_at_once(test: TestState) {
    for recipients in [vec![], vec![skipped(0)]] {
        let id = create(&test.state, new_campaign(), recipients).await;
        let stored = test.state.campaign(id).await.unwrap().unwrap();
        assert_eq!(stored.phase.status, CampaignStatus::Completed);
        assert_eq!(stored.finished_at, Some(test.clock.now()));
    }
}

async fn a_failing_stream_leaves_nothing_behind(test: TestState) {
    let mut rows: Vec<_> = recipients(700).into_iter().map(Ok).collect();
    rows.push(Err(StoreError::Conflict("the billing database is gone")));
    let result =
        test.state.create_campaign(new_campaign(), stream::iter(rows), key("a"), None, false).await;
    assert!(matches!(result, Err(StoreError::Recipients(_))), "{result:?}");
    assert!(test.state.campaigns(None, 10).await.unwrap().is_empty());
    // The key is free again.
    let again = create_with(&test.state, new_campaign(), recipients(1), key("a"), None).await;
    assert!(matches!(again, Ok(Creation::Created(_))), "{again:?}");
}

async fn one_number_twice_in_a_campaign_is_refused(test: TestState) {
    let mut twin = recipient(0);
    twin.message_id = recipient(1).message_id;
    let result =
        create_with(&test.state, new_campaign(), vec![recipient(0), twin], None, None).await;
    assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
    assert!(test.state.campaigns(None, 10).await.unwrap().is_empty());
}

async fn a_key_answers_with_its_campaign(test: TestState) {
    let state = &test.state;
    let first = create_with(state, new_campaign(), recipients(2), key("a"), None).await.unwrap();
    let Creation::Created(id) = first else { panic!("{first:?}") };
    let again = create_with(state, new_campaign(), recipients(2), key("a"), None).await.unwrap();
    assert_eq!(again, Creation::Replayed(id));
    let other = create_with(state, new_campaign(), recipients(2), key("b"), None).await.unwrap();
    assert_eq!(other, Creation::KeyReused);
    assert_eq!(state.campaigns(None, 10).await.unwrap().len(), 1);
}

async fn a_key_is_forgotten_after_seven_days(test: TestState) {
    let state = &test.state;
    create_with(state, new_campaign(), recipients(2), key("a"), None).await.unwrap();
    test.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let later = create_with(state, new_campaign(), recipients(2), key("b"), None).await.unwrap();
    assert!(matches!(later, Creation::Created(_)), "{later:?}");
}

async fn keys_that_nobody_comes_back_with_are_deleted(test: TestState) {
    let state = &test.state;
    let old = |n: usize| format!("('old {n}', 'f', 0, {})", test.clock.now().0);
    let keys: Vec<String> = (0..600).map(old).collect();
    test.execute(&format!("INSERT INTO idempotency_keys VALUES {}", keys.join(", "))).await;
    test.clock.advance(Duration::from_secs(7 * 24 * 3600));
    create_with(state, new_campaign(), recipients(2), key("a"), None).await.unwrap();
    let mut deleted = vec![];
    while deleted.last() != Some(&0) {
        deleted.push(state.forget_keys(test.clock.now()).await.unwrap());
    }
    assert_eq!(deleted, [500, 100, 0], "in batches, and none that still answers");
    let again = create_with(state, new_campaign(), recipients(2), key("a"), None).await.unwrap();
    assert!(matches!(again, Creation::Replayed(_)), "{again:?}");
}

async fn a_hundred_requests_with_one_key_make_one_campaign(test: TestState) {
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let state = test.state.clone();
        requests.spawn(async move {
            create_with(&state, new_campaign(), recipients(20), key("a"), None).await.unwrap()
        });
    }
    let answers = requests.join_all().await;
    let created: Vec<_> =
        answers.iter().filter(|answer| matches!(answer, Creation::Created(_))).collect();
    assert_eq!(created.len(), 1);
    let [campaign] = test.state.campaigns(None, 10).await.unwrap().try_into().unwrap();
    let replays = answers.iter().filter(|answer| **answer == Creation::Replayed(campaign.id));
    assert_eq!(replays.count(), 99);
}

async fn the_guard_stops_a_double_click(test: TestState) {
    let state = &test.state;
    let guard = Some(Duration::from_secs(600));
    let campaign = new_campaign();
    let send = || create_with(state, campaign.clone(), recipients(2), None, guard);
    let Creation::Created(first) = send().await.unwrap() else { panic!("the first is recorded") };
    test.clock.advance(Duration::from_secs(599));
    assert_eq!(send().await.unwrap(), Creation::Duplicate(first));
    // Without the guard it goes through, and is what the guard sees from then on.
    let unguarded = create_with(state, campaign.clone(), recipients(2), None, None).await.unwrap();
    let Creation::Created(second) = unguarded else { panic!("{unguarded:?}") };
    assert_eq!(send().await.unwrap(), Creation::Duplicate(second));
    // What was cancelled may be sent anew.
    state.campaign_event(second, kabari_domain::CampaignEvent::Cancel).await.unwrap();
    let Creation::Created(third) = send().await.unwrap() else { panic!("that one was cancelled") };
    test.clock.advance(Duration::from_secs(600));
    assert!(matches!(send().await.unwrap(), Creation::Created(id) if id > third));
}

async fn a_newer_notice_supersedes_for_its_own_recipients(test: TestState) {
    let state = &test.state;
    let notice = || {
        let mut campaign = new_campaign();
        campaign.notice_id = Some(3);
        campaign
    };
    let older = create(state, notice(), recipients(4)).await;
    let other_notice = create(state, new_campaign(), recipients(4)).await;
    // The first of the older campaign is on the wire already.
    let sent = lease_one(state).await;
    assert_eq!(sent.campaign_id, older);
    begin(state, &sent).await;

    create(state, notice(), (0..3).map(recipient).collect()).await;
    let states: Vec<_> =
        collect(state, older).await.into_iter().map(|d| d.progress.state).collect();
    assert_eq!(
        states,
        [kabari_domain::DeliveryState::Sending, Superseded, Superseded, Queued],
        "the fourth recipient gets nothing newer"
    );
    assert_eq!(state.counts(other_notice).await.unwrap().get(Queued), 4);

    // A newer one to everybody closes the older campaign.
    state.settle(&sent, DeliveryEvent::Acked, None).await.unwrap();
    create(state, notice(), recipients(4)).await;
    let stored = state.campaign(older).await.unwrap().unwrap();
    assert_eq!(stored.phase.status, CampaignStatus::Completed);
}

async fn failed_deliveries_are_repeated_once_under_new_ids(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(3)).await;
    let nothing = state.retry_failed(id, None, Trail::default()).await;
    assert!(matches!(nothing, Err(StoreError::Conflict(_))), "{nothing:?}");
    let refused = lease_one(state).await;
    begin(state, &refused).await;
    assert!(
        state.settle(&refused, DeliveryEvent::Refused, Some("tidak ada")).await.unwrap().is_some()
    );
    assert_eq!(state_of(state, refused.id).await, Failed);

    let Creation::Created(child) = state.retry_failed(id, None, Trail::default()).await.unwrap()
    else {
        panic!("one has failed")
    };
    let [repeat] = state.deliveries(child, None, 10).await.unwrap().try_into().unwrap();
    assert_eq!(repeat.phone, Some(refused.phone));
    assert_ne!(repeat.message_id, refused.message_id);
    assert_eq!(repeat.progress.state, Queued);
    assert_eq!(state.campaign(child).await.unwrap().unwrap().parent_id, Some(id));
    assert_eq!(
        state.retry_failed(id, None, Trail::default()).await.unwrap(),
        Creation::Duplicate(child)
    );
}

async fn a_scheduled_campaign_waits(test: TestState) {
    let state = &test.state;
    let mut campaign = new_campaign();
    campaign.starts_at = Some(test.clock.now() + Duration::from_secs(60));
    let id = create(state, campaign, recipients(1)).await;
    assert!(lease(state, 1).await.is_empty());
    assert_eq!(state.start_due(test.clock.now()).await.unwrap(), 0);
    test.clock.advance(Duration::from_secs(60));
    assert_eq!(state.start_due(test.clock.now()).await.unwrap(), 1);
    assert_eq!(lease_one(state).await.campaign_id, id);
}

async fn collect(
    state: &kabari::store::StateStore,
    campaign: i64,
) -> Vec<kabari::store::state::Delivery> {
    use futures_util::TryStreamExt;
    state.report_rows(campaign).try_collect().await.unwrap()
}

async fn others_write_while_recipients_are_read(test: TestState) {
    let state = &test.state;
    let slow = stream::iter(0..3).then(|n| async move {
        if n == 1 {
            create(state, new_campaign(), recipients(1)).await;
        }
        Ok(recipient(n))
    });
    let created = state.create_campaign(new_campaign(), slow, None, None, false).await.unwrap();
    let Creation::Created(id) = created else { panic!("{created:?}") };
    assert_eq!(state.campaign(id).await.unwrap().unwrap().total, 3);
    assert_eq!(state.campaigns(None, 9).await.unwrap().len(), 2);
}
