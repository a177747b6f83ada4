//! WhatsApp in this process, through whatsapp-rust. The only code that names that library.
//!
//! | module | what it does |
//! | --- | --- |
//! | `session` | opens the client, and decides what follows when it ends |
//! | `storage` | what the session is, and when it is written down |
//! | `transport` | the socket |
//! | `passkey` | links an account that wants its passkey |
//! | `runtime` | lets QR codes not run out meanwhile |
//! | `events` | turns the library's events into link states, acks and receipts |
//! | `history` | who has written before the phone was linked here |
//! | `downloads` | files over HTTP, from WhatsApp's hosts alone |
//! | `send` | one message, from the number check to the server's ack |
//! | `limits` | what WhatsApp says about the number's limits |

mod downloads;
mod events;
mod history;
mod limits;
mod passkey;
mod runtime;
mod send;
mod storage;
mod supervisor;
mod transport;

pub use storage::{LegacyDevice, LegacySession, RATCHETS};

use crate::session_store::SessionStore;
use crate::{
    Assertion, Event, Gateway, GatewayError, Limits, Link, LinkState, OutgoingMessage,
    Registration, SendError,
};
use async_trait::async_trait;
use kabari_domain::{Phone, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use storage::Storage;
use supervisor::Command;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task;
use whatsapp_rust::pair_code::{PairCodeError, PairCodeOptions, PairError};
use whatsapp_rust::{Client, Jid};

/// How long the server may take to acknowledge a message.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time without a connection before the client is made anew. The library pauses
/// longer and longer, up to 15 minutes, and on a line that comes and goes it never begins again
/// with short pauses: too long for a network that has just come back.
pub const LONGEST_RECONNECT: Duration = Duration::from_secs(60);
/// How long a restart may take until the new connection is begun.
const RESTART_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a logout may take: asking the server, wiping, beginning a new session.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a pairing code may take, the connection included.
const PAIR_TIMEOUT: Duration = Duration::from_secs(20);
/// How long leaving in order may take; kabari must be gone within 5 s of SIGTERM.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(4);

/// Where the session lives and whom it talks to.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Where the session is kept.
    pub store: Arc<dyn SessionStore>,
    /// `ws://` or `wss://` address of another server than WhatsApp's, for tests.
    pub websocket_url: Option<String>,
    /// What the phone lists under its linked devices, as the system that a browser runs on.
    pub device_name: String,
    /// Whether the session was opened elsewhere when it was last used: it then stays closed until
    /// somebody restarts it.
    pub opened_elsewhere: bool,
    /// How long the server may take to acknowledge a message; [`ACK_TIMEOUT`] outside of tests.
    pub ack_timeout: Duration,
    /// How long to leave reconnecting to the library; [`LONGEST_RECONNECT`] outside of tests.
    pub longest_reconnect: Duration,
}

/// The WhatsApp client in this process.
pub struct Embedded {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    events: Mutex<Option<mpsc::UnboundedReceiver<Event>>>,
}

/// Stands for an offset of the server's clock that is not known.
const UNKNOWN_OFFSET: i64 = i64::MIN;

/// What the session's task, the library's threads and the callers have in common.
struct Shared {
    link: watch::Sender<Link>,
    events: mpsc::UnboundedSender<Event>,
    client: Mutex<Option<Arc<Client>>>,
    /// Where that client keeps its session.
    storage: Mutex<Option<Arc<Storage>>>,
    /// Who waits for the server's ack of which message.
    acks: Mutex<HashMap<String, oneshot::Sender<Ack>>>,
    /// The messages that are being prepared, by id, and whether they are ready for the socket.
    preparing: Mutex<HashMap<String, Prepared>>,
    /// Counts connections that ended: what was unanswered then stays unanswered.
    losses: watch::Sender<u64>,
    /// Whether the client knows the settings that WhatsApp gave it.
    has_settings: AtomicBool,
    /// Whoever reads a part of the history has this.
    history_turn: tokio::sync::Mutex<()>,
    /// The library's task that shows QR codes.
    qr_task: Mutex<Option<task::Id>>,
    /// Tells the session's task that a link with a passkey cannot be finished.
    passkey_failed: Notify,
    /// How many milliseconds the server's clock is ahead of ours; [`UNKNOWN_OFFSET`] before the
    /// first ack.
    clock_offset: AtomicI64,
    ack_timeout: Duration,
    longest_reconnect: Duration,
}

/// Tells whether a message is ready for the socket.
type Prepared = Box<dyn FnMut() -> bool + Send>;

/// The server's answer to a message.
#[derive(Debug, PartialEq, Eq)]
enum Ack {
    Accepted,
    /// The server's number for the reason.
    Refused(String),
}

impl Embedded {
    /// Opens the session, or begins one, and starts to connect in the background; one that was
    /// opened elsewhere waits for [`restart`](Gateway::restart).
    ///
    /// # Errors
    /// If the address is none, or the session cannot be read or written.
    pub async fn start(config: EmbeddedConfig) -> Result<Embedded, GatewayError> {
        let server = transport::ServerAddress::new(config.websocket_url.as_deref())?;
        let (shared, events) = Shared::new(config.ack_timeout, config.longest_reconnect);
        let shared = Arc::new(shared);
        let (commands, commands_rx) = mpsc::channel(1);
        let origin = supervisor::SessionConfig {
            store: config.store,
            server,
            device_name: config.device_name,
        };
        let supervisor = supervisor::Supervisor::new(shared.clone(), origin, commands_rx);
        if config.opened_elsewhere {
            supervisor.spawn_resting();
        } else {
            supervisor.spawn().await?;
        }
        Ok(Embedded { shared, commands, events: Mutex::new(Some(events)) })
    }

    async fn read_ahead(&self, people: Vec<Jid>) {
        let Some(storage) = lock(&self.shared.storage).clone() else { return };
        if let Err(error) = storage.read_ahead(&people).await {
            tracing::debug!(%error, "cannot read ahead in the WhatsApp session");
        }
    }

    async fn command<T>(
        &self,
        limit: Duration,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, GatewayError> {
        let (answer, answered) = oneshot::channel();
        let closed = || GatewayError::NotPossible("the gateway is closed".into());
        tokio::time::timeout(limit, async {
            self.commands.send(command(answer)).await.map_err(|_| closed())?;
            answered.await.map_err(|_| closed())
        })
        .await
        .map_err(|_| GatewayError::Unavailable("the WhatsApp session did not react".into()))?
    }
}

#[async_trait]
impl Gateway for Embedded {
    fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    fn knows_ids(&self) -> bool {
        true
    }

    fn clock_offset(&self) -> Option<i64> {
        let offset = self.shared.clock_offset.load(Ordering::Relaxed);
        (offset != UNKNOWN_OFFSET).then_some(offset)
    }

    fn take_events(&self) -> Option<mpsc::UnboundedReceiver<Event>> {
        lock(&self.events).take()
    }

    async fn check(&self, phones: &[Phone]) -> Result<Vec<Registration>, SendError> {
        let client = self.shared.ready()?;
        // The library looks each of them up when it learns the hidden ids.
        self.read_ahead(phones.iter().map(|phone| Jid::pn(phone.digits())).collect()).await;
        let answers = tokio::select! {
            answers = send::check(&client, phones) => answers,
            () = send::session_ended(&self.shared) => {
                Err(SendError::NotConnected("the session ended before the answer".into()))
            }
        };
        // At most paces these numbers have their turn minutes from now.
        if let Some(storage) = &*lock(&self.shared.storage) {
            storage.forget_read_ahead();
        }
        answers
    }

    async fn prepare(&self, addresses: &[String]) {
        self.read_ahead(addresses.iter().filter_map(|jid| jid.parse().ok()).collect()).await;
    }

    async fn send(&self, message: &OutgoingMessage) -> Result<(), SendError> {
        send::send(&self.shared, message).await
    }

    async fn limits(&self) -> Result<Limits, GatewayError> {
        let client =
            self.shared.ready().map_err(|error| GatewayError::Unavailable(error.to_string()))?;
        limits::fetch(&client).await
    }

    async fn pair(&self, phone: &Phone) -> Result<String, GatewayError> {
        let client = self
            .shared
            .client()
            .ok_or_else(|| GatewayError::Unavailable("the session is being opened".into()))?;
        if client.pn().is_some() {
            return Err(GatewayError::NotPossible(
                "a phone is linked already: log out first".into(),
            ));
        }
        tokio::time::timeout(PAIR_TIMEOUT, request_code(&client, phone))
            .await
            .map_err(|_| GatewayError::Unavailable("no pairing code came in time".into()))?
    }

    async fn answer_passkey(&self, assertion: &Assertion) -> Result<(), GatewayError> {
        passkey::answer(&self.shared, assertion).await
    }

    async fn confirm_passkey(&self) -> Result<(), GatewayError> {
        passkey::confirm(&self.shared).await
    }

    async fn restart(&self) -> Result<(), GatewayError> {
        self.command(RESTART_TIMEOUT, Command::Restart).await?
    }

    async fn logout(&self) -> Result<(), GatewayError> {
        self.command(LOGOUT_TIMEOUT, Command::Logout).await?
    }

    async fn close(&self) {
        // Whatever hinders the orderly way out, the process is about to end.
        let _ = self.command(CLOSE_TIMEOUT, Command::Close).await;
    }
}

async fn request_code(client: &Arc<Client>, phone: &Phone) -> Result<String, GatewayError> {
    let failed = |error: &dyn std::fmt::Display| GatewayError::Unavailable(error.to_string());
    client.wait_for_socket(PAIR_TIMEOUT).await.map_err(|error| failed(&error))?;
    let options = || PairCodeOptions {
        phone_number: phone.digits().to_owned(),
        ..PairCodeOptions::default()
    };
    match client.pair_with_code(options()).await {
        // Whoever asks again has lost the first code, or mistyped the number.
        Err(PairError::PairCode(PairCodeError::CodeAlreadyOutstanding { .. })) => {
            client.cancel_pair_code().await;
            client.pair_with_code(options()).await
        }
        result => result,
    }
    .map_err(|error| failed(&error))
}

impl Shared {
    /// Returns what belongs to one session, and where its events come out.
    fn new(
        ack_timeout: Duration,
        longest_reconnect: Duration,
    ) -> (Shared, mpsc::UnboundedReceiver<Event>) {
        let (events, heard) = mpsc::unbounded_channel();
        let shared = Shared {
            link: watch::Sender::new(Link::starting()),
            events,
            client: Mutex::new(None),
            storage: Mutex::new(None),
            acks: Mutex::new(HashMap::new()),
            preparing: Mutex::default(),
            losses: watch::Sender::new(0),
            has_settings: AtomicBool::new(false),
            history_turn: tokio::sync::Mutex::default(),
            qr_task: Mutex::new(None),
            passkey_failed: Notify::new(),
            clock_offset: AtomicI64::new(UNKNOWN_OFFSET),
            ack_timeout,
            longest_reconnect,
        };
        (shared, heard)
    }

    fn client(&self) -> Option<Arc<Client>> {
        lock(&self.client).clone()
    }

    /// Returns the client, if messages can be sent with it now.
    fn ready(&self) -> Result<Arc<Client>, SendError> {
        let state = self.link.borrow().state;
        let reason = match state {
            LinkState::Connected => {
                return self.client().ok_or_else(|| SendError::NotConnected("restarting".into()));
            }
            LinkState::NotLinked | LinkState::PasskeyRequired { .. } | LinkState::LoggedOut => {
                return Err(SendError::NotLinked);
            }
            LinkState::Starting | LinkState::Connecting | LinkState::Unreachable => {
                "the connection to WhatsApp is being made".into()
            }
            LinkState::Replaced => "the same session was opened elsewhere".into(),
            LinkState::Banned { until } => format!("WhatsApp banned this number until {until}"),
            LinkState::ClientOutdated => "WhatsApp wants a newer kabari".into(),
        };
        Err(SendError::NotConnected(reason))
    }

    /// Changes the link and tells everybody who watches it, if it is a change.
    fn update_link(&self, change: impl FnOnce(&mut Link)) {
        self.link.send_if_modified(|link| {
            let before = link.clone();
            change(link);
            *link != before
        });
    }

    /// Whether the next frame may have a message in it, or comes after one.
    fn is_message_leaving(&self) -> bool {
        let mut preparing = lock(&self.preparing);
        let all = preparing.len();
        preparing.retain(|_, is_prepared| !is_prepared());
        preparing.len() < all
    }

    fn connection_lost(&self) {
        self.losses.send_modify(|losses| *losses += 1);
    }
}

/// Locks a mutex. These guard plain data that is whole between any two statements: a panic
/// elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
