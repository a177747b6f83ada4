//! The pace of one number: the shortest time between two messages on the wire.
//!
//! The database keeps the next slot for the case that this process ends. While it lives, it
//! measures by a clock that nobody can set, and from the moment the last message was surely on
//! the wire, which is when its answer came.

use crate::clock::Clock;
use crate::config::Pace;
use std::time::Duration;

/// How many messages after a (re)connect go out at half the pace.
const SLOW_START: u32 = 5;

pub struct Pacer {
    pace: Pace,
    /// On [`Clock::monotonic`].
    not_before: Duration,
    slow: u32,
    /// Whether there was something to send all the time since the last message.
    busy: bool,
}

impl Pacer {
    pub fn new(pace: Pace) -> Pacer {
        Pacer { pace, not_before: Duration::ZERO, slow: 0, busy: false }
    }

    /// Goes on at another pace.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Begins the pace of a number that this node has just taken over. Whoever had it may have sent
    /// a moment ago: a full gap from now is safe whatever any clock says.
    pub fn acquired(&mut self, clock: &Clock) {
        self.hold(clock, self.pace.delay + self.pace.jitter);
    }

    /// Slows the next few messages down after a new connection.
    pub fn connected(&mut self) {
        self.slow = SLOW_START;
    }

    /// Returns the time from this message to the next.
    pub fn gap(&mut self) -> Duration {
        let jitter = u64::try_from(self.pace.jitter.as_millis()).unwrap_or(u64::MAX);
        let gap = self.pace.delay + Duration::from_millis(rand::random_range(0..=jitter));
        if self.slow == 0 {
            return gap;
        }
        self.slow -= 1;
        gap * 2
    }

    /// Holds all messages for this long, from now.
    pub fn hold(&mut self, clock: &Clock, duration: Duration) {
        self.not_before = self.not_before.max(clock.monotonic() + duration);
    }

    /// Returns how long to wait before the next message.
    pub fn wait(&self, clock: &Clock) -> Duration {
        self.not_before.saturating_sub(clock.monotonic())
    }

    /// Whether a message may follow another at once.
    pub fn has_no_pause(&self) -> bool {
        self.pace.delay.is_zero() && self.pace.jitter.is_zero()
    }

    /// A message was answered: the next goes out after this gap.
    pub fn answered(&mut self, clock: &Clock, gap: Duration) {
        self.hold(clock, gap);
        self.busy = true;
    }

    /// There is nothing to send, or nothing may go out.
    pub fn idle(&mut self) {
        self.busy = false;
    }

    /// Returns how long after its time a message leaves now; `None` if it follows none. `slot` is
    /// what the database says, on [`Clock::monotonic`].
    pub fn lateness(&self, clock: &Clock, slot: Duration) -> Option<Duration> {
        self.busy.then(|| clock.monotonic().saturating_sub(self.not_before.max(slot)))
    }

    /// Returns the delay between two messages, without its random part.
    pub fn delay(&self) -> Duration {
        self.pace.delay
    }

    /// Returns the longest gap there can be.
    pub fn longest_gap(&self) -> Duration {
        (self.pace.delay + self.pace.jitter) * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kabari_domain::Timestamp;

    #[test]
    fn a_gap_is_never_below_the_delay_and_doubled_after_a_connect() {
        let delay = Duration::from_millis(2000);
        let mut pacer = Pacer::new(Pace { delay, jitter: Duration::from_millis(1000) });
        pacer.connected();
        for _ in 0..SLOW_START {
            assert!((delay * 2..=delay * 3).contains(&pacer.gap()));
        }
        for _ in 0..100 {
            assert!((delay..=delay * 3 / 2).contains(&pacer.gap()));
        }
    }

    #[test]
    fn only_a_message_that_follows_another_can_be_late() {
        let clock = Clock::manual(Timestamp(0));
        let delay = Duration::from_secs(2);
        let mut pacer = Pacer::new(Pace { delay, jitter: Duration::ZERO });
        assert_eq!(pacer.lateness(&clock, Duration::ZERO), None);
        pacer.answered(&clock, delay);
        clock.advance(Duration::from_secs(5));
        assert_eq!(pacer.lateness(&clock, Duration::ZERO), Some(Duration::from_secs(3)));
        assert_eq!(pacer.lateness(&clock, Duration::from_secs(4)), Some(Duration::from_secs(1)));
        pacer.idle();
        assert_eq!(pacer.lateness(&clock, Duration::ZERO), None);
    }

    #[test]
    fn a_hold_never_shortens_the_wait() {
        let clock = Clock::manual(Timestamp(0));
        let mut pacer = Pacer::new(Pace { delay: Duration::ZERO, jitter: Duration::ZERO });
        assert_eq!(pacer.wait(&clock), Duration::ZERO);
        pacer.hold(&clock, Duration::from_secs(9));
        pacer.hold(&clock, Duration::from_secs(3));
        assert_eq!(pacer.wait(&clock), Duration::from_secs(9));
        clock.advance(Duration::from_secs(10));
        assert_eq!(pacer.wait(&clock), Duration::ZERO);
    }
}
