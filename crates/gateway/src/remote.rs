//! Another gateway, over HTTP: ours, or somebody else's with the same contract.
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
//! | 4xx without the contract's JSON | `NotConnected`: the key is wrong, or somebody else listens there |
//! | no answer in time, a broken connection, 502, 504, or no JSON | `Unknown` |
//! | an answer with one of our own codes | what the code says |
//!
//! A gateway that says `message_ids: true` honours ids, and tells by `GET /events` what WhatsApp
//! says later. One that does not makes a second message of every repeat, and what becomes of a
//! message after its ack stays unknown.

mod connection;
mod events;

use crate::contract::{AnswerBody, LimitsBody};
use crate::{
    Assertion, Event, Gateway, GatewayError, Limits, Link, OutgoingMessage, Registration, SendError,
};
use async_trait::async_trait;
use connection::{Connection, Failure, REQUEST_TIMEOUT, read, refused};
use kabari_domain::Phone;
use reqwest::Method;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

/// Where the next one in the way of a message finds the trace that it belongs to.
const TRACEPARENT: &str = "traceparent";
/// How long a send may take. A gateway that drives a browser needs its time.
const SEND_TIMEOUT: Duration = Duration::from_secs(90);
/// How often the gateway is asked how it is.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Where the gateway is.
#[derive(Clone)]
pub struct RemoteConfig {
    /// `http://HOST:PORT` or `https://HOST`, with a path if the gateway is below one.
    pub url: String,
    /// The key that the gateway asks for, if it does.
    pub key: Option<String>,
    /// The newest [`Event::Mark`] that was written down: what came before is not told again.
    pub heard: Option<String>,
}

/// A gateway in another process.
pub struct Remote {
    connection: Connection,
    link: watch::Sender<Link>,
    knows_ids: watch::Sender<bool>,
    /// Asks for a look at the gateway before it is due.
    look: Arc<Notify>,
    events: Mutex<Option<mpsc::UnboundedReceiver<Event>>>,
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
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
    /// If the address or the key cannot be one.
    pub async fn start(config: RemoteConfig) -> Result<Remote, GatewayError> {
        let connection = Connection::new(&config.url, config.key.as_deref())?;
        let link = watch::Sender::new(Link::starting());
        let knows_ids = watch::Sender::new(false);
        look(&connection, &link, &knows_ids).await;
        let due = Arc::new(Notify::new());
        let poll = poll(connection.clone(), link.clone(), knows_ids.clone(), due.clone());
        let (tell, events) = mpsc::unbounded_channel();
        let follow = events::follow(connection.clone(), knows_ids.subscribe(), config.heard, tell);
        let tasks = vec![
            AbortOnDropHandle::new(tokio::spawn(poll)),
            AbortOnDropHandle::new(tokio::spawn(follow)),
        ];
        Ok(Remote {
            connection,
            link,
            knows_ids,
            look: due,
            events: Mutex::new(Some(events)),
            tasks: Mutex::new(tasks),
        })
    }

    async fn command(&self, path: &str) -> Result<(), GatewayError> {
        let request = self.connection.request(Method::POST, path).timeout(REQUEST_TIMEOUT);
        let answer: Result<AnswerBody, _> = read(request).await.map(|(_, answer)| answer);
        // Whoever asked wants to see what came of it.
        self.look().await;
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
        look(&self.connection, &self.link, &self.knows_ids).await
    }

    fn knows_ids(&self) -> bool {
        *self.knows_ids.borrow()
    }

    fn take_events(&self) -> Option<mpsc::UnboundedReceiver<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn check(&self, phones: &[Phone]) -> Result<Vec<Registration>, SendError> {
        Ok(vec![Registration::Unknown; phones.len()])
    }

    async fn send(&self, message: &OutgoingMessage) -> Result<(), SendError> {
        let body = SendRequest {
            phone: message.phone.digits(),
            message: &message.text,
            message_id: message.message_id.as_str(),
        };
        let mut request = self.connection.request(Method::POST, "send").timeout(SEND_TIMEOUT);
        if let Some(traceparent) = &message.traceparent {
            request = request.header(TRACEPARENT, traceparent);
        }
        let outcome = match read(request.json(&body)).await {
            Ok((_, AnswerBody { success: true, .. })) => return Ok(()),
            Ok((reply, answer)) => refused(&reply, answer),
            Err(failure) => failure.send_error(),
        };
        self.look.notify_one();
        Err(outcome)
    }

    async fn limits(&self) -> Result<Limits, GatewayError> {
        if !self.knows_ids() {
            return Err(GatewayError::NotPossible("this gateway tells no limits".into()));
        }
        let request = self.connection.request(Method::GET, "limits").timeout(REQUEST_TIMEOUT);
        match read::<LimitsBody>(request).await {
            Ok((_, limits)) => Ok(limits.into()),
            Err(Failure { text, .. }) => Err(GatewayError::Unavailable(text)),
        }
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
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn poll(
    connection: Connection,
    link: watch::Sender<Link>,
    knows_ids: watch::Sender<bool>,
    due: Arc<Notify>,
) {
    loop {
        // Due, or asked for: either way it is time.
        let _ = tokio::time::timeout(POLL_INTERVAL, due.notified()).await;
        let before = link.borrow().state;
        let now = look(&connection, &link, &knows_ids).await;
        if now.state != before {
            tracing::info!(state = ?now.state, gateway = %connection, "the gateway's state changed");
        }
    }
}

/// Asks the gateway how it is. Wakes those who watch only if that is news to them.
async fn look(
    connection: &Connection,
    link: &watch::Sender<Link>,
    knows_ids: &watch::Sender<bool>,
) -> Link {
    let before = link.borrow().clone();
    let (now, ids) = connection.look(&before).await;
    // Before the link: whoever sends over it goes by what this gateway does with a repeat.
    if let Some(ids) = ids {
        knows_ids.send_if_modified(|known| std::mem::replace(known, ids) != ids);
    }
    link.send_if_modified(|link| {
        let changed = *link != now;
        link.clone_from(&now);
        changed
    });
    now
}
