//! Deliveries as pages list them.

use super::fixtures::*;
use crate::harness::database::TestState;
use futures_util::TryStreamExt;
use kabari::store::state::{CampaignKind, DeliveryFilter, NewCampaign, NewDelivery};
use kabari_domain::DeliveryState::{Failed, Queued, Skipped};
use kabari_domain::Timestamp;
use std::time::Duration;

on_both_engines!(
    deliveries_are_found_by_state_name_and_number,
    a_notice_has_reached_whom_its_messages_have_reached,
    the_last_delivery_to_a_customer_is_found,
    a_timeline_counts_what_came_before_each_point,
    those_who_have_written_are_told_apart,
);

fn named(n: usize, name: &str) -> NewDelivery {
    NewDelivery { customer_name: name.to_owned(), ..recipient(n) }
}

async fn deliveries_are_found_by_state_name_and_number(test: TestState) {
    let state = &test.state;
    let people = vec![named(1, "Budi Santoso"), named(2, "50% Diskon"), skipped(3), recipient(4)];
    let id = create(state, new_campaign(), people).await;
    test.execute("UPDATE deliveries SET state = 'failed' WHERE position = 3").await;
    let found = async |states: &[_], search: &str, after, limit| -> Vec<i64> {
        let filter = DeliveryFilter { states: states.to_vec(), search: search.to_owned() };
        let found = state.find_deliveries(id, &filter, after, limit).await.unwrap();
        found.into_iter().map(|delivery| delivery.position).collect()
    };
    assert_eq!(found(&[], "", None, 10).await, [0, 1, 2, 3]);
    assert_eq!(found(&[Failed, Queued], "", None, 10).await, [0, 1, 3]);
    assert_eq!(found(&[Failed, Queued], "", Some(0), 1).await, [1]);
    assert_eq!(found(&[Skipped], "", None, 10).await, [2]);
    assert_eq!(found(&[], "SANTOSO", None, 10).await, [0]);
    assert_eq!(found(&[], "50%", None, 10).await, [1]);
    assert_eq!(found(&[], "%", None, 10).await, [1]);
    assert_eq!(found(&[], "0811-0000 004", None, 10).await, [3]);
    assert_eq!(found(&[], "+62 811 0000004", None, 10).await, [3]);
    assert_eq!(found(&[Queued], "0811-0000 004", None, 10).await, [0_i64; 0]);
}

async fn a_notice_has_reached_whom_its_messages_have_reached(test: TestState) {
    let state = &test.state;
    let of_notice = |kind| NewCampaign { kind, notice_id: Some(7), ..new_campaign() };
    let outage = create(state, of_notice(CampaignKind::Notification), recipients(4)).await;
    let update = create(state, of_notice(CampaignKind::ByOdp), recipients(2)).await;
    let restored = create(state, of_notice(CampaignKind::Restored), vec![recipient(9)]).await;
    let other = create(state, new_campaign(), vec![recipient(8)]).await;
    test.execute("UPDATE deliveries SET state = 'uncertain'").await;
    test.execute(&format!(
        "UPDATE deliveries SET state = 'read' WHERE campaign_id IN ({restored}, {other}); \
         UPDATE deliveries SET state = 'accepted' WHERE campaign_id = {outage} AND position = 1; \
         UPDATE deliveries SET state = 'delivered' WHERE campaign_id = {outage} AND position = 3; \
         UPDATE deliveries SET state = 'read' WHERE campaign_id = {update}"
    ))
    .await;
    let reached = state.reached_by(7).try_collect::<Vec<_>>().await.unwrap();
    let mut reached: Vec<_> = reached.into_iter().map(|one| one.customer_id.unwrap()).collect();
    reached.sort_unstable();
    assert_eq!(reached, [0, 1, 3], "each once, whichever campaign it was");
    let ids = state.campaigns_for_notice(7, 2).await.unwrap();
    assert_eq!(ids.iter().map(|campaign| campaign.id).collect::<Vec<_>>(), [restored, update]);
}

async fn the_last_delivery_to_a_customer_is_found(test: TestState) {
    let state = &test.state;
    let first = create(state, new_campaign(), recipients(3)).await;
    let second = create(state, new_campaign(), recipients(2)).await;
    let last = state.last_deliveries_to(&[1, 2, 99]).await.unwrap();
    assert_eq!(last.len(), 2);
    assert_eq!((last[&1].campaign_id, last[&2].campaign_id), (second, first));
    assert!(state.last_deliveries_to(&[]).await.unwrap().is_empty());
    let all = state.deliveries_to(1, 10).await.unwrap();
    assert_eq!(all.iter().map(|one| one.campaign_id).collect::<Vec<_>>(), [second, first]);
}

async fn a_timeline_counts_what_came_before_each_point(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(4)).await;
    assert_eq!(state.timeline(id).await.unwrap(), None);
    test.execute(
        "UPDATE deliveries SET accepted_at = 10000 + 59000 * position, \
         delivered_at = 10500 + 59000 * position WHERE position < 3; \
         UPDATE deliveries SET read_at = 9000000000 WHERE position = 0",
    )
    .await;
    let timeline = state.timeline(id).await.unwrap().unwrap();
    assert_eq!(timeline.begins, Timestamp(10_000));
    // Who reads it days later is off the chart, which ends an hour after the last message.
    assert_eq!(timeline.width, (Duration::from_secs(3600) + Duration::from_secs(118)) / 59);
    assert_eq!(timeline.sent.len(), 60);
    assert_eq!((timeline.sent[0], timeline.sent[1], timeline.sent[59]), (2, 3, 3));
    assert_eq!((timeline.delivered[59], timeline.read[59]), (3, 0));
}

async fn those_who_have_written_are_told_apart(test: TestState) {
    let state = &test.state;
    hold(state, NODE).await;
    let phone = |n| recipient(n).phone.unwrap();
    state.wrote(&sender(), &[(phone(1), Timestamp(1))]).await.unwrap();
    let warm = state.warm_among(&[phone(1), phone(2)]).await.unwrap();
    assert!(warm.contains(&phone(1)) && !warm.contains(&phone(2)));
    assert!(!state.warm_among(&[]).await.unwrap().contains(&phone(1)));
}
