//! What the bodies of requests may take: time, and memory of all of them together.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::stream::{self, StreamExt};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// The largest body of a request to API and pages: a list of some hundred thousand customer ids.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// How long a body may take from its request's begin.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(120);

/// The largest body that is read at once, whatever else is.
pub const SMALL_BODY_BYTES: usize = 16 * 1024;

/// How many bytes of larger bodies may be there at once; what comes later waits. As JSON values
/// they take up to 20 times as much.
const LARGE_BODIES_BYTES: usize = 2 * MAX_BODY_BYTES;

/// How many bytes of larger bodies may still come.
#[derive(Clone)]
pub struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> BodyBudget {
        BodyBudget(Arc::new(Semaphore::new(LARGE_BODIES_BYTES)))
    }
}

/// Lets a request through, a large one once there is room for it. The room is kept until the
/// answer begins.
pub async fn admit(State(budget): State<BodyBudget>, request: Request, next: Next) -> Response {
    let deadline = Instant::now() + BODY_READ_TIMEOUT;
    // Of a longer one, and of one that does not say how long it is, no more is read than is
    // allowed.
    let bytes = request.body().size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES);
    let _room = match u32::try_from(bytes) {
        Ok(room) if bytes > SMALL_BODY_BYTES => budget.0.acquire_many(room).await.ok(),
        _ => None,
    };
    next.run(request.map(|body| until(body, deadline))).await
}

/// Returns the body, which fails once it is too late.
fn until(body: Body, deadline: Instant) -> Body {
    let read = stream::unfold(Some(body.into_data_stream()), move |rest| async move {
        let mut rest = rest?;
        match timeout_at(deadline, rest.next()).await {
            Ok(piece) => piece.map(|piece| (piece.map_err(io::Error::other), Some(rest))),
            Err(_) => Some((Err::<Bytes, _>(io::ErrorKind::TimedOut.into()), None)),
        }
    });
    Body::from_stream(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_too_late_fails() {
        let read = |body, deadline| axum::body::to_bytes(until(body, deadline), MAX_BODY_BYTES);
        let (now, later) = (Instant::now(), Instant::now() + BODY_READ_TIMEOUT);
        let never = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        assert!(read(never, now).await.is_err());
        assert_eq!(read(Body::from("all of it"), later).await.unwrap(), "all of it");
    }
}
