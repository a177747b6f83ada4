//! The way of a delivery to the wire and back.

use super::fixtures::*;
use crate::harness::database::TestState;
use kabari::store::state::{Begin, Claim};
use kabari_domain::DeliveryState::{
    Accepted, Failed, Leased, Queued, RetryWait, Sending, Uncertain,
};
use kabari_domain::delivery::RESEND_WAIT;
use kabari_domain::{CampaignEvent, DeliveryEvent, PauseReason, Phone};
use std::time::Duration;

on_both_engines!(
    from_the_queue_to_accepted,
    urgent_ones_first_then_campaigns_in_turn,
    a_resend_keeps_id_text_and_address,
    what_was_on_the_wire_stays_with_its_number,
    what_never_was_may_change_numbers,
    a_lapsed_lease_writes_nothing,
    a_dead_node_leaves_nothing_stuck,
    the_pace_is_committed_before_the_wire,
    a_clock_set_back_costs_one_gap,
    a_pause_stops_what_is_leased,
    released_ones_are_free_at_once,
    a_late_no_is_uncertain,
    a_refused_one_may_go_out_from_another_number,
);

async fn from_the_queue_to_accepted(test: TestState) {
    let state = &test.state;
    let mut changed = recipient(0);
    changed.text = Some("Halo Pelanggan 0".to_owned());
    let message_id = changed.message_id.clone();
    let id = create(state, new_campaign(), vec![changed, recipient(1)]).await;

    let leased = lease(state, 10).await;
    let texts: Vec<_> = leased.iter().map(|d| d.text.as_str()).collect();
    assert_eq!(texts, ["Halo Pelanggan 0", TEMPLATE]);
    assert_eq!(leased[0].message_id, message_id);
    assert!(lease(state, 10).await.is_empty(), "nothing is taken twice");
    assert_eq!(state_of(state, leased[0].id).await, Leased);

    let begun = begin(state, &leased[0]).await;
    assert_eq!((begun.attempt, begun.jid.as_deref()), (1, Some("1@lid")));
    assert_eq!(state_of(state, leased[0].id).await, Sending);
    test.clock.advance(Duration::from_secs(1));
    assert!(state.settle(&leased[0], DeliveryEvent::Acked, None).await.unwrap().is_some());
    let stored = state.delivery(leased[0].id).await.unwrap().unwrap();
    assert_eq!(stored.progress.state, Accepted);
    assert_eq!(stored.accepted_at, Some(test.clock.now()));
    assert_eq!(stored.first_sent_at, Some(test.clock.now() - Duration::from_secs(1)));
    assert_eq!(stored.sender, Some(sender()));
    assert!(state.settle(&leased[0], DeliveryEvent::Refused, None).await.unwrap().is_none());
    // A number that is not on WhatsApp fails before the wire.
    assert!(
        state
            .settle(&leased[1], DeliveryEvent::Refused, Some("tidak ada"))
            .await
            .unwrap()
            .is_some()
    );
    let refused = state.delivery(leased[1].id).await.unwrap().unwrap();
    assert_eq!((refused.progress.state, refused.error.as_deref()), (Failed, Some("tidak ada")));
    assert_eq!(state.counts(id).await.unwrap().open(), 0);
}

async fn urgent_ones_first_then_campaigns_in_turn(test: TestState) {
    let state = &test.state;
    let mut ids = vec![];
    for _ in 0..3 {
        ids.push(create(state, new_campaign(), recipients(4)).await);
    }
    let mut campaign = new_campaign();
    campaign.urgent = true;
    let urgent = create(state, campaign, recipients(1)).await;

    let last = std::cell::RefCell::new(0);
    let take = async || -> Vec<i64> {
        let number = sender();
        let claim = Claim { after: *last.borrow(), ..claim(NODE, &number, 1, 2) };
        let leased = state.claim(&claim).await.unwrap();
        last.replace(leased.last().unwrap().campaign_id);
        leased.into_iter().map(|delivery| delivery.campaign_id).collect()
    };
    assert_eq!(take().await, [urgent, ids[0]]);
    assert_eq!(take().await, [ids[1], ids[2]]);
    assert_eq!(take().await, [ids[0], ids[1]]);
    assert_eq!(take().await, [ids[2], ids[0]]);
}

async fn a_resend_keeps_id_text_and_address(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let first = lease_one(state).await;
    begin(state, &first).await;
    let again = test.clock.now() + RESEND_WAIT;
    assert!(state.settle(&first, DeliveryEvent::Unanswered(again), None).await.unwrap().is_some());
    assert!(lease(state, 1).await.is_empty(), "not before the wait is over");
    test.clock.advance(RESEND_WAIT);

    let second = lease_one(state).await;
    assert_eq!((&second.message_id, &second.text), (&first.message_id, &first.text));
    assert_eq!(second.jid.as_deref(), Some("1@lid"));
    assert!(second.epoch > first.epoch);
    let session = hold(state, NODE).await;
    let other = kabari::store::state::Attempt {
        session: &session,
        sender: &sender(),
        jid: Some("other@lid"),
        gap: GAP,
        lease: LEASE,
        day: 1,
        unrepeatable: false,
    };
    let Begin::Started(begun) = state.begin(&second, other).await.unwrap() else { panic!() };
    assert_eq!((begun.attempt, begun.jid.as_deref()), (2, Some("1@lid")));
}

async fn what_was_on_the_wire_stays_with_its_number(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let first = lease_one(state).await;
    begin(state, &first).await;
    let now = test.clock.now();
    assert!(state.settle(&first, DeliveryEvent::Unanswered(now), None).await.unwrap().is_some());

    let other = Phone::from_stored("6281288880000");
    assert!(state.claim(&claim("node-b", &other, 9, 9)).await.unwrap().is_empty());
    assert_eq!(lease(state, 9).await.len(), 1);
}

async fn what_never_was_may_change_numbers(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let first = lease_one(state).await;
    begin(state, &first).await;
    assert!(
        state
            .settle(&first, DeliveryEvent::NotSent(test.clock.now()), None)
            .await
            .unwrap()
            .is_some()
    );
    let stored = state.delivery(first.id).await.unwrap().unwrap();
    assert_eq!((stored.progress.state, stored.progress.attempts), (Queued, 0));
    assert_eq!((stored.sender, stored.first_sent_at), (None, None));
    let other = Phone::from_stored("6281288880000");
    assert_eq!(state.claim(&claim("node-b", &other, 9, 9)).await.unwrap().len(), 1);
}

async fn a_lapsed_lease_writes_nothing(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let stale = lease_one(state).await;
    let stale_session = hold(state, NODE).await;
    test.clock.advance(LEASE);
    // Nobody has taken the session, but the delivery's own lease has run out.
    assert_eq!(try_begin(state, &stale, &stale_session).await, Begin::DeliveryLost);
    let renewed = hold(state, NODE).await;
    assert_eq!(try_begin(state, &stale, &stale_session).await, Begin::SessionLost);
    assert_eq!(try_begin(state, &stale, &renewed).await, Begin::DeliveryLost);

    state.reclaim(test.clock.now(), RESEND_WAIT).await.unwrap();
    let fresh = lease_one(state).await;
    assert_eq!(try_begin(state, &stale, &renewed).await, Begin::DeliveryLost);
    assert!(matches!(try_begin(state, &fresh, &renewed).await, Begin::Started(_)));
    // The same node under an older lease: its answer belongs to nobody.
    assert!(state.settle(&stale, DeliveryEvent::Refused, None).await.unwrap().is_none());
    state.release(&[stale]).await.unwrap();
    assert_eq!(state_of(state, fresh.id).await, Sending);

    // Another node takes the number: this one may no longer begin.
    test.clock.advance(LEASE);
    let taken = hold(state, "node-b").await;
    assert!(taken.epoch > renewed.epoch);
    assert_eq!(try_begin(state, &fresh, &renewed).await, Begin::SessionLost);
}

async fn a_dead_node_leaves_nothing_stuck(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(2)).await;
    let leased = lease(state, 2).await;
    begin(state, &leased[0]).await;
    assert_eq!(
        state.reclaim(test.clock.now(), RESEND_WAIT).await.unwrap(),
        0,
        "the leases still run"
    );
    test.clock.advance(LEASE);
    assert_eq!(state.reclaim(test.clock.now(), RESEND_WAIT).await.unwrap(), 2);
    let sent = state.delivery(leased[0].id).await.unwrap().unwrap().progress;
    assert_eq!((sent.state, sent.unanswered), (RetryWait, 1), "it may have arrived");
    assert_eq!(sent.due_at, test.clock.now() + RESEND_WAIT);
    assert_eq!(state_of(state, leased[1].id).await, Queued);

    for _ in 0..2 {
        test.clock.advance(RESEND_WAIT);
        let again = lease(state, 2).await.into_iter().find(|d| d.id == leased[0].id).unwrap();
        begin(state, &again).await;
        test.clock.advance(LEASE);
        state.reclaim(test.clock.now(), RESEND_WAIT).await.unwrap();
    }
    assert_eq!(state_of(state, leased[0].id).await, Uncertain);
    assert_eq!(state.counts(id).await.unwrap().open(), 1);
}

async fn the_pace_is_committed_before_the_wire(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(3)).await;
    let leased = lease(state, 3).await;
    let start = test.clock.now();
    for (n, delivery) in (0..).zip(&leased) {
        // As if each ended at once.
        let begun = begin(state, delivery).await;
        assert_eq!(begun.send_at, start + GAP * n);
        test.clock.advance(begun.send_at.since(begun.now));
        assert!(state.settle(delivery, DeliveryEvent::Acked, None).await.unwrap().is_some());
    }
    let stored = state.session(SESSION).await.unwrap().unwrap();
    assert_eq!(stored.next_slot_at, start + GAP * 3);
    assert_eq!((stored.day, stored.sent_today), (1, 3));
}

async fn a_clock_set_back_costs_one_gap(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let delivery = lease_one(state).await;
    let session = hold(state, NODE).await;
    let hour_ahead = (test.clock.now() + Duration::from_secs(3600)).0;
    test.execute(&format!("UPDATE sessions SET next_slot_at = {hour_ahead}")).await;
    let Begin::Started(begun) = try_begin(state, &delivery, &session).await else { panic!() };
    assert_eq!(begun.send_at, test.clock.now() + GAP);
}

async fn a_pause_stops_what_is_leased(test: TestState) {
    let state = &test.state;
    let id = create(state, new_campaign(), recipients(1)).await;
    let delivery = lease_one(state).await;
    let session = hold(state, NODE).await;
    state.campaign_event(id, CampaignEvent::Pause(PauseReason::Manual)).await.unwrap();
    assert_eq!(try_begin(state, &delivery, &session).await, Begin::NotRunning);
    state.release(&[delivery]).await.unwrap();
    state.campaign_event(id, CampaignEvent::Resume).await.unwrap();
    assert_eq!(lease(state, 9).await.len(), 1);
    let stored = state.session(SESSION).await.unwrap().unwrap();
    assert_eq!(stored.sent_today, 0, "what was not allowed took no slot");
}

async fn released_ones_are_free_at_once(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(5)).await;
    let leased = lease(state, 5).await;
    state.release(&leased[1..]).await.unwrap();
    let again = lease(state, 5).await;
    assert_eq!(again.len(), 4);
    assert!(again.iter().all(|delivery| delivery.progress.attempts == 0));
}

async fn a_late_no_is_uncertain(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let now = test.clock.now();
    for event in [DeliveryEvent::Unanswered(now), DeliveryEvent::Refused] {
        let delivery = lease_one(state).await;
        begin(state, &delivery).await;
        assert!(state.settle(&delivery, event, Some("ditolak")).await.unwrap().is_some());
    }
    let [campaign] = state.campaigns(None, 9).await.unwrap().try_into().unwrap();
    assert_eq!(state.counts(campaign.id).await.unwrap().get(Uncertain), 1);
}

async fn a_refused_one_may_go_out_from_another_number(test: TestState) {
    let state = &test.state;
    create(state, new_campaign(), recipients(1)).await;
    let first = lease_one(state).await;
    begin(state, &first).await;
    let now = test.clock.now();
    assert!(
        state.settle(&first, DeliveryEvent::Deferred(now), Some("463")).await.unwrap().is_some()
    );
    let other = Phone::from_stored("6281288880000");
    let [again] = state.claim(&claim("b", &other, 9, 9)).await.unwrap().try_into().unwrap();
    assert_eq!((again.id, again.jid), (first.id, None));
}
