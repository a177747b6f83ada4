//! The clock of this process, which tests can turn.

use kabari_domain::Timestamp;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// The time, and waiting for it. Tests turn a manual clock; nothing else differs.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Stands still until somebody advances it. Milliseconds since 1970 UTC.
    Manual(watch::Sender<i64>),
}

impl Clock {
    /// Returns a clock that stands at this time.
    pub fn manual(start: Timestamp) -> Clock {
        Clock::Manual(watch::Sender::new(start.0))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                stepped(Timestamp(0) + since_epoch)
            }
            Clock::Manual(now) => Timestamp(*now.borrow()),
        }
    }

    /// Returns the time since some fixed moment, on a clock that nobody can set: for measuring, not
    /// for storing.
    pub fn monotonic(&self) -> Duration {
        match self {
            Clock::System => {
                static START: LazyLock<Instant> = LazyLock::new(Instant::now);
                START.elapsed() * speed()
            }
            Clock::Manual(_) => self.now().since(Timestamp(0)),
        }
    }

    /// Returns when `duration` has passed. The machine's clock may be set meanwhile: that neither
    /// shortens nor lengthens the wait.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            // The timer would take a millisecond to see that there is nothing to wait for.
            Clock::System if duration.is_zero() => {}
            Clock::System => tokio::time::sleep(duration / speed()).await,
            Clock::Manual(_) => self.sleep_until(self.now() + duration).await,
        }
    }

    /// Returns when `duration` has passed since `began`, a moment of [`monotonic`](Clock::monotonic).
    pub async fn sleep_since(&self, began: Duration, duration: Duration) {
        match self {
            Clock::System => {
                self.sleep(duration.saturating_sub(self.monotonic().saturating_sub(began))).await
            }
            // A moment, not a length: the clock may be turned before the wait begins.
            Clock::Manual(_) => self.sleep_until(Timestamp(0) + began + duration).await,
        }
    }

    /// Returns when it is `time`, at once if it is past.
    pub async fn sleep_until(&self, time: Timestamp) {
        match self {
            Clock::System => tokio::time::sleep(time.since(self.now()) / speed()).await,
            Clock::Manual(now) => {
                // The sender is alive in `self`, so this only ends with the condition.
                let _ = now.subscribe().wait_for(|now| *now >= time.0).await;
            }
        }
    }

    /// Turns a manual clock forward and wakes who waits for it.
    ///
    /// # Panics
    /// For the system clock, which nobody may turn.
    pub fn advance(&self, duration: Duration) {
        match self {
            Clock::System => panic!("only a manual clock can be advanced"),
            Clock::Manual(now) => now.send_modify(|now| *now = (Timestamp(*now) + duration).0),
        }
    }
}

/// Returns how fast the clock runs.
///
/// Tests make hours pass in minutes: with `CLOCK_SPEED=n` in the environment, time runs n times as
/// fast from the moment on that `CLOCK_BASE` names, in milliseconds since 1970, the same for all
/// nodes. The released program never looks.
#[cfg(debug_assertions)]
pub fn speed() -> u32 {
    static SPEED: LazyLock<u32> = LazyLock::new(|| number("CLOCK_SPEED").unwrap_or(1));
    *SPEED
}

/// Returns 1: in a release build the clock runs as fast as time.
#[cfg(not(debug_assertions))]
pub fn speed() -> u32 {
    1
}

#[cfg(debug_assertions)]
fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Returns a time that was read from a clock which somebody may have set since, or which runs
/// faster.
///
/// Tests set it: with `CLOCK_STEP_FILE=path` in the environment, that file says by how many
/// milliseconds the clock is off now. The released program never looks.
#[cfg(debug_assertions)]
pub fn stepped(time: Timestamp) -> Timestamp {
    use std::path::PathBuf;

    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("CLOCK_STEP_FILE").map(PathBuf::from));
    static BASE: LazyLock<Option<i64>> = LazyLock::new(|| number("CLOCK_BASE"));

    let written = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let step: Option<i64> = written.and_then(|text| text.trim().parse().ok());
    let base = BASE.unwrap_or(time.0);
    Timestamp(base + (time.0 - base) * i64::from(speed()) + step.unwrap_or(0))
}

/// Returns the same time: a release build has no stepped clock.
#[cfg(not(debug_assertions))]
pub fn stepped(time: Timestamp) -> Timestamp {
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_turned_far_enough() {
        let clock = Clock::manual(Timestamp(1_000));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep_until(Timestamp(3_000)).await;
                clock.now()
            }
        });
        clock.advance(Duration::from_millis(1_999));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_millis(1));
        let woke_at = tokio::time::timeout(Duration::from_secs(5), sleeper).await.unwrap().unwrap();
        assert_eq!(woke_at, Timestamp(3_000));
    }
}
