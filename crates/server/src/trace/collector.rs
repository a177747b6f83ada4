//! The way of spans to an OpenTelemetry collector: OTLP over HTTP, in batches, from a thread of its
//! own. A collector that is away costs spans and nothing else.
//!
//! Sampling, batches and the headers that a collector wants are set by OpenTelemetry's own
//! variables, which its library reads.

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use kabari_gateway::http;
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter as _};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};
use std::collections::HashMap;
use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long a collector may take for a batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// A longer answer is none of a collector.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How often the log says that a collector is in the same trouble.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60 * 60);
/// What this service is called unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE_NAME: &str = "kabari";
/// What OpenTelemetry's library calls a service that nobody has named.
const UNNAMED: &str = "unknown_service";

/// Returns where spans of this node begin, and are sent from to this address.
pub fn provider(endpoint: &str, node: &str) -> anyhow::Result<SdkTracerProvider> {
    let named = Resource::builder().build();
    let name = named.get(&"service.name".into()).map(|name| name.to_string());
    let mut resource = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", node.to_owned()),
    ]);
    if name.is_none_or(|name| name.starts_with(UNNAMED)) {
        resource = resource.with_service_name(SERVICE_NAME);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter(endpoint)?)
        .with_resource(resource.build());
    Ok(provider.build())
}

/// Asks a collector to take no spans. Its trouble is in the log.
pub async fn check(endpoint: &str) -> anyhow::Result<()> {
    Ok(exporter(endpoint)?.export(vec![]).await?)
}

fn exporter(endpoint: &str) -> anyhow::Result<SpanExporter> {
    let client = http::client(endpoint).timeout(EXPORT_TIMEOUT).build()?;
    let collector = Collector { client, runtime: Handle::current(), complaints: Mutex::default() };
    let builder = SpanExporter::builder().with_http();
    let exporter = builder.with_endpoint(endpoint).with_http_client(collector).build();
    exporter.context("spans cannot be exported: check the variables that begin with OTEL_")
}

/// The collector's client.
#[derive(Debug)]
struct Collector {
    client: Client,
    /// The exporter's thread has none.
    runtime: Handle,
    complaints: Mutex<Complaints>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let answer = self.runtime.spawn(post(self.client.clone(), request)).await?;
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        match Trouble::of(&answer) {
            None if complaints.ended() => tracing::info!("the collector takes spans again"),
            Some(trouble) if complaints.is_news(&trouble, Instant::now()) => tracing::warn!(
                "the collector {trouble}, so spans are lost: check OTEL_EXPORTER_OTLP_ENDPOINT \
                 (OTLP over HTTP; its port is 4318 as a rule) and OTEL_EXPORTER_OTLP_HEADERS"
            ),
            _ => {}
        }
        Ok(answer.map_err(reqwest::Error::without_url)?)
    }
}

/// Returns the answer, and of its body what is not too long.
async fn post(client: Client, request: reqwest::Request) -> reqwest::Result<Response<Bytes>> {
    let mut response = client.execute(request).await?;
    let mut body = BytesMut::new();
    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > MAX_ANSWER_BYTES {
            break;
        }
        body.extend_from_slice(&part);
    }
    let mut answer = Response::new(body.freeze());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    Ok(answer)
}

/// Why a collector did not take spans.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    Unreachable,
    Slow,
    Refused(StatusCode),
    /// A web server answers, and takes everything.
    NoCollector,
}

impl Trouble {
    fn of(answer: &reqwest::Result<Response<Bytes>>) -> Option<Trouble> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_timeout() => return Some(Trouble::Slow),
            Err(_) => return Some(Trouble::Unreachable),
        };
        let is_page = |kind: &str| kind.starts_with("text/");
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        match answer.status() {
            status if !status.is_success() => Some(Trouble::Refused(status)),
            _ if kind.is_some_and(is_page) => Some(Trouble::NoCollector),
            _ => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unreachable => f.write_str("cannot be reached"),
            Trouble::Slow => write!(f, "does not answer within {} s", EXPORT_TIMEOUT.as_secs()),
            Trouble::Refused(status) => write!(f, "answers {status}"),
            Trouble::NoCollector => f.write_str("answers with a page, as no collector does"),
        }
    }
}

/// What the log has said of a collector.
#[derive(Debug, Default)]
struct Complaints {
    said: HashMap<Discriminant<Trouble>, Instant>,
    /// Whether the last word was a complaint.
    is_open: bool,
}

impl Complaints {
    /// Returns whether to say it: not again within [`COMPLAIN_EVERY`].
    fn is_news(&mut self, trouble: &Trouble, now: Instant) -> bool {
        let kind = discriminant(trouble);
        let said_lately = self.said.get(&kind).is_some_and(|at| now - *at < COMPLAIN_EVERY);
        if !said_lately {
            self.said.insert(kind, now);
            self.is_open = true;
        }
        !said_lately
    }

    /// Returns whether to say that the trouble is over.
    fn ended(&mut self) -> bool {
        std::mem::take(&mut self.is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_said_once_an_hour_and_its_end_once() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert!(!complaints.ended());
        assert!(complaints.is_news(&Trouble::Unreachable, start));
        assert!(!complaints.is_news(&Trouble::Unreachable, start + second));
        assert!(complaints.is_news(&Trouble::Slow, start + second));
        assert!(complaints.ended());
        for minute in 1..60 {
            assert!(!complaints.is_news(&Trouble::Unreachable, start + 60 * minute * second));
            assert!(!complaints.ended(), "nobody has heard of trouble since");
        }
        assert!(complaints.is_news(&Trouble::Unreachable, start + COMPLAIN_EVERY));
        assert!(complaints.ended());
    }

    #[test]
    fn an_answer_with_a_page_is_none_of_a_collector() {
        let answer = |status, kind: &'static str| {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = status;
            answer.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
            Trouble::of(&Ok(answer))
        };
        assert_eq!(answer(StatusCode::OK, "application/x-protobuf"), None);
        assert_eq!(answer(StatusCode::OK, "text/html"), Some(Trouble::NoCollector));
        let refused = Some(Trouble::Refused(StatusCode::NOT_FOUND));
        assert_eq!(answer(StatusCode::NOT_FOUND, "text/html"), refused);
    }
}
