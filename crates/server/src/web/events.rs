//! Server-sent events that tell a page when something may have changed: its parts then ask for
//! what they show. A page without events asks all the time instead.

use super::visitor::Visitor;
use crate::api::Api;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The time between two events, at least: the page's parts ask the database after each.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// The time between two events without a change in this process: another node may have made one,
/// and some things change because time has passed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The most streams of one login. A browser opens six connections to a server, and the pages need
/// some of them.
const MAX_STREAMS_PER_LOGIN: usize = 4;
/// The most streams of all logins together.
const MAX_STREAMS: usize = 200;

/// Where pages listen.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/app/events", get(follow))
}

/// The streams that are open: the login that each belongs to, or `None` while nobody has to log in.
#[derive(Default)]
pub struct Streams(Mutex<Vec<Option<i64>>>);

/// An open stream, counted until it is dropped.
struct OpenStream {
    streams: Arc<Streams>,
    login: Option<i64>,
}

impl OpenStream {
    /// Opens a stream, unless there are too many.
    fn of(streams: Arc<Streams>, login: Option<i64>) -> Option<OpenStream> {
        let mut open = streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = open.iter().filter(|one| **one == login).count();
        if open.len() >= MAX_STREAMS || same >= MAX_STREAMS_PER_LOGIN {
            return None;
        }
        open.push(login);
        drop(open);
        Some(OpenStream { streams, login })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|login| *login == self.login) {
            open.swap_remove(at);
        }
    }
}

/// Begins with an event at once, and ends with the login.
async fn follow(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Extension(streams): Extension<Arc<Streams>>,
) -> Response {
    let Some(open) = OpenStream::of(streams, visitor.login().map(|login| login.id)) else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    let follower = Follower { changes: api.state.changes(), api, visitor, has_begun: false, open };
    let told = stream::unfold(follower, |mut follower| async {
        let event = Event::default().data("changed");
        follower.changed().await.then_some((Ok::<_, Infallible>(event), follower))
    });
    // A proxy that collects answers first would keep the events.
    ([("x-accel-buffering", "no")], Sse::new(told)).into_response()
}

/// A page that listens.
struct Follower {
    api: Arc<Api>,
    visitor: Visitor,
    changes: watch::Receiver<u64>,
    has_begun: bool,
    #[allow(dead_code, reason = "counted while it is here")]
    open: OpenStream,
}

impl Follower {
    /// Waits until something may have changed. Returns false when the visitor may look no longer.
    async fn changed(&mut self) -> bool {
        if std::mem::replace(&mut self.has_begun, true) {
            tokio::time::sleep(TELL_EVERY).await;
            let _ = tokio::time::timeout(LOOK_EVERY, self.changes.changed()).await;
        }
        self.changes.borrow_and_update();
        match self.visitor.is_still_in(&self.api).await {
            Ok(is_in) => is_in,
            Err(error) => {
                // The parts of the page say so when they ask.
                tracing::debug!(%error, "a stream of events ends with the database");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_so_many_streams_and_may_open_another_when_one_has_ended() {
        let streams = Arc::new(Streams::default());
        let open = |login| OpenStream::of(streams.clone(), Some(login));
        let mut of_one: Vec<_> = (0..MAX_STREAMS_PER_LOGIN).map(|_| open(1).unwrap()).collect();
        assert!(open(1).is_none());
        let of_another = open(2).unwrap();
        of_one.pop();
        assert!(open(1).is_some());
        drop((of_one, of_another));
        assert!(streams.0.lock().unwrap().is_empty());
    }

    #[test]
    fn all_logins_together_have_so_many_streams() {
        let streams = Arc::new(Streams::default());
        let all: Vec<_> = (0..).map_while(|n| OpenStream::of(streams.clone(), Some(n))).collect();
        assert_eq!(all.len(), MAX_STREAMS);
    }
}
