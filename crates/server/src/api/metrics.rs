//! `/metrics` for Prometheus, and the measuring of requests.

use super::error::{ApiError, ApiResult};
use super::monitored::Monitored;
use super::readiness::{REASONS, readiness};
use crate::disk;
use crate::metrics::{Metrics, name};
use crate::store::state::{Backlog, Session};
use crate::store::{StateStore, StoreError};
use crate::trace::{self, Traces};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kabari_domain::{DeliveryState, Phone, Quotas, Timestamp};
use prometheus::{Gauge, GaugeVec, Opts, Registry};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the values from the database are shown again: however many ask, it is asked rarely.
const LIFETIME: Duration = Duration::from_secs(5);
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What Prometheus reads
///
/// Counts and times since the start of this process, and what the database says, at most 5 s old.
/// No phone number is in it.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service", operation_id = "get_metrics",
    responses((status = 200, description = "Prometheus's text format", body = String, content_type = "text/plain",
        example = "kabari_attempts_total{outcome=\"acked\",session=\"default\"} 5"))
)]
pub async fn metrics(State(monitored): State<Monitored>) -> ApiResult<Response> {
    let mut readings = monitored.readings.lock().await;
    let fresh = readings.as_ref().is_some_and(|(read_at, _)| read_at.elapsed() < LIFETIME);
    if !fresh {
        *readings = Some((Instant::now(), read(&monitored).await));
    }
    let (_, gauges) = readings.as_ref().expect("just read");
    let text = monitored.metrics.text(gauges);
    let text = text.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// Tells [`measure`] which of the API's routes has answered.
pub async fn name_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Gives a request its id, and measures the time until its answer begins.
pub async fn measure(
    State((metrics, traces)): State<(Metrics, Traces)>,
    request: Request,
    next: Next,
) -> Response {
    let traced = traces.request(request.headers(), request.uri().path());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let began = Instant::now();
    let mut response = traced.serve(next.run(request)).await;
    let route = response.extensions_mut().remove::<MatchedPath>().or(route);
    // Anybody can ask for any path by any method: those that are served are few.
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH];
    let known = known.contains(&method) || [Method::DELETE, Method::OPTIONS].contains(&method);
    let method = if known { method.as_str() } else { "other" };
    let status = response.status().as_u16();
    metrics.requested(method, route, status, began.elapsed());
    if let Ok(id) = HeaderValue::from_str(traced.id()) {
        response.headers_mut().insert(trace::HEADER, id);
    }
    traced.answered(method, route, status);
    response
}

/// Reads what the database and the disk say. Where they say nothing, nothing is shown.
async fn read(monitored: &Monitored) -> Registry {
    let gauges = Gauges::default();
    gauges
        .one("build_info", "The version of kabari.", &["version"])
        .of(&[env!("CARGO_PKG_VERSION")], 1.0);
    let unready = gauges.one("not_ready", "What keeps kabari from its work.", &["reason"]);
    let found = readiness(monitored).await.reasons;
    for reason in REASONS {
        let is_there = found.iter().any(|found| found.reason == reason);
        unready.of(&[reason], f64::from(u8::from(is_there)));
    }
    if let Some(free) = disk::free_bytes(&monitored.data_dir) {
        gauges.one("disk_free_bytes", "Room left for DATA_DIR.", &[]).of(&[], free as f64);
    }
    match stored(&monitored.state).await {
        Ok((sessions, backlog, now)) => {
            gauges.stored(&monitored.quotas, &sessions, &backlog, now);
        }
        Err(error) => tracing::warn!(%error, "the state database's values are missing in /metrics"),
    }
    gauges.registry
}

async fn stored(state: &StateStore) -> Result<(Vec<Session>, Backlog, Timestamp), StoreError> {
    let now = state.now().await?;
    Ok((state.sessions().await?, state.backlog(now).await?, now))
}

#[derive(Default)]
struct Gauges {
    registry: Registry,
}

/// A gauge, with or without labels.
enum OneGauge {
    Plain(Gauge),
    Labelled(GaugeVec),
}

impl OneGauge {
    fn of(&self, labels: &[&str], value: f64) {
        match self {
            OneGauge::Plain(gauge) => gauge.set(value),
            OneGauge::Labelled(gauges) => gauges.with_label_values(labels).set(value),
        }
    }
}

impl Gauges {
    fn one(&self, short: &str, help: &str, labels: &[&str]) -> OneGauge {
        let opts = Opts::new(name(short), help);
        let (gauge, registered) = if labels.is_empty() {
            let gauge = Gauge::with_opts(opts).expect("the name is valid");
            (OneGauge::Plain(gauge.clone()), self.registry.register(Box::new(gauge)))
        } else {
            let gauges = GaugeVec::new(opts, labels).expect("name and labels are valid");
            (OneGauge::Labelled(gauges.clone()), self.registry.register(Box::new(gauges)))
        };
        registered.expect("each name is registered once");
        gauge
    }

    fn stored(&self, quotas: &Quotas, sessions: &[Session], backlog: &Backlog, now: Timestamp) {
        let help = "Deliveries that are not at their end, by state and session.";
        let deliveries = self.one("deliveries", help, &["session", "state"]);
        let mut states = DeliveryState::OPEN.to_vec();
        states.push(DeliveryState::Uncertain);
        for state in states {
            deliveries.of(&["", state.as_str()], 0.0);
        }
        for ((state, session), number) in by_session(backlog, sessions) {
            deliveries.of(&[session, state], number as f64);
        }
        self.one("queue_deliveries", "Deliveries of running campaigns that are due.", &[])
            .of(&[], backlog.due as f64);
        self.one("queue_oldest_seconds", "For how long the oldest of them has been due.", &[])
            .of(&[], backlog.oldest.as_secs_f64());

        let links = self.one("session_link", "How each link to WhatsApp is.", &["session", "link"]);
        let connected = self.one("session_connected", "Whether it can send.", &["session"]);
        let help = "Messages that the number may still send today, where it has a limit.";
        let left_today = self.one("session_quota_left", help, &["session"]);
        for session in sessions {
            let name = session.name.as_str();
            links.of(&[name, session.link.as_str()], 1.0);
            let can_send = session.is_held(now) && session.link.waiting().is_none();
            connected.of(&[name], f64::from(u8::from(can_send)));
            if let Some(left) = quotas.left_today(&session.usage(), now) {
                left_today.of(&[name], f64::from(left));
            }
        }
    }
}

/// Returns the numbers of deliveries by the names of their sessions, which are empty where nobody
/// has them yet, and `removed` where the number is in no session any more.
fn by_session<'s>(
    backlog: &Backlog,
    sessions: &'s [Session],
) -> BTreeMap<(&'static str, &'s str), u64> {
    let session_of = |sender: &Phone| {
        let session = sessions.iter().find(|session| session.phone.as_ref() == Some(sender));
        session.map_or("removed", |session| session.name.as_str())
    };
    let mut numbers = BTreeMap::new();
    for (state, sender, number) in &backlog.open {
        let name = sender.as_ref().map_or("", session_of);
        *numbers.entry((state.as_str(), name)).or_default() += number;
    }
    numbers
}
