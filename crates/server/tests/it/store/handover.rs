//! What is written together with the next change of a session.

use super::fixtures::{
    LEASE, NODE, SESSION, create, hold, hold_as, lease, new_campaign, recipients, sender, try_begin,
};
use crate::harness::database::TestState;
use kabari::session_key::SessionKey;
use kabari::store::LeasedDelivery;
use kabari::store::state::{Attempt, Begin, HandedOver, SessionLease, StateStore};
use kabari_domain::{CampaignEvent, DeliveryState, PauseReason, Phone};
use kabari_gateway::{Change, Entry, SessionStore, SessionStoreError};
use std::sync::Arc;
use std::time::Duration;

on_both_engines!(
    one_write_takes_the_ack_and_the_next_begin_along,
    a_refused_begin_leaves_the_rest_written,
    whoever_lost_the_session_hands_nothing_over,
    without_a_write_nothing_is_handed_over,
    sessions_that_write_at_once_get_what_is_theirs,
);

/// A session whose first message is on the wire, and the second waits.
struct InFlight {
    session: SessionLease,
    store: Arc<dyn SessionStore>,
    campaign: i64,
    first: LeasedDelivery,
    second: LeasedDelivery,
}

async fn in_flight(state: &StateStore) -> InFlight {
    let campaign = create(state, new_campaign(), recipients(2)).await;
    let session = hold(state, NODE).await;
    let store = state.session_store(&session, &SessionKey::random()).await.unwrap();
    let mut leased = lease(state, 2).await;
    let (second, first) = (leased.pop().unwrap(), leased.pop().unwrap());
    assert!(matches!(try_begin(state, &first, &session).await, Begin::Started(_)));
    InFlight { session, store, campaign, first, second }
}

impl InFlight {
    async fn hand_over(&self, test: &TestState, write: bool) -> (HandedOver, bool) {
        let (sender, now) = (sender(), test.clock.now());
        let next = (&self.second, attempt(&self.session, &sender));
        let acked = Some((&self.first, now));
        let handover = test.state.hand_over(acked, Some(next), &self.session, now);
        let written = write && self.store.write(&[change()]).await.is_ok();
        (handover.finish().await, written)
    }

    async fn states(&self, state: &StateStore) -> [u64; 3] {
        let counts = state.counts(self.campaign).await.unwrap();
        [DeliveryState::Leased, DeliveryState::Sending, DeliveryState::Accepted]
            .map(|state| counts.get(state))
    }
}

fn attempt<'a>(session: &'a SessionLease, sender: &'a Phone) -> Attempt<'a> {
    let (gap, lease) = (Duration::ZERO, LEASE);
    Attempt { session, sender, jid: None, gap, lease, day: 1, unrepeatable: false }
}

fn change() -> Change {
    let entry = Entry { key: b"somebody".to_vec(), value: b"a ratchet".to_vec() };
    Change::Put { collection: "sessions", entry, stamp: 0 }
}

async fn is_stored(store: &Arc<dyn SessionStore>) -> bool {
    !store.read_all("sessions").await.unwrap().is_empty()
}

async fn one_write_takes_the_ack_and_the_next_begin_along(test: TestState) {
    let sending = in_flight(&test.state).await;
    let (handed_over, written) = sending.hand_over(&test, true).await;
    assert_eq!((handed_over, written), (HandedOver { acked: true, begun: true }, true));
    assert_eq!(sending.states(&test.state).await, [0, 1, 1]);
    assert!(is_stored(&sending.store).await);
    let session = test.state.session(SESSION).await.unwrap().unwrap();
    assert_eq!(session.sent_today, 2);

    // It is done: the next write has nothing to take along.
    sending.store.write(&[change()]).await.unwrap();
    assert_eq!(test.state.session(SESSION).await.unwrap().unwrap().sent_today, 2);
}

async fn a_refused_begin_leaves_the_rest_written(test: TestState) {
    let sending = in_flight(&test.state).await;
    let pause = CampaignEvent::Pause(PauseReason::Breaker);
    test.state.campaign_event(sending.campaign, pause).await.unwrap();
    let (handed_over, written) = sending.hand_over(&test, true).await;
    assert_eq!((handed_over, written), (HandedOver { acked: true, begun: false }, true));
    assert_eq!(sending.states(&test.state).await, [1, 0, 1]);
    assert!(is_stored(&sending.store).await);
    assert_eq!(test.state.session(SESSION).await.unwrap().unwrap().sent_today, 1);
}

async fn whoever_lost_the_session_hands_nothing_over(test: TestState) {
    let sending = in_flight(&test.state).await;
    test.clock.advance(LEASE);
    hold(&test.state, "another").await;
    let (handed_over, written) = sending.hand_over(&test, true).await;
    assert_eq!((handed_over, written), (HandedOver::default(), false));
    assert_eq!(sending.states(&test.state).await, [1, 1, 0]);
    assert_eq!(sending.store.write(&[change()]).await, Err(SessionStoreError::Fenced));
}

async fn without_a_write_nothing_is_handed_over(test: TestState) {
    let sending = in_flight(&test.state).await;
    let (handed_over, _) = sending.hand_over(&test, false).await;
    assert_eq!(handed_over, HandedOver::default());
    sending.store.write(&[change()]).await.unwrap();
    assert_eq!(sending.states(&test.state).await, [1, 1, 0]);
}

/// On SQLite they share commits; one of them has lost its session.
async fn sessions_that_write_at_once_get_what_is_theirs(test: TestState) {
    const SESSIONS: usize = 20;
    const LOST: usize = 7;
    let key = SessionKey::random();
    let mut stores = vec![];
    for index in 0..SESSIONS {
        let phone = Phone::from_stored(format!("62812999000{index:02}"));
        let session = hold_as(&test.state, &format!("nomor-{index}"), &phone, NODE).await;
        stores.push(test.state.session_store(&session, &key).await.unwrap());
    }
    let lost = Phone::from_stored(format!("62812999000{LOST:02}"));
    test.clock.advance(LEASE);
    hold_as(&test.state, &format!("nomor-{LOST}"), &lost, "another").await;
    let writing = stores.iter().map(|store| async { store.write(&[change()]).await });
    let written = futures_util::future::join_all(writing).await;
    for (index, (written, store)) in written.into_iter().zip(&stores).enumerate() {
        let is_lost = index == LOST;
        assert_eq!(written.is_err(), is_lost, "{index}: {written:?}");
        assert_eq!(is_stored(store).await, !is_lost);
    }
}
