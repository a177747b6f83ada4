//! Acks and receipts, however late, early or often.

use super::fixtures::*;
use crate::harness::database::TestState;
use kabari_domain::DeliveryState::{Accepted, Delivered, Queued, Read, Uncertain};
use kabari_domain::delivery::{MAX_UNANSWERED, RESEND_WAIT};
use kabari_domain::{CampaignStatus, DeliveryEvent, MessageId, ReceiptRank};
use std::time::Duration;

on_both_engines!(
    receipts_only_raise,
    an_answer_after_a_restart_counts,
    a_late_ack_settles_an_uncertain_one,
    an_answer_takes_the_delivery_from_its_lease,
    strange_ids_are_ignored,
    a_thousand_at_once,
);

async fn receipts_only_raise(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let delivery = lease_one(state).await;
    begin(state, &delivery).await;
    state.settle(&delivery, DeliveryEvent::Acked, None).await.unwrap();
    let ids = [delivery.message_id.clone()];

    test.clock.advance(Duration::from_secs(1));
    let read_at = test.clock.now();
    assert_eq!(state.receipts(&[(ReceiptRank::Read, read_at, ids.to_vec())]).await.unwrap(), 1);
    test.clock.advance(Duration::from_secs(1));
    let later = test.clock.now();
    assert_eq!(state.receipts(&[(ReceiptRank::Delivered, later, ids.to_vec())]).await.unwrap(), 0);
    assert_eq!(state.receipts(&[(ReceiptRank::Read, later, ids.to_vec())]).await.unwrap(), 0);
    assert!(!state.acked(&ids[0]).await.unwrap());
    let stored = state.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!(stored.progress.state, Read);
    assert_eq!((stored.delivered_at, stored.read_at), (Some(read_at), Some(read_at)));
}

async fn an_answer_after_a_restart_counts(test: TestState) {
    let id = create(&test.state, new_campaign(), recipients(1)).await;
    let delivery = lease_one(&test.state).await;
    begin(&test.state, &delivery).await;

    let restarted = test.another_node().await;
    assert!(restarted.acked(&delivery.message_id).await.unwrap());
    assert_eq!(state_of(&restarted, delivery.id).await, Accepted);
    let campaign = restarted.campaign(id).await.unwrap().unwrap();
    assert_eq!(campaign.phase.status, CampaignStatus::Completed);
}

async fn a_late_ack_settles_an_uncertain_one(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let mut last = None;
    for _ in 0..MAX_UNANSWERED {
        let delivery = lease_one(state).await;
        begin(state, &delivery).await;
        let again = test.clock.now() + RESEND_WAIT;
        state.settle(&delivery, DeliveryEvent::Unanswered(again), None).await.unwrap();
        test.clock.advance(RESEND_WAIT);
        last = Some(delivery);
    }
    let delivery = last.unwrap();
    assert_eq!(state_of(state, delivery.id).await, Uncertain);
    assert!(state.acked(&delivery.message_id).await.unwrap());
    assert_eq!(state_of(state, delivery.id).await, Accepted);
}

async fn an_answer_takes_the_delivery_from_its_lease(test: TestState) {
    let state = &test.state;
    // A second one keeps the campaign running.
    create(state, new_campaign(), recipients(2)).await;
    let first = lease_one(state).await;
    begin(state, &first).await;
    let now = test.clock.now();
    state.settle(&first, DeliveryEvent::Unanswered(now), None).await.unwrap();
    // The receipt of the first attempt comes when the second is about to go out.
    let second = lease_one(state).await;
    let ids = [first.message_id.clone()];
    assert_eq!(state.receipts(&[(ReceiptRank::Delivered, now, ids.to_vec())]).await.unwrap(), 1);
    let session = hold(state, NODE).await;
    let begun = try_begin(state, &second, &session).await;
    assert_eq!(begun, kabari::store::state::Begin::DeliveryLost);
    assert_eq!(state_of(state, second.id).await, Delivered);
}

async fn strange_ids_are_ignored(test: TestState) {
    let state = &test.state;
    let recipient = recipient(0);
    let untried = recipient.message_id.clone();
    let id = create(state, new_campaign(), vec![recipient]).await;
    let now = test.clock.now();
    let ids = [untried.clone(), MessageId::from_stored("3EB0'; DROP TABLE deliveries")];
    assert_eq!(state.receipts(&[(ReceiptRank::Read, now, ids.to_vec())]).await.unwrap(), 0);
    assert!(!state.acked(&untried).await.unwrap(), "it never was on the wire");
    assert_eq!(state.counts(id).await.unwrap().get(Queued), 1);
    assert_eq!(state.receipts(&[]).await.unwrap(), 0);
}

async fn a_thousand_at_once(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(1100)).await;
    test.execute("UPDATE deliveries SET state = 'accepted', attempts = 1").await;
    let deliveries = state.deliveries(id, None, 2000).await.unwrap();
    let ids: Vec<_> = deliveries.into_iter().map(|delivery| delivery.message_id).collect();
    let now = test.clock.now();
    assert_eq!(state.receipts(&[(ReceiptRank::Delivered, now, ids.to_vec())]).await.unwrap(), 1100);
    assert_eq!(state.counts(id).await.unwrap().get(Delivered), 1100);
    let campaign = state.campaign(id).await.unwrap().unwrap();
    assert_eq!(campaign.phase.status, CampaignStatus::Completed);
}
