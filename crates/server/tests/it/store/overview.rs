//! What the operator's page shows at a glance, and what is prepared there.

use super::fixtures::*;
use crate::harness::database::{SeedBilling, TestState};
use futures_util::TryStreamExt;
use kabari::store::state::{CampaignKind, NewCampaign};
use kabari::store::{Billing, CustomerFilter};
use kabari_domain::DeliveryEvent;
use kabari_domain::notice::NoticeAudience;
use std::time::Duration;

on_both_engines!(
    open_campaigns_are_those_that_are_not_done,
    everybody_whom_a_notice_has_reached_counts_once,
    messages_are_counted_by_hour_and_number,
    a_draft_is_kept_until_nobody_has_changed_it_for_a_day,
);

async fn send_one(test: &TestState) {
    test.clock.advance(GAP);
    let delivery = lease_one(&test.state).await;
    begin(&test.state, &delivery).await;
    test.state.settle(&delivery, DeliveryEvent::Acked, None).await.unwrap();
}

fn for_notice(id: i64) -> NewCampaign {
    NewCampaign { notice_id: Some(id), kind: CampaignKind::Notification, ..new_campaign() }
}

async fn open_campaigns_are_those_that_are_not_done(test: TestState) {
    let state = &test.state;
    let done = create(state, new_campaign(), vec![skipped(1)]).await;
    let open = create(state, new_campaign(), recipients(1)).await;
    let later = test.clock.now() + Duration::from_secs(60);
    let scheduled =
        create(state, NewCampaign { starts_at: Some(later), ..new_campaign() }, recipients(1))
            .await;
    let ids = async |limit| -> Vec<i64> {
        let campaigns = state.open_campaigns(limit).await.unwrap();
        campaigns.into_iter().map(|campaign| campaign.id).collect()
    };
    assert_eq!(ids(10).await, [scheduled, open], "{done} is done");
    assert_eq!(ids(1).await, [scheduled]);
}

async fn everybody_whom_a_notice_has_reached_counts_once(test: TestState) {
    let state = &test.state;
    for _ in 0..2 {
        create(state, for_notice(7), recipients(1)).await;
        send_one(&test).await;
    }
    create(state, for_notice(7), recipients(3)).await;
    send_one(&test).await;
    send_one(&test).await;
    let told = state.told(&[7, 8]).await.unwrap();
    assert_eq!(told.get(&7), Some(&2), "one of them three times, one is still open");
    assert_eq!(told.get(&8), None);
    assert!(state.told(&[]).await.unwrap().is_empty());
}

async fn messages_are_counted_by_hour_and_number(test: TestState) {
    let state = &test.state;
    let begins = test.clock.now();
    create(state, new_campaign(), recipients(3)).await;
    send_one(&test).await;
    send_one(&test).await;
    test.clock.advance(Duration::from_secs(3600));
    send_one(&test).await;
    let counted: Vec<_> = state
        .sent_since(begins)
        .await
        .unwrap()
        .into_iter()
        .map(|hour| (hour.sender, hour.begins.since(begins).as_secs(), hour.messages))
        .collect();
    assert_eq!(counted, [(sender(), 0, 2), (sender(), 3600, 1)]);
    let later = state.sent_since(begins + Duration::from_secs(3600)).await.unwrap();
    assert_eq!(later.iter().map(|hour| hour.messages).sum::<u64>(), 1);
}

async fn a_draft_is_kept_until_nobody_has_changed_it_for_a_day(test: TestState) {
    let state = &test.state;
    state.create_draft("a", "1").await.unwrap();
    state.create_draft("b", "1").await.unwrap();
    test.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert!(state.change_draft("b", "2").await.unwrap());
    assert!(!state.change_draft("c", "2").await.unwrap());
    test.clock.advance(Duration::from_secs(1));
    let now = state.now().await.unwrap();
    assert_eq!(state.forget_drafts(now).await.unwrap(), 1);
    assert_eq!(state.draft("a").await.unwrap(), None);
    assert_eq!(state.draft("b").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn the_counts_of_odps_are_those_of_their_customers() {
    let seed = SeedBilling::create().await;
    let billing = Billing::connect(seed.target.clone()).unwrap();
    let counts = billing.odp_counts().await.unwrap();
    let active = CustomerFilter { active_only: true, ..CustomerFilter::default() };
    let count = async |filter: CustomerFilter| {
        let customers: Vec<_> = billing.customers(&filter).try_collect().await.unwrap();
        customers.len() as u64
    };
    assert_eq!(counts.customers, count(active.clone()).await);
    assert!(counts.odps.len() > 1, "{counts:?}");
    for odp in &counts.odps {
        let odps = vec![odp.name.clone()];
        let of_odp = CustomerFilter { odps: Some(odps.clone()), ..active.clone() };
        assert_eq!(counts.audience(&NoticeAudience::Odps(odps)), count(of_odp).await, "{odp:?}");
    }
    assert_eq!(counts.audience(&NoticeAudience::Odps(vec![])), 0);
    assert_eq!(counts.audience(&NoticeAudience::Everybody), counts.customers);
}
