//! Somebody else's gateway, over HTTP.
//!
//! The contract says little: whether it is ready, and whether a send worked. What it does not say
//! is read from how the request failed:
//!
//! | what happens | the caller gets |
//! | --- | --- |
//! | no connection to the gateway | `NotConnected`: nothing went out |
//! | 503 with "belum siap" | `NotLinked` |
//! | `success: false`, "Nomor tidak terdaftar di WhatsApp" | `NotRegistered` |
//! | 429, or another 503 | `Retry`, after `Retry-After` if it says so |
//! | any other `success: false` | `Permanent`, with the gateway's text |
//! | 4xx without the contract's JSON | `NotConnected`: somebody else listens there |
//! | no answer in time, a broken connection, 502, 504, or no JSON | `Unknown` |
//! | an answer with one of our own codes | what the code says |

use crate::contract::{Answer, Qr, Status};
use crate::{
    Assertion, Event, Gateway, GatewayError, Limits, Link, LinkState, Outgoing, Registration,
    SendError,
};
use async_trait::async_trait;
use kabari_domain::{Phone, wording};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

/// How long it may take to reach the gateway.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a send may take. A gateway that drives a browser needs its time.
const SEND_TIMEOUT: Duration = Duration::from_secs(90);
/// How long everything else may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How often the gateway is asked how it is.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The shortest wait after a gateway said that it is too busy and not for how long.
const PAUSE_WHEN_BUSY: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request. Node closes idle ones after 5 s, and a
/// request that meets the closing looks like one that may have been carried out.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// A longer answer is none of a gateway.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Where the gateway is.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// `http://HOST:PORT`, with a path if the gateway is below one.
    pub url: String,
}

/// A gateway in another process.
pub struct Remote {
    http: Http,
    link: watch::Sender<Link>,
    /// Asks for a look at the gateway before it is due.
    look: Arc<Notify>,
    events: Mutex<Option<mpsc::UnboundedReceiver<Event>>>,
    /// Keeps the stream of events open, which stays empty: the contract knows none.
    _no_events: mpsc::UnboundedSender<Event>,
    poll: Mutex<Option<AbortOnDropHandle<()>>>,
}

#[derive(Clone)]
struct Http {
    client: Client,
    base: Url,
}

#[derive(Serialize)]
struct SendRequest<'a> {
    phone: &'a str,
    message: &'a str,
    message_id: &'a str,
}

impl Remote {
    /// Looks at the gateway once, and from then on every two seconds. A gateway that does not
    /// answer is no error: it may come later.
    ///
    /// # Errors
    /// If the address is not one of plain HTTP.
    pub async fn start(config: RemoteConfig) -> Result<Remote, GatewayError> {
        let http = Http::new(&config.url)?;
        let link = watch::Sender::new(http.look(&Link::starting()).await);
        let look = Arc::new(Notify::new());
        let poll = tokio::spawn(poll(http.clone(), link.clone(), look.clone()));
        let (no_events, events) = mpsc::unbounded_channel();
        Ok(Remote {
            http,
            link,
            look,
            events: Mutex::new(Some(events)),
            _no_events: no_events,
            poll: Mutex::new(Some(AbortOnDropHandle::new(poll))),
        })
    }

    async fn command(&self, path: &str) -> Result<(), GatewayError> {
        let request = self.http.request(Method::POST, path, REQUEST_TIMEOUT);
        let answer: Result<Answer, _> = read(request).await.map(|(_, answer)| answer);
        // Whoever asked wants to see what came of it.
        let now = self.http.look(&Link::starting()).await;
        self.link.send_replace(now);
        match answer {
            Ok(answer) if answer.success => Ok(()),
            Ok(answer) => Err(GatewayError::NotPossible(answer.error.unwrap_or_default())),
            Err(failure) => Err(GatewayError::Unavailable(failure.text)),
        }
    }
}

#[async_trait]
impl Gateway for Remote {
    fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    async fn look(&self) -> Link {
        let before = self.link.borrow().clone();
        let now = self.http.look(&before).await;
        show(&self.link, &now);
        now
    }

    fn take_events(&self) -> Option<mpsc::UnboundedReceiver<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn check(&self, phones: &[Phone]) -> Result<Vec<Registration>, SendError> {
        Ok(vec![Registration::Unknown; phones.len()])
    }

    async fn send(&self, message: &Outgoing) -> Result<(), SendError> {
        let body = SendRequest {
            phone: message.phone.digits(),
            message: &message.text,
            message_id: message.message_id.as_str(),
        };
        let request = self.http.request(Method::POST, "send", SEND_TIMEOUT).json(&body);
        let outcome = match read(request).await {
            Ok((_, Answer { success: true, .. })) => return Ok(()),
            Ok((reply, answer)) => refused(&reply, answer),
            Err(failure) => failure.send_error(),
        };
        self.look.notify_one();
        Err(outcome)
    }

    async fn limits(&self) -> Result<Limits, GatewayError> {
        Ok(Limits::default())
    }

    async fn pair(&self, _phone: &Phone) -> Result<String, GatewayError> {
        Err(GatewayError::NotPossible(
            "this gateway knows no pairing codes: scan its QR code".into(),
        ))
    }

    async fn answer_passkey(&self, _assertion: &Assertion) -> Result<(), GatewayError> {
        Err(GatewayError::NotPossible("the gateway itself has to be given the passkey".into()))
    }

    async fn confirm_passkey(&self) -> Result<(), GatewayError> {
        Err(GatewayError::NotPossible("the gateway itself has to be given the passkey".into()))
    }

    async fn restart(&self) -> Result<(), GatewayError> {
        self.command("restart").await
    }

    async fn logout(&self) -> Result<(), GatewayError> {
        self.command("logout").await
    }

    async fn close(&self) {
        self.poll.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

async fn poll(http: Http, link: watch::Sender<Link>, look: Arc<Notify>) {
    loop {
        // Due, or asked for: either way it is time.
        let _ = tokio::time::timeout(POLL_INTERVAL, look.notified()).await;
        let before = link.borrow().clone();
        let now = http.look(&before).await;
        if now.state != before.state {
            tracing::info!(state = ?now.state, gateway = %http.base, "the gateway's state changed");
        }
        show(&link, &now);
    }
}

/// Wakes those who watch the link only if it is another.
fn show(link: &watch::Sender<Link>, now: &Link) {
    link.send_if_modified(|link| {
        let changed = link != now;
        link.clone_from(now);
        changed
    });
}

impl Http {
    fn new(url: &str) -> Result<Http, GatewayError> {
        let invalid = || {
            GatewayError::NotPossible(format!(
                "{url:?} is no address of a gateway: write http://HOST:PORT (for https, put a \
                 proxy in between)"
            ))
        };
        let mut base: Url = url.parse().map_err(|_| invalid())?;
        if base.scheme() != "http" || !base.has_host() {
            return Err(invalid());
        }
        // Without the slash at the end the last part of the path would be replaced.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| GatewayError::NotPossible(error.to_string()))?;
        Ok(Http { client, base })
    }

    fn request(&self, method: Method, path: &str, limit: Duration) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        self.client.request(method, url).timeout(limit)
    }

    /// How the gateway is. `before` saves asking for the QR when nothing has one.
    async fn look(&self, before: &Link) -> Link {
        let request = self.request(Method::GET, "status", REQUEST_TIMEOUT);
        let status: Status = match read(request).await {
            Ok((_, status)) => status,
            Err(failure) => {
                if before.state != LinkState::Unreachable {
                    tracing::warn!(gateway = %self.base, "the gateway does not answer: {}", failure.text);
                }
                return Link {
                    state: LinkState::Unreachable,
                    error: Some(wording::GATEWAY_DOWN.into()),
                    ..Link::starting()
                };
            }
        };
        let qr = match status.has_qr && !status.ready {
            true => self.qr().await,
            false => Qr::default(),
        };
        Link {
            state: status.link_state(),
            qr: qr.text,
            qr_png: qr.qr,
            phone: status.phone,
            passkey: None,
            error: status.error,
        }
    }

    async fn qr(&self) -> Qr {
        let answer = read(self.request(Method::GET, "qr", REQUEST_TIMEOUT)).await;
        answer.map(|(_, qr)| qr).unwrap_or_default()
    }
}

/// What of an answer is not in its body.
struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
}

/// No answer of a gateway.
struct Failure {
    /// For logs.
    text: String,
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
    fn new(error: &reqwest::Error) -> Failure {
        // The library's own words are followed by the cause, which is what tells.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        let not_sent = error.is_connect() || error.is_builder();
        let kind = if not_sent { FailureKind::NotSent } else { FailureKind::Unknown };
        Failure { text, kind }
    }

    fn send_error(self) -> SendError {
        match self.kind {
            FailureKind::NotSent => SendError::NotConnected(self.text),
            FailureKind::Status(reply) if reply.is_busy() => reply.retry(self.text),
            FailureKind::Status(reply) if reply.status.is_client_error() => {
                SendError::NotConnected(format!("this is no gateway: {}", self.text))
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

    /// Whether the one who answered did not even begin. After 502 and 504, which proxies send
    /// when a gateway breaks off, a message may be out.
    fn is_busy(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    fn retry(&self, reason: String) -> SendError {
        SendError::Retry { after: self.retry_after.unwrap_or(PAUSE_WHEN_BUSY), reason }
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<(Reply, T), Failure> {
    let mut response = request.send().await.map_err(|error| Failure::new(&error))?;
    let reply = Reply::of(&response);
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| Failure::new(&error))? {
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

fn refused(reply: &Reply, answer: Answer) -> SendError {
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
