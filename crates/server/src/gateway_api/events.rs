//! `GET /events`: acks, receipts and who wrote, as server-sent events.
//!
//! Each has an id. Who connects again with the last one in `Last-Event-ID` is told what came after
//! it, also while nobody listened or the gateway was down.

use super::Api;
use crate::api::Waiter;
use crate::store::state::{EventPlace, KeptEvent};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// A comment is sent when nothing else was for this long: who hears nothing for longer may take
/// the connection for dead.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Events read at once.
const PAGE: u32 = 500;
const LAST_EVENT_ID: &str = "last-event-id";

pub async fn events(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let follower = Follower {
        waiter: Waiter::new(&api.state),
        place: last.and_then(|id| id.parse().ok()),
        page: VecDeque::new(),
        api,
    };
    let told = stream::unfold(follower, |mut follower| async {
        let KeptEvent { place, event } = follower.next().await?;
        let event = Event::default().id(place.to_string()).data(event);
        Some((Ok(event), follower))
    });
    Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY))
}

/// Somebody who follows.
struct Follower {
    api: Arc<Api>,
    waiter: Waiter,
    /// What was read last.
    place: Option<EventPlace>,
    /// What was read and not yet told.
    page: VecDeque<KeptEvent>,
}

impl Follower {
    /// Returns the next event; `None` when kabari ends.
    async fn next(&mut self) -> Option<KeptEvent> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Some(event);
            }
            match self.api.state.events_after(&self.api.session, self.place, PAGE).await {
                Ok(page) => self.page = page.into(),
                Err(error) => tracing::warn!(%error, "events wait for the database"),
            }
            if let Some(last) = self.page.back() {
                self.place = Some(last.place);
                continue;
            }
            tokio::select! {
                () = self.waiter.moved() => {}
                () = self.api.stopping.cancelled() => return None,
            }
        }
    }
}
