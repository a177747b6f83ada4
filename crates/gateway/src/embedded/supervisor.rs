//! The life of the session: opening the client, and what follows when it ends.

use super::downloads::Downloads;
use super::events::{Listener, SupervisorRequest};
use super::passkey;
use super::runtime::PatientRuntime;
use super::storage::Storage;
use super::transport::{Dialer, ServerAddress};
use super::{Shared, lock, now};
use crate::session_store::{SessionStore, SessionStoreError};
use crate::{GatewayError, Link, LinkState};
use kabari_domain::{Timestamp, wording};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use whatsapp_rust::CacheConfig;
use whatsapp_rust::anyhow;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::wacore::msg_secret::MsgSecretPolicy;
use whatsapp_rust::wacore::store::DevicePropsOverride;
use whatsapp_rust::waproto::whatsapp::device_props::PlatformType;

/// How long the library keeps sent messages, to encrypt them again for a phone that could not
/// read its copy. Customers are often offline during an outage; its default is two hours.
const SENT_MESSAGE_TTL: Duration = Duration::from_secs(14 * 24 * 3600);
/// The pause after WhatsApp refused the connection or the session could not be opened.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// How long a client may take to leave in order.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the server may take to unlink us.
const UNLINK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the operator wants, each with the place for the answer.
pub(super) enum Command {
    Restart(oneshot::Sender<Result<(), GatewayError>>),
    Logout(oneshot::Sender<Result<(), GatewayError>>),
    Close(oneshot::Sender<()>),
}

/// What to do next, and whom to tell when the session is open again.
enum Step {
    Open(Option<Reply>),
    Wipe(Option<Reply>),
    /// Nothing, until a command; or until this time, if there is one.
    Rest(Option<Timestamp>),
    Close(oneshot::Sender<()>),
}

type Reply = oneshot::Sender<Result<(), GatewayError>>;

/// Where a client comes from, and whom it talks to.
pub(super) struct SessionConfig {
    pub store: Arc<dyn SessionStore>,
    pub server: ServerAddress,
    pub device_name: String,
}

/// The one task that opens and ends clients.
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    origin: SessionConfig,
    commands: mpsc::Receiver<Command>,
}

/// One client and what it takes to end it.
struct RunningClient {
    handle: BotHandle,
    storage: Arc<Storage>,
    requests: mpsc::UnboundedReceiver<SupervisorRequest>,
    retired: Arc<AtomicBool>,
}

impl Supervisor {
    pub fn new(
        shared: Arc<Shared>,
        origin: SessionConfig,
        commands: mpsc::Receiver<Command>,
    ) -> Supervisor {
        Supervisor { shared, origin, commands }
    }

    /// Starts the task. Returns when the session is open for the first time.
    pub async fn spawn(self) -> Result<(), GatewayError> {
        let (opened, first) = oneshot::channel();
        tokio::spawn(self.run(Step::Open(Some(opened))));
        first.await.map_err(|_| GatewayError::Storage("the session's task ended".into()))?
    }

    /// Starts the task with a session that was opened elsewhere, and so stays closed.
    pub fn spawn_resting(self) {
        tracing::error!("the WhatsApp session was opened elsewhere: restart it to take it back");
        self.shared.update_link(|link| {
            link.state = LinkState::Replaced;
            link.error = Some(wording::REPLACED.into());
        });
        tokio::spawn(self.run(Step::Rest(None)));
    }

    async fn run(mut self, mut next: Step) {
        loop {
            next = match next {
                Step::Open(waiting) => self.open(waiting).await,
                Step::Wipe(waiting) => self.wipe(waiting).await,
                Step::Rest(until) => self.rest(until).await,
                Step::Close(closed) => {
                    // Who asked may have given up waiting.
                    let _ = closed.send(());
                    return;
                }
            };
        }
    }

    async fn open(&mut self, waiting: Option<Reply>) -> Step {
        if waiting.is_some() {
            // Whoever asked for a new start has seen what was wrong before.
            self.shared.update_link(|link| link.error = None);
        }
        let opened = RunningClient::open(&self.shared, &self.origin).await;
        let next = match &opened {
            Ok(_) => None,
            Err(error) => Some(self.storage_failed(error)),
        };
        let (session, outcome) = match opened {
            Ok(session) => (Some(session), Ok(())),
            Err(error) => (None, Err(error)),
        };
        if let Some(waiting) = waiting {
            // As in `run`.
            let _ = waiting.send(outcome);
        }
        match (session, next) {
            (Some(session), _) => self.live(session).await,
            (None, Some(next)) => next,
            (None, None) => Step::Rest(None),
        }
    }

    /// Waits for something that ends this client, ends it, and says what follows.
    async fn live(&mut self, mut session: RunningClient) -> Step {
        let next = tokio::select! {
            // What the client reported explains why it stopped.
            biased;
            Some(turn) = session.requests.recv() => match turn {
                SupervisorRequest::Reopen => Step::Open(None),
                SupervisorRequest::Wipe => Step::Wipe(None),
                SupervisorRequest::OpenAt(until) => Step::Rest(Some(until)),
                SupervisorRequest::Refused => Step::Rest(Some(now() + PAUSE_AFTER_REFUSAL)),
                SupervisorRequest::Rest => Step::Rest(None),
            },
            command = self.commands.recv() => match command {
                Some(Command::Restart(waiting)) => Step::Open(Some(waiting)),
                Some(Command::Logout(waiting)) => {
                    session.unlink().await;
                    self.shared.update_link(|link| *link = Link::starting());
                    Step::Wipe(Some(waiting))
                }
                Some(Command::Close(closed)) => Step::Close(closed),
                // The gateway itself was dropped.
                None => Step::Close(oneshot::channel().0),
            },
            () = stuck(&self.shared) => {
                tracing::info!("no connection to WhatsApp for long: starting over");
                Step::Open(None)
            },
            reason = passkey::ended(&self.shared) => {
                passkey::begin_anew(&self.shared, reason);
                Step::Open(None)
            }
            () = session.storage.fenced() => self.storage_failed(&SessionStoreError::Fenced.into()),
            never = session.storage.keep_written() => match never {},
            _ = &mut session.handle => Step::Rest(Some(now() + PAUSE_AFTER_REFUSAL)),
        };
        self.shared.connection_lost();
        *lock(&self.shared.client) = None;
        *lock(&self.shared.storage) = None;
        session.end().await;
        self.shared.update_link(|link| {
            if link.state == LinkState::Connected {
                link.state = LinkState::Connecting;
            }
        });
        next
    }

    async fn wipe(&mut self, waiting: Option<Reply>) -> Step {
        match Storage::new(self.origin.store.clone()).wipe().await {
            Ok(()) => Step::Open(waiting),
            Err(error) => {
                let error = GatewayError::from(error);
                let next = self.storage_failed(&error);
                if let Some(waiting) = waiting {
                    // As in `run`.
                    let _ = waiting.send(Err(error));
                }
                next
            }
        }
    }

    fn storage_failed(&self, error: &GatewayError) -> Step {
        tracing::error!("{error}");
        if *error == GatewayError::Fenced {
            self.shared.update_link(|link| {
                link.state = LinkState::Replaced;
                link.error = Some(wording::HELD_BY_ANOTHER_NODE.into());
                (link.qr, link.qr_png) = (None, None);
            });
            return Step::Rest(None);
        }
        self.shared.update_link(|link| link.error = Some(wording::SESSION_STORAGE.into()));
        Step::Rest(Some(now() + PAUSE_AFTER_REFUSAL))
    }

    async fn rest(&mut self, until: Option<Timestamp>) -> Step {
        let over = async {
            match until {
                Some(until) => tokio::time::sleep(until.since(now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = self.commands.recv() => match command {
                Some(Command::Restart(waiting)) => Step::Open(Some(waiting)),
                Some(Command::Logout(waiting)) => {
                    self.shared.update_link(|link| *link = Link::starting());
                    Step::Wipe(Some(waiting))
                }
                Some(Command::Close(closed)) => Step::Close(closed),
                None => Step::Close(oneshot::channel().0),
            },
            () = over => Step::Open(None),
        }
    }
}

impl RunningClient {
    async fn open(
        shared: &Arc<Shared>,
        origin: &SessionConfig,
    ) -> Result<RunningClient, GatewayError> {
        let SessionConfig { store, server, device_name } = origin;
        let storage = Arc::new(Storage::new(store.clone()));
        // Whoever does not hold the number need not even connect.
        storage.flush().await?;

        let (requests_tx, requests) = mpsc::unbounded_channel();
        let retired = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            shared: shared.clone(),
            storage: storage.clone(),
            requests: requests_tx,
            retired: retired.clone(),
        };
        let cache = CacheConfig {
            sent_message_ttl_secs: SENT_MESSAGE_TTL.as_secs(),
            // Of the history only tokens are kept, and of votes and reactions nothing is read.
            seed_msg_secrets_from_history: false,
            msg_secret_policy: MsgSecretPolicy::Disabled,
            ..CacheConfig::default()
        };
        let mut builder = Bot::builder()
            .with_backend_arc(storage.clone())
            .with_transport_factory(Dialer {
                server: server.clone(),
                shared: shared.clone(),
                storage: storage.clone(),
            })
            .with_event_handler(listener)
            .with_cache_config(cache)
            .with_http_client(Downloads::new(server))
            .with_device_props(
                DevicePropsOverride::new()
                    .with_os(device_name)
                    .with_platform_type(PlatformType::CHROME),
            )
            .with_runtime(PatientRuntime::new(shared.clone()));
        if let Some(version) = server.fixed_version() {
            builder = builder.with_version(version);
        }
        let bot = builder.build().await.map_err(|error| {
            let error = anyhow::Error::from(error);
            GatewayError::Storage(format!("the session cannot be read: {error:#}"))
        })?;

        let client = bot.client();
        let phone = client.pn().map(|jid| jid.user.to_string());
        shared.update_link(|link| {
            link.state = match (&phone, link.state) {
                (Some(_), _) => LinkState::Connecting,
                (None, LinkState::LoggedOut) => LinkState::LoggedOut,
                (None, _) => LinkState::NotLinked,
            };
            link.phone = phone;
            (link.qr, link.qr_png, link.passkey) = (None, None, None);
        });
        shared.has_settings.store(false, Ordering::Release);
        *lock(&shared.client) = Some(client);
        *lock(&shared.storage) = Some(storage.clone());
        Ok(RunningClient { handle: bot.spawn(), storage, requests, retired })
    }

    /// Asks the server to forget this device. If it does not answer, the phone still lists the
    /// device until its owner removes it there.
    async fn unlink(&self) {
        self.retired.store(true, Ordering::Release);
        let client = self.handle.client();
        if timeout(UNLINK_TIMEOUT, client.logout()).await.is_err() {
            tracing::warn!("WhatsApp did not answer the logout: remove kabari on the phone");
        }
    }

    async fn end(self) {
        self.retired.store(true, Ordering::Release);
        if timeout(SHUTDOWN_TIMEOUT, self.handle.shutdown()).await.is_err() {
            tracing::warn!("the WhatsApp client did not stop in time and was cut off");
        }
        match timeout(SHUTDOWN_TIMEOUT, self.storage.close()).await {
            // Another node has the number, and writes what is to be written.
            Ok(Ok(()) | Err(SessionStoreError::Fenced)) => {}
            _ => tracing::warn!("the end of the WhatsApp session was not written"),
        }
    }
}

/// Returns when there has been neither a connection nor anything to link with for too long.
async fn stuck(shared: &Shared) {
    let mut link = shared.link.subscribe();
    let waits = |link: &Link| !link.is_connected() && link.qr.is_none() && link.passkey.is_none();
    loop {
        // The sender lives in `shared`, so these waits cannot fail.
        let _ = link.wait_for(waits).await;
        if timeout(shared.longest_reconnect, link.wait_for(|link| !waits(link))).await.is_err() {
            return;
        }
    }
}
