//! What leads from a request to all that it causes: its id, in the answer's header, in log lines
//! and in the campaign, and spans for an OpenTelemetry collector, where there is one.
//!
//! The id of a request is that of its trace, unless the caller gives it another. A campaign keeps
//! both, so that its messages belong to the trace of the request whenever, and on whichever node,
//! they go out. Attributes are ids, states, routes and names of sessions; no phone number, name or
//! text is ever one.

mod collector;

use axum::http::{HeaderMap, HeaderValue};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    Tracer as _, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use std::collections::HashMap;
use std::time::Duration;
use tracing::Instrument;
use tracing::field::display;

pub use collector::check;

/// The header that has the id of a request.
pub const HEADER: &str = "x-request-id";
/// The header by which a caller says to which trace a request belongs (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";
/// The longest id that a caller may give.
const MAX_CHARS: usize = 64;
/// How long the last spans may hold up the end of the process.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// What monitoring asks for every few seconds, which nobody wants to read of.
const UNTRACED: [&str; 4] = ["/health", "/livez", "/readyz", "/metrics"];

/// The spans of this process, on their way to a collector, or to nowhere. Cloning is cheap; all
/// clones are one.
#[derive(Clone, Default)]
pub struct Traces(Option<Exported>);

#[derive(Clone)]
struct Exported {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// What leads from a campaign back to the request that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// The id of the request; at most 64 characters.
    pub request_id: Option<String>,
    /// The request's span, as a W3C `traceparent`, where spans are exported.
    pub traceparent: Option<String>,
}

/// An attempt to send a message.
pub struct Attempted<'a> {
    pub trail: &'a Trail,
    pub session: &'a str,
    pub campaign: i64,
    pub delivery: i64,
    pub attempt: u32,
}

#[derive(Clone)]
struct Current {
    request_id: String,
    parent: Option<Parent>,
}

/// What spans of a request begin below.
#[derive(Clone)]
struct Parent {
    tracer: SdkTracer,
    context: SpanContext,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl Traces {
    /// Returns the spans of this node, sent to the address of this collector if there is one.
    /// Needs the runtime.
    pub fn start(collector: Option<&str>, node: &str) -> anyhow::Result<Traces> {
        let Some(endpoint) = collector else { return Ok(Traces(None)) };
        let provider = collector::provider(endpoint, node)?;
        let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
        Ok(Traces(Some(Exported { provider, tracer })))
    }

    /// Begins the span of a request.
    pub fn request(&self, headers: &HeaderMap, path: &str) -> Request {
        let caller = caller(headers.get(TRACEPARENT));
        let exported = self.0.as_ref().filter(|_| !UNTRACED.contains(&path));
        let span = exported.map(|Exported { tracer, .. }| {
            (tracer.clone(), begin(tracer, "request", SpanKind::Server, caller.clone()))
        });
        let context = span.as_ref().map_or(&caller, |(_, span)| span.span_context());
        let id = given_id(headers.get(HEADER)).unwrap_or_else(|| match context.is_valid() {
            true => context.trace_id().to_string(),
            false => TraceId::from(rand::random::<u128>()).to_string(),
        });
        Request { id, span }
    }

    /// Begins the span of a message that leaves.
    pub fn message(&self, attempted: &Attempted) -> Message {
        Message(self.0.as_ref().map(|Exported { tracer, .. }| {
            let parent = parse(attempted.trail.traceparent.as_deref().unwrap_or_default());
            let mut span = begin(tracer, "send message", SpanKind::Client, parent);
            span.set_attributes([
                KeyValue::new("kabari.session", attempted.session.to_owned()),
                KeyValue::new("kabari.campaign", attempted.campaign),
                KeyValue::new("kabari.delivery", attempted.delivery),
                KeyValue::new("kabari.attempt", i64::from(attempted.attempt)),
            ]);
            if let Some(id) = &attempted.trail.request_id {
                span.set_attribute(KeyValue::new("kabari.request_id", id.clone()));
            }
            span
        }))
    }

    /// Sends what has not been sent yet, for as long as [`FLUSH_PATIENCE`].
    pub async fn stop(self) {
        let Some(Exported { provider, .. }) = self.0 else { return };
        let flushed =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_PATIENCE));
        if !matches!(flushed.await, Ok(Ok(()))) {
            tracing::info!("left with spans that the collector has not taken");
        }
    }
}

/// A request that is being served.
pub struct Request {
    id: String,
    span: Option<(SdkTracer, Span)>,
}

impl Request {
    /// Returns its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Does what it asks for, under its id.
    pub async fn serve<T>(&self, request: impl Future<Output = T>) -> T {
        let parent = self.span.as_ref().map(|(tracer, span)| Parent {
            tracer: tracer.clone(),
            context: span.span_context().clone(),
        });
        let trace_id = parent.as_ref().map(|parent| display(parent.context.trace_id()));
        let span = tracing::info_span!("request", request_id = self.id, trace_id);
        let current = Current { request_id: self.id.clone(), parent };
        CURRENT.scope(current, request).instrument(span).await
    }

    /// Ends its span. `route` is the template of its route.
    pub fn answered(self, method: &str, route: &str, status: u16) {
        let Some((_, mut span)) = self.span else { return };
        span.update_name(format!("{method} {route}"));
        span.set_attributes([
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("kabari.request_id", self.id),
        ]);
        if status >= 500 {
            span.set_status(Status::error(""));
        }
    }
}

/// A message that is on its way.
pub struct Message(Option<Span>);

impl Message {
    /// Returns its span as a W3C `traceparent`, for a gateway that goes on with the trace.
    pub fn traceparent(&self) -> Option<String> {
        self.0.as_ref().map(|span| traceparent(span.span_context()))
    }

    /// Ends its span with what came of the message.
    pub fn ended(self, outcome: &'static str, is_sent: bool) {
        let Some(mut span) = self.0 else { return };
        span.set_attribute(KeyValue::new("kabari.outcome", outcome));
        if !is_sent {
            span.set_status(Status::error(outcome));
        }
    }
}

/// Returns what leads to the request that is being served.
pub fn trail() -> Trail {
    let of_request = |current: &Current| Trail {
        request_id: Some(current.request_id.clone()),
        traceparent: current.parent.as_ref().map(|parent| traceparent(&parent.context)),
    };
    CURRENT.try_with(of_request).unwrap_or_default()
}

/// Does a part of what a request asks for, in a span of its own.
pub async fn part<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    let current = CURRENT.try_with(Current::clone).ok();
    let Some(Current { request_id, parent: Some(Parent { tracer, context }) }) = current else {
        return work.await;
    };
    // It ends when it is dropped, also where nobody waits for the work any longer.
    let span = begin(&tracer, name, SpanKind::Internal, context);
    let parent = Some(Parent { tracer, context: span.span_context().clone() });
    CURRENT.scope(Current { request_id, parent }, work).await
}

/// Spawns a task that goes on under the id of this request when its caller has gone away.
pub fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    match CURRENT.try_with(Current::clone) {
        Ok(current) => tokio::spawn(CURRENT.scope(current, task).in_current_span()),
        Err(_) => tokio::spawn(task),
    }
}

/// Begins a span below another one, or a trace where that is none.
fn begin(tracer: &SdkTracer, name: &'static str, kind: SpanKind, parent: SpanContext) -> Span {
    let builder = SpanBuilder::from_name(name).with_kind(kind);
    // A sampler would take one that is none for one that is not sampled.
    let context = match parent.is_valid() {
        true => Context::new().with_remote_span_context(parent),
        false => Context::new(),
    };
    tracer.build_with_context(builder, &context)
}

/// Returns the id that the caller gives, if it is well formed.
fn given_id(value: Option<&HeaderValue>) -> Option<String> {
    let allowed = |c: &u8| c.is_ascii_alphanumeric() || b"-_.".contains(c);
    let id = value?.to_str().ok()?;
    let is_well_formed = (1..=MAX_CHARS).contains(&id.len()) && id.as_bytes().iter().all(allowed);
    is_well_formed.then(|| id.to_owned())
}

/// Returns the caller's span, which is none where the header is missing or malformed.
fn caller(value: Option<&HeaderValue>) -> SpanContext {
    value.and_then(|value| value.to_str().ok()).map_or(SpanContext::NONE, parse)
}

/// Reads a `traceparent`.
fn parse(traceparent: &str) -> SpanContext {
    let headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    context.span().span_context().clone()
}

/// Writes a `traceparent`.
fn traceparent(context: &SpanContext) -> String {
    let sampled = context.trace_flags() & TraceFlags::SAMPLED;
    format!("00-{}-{}-{sampled:02x}", context.trace_id(), context.span_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn id(headers: &[(&'static str, &[u8])]) -> String {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap()));
        Traces::default().request(&headers.collect(), "/").id
    }

    #[test]
    fn an_id_is_taken_if_it_is_well_formed() {
        assert_eq!(id(&[(HEADER, b"cron-2026.11_25")]), "cron-2026.11_25");
        let long = [b'a'; MAX_CHARS + 1];
        for other in [b"".as_slice(), b"two words", b"line\tbreak", "é".as_bytes(), &long] {
            let made = id(&[(HEADER, other)]);
            assert!(made.len() == TRACE.len() && made.as_bytes() != other, "{made}");
        }
        assert_ne!(id(&[]), id(&[]));
    }

    #[test]
    fn the_id_is_that_of_the_callers_trace_unless_it_names_another() {
        assert_eq!(id(&[(TRACEPARENT, CALLERS.as_bytes())]), TRACE);
        assert_eq!(id(&[(TRACEPARENT, CALLERS.as_bytes()), (HEADER, b"cron")]), "cron");
        for malformed in ["", "00", &CALLERS.replace('0', "x"), &CALLERS.to_uppercase()] {
            assert_ne!(id(&[(TRACEPARENT, malformed.as_bytes())]), TRACE);
        }
    }

    #[test]
    fn a_span_is_read_as_it_is_written() {
        assert_eq!(traceparent(&parse(CALLERS)), CALLERS);
        assert!(!parse("").is_valid());
    }

    #[tokio::test]
    async fn a_task_goes_on_under_the_id_of_its_request() {
        assert_eq!(trail(), Trail::default());
        let headers =
            HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_static("abc"))]);
        let request = Traces::default().request(&headers, "/");
        let seen = request.serve(async { spawn(part("work", async { trail() })).await }).await;
        assert_eq!(seen.unwrap().request_id.as_deref(), Some("abc"));
    }
}
