//! What happens to campaigns as a whole.

use super::fixtures::*;
use crate::harness::database::TestState;
use futures_util::TryStreamExt;
use kabari::store::StoreError;
use kabari::store::state::{NewCampaign, Resolution};
use kabari_domain::DeliveryState::{Accepted, Cancelled, Expired, Queued, RetryWait, Uncertain};
use kabari_domain::campaign::Phase;
use kabari_domain::delivery::{MAX_UNANSWERED, RESEND_WAIT};
use kabari_domain::{CampaignEvent, CampaignStatus, DeliveryEvent, PauseReason};
use std::time::Duration;

on_both_engines!(
    cancelling_ends_what_is_unsent,
    a_pause_ends_with_the_operators_word,
    an_unknown_campaign_is_named,
    what_expires_unsent_is_given_up,
    the_last_answer_completes_it,
    a_person_decides_about_uncertain_ones,
    what_has_expired_is_not_sent_again,
    a_report_streams_many_pages,
    commits_wake_those_who_wait,
    what_comes_due_wakes_the_sessions,
);

/// A delivery that went out without an answer and waits for its next attempt.
async fn unanswered(test: &TestState) -> i64 {
    let delivery = lease_one(&test.state).await;
    begin(&test.state, &delivery).await;
    let again = test.clock.now() + RESEND_WAIT;
    assert!(
        test.state
            .settle(&delivery, DeliveryEvent::Unanswered(again), None)
            .await
            .unwrap()
            .is_some()
    );
    delivery.id
}

async fn cancelling_ends_what_is_unsent(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(4)).await;
    let touched = unanswered(&test).await;
    let on_the_wire = lease_one(state).await;
    begin(state, &on_the_wire).await;
    let leased = lease_one(state).await;

    let phase = state.campaign_event(id, CampaignEvent::Cancel).await.unwrap();
    assert_eq!(phase.status, CampaignStatus::Cancelled);
    assert_eq!(state_of(state, touched).await, Uncertain, "it may have arrived");
    assert_eq!(state_of(state, leased.id).await, Cancelled);
    assert_eq!(state.counts(id).await.unwrap().get(Cancelled), 2);
    // What was being sent still gets its answer; nothing else moves.
    assert!(state.settle(&on_the_wire, DeliveryEvent::Acked, None).await.unwrap().is_some());
    assert!(state.settle(&leased, DeliveryEvent::Acked, None).await.unwrap().is_none());
    let again = state.campaign_event(id, CampaignEvent::Cancel).await;
    assert!(matches!(again, Err(StoreError::NotAllowed(_))), "{again:?}");
    assert!(lease(state, 10).await.is_empty());
}

async fn a_pause_ends_with_the_operators_word(test: TestState) {
    let state = &test.state;
    let by_hand = create(state, new_campaign(), recipients(1)).await;
    let running = create(state, new_campaign(), recipients(1)).await;
    for reason in [PauseReason::Breaker, PauseReason::Manual] {
        state.campaign_event(by_hand, CampaignEvent::Pause(reason)).await.unwrap();
    }
    assert_eq!(lease(state, 10).await.len(), 1, "nothing of a paused campaign is taken");
    let phase = async |id| state.campaign(id).await.unwrap().unwrap().phase;
    assert_eq!(phase(running).await, Phase::RUNNING);
    assert_eq!(phase(by_hand).await.reason, Some(PauseReason::Manual));
    state.campaign_event(by_hand, CampaignEvent::Resume).await.unwrap();
    assert_eq!(lease(state, 10).await.len(), 1);
}

async fn an_unknown_campaign_is_named(test: TestState) {
    let result = test.state.campaign_event(77, CampaignEvent::Cancel).await;
    assert_eq!(result.unwrap_err().to_string(), "there is no campaign 77");
    assert_eq!(test.state.campaign(77).await.unwrap(), None);
    assert_eq!(test.state.counts(77).await.unwrap().total(), 0);
}

async fn what_expires_unsent_is_given_up(test: TestState) {
    let state = &test.state;
    let mut campaign = new_campaign();
    campaign.expires_at = Some(test.clock.now() + Duration::from_secs(30));
    let id = create(state, campaign, recipients(3)).await;
    let touched = unanswered(&test).await;
    let leased = lease_one(state).await;
    assert_eq!(state.expire_due(test.clock.now()).await.unwrap(), 0);
    test.clock.advance(Duration::from_secs(30));
    assert!(lease(state, 10).await.is_empty());
    let session = hold(state, NODE).await;
    let begun = try_begin(state, &leased, &session).await;
    assert_eq!(begun, kabari::store::state::Begin::NotRunning);
    assert_eq!(state.expire_due(test.clock.now()).await.unwrap(), 3);
    assert_eq!(state_of(state, touched).await, Uncertain);
    assert_eq!(state.counts(id).await.unwrap().get(Expired), 2);
    let stored = state.campaign(id).await.unwrap().unwrap();
    assert_eq!(stored.phase.status, CampaignStatus::Completed);
}

async fn the_last_answer_completes_it(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(2)).await;
    for expected in [CampaignStatus::Running, CampaignStatus::Completed] {
        let delivery = lease_one(state).await;
        begin(state, &delivery).await;
        assert!(state.settle(&delivery, DeliveryEvent::Acked, None).await.unwrap().is_some());
        state.complete_if_done(id).await.unwrap();
        assert_eq!(state.campaign(id).await.unwrap().unwrap().phase.status, expected);
    }
    assert_eq!(state.counts(id).await.unwrap().sent(), 2);
    assert_eq!(state.complete_all_done().await.unwrap(), 0);
}

async fn a_person_decides_about_uncertain_ones(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(1)).await;
    let queued = state.deliveries(id, None, 1).await.unwrap()[0].id;
    let early = state.resolve(queued, Resolution::CountAsSent).await;
    assert!(matches!(early, Err(StoreError::Conflict(_))), "{early:?}");

    let mut uncertain = 0;
    for _ in 0..MAX_UNANSWERED {
        uncertain = unanswered(&test).await;
        test.clock.advance(RESEND_WAIT);
    }
    assert_eq!(state_of(state, uncertain).await, Uncertain);
    assert!(state.complete_if_done(id).await.unwrap());
    let status = async || state.campaign(id).await.unwrap().unwrap().phase.status;
    assert_eq!(status().await, CampaignStatus::Completed);

    state.resolve(uncertain, Resolution::SendAgain).await.unwrap();
    assert_eq!(state_of(state, uncertain).await, RetryWait);
    assert_eq!(status().await, CampaignStatus::Running);
    let stored = state.campaign(id).await.unwrap().unwrap();
    assert_eq!(stored.finished_at, None);

    state.campaign_event(id, CampaignEvent::Cancel).await.unwrap();
    let again = state.resolve(uncertain, Resolution::SendAgain).await;
    assert!(matches!(again, Err(StoreError::NotAllowed(_))), "{again:?}");
    state.resolve(uncertain, Resolution::CountAsSent).await.unwrap();
    assert_eq!(state_of(state, uncertain).await, Accepted);
}

async fn what_has_expired_is_not_sent_again(test: TestState) {
    let state = &test.state;
    let expires_at = test.clock.now() + RESEND_WAIT / 2;
    let campaign = NewCampaign { expires_at: Some(expires_at), ..new_campaign() };
    let id = create(state, campaign, recipients(1)).await;
    let touched = unanswered(&test).await;
    test.clock.advance(RESEND_WAIT);
    state.expire_due(test.clock.now()).await.unwrap();
    assert_eq!(state_of(state, touched).await, Uncertain);

    let again = state.resolve(touched, Resolution::SendAgain).await;
    assert!(matches!(again, Err(StoreError::Expired)), "{again:?}");
    assert_eq!(state_of(state, touched).await, Uncertain);
    let phase = state.campaign(id).await.unwrap().unwrap().phase;
    assert_eq!(phase.status, CampaignStatus::Completed);
    state.resolve(touched, Resolution::CountAsSent).await.unwrap();
    assert_eq!(state_of(state, touched).await, Accepted);
}

async fn a_report_streams_many_pages(test: TestState) {
    let mut rows = recipients(2400);
    rows[1500] = skipped(1500);
    let id = create(&test.state, new_campaign(), rows).await;
    let report: Vec<_> = test.state.report_rows(id).try_collect().await.unwrap();
    let positions: Vec<_> = report.iter().map(|d| d.position).collect();
    let expected: Vec<i64> =
        std::iter::once(1500).chain((0..2400).filter(|p| *p != 1500)).collect();
    assert_eq!(positions, expected);
    assert_eq!(test.state.counts(id).await.unwrap().get(Queued), 2399);
}

async fn commits_wake_those_who_wait(test: TestState) {
    let mut changes = test.state.changes();
    changes.mark_unchanged();
    let id = create(&test.state, new_campaign(), recipients(1)).await;
    let woken = tokio::time::timeout(Duration::from_secs(10), changes.changed()).await;
    assert!(woken.is_ok());
    changes.mark_unchanged();
    test.state.campaigns(None, 1).await.unwrap();
    let pause = CampaignEvent::Pause(PauseReason::Manual);
    test.state.campaign_event(id, pause).await.unwrap();
    assert!(changes.has_changed().unwrap());
}

async fn what_comes_due_wakes_the_sessions(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    unanswered(&test).await;
    let mut work = state.work();
    state.announce_due(test.clock.now()).await.unwrap();
    assert!(!work.has_changed().unwrap(), "its next attempt is not due");
    test.clock.advance(RESEND_WAIT);
    state.announce_due(test.clock.now()).await.unwrap();
    assert!(work.has_changed().unwrap());
    work.borrow_and_update();
    lease_one(state).await;
    state.announce_due(test.clock.now()).await.unwrap();
    assert!(!work.has_changed().unwrap(), "somebody has it");
}
