//! The inbox: the simulated phones as a person would see them, and a panel of faults to switch on.
//!
//! Everything is rendered here. The browser gets whole pages, then through server-sent events the
//! parts of its page that have changed. What people do there goes to the control API.

mod chats;
mod fault_panel;
mod page;
mod text;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::Stream;
use serde::Deserialize;

use crate::core::Core;

/// How long changes are gathered before they are shown: a campaign makes hundreds a second.
const GATHER: Duration = Duration::from_millis(120);
/// Scripts and styles of our own only, so that no text of a message can ever become either.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'";

pub(crate) fn routes() -> Router<Arc<Core>> {
    Router::new()
        .route("/", get(show))
        .route("/inbox/live", get(live))
        .route("/inbox/style.css", get(|| asset("text/css", include_str!("inbox/style.css"))))
        .route(
            "/inbox/script.js",
            get(|| asset("text/javascript", include_str!("inbox/script.js"))),
        )
        .route("/inbox/icon.svg", get(|| asset("image/svg+xml", include_str!("inbox/icon.svg"))))
}

async fn asset(kind: &'static str, content: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], content)
}

/// What a page shows. It is all in the address, so that links and reloads keep it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Place {
    /// Whose screen this is.
    phone: String,
    /// Who the chat on it is with.
    with: String,
    /// What is searched for.
    q: String,
    /// `faults` if the fault panel is open.
    panel: String,
}

/// What only the browser knows.
struct Viewer {
    /// Minutes east of UTC.
    utc_offset: i64,
    /// The address it reached us at.
    host: String,
}

impl Viewer {
    fn from_headers(headers: &HeaderMap) -> Self {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let utc_offset = value(header::COOKIE)
            .and_then(|cookies| cookies.split("; ").find_map(|c| c.strip_prefix("utc_offset=")))
            .and_then(|minutes| minutes.parse().ok())
            .filter(|minutes: &i64| minutes.abs() <= 24 * 60)
            .unwrap_or_default();
        Self { utc_offset, host: value(header::HOST).unwrap_or("127.0.0.1").to_owned() }
    }
}

/// The parts of a page that change by themselves: HTML by the id of the element it is in.
type Parts = BTreeMap<&'static str, String>;

async fn show(
    State(core): State<Arc<Core>>,
    Query(place): Query<Place>,
    headers: HeaderMap,
) -> Response {
    let viewer = Viewer::from_headers(&headers);
    let parts = page::parts(&core, &place, &viewer);
    let head = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
    (head, Html(page::whole(&place, &parts))).into_response()
}

/// Returns the parts that changed, each time some did, as one JSON object. The first event has them
/// all.
async fn live(
    State(core): State<Arc<Core>>,
    Query(place): Query<Place>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let viewer = Viewer::from_headers(&headers);
    let changed = core.subscribe();
    let start = (core, place, viewer, changed, Parts::new());
    let events = futures_util::stream::unfold(
        start,
        |(core, place, viewer, mut changed, shown)| async move {
            loop {
                let parts = page::parts(&core, &place, &viewer);
                let news: BTreeMap<_, _> =
                    parts.iter().filter(|(id, html)| shown.get(*id) != Some(html)).collect();
                if !news.is_empty() {
                    // Strings always serialize.
                    let event = Event::default().json_data(&news).unwrap_or_default();
                    return Some((Ok(event), (core, place, viewer, changed, parts)));
                }
                changed.changed().await.ok()?;
                tokio::time::sleep(GATHER).await;
                changed.mark_unchanged();
            }
        },
    );
    Sse::new(events).keep_alive(KeepAlive::default())
}
