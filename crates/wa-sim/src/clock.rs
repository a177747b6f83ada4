//! The simulator's clock: real time plus whatever the control API added.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Time as the simulated world sees it. Turning it forward wakes all who wait on it.
pub(crate) struct Clock {
    started: Instant,
    /// Unix time at `started`, in nanoseconds.
    epoch_ns: u64,
    /// How far the control API has turned the clock forward.
    turned: watch::Sender<Duration>,
}

impl Clock {
    pub fn new() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            epoch_ns: u64::try_from(epoch.as_nanos()).unwrap_or(u64::MAX),
            turned: watch::Sender::new(Duration::ZERO),
        }
    }

    /// Returns the Unix time in nanoseconds for measuring: monotonic, never turned.
    pub fn wire_ns(&self) -> u64 {
        self.epoch_ns + u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns the simulated Unix time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        let turned = u64::try_from(self.turned.borrow().as_millis()).unwrap_or(u64::MAX);
        self.wire_ns() / 1_000_000 + turned
    }

    /// Returns the simulated Unix time in seconds, the unit of `t` attributes.
    pub fn now_s(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// Returns how far the clock was turned forward in all.
    pub fn turned(&self) -> Duration {
        *self.turned.borrow()
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        self.turned.send_modify(|turned| *turned += by);
    }

    /// Returns once the simulated time is `at_ms`, by waiting or by being turned there.
    pub async fn sleep_until(&self, at_ms: u64) {
        let mut turned = self.turned.subscribe();
        loop {
            let left = at_ms.saturating_sub(self.now_ms());
            if left == 0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left)) => {}
                _ = turned.changed() => {}
            }
        }
    }
}
