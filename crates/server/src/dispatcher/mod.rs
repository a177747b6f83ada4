//! Takes deliveries from the state database to WhatsApp.
//!
//! One node runs one dispatcher for the one number it is linked to. It holds that number by a
//! lease; whatever it writes is fenced by it. Four loops share the work:
//! [`sender`] sends, one message at a time; [`lease`] keeps what is ours ours while a send takes
//! long; [`receipts`] writes down what WhatsApp says later; [`upkeep`] starts, expires and
//! reclaims what time has come for.

mod attempt;
mod care;
mod gate;
mod lease;
mod numbers;
mod pace;
mod receipts;
mod sender;
mod upkeep;
mod verdict;

use crate::clock::Clock;
use crate::config::Pace;
use crate::store::State;
use crate::waits::Waits;
use chrono_tz::Tz;
use kabari_domain::quiet_hours::QuietHours;
use kabari_gateway::Gateway;
use std::sync::Arc;
use std::time::Duration;
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
    /// How fast messages go out.
    pub pace: Pace,
    /// When nothing is sent.
    pub quiet_hours: Option<QuietHours>,
    /// The zone of `quiet_hours` and of the day that `daily_cap` counts.
    pub timezone: Tz,
    /// Most messages a day.
    pub daily_cap: Option<u32>,
    /// Whether a newly linked number begins with few messages a day.
    pub warm_up: bool,
    /// How long to wait for what may never come.
    pub waits: Waits,
}

/// What the loops work with.
#[derive(Clone)]
struct Context {
    state: State,
    gateway: Arc<dyn Gateway>,
    settings: Arc<DispatcherSettings>,
    clock: Clock,
    /// Set at shutdown: start nothing new.
    stopping: CancellationToken,
}

/// A running dispatcher.
pub struct Dispatcher {
    loops: TaskTracker,
    stopping: CancellationToken,
}

impl Dispatcher {
    /// Starts the loops.
    pub fn spawn(
        state: State,
        gateway: Arc<dyn Gateway>,
        settings: DispatcherSettings,
        clock: Clock,
    ) -> Dispatcher {
        let stopping = CancellationToken::new();
        let context = Context {
            state,
            gateway,
            settings: Arc::new(settings),
            clock,
            stopping: stopping.clone(),
        };
        let loops = TaskTracker::new();
        loops.spawn(sender::run(context.clone()));
        loops.spawn(lease::run(context.clone()));
        loops.spawn(receipts::run(context.clone()));
        loops.spawn(upkeep::run(context));
        loops.close();
        Dispatcher { loops, stopping }
    }

    /// Lets the message in flight finish, and leaves.
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
    /// Whether to end now.
    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// What is left of a wait that is counted from a round's beginning: what comes due during a
    /// round is then never looked at later than in the next.
    fn left_of(&self, wait: Duration, began: Duration) -> Duration {
        wait.saturating_sub(self.clock.monotonic().saturating_sub(began))
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
    async fn after_store_error(&self, doing: &'static str, error: &crate::store::StoreError) {
        tracing::error!(%error, "{doing}: trying again");
        tokio::select! {
            () = tokio::time::sleep(STORE_PAUSE) => {}
            () = self.stopping.cancelled() => {}
        }
    }
}
