//! Requests to a gateway, and what their failures mean.

use crate::contract::{AnswerBody, QrBody, StatusBody};
use crate::http;
use crate::{GatewayError, Link, LinkState, SendError};
use kabari_domain::wording;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// How long it may take to reach the gateway.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long everything but a send may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The shortest wait after a gateway said that it is too busy and not for how long.
const PAUSE_WHEN_BUSY: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request. Node closes idle ones after 5 s, and a
/// request that meets the closing looks like one that may have been carried out.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// A longer answer is none of a gateway.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Where the key is shown.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// How to reach the gateway.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    base: Url,
}

/// Its address, without what may be secret in it.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base.origin().ascii_serialization())
    }
}

impl Connection {
    pub fn new(url: &str, key: Option<&str>) -> Result<Connection, GatewayError> {
        let not_possible = |text: String| GatewayError::NotPossible(text);
        let invalid = || {
            not_possible(
                "WA_GATEWAY_URL is no address of a gateway: write http://HOST:PORT or https://HOST"
                    .into(),
            )
        };
        let mut base: Url = url.parse().map_err(|_| invalid())?;
        if !["http", "https"].contains(&base.scheme()) || !base.has_host() {
            return Err(invalid());
        }
        // Without the slash at the end the last part of the path would be replaced.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut key = HeaderValue::from_str(key).map_err(|_| {
                not_possible("WA_GATEWAY_KEY has characters that no key can have".into())
            })?;
            key.set_sensitive(true);
            headers.insert(KEY_HEADER, key);
        }
        let client = http::client(base.as_str())
            .connect_timeout(CONNECT_TIMEOUT)
            .default_headers(headers)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| not_possible(Failure::new(error).text))?;
        Ok(Connection { client, base })
    }

    /// Begins a request below the gateway's address, without a time limit.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        self.client.request(method, url)
    }

    /// Returns how the gateway is, and whether it knows ids if it answers. `before` saves a line in
    /// the log when that is nothing new.
    pub async fn look(&self, before: &Link) -> (Link, Option<bool>) {
        let request = self.request(Method::GET, "status").timeout(REQUEST_TIMEOUT);
        let status: StatusBody = match read(request).await {
            Ok((_, status)) => status,
            Err(failure) => {
                if before.state != LinkState::Unreachable {
                    tracing::warn!(gateway = %self, "the gateway does not answer: {}", failure.text);
                }
                let error = match failure.kind {
                    FailureKind::Status(reply) if reply.is_denied() => wording::GATEWAY_DENIED,
                    _ => wording::GATEWAY_DOWN,
                };
                let state = LinkState::Unreachable;
                return (Link { state, error: Some(error.into()), ..Link::starting() }, None);
            }
        };
        let qr = match status.has_qr && !status.ready {
            true => self.qr().await,
            false => QrBody::default(),
        };
        let link = Link {
            state: status.link_state(),
            qr: qr.text,
            qr_png: qr.qr,
            phone: status.phone,
            passkey: None,
            error: status.error,
        };
        (link, Some(status.message_ids))
    }

    async fn qr(&self) -> QrBody {
        let answer = read(self.request(Method::GET, "qr").timeout(REQUEST_TIMEOUT)).await;
        answer.map(|(_, qr)| qr).unwrap_or_default()
    }
}

/// What of an answer is not in its body.
pub struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
}

/// No answer of a gateway.
pub struct Failure {
    /// For logs.
    pub text: String,
    kind: FailureKind,
}

enum FailureKind {
    /// The request was not written.
    NotSent,
    /// Something in between said no with this status.
    Status(Reply),
    /// The request may have been carried out.
    Unknown,
}

impl Failure {
    /// Returns what kept a request from being answered. The address is left out: it may hold a
    /// password.
    pub fn new(error: reqwest::Error) -> Failure {
        let error = error.without_url();
        // The library's own words are followed by the cause, which is what tells.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        let not_sent = error.is_connect() || error.is_builder();
        let kind = if not_sent { FailureKind::NotSent } else { FailureKind::Unknown };
        Failure { text, kind }
    }

    /// Returns what it means for a message.
    pub fn send_error(self) -> SendError {
        match self.kind {
            FailureKind::NotSent => SendError::NotConnected(self.text),
            FailureKind::Status(reply) if reply.is_busy() => reply.retry(self.text),
            FailureKind::Status(reply) if reply.status.is_client_error() => {
                SendError::NotConnected(format!("no gateway that lets us in: {}", self.text))
            }
            FailureKind::Status(_) | FailureKind::Unknown => SendError::Unknown(self.text),
        }
    }
}

impl Reply {
    fn of(response: &Response) -> Reply {
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Reply {
            status: response.status(),
            retry_after: header.and_then(|text| text.parse().ok()).map(Duration::from_secs),
        }
    }

    /// Returns whether the one who answered did not even begin. After 502 and 504, which proxies
    /// send when a gateway breaks off, a message may be out.
    fn is_busy(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Returns whether the key is missing or wrong.
    fn is_denied(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    fn retry(&self, reason: String) -> SendError {
        SendError::Retry { after: self.retry_after.unwrap_or(PAUSE_WHEN_BUSY), reason }
    }
}

/// Returns the JSON of an answer, and what else it says.
pub async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<(Reply, T), Failure> {
    let mut response = request.send().await.map_err(Failure::new)?;
    let reply = Reply::of(&response);
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(Failure::new)? {
        if body.len() + part.len() > MAX_ANSWER_BYTES {
            let text = "the answer is too long to be one of a gateway".into();
            return Err(Failure { text, kind: FailureKind::Unknown });
        }
        body.extend_from_slice(&part);
    }
    match serde_json::from_slice(&body) {
        Ok(answer) => Ok((reply, answer)),
        Err(_) => {
            let text = format!("status {} without the JSON of a gateway", reply.status);
            Err(Failure { text, kind: FailureKind::Status(reply) })
        }
    }
}

/// Returns what an answer without success means for a message.
pub fn refused(reply: &Reply, answer: AnswerBody) -> SendError {
    if let Some(error) = answer.send_error() {
        return error;
    }
    let text = answer.error.or(answer.message).unwrap_or_else(|| reply.status.to_string());
    match reply.status {
        StatusCode::SERVICE_UNAVAILABLE if text.contains(wording::NOT_LINKED_BULK) => {
            SendError::NotLinked
        }
        _ if text == wording::NOT_REGISTERED => SendError::NotRegistered,
        _ if reply.is_busy() => reply.retry(text),
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => SendError::Unknown(text),
        _ => SendError::Permanent(text),
    }
}
