//! An OpenTelemetry collector on this machine, as far as it takes spans.

use super::served::PATIENCE;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use kabari::http_server;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A collector that keeps what it is sent.
pub struct Collector {
    address: SocketAddr,
    received: watch::Receiver<Vec<Bytes>>,
    server: JoinHandle<()>,
    stopping: CancellationToken,
}

impl Collector {
    pub async fn start() -> Collector {
        let (keep, received) = watch::channel(vec![]);
        let take = |State(keep): State<watch::Sender<Vec<Bytes>>>, body: Bytes| async move {
            keep.send_modify(|received| received.push(body));
            let answer = ExportTraceServiceResponse::default().encode_to_vec();
            ([(CONTENT_TYPE, "application/x-protobuf")], answer).into_response()
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(keep);
        Collector::serve(router, received).await
    }

    /// One that takes connections and never answers.
    pub async fn hanging() -> Collector {
        let (_, received) = watch::channel(vec![]);
        let hang = || async { std::future::pending::<()>().await };
        Collector::serve(Router::new().fallback(hang), received).await
    }

    async fn serve(router: Router, received: watch::Receiver<Vec<Bytes>>) -> Collector {
        let stopping = CancellationToken::new();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let serving = http_server::serve(any_port, router, stopping.clone()).await;
        let (address, server) = serving.unwrap();
        Collector { address, received, server, stopping }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says.
    pub fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.url())
    }

    /// Nobody answers any longer.
    pub async fn stop(&mut self) {
        self.stopping.cancel();
        (&mut self.server).await.unwrap();
    }

    /// Everything that has come, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.borrow().concat()
    }

    /// The spans that have come, with what their resources say.
    pub fn spans(&self) -> Vec<Seen> {
        let received = self.received.borrow();
        let requests = received.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]));
        let resources = requests.flat_map(|request| request.unwrap().resource_spans);
        let seen = resources.flat_map(|spans| {
            let resource = attributes(&spans.resource.unwrap().attributes);
            let spans = spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| Seen { resource: resource.clone(), span }).collect::<Vec<_>>()
        });
        seen.collect()
    }

    /// Waits until a span as wanted has come.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let waiting = async {
            loop {
                if let Some(seen) = self.spans().into_iter().find(&wanted) {
                    return seen;
                }
                self.received.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no span {what}"))
    }
}

/// A span that has come.
#[derive(Debug, Clone)]
pub struct Seen {
    pub resource: BTreeMap<String, String>,
    pub span: Span,
}

impl Seen {
    pub fn attributes(&self) -> BTreeMap<String, String> {
        attributes(&self.span.attributes)
    }

    /// The id of its trace.
    pub fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// Its id.
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// The id of the span that it belongs to.
    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let shown = |value: &Option<AnyValue>| match value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), shown(&pair.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
