//! Takes deliveries from the state database to WhatsApp.
//!
//! A node holds any number of sessions, each by a lease; whatever it writes in a session's name is
//! fenced by that. [`fleet`] decides which sessions this node holds and opens them. For each of
//! them [`sender`] sends, one message at a time; [`events`] writes down what WhatsApp says to any
//! of them later. [`upkeep`] does what is due because time has passed,
//! [`retention`] deletes what is at its end.

mod attempt;
mod breaker;
mod events;
mod fleet;
mod held_deliveries;
mod pace;
mod registration;
mod retention;
mod sender;
mod upkeep;
mod verdict;

use crate::clock::{Clock, speed};
use crate::config::Pace;
use crate::metrics::{Loop, Metrics};
use crate::sessions::Sessions;
use crate::store::state::{Affinity, SessionKind, SessionLease};
use crate::store::{StateStore, StoreError};
use crate::timeouts::Timeouts;
use crate::trace::Traces;
use breaker::Breaker;
use futures_util::future::BoxFuture;
use kabari_domain::Quotas;
use kabari_gateway::{Gateway, GatewayError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a message in flight may hold up the end of the process. What has no answer by then
/// stays `sending` in the database, and goes out again under the same id after the next start.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(4);

/// How long a loop waits after the state database failed, before it tries again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long an idle loop looks away: another node may have changed something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How messages go out.
#[derive(Debug, Clone)]
pub struct DispatcherSettings {
    /// The name of this node in leases: no two running nodes have the same.
    pub node: String,
    /// How fast messages go out, unless a session has a pace of its own.
    pub pace: Pace,
    /// Limits on every number.
    pub quotas: Quotas,
    /// How long a number may be away before others write to its contacts.
    pub affinity: Affinity,
    /// How long campaigns that have ended keep texts, names and numbers; `None` is for ever.
    pub retention: Option<Duration>,
    /// How long to wait for what may never come.
    pub timeouts: Timeouts,
    /// Whether what WhatsApp says is also kept for those in front of this gateway.
    pub keeps_events: bool,
}

/// Opens the sessions that a node holds.
pub struct Connector {
    /// Which kind of session this node can hold.
    pub kind: SessionKind,
    /// The only session it holds; `None` for all of its kind.
    pub only: Option<String>,
    /// Opens a session that is held.
    pub open: OpenGateway,
}

/// Opens the gateway of a session.
pub type OpenGateway = Box<
    dyn Fn(SessionLease) -> BoxFuture<'static, Result<Arc<dyn Gateway>, GatewayError>>
        + Send
        + Sync,
>;

/// What the loops work with.
#[derive(Clone)]
struct Context {
    state: StateStore,
    sessions: Sessions,
    settings: Arc<DispatcherSettings>,
    clock: Clock,
    breaker: Arc<Breaker>,
    metrics: Metrics,
    traces: Traces,
    /// Set at shutdown: start nothing new.
    stopping: CancellationToken,
}

pub struct Dispatcher {
    loops: TaskTracker,
    stopping: CancellationToken,
}

impl Dispatcher {
    pub fn spawn(
        state: StateStore,
        sessions: Sessions,
        connector: Connector,
        settings: DispatcherSettings,
        clock: Clock,
        metrics: Metrics,
        traces: Traces,
    ) -> Dispatcher {
        let stopping = CancellationToken::new();
        let context = Context {
            state,
            sessions,
            settings: Arc::new(settings),
            clock,
            breaker: Arc::default(),
            metrics,
            traces,
            stopping: stopping.clone(),
        };
        let loops = TaskTracker::new();
        let (heard, hears) = mpsc::unbounded_channel();
        loops.spawn(fleet::run(context.clone(), connector, heard));
        loops.spawn(events::record(context.clone(), hears));
        loops.spawn(retention::run(context.clone()));
        loops.spawn(upkeep::run(context));
        loops.close();
        Dispatcher { loops, stopping }
    }

    /// Lets the messages in flight finish, closes the sessions, and leaves.
    pub async fn stop(self) {
        self.stopping.cancel();
        if tokio::time::timeout(SHUTDOWN_PATIENCE, self.loops.wait()).await.is_err() {
            tracing::warn!(
                "a message had no answer before the shutdown; it goes out again under the same id after the next start"
            );
        }
    }
}

impl Context {
    /// Returns the same context for loops that end with this token too.
    fn until(&self, stopping: CancellationToken) -> Context {
        Context { stopping, ..self.clone() }
    }

    /// Notes that a loop has come round without an error.
    fn came_round(&self, which: Loop) {
        self.metrics.came_round(which, self.clock.monotonic());
    }

    /// Returns whether to end now.
    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Waits for the rest of a time that is counted from a round's beginning, or returns early at
    /// shutdown: what comes due during a round is then never looked at later than in the next.
    async fn sleep_since(&self, began: Duration, duration: Duration) {
        tokio::select! {
            () = self.clock.sleep_since(began, duration) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Waits, or returns early at shutdown.
    async fn sleep(&self, duration: Duration) {
        tokio::select! {
            () = self.clock.sleep(duration) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Waits after the state database has failed. Its trouble is real even where a test's clock
    /// stands still.
    async fn after_store_error(&self, doing: &'static str, error: &StoreError) {
        tracing::error!(%error, "{doing}: trying again");
        tokio::select! {
            () = tokio::time::sleep(STORE_PAUSE / speed()) => {}
            () = self.stopping.cancelled() => {}
        }
    }
}
