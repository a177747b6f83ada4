//! How fast other programs may ask for messages.
//!
//! They ask in loops, one request after the other, and lose what is refused. So whoever is too fast
//! is slowed down; only what would have to wait for long is refused.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Ten messages a second, more than any number sends.
const PER_MESSAGE: Duration = Duration::from_millis(100);
/// How many may come at once.
const BURST: u32 = 20;
/// The longest that a request is made to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Lets requests in at a rate.
#[derive(Default)]
pub struct Throttle {
    /// When everything that was let in so far has had its time.
    busy_until: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Waits until so many messages may be asked for.
    ///
    /// # Errors
    ///
    /// Returns how long to stay away, if that would be too long.
    pub async fn admit(&self, messages: usize) -> Result<(), Duration> {
        let wait = self.reserve(messages, Instant::now())?;
        sleep(wait).await;
        Ok(())
    }

    fn reserve(&self, messages: usize, now: Instant) -> Result<Duration, Duration> {
        let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = busy_until.map_or(now, |busy_until| busy_until.max(now));
        let wait = begin.duration_since(now).saturating_sub(PER_MESSAGE * BURST);
        if wait > LONGEST_WAIT {
            return Err(wait);
        }
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        *busy_until = Some(begin + PER_MESSAGE.saturating_mul(messages));
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_is_slowed_down_and_then_refused() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..=BURST {
            assert_eq!(throttle.reserve(1, now), Ok(Duration::ZERO));
        }
        assert_eq!(throttle.reserve(1, now), Ok(PER_MESSAGE));
        let admitted = std::iter::from_fn(|| throttle.reserve(1, now).ok()).count();
        assert_eq!(admitted, 99, "until one would wait for more than 10 s");
        assert_eq!(throttle.reserve(1, now), Err(LONGEST_WAIT + PER_MESSAGE));
        assert_eq!(throttle.reserve(1, now + LONGEST_WAIT), Ok(PER_MESSAGE));
        let later = now + Duration::from_secs(3600);
        assert_eq!(throttle.reserve(1000, later), Ok(Duration::ZERO), "many at once, rarely");
        assert!(throttle.reserve(1, later).is_err());
    }
}
