//! How fast somebody may guess passwords and keys.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The wait after the first failure that is one too many; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// After this long without an attempt, earlier ones are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);
/// How many of those who failed are remembered; beyond that, the one who has been quiet for the
/// longest is forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// Counts failed attempts, and lets whoever fails wait longer and longer.
#[derive(Default)]
pub struct Attempts {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    /// No attempt is let in before.
    next: Instant,
}

/// Somebody whose attempts are counted together.
pub struct Guesser {
    /// Tells this one from others.
    pub key: String,
    /// How many failures have no wait after them.
    pub free: u32,
}

impl Attempts {
    /// Lets an attempt in, which counts as failed until [`succeeded`](Attempts::succeeded) says
    /// otherwise: many at once must not be let in before the first of them has failed.
    ///
    /// # Errors
    ///
    /// Returns how long to wait, if any of these has failed too often.
    pub fn begin(&self, guessers: &[Guesser], now: Instant) -> Result<(), Duration> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, failures| now.duration_since(failures.last) < FORGOTTEN_AFTER);
        let nexts = guessers.iter().filter_map(|one| failures.get(&one.key)).map(|one| one.next);
        if let Some(next) = nexts.max().filter(|next| *next > now) {
            return Err(next.duration_since(now));
        }
        for guesser in guessers {
            if failures.len() >= MAX_REMEMBERED && !failures.contains_key(&guesser.key) {
                let quietest = failures.iter().min_by_key(|(_, one)| one.last);
                if let Some(key) = quietest.map(|(key, _)| key.clone()) {
                    failures.remove(&key);
                }
            }
            let count = failures.get(&guesser.key).map_or(0, |one| one.count).saturating_add(1);
            let next = now + wait_after(count, guesser.free);
            failures.insert(guesser.key.clone(), Failures { count, last: now, next });
        }
        Ok(())
    }

    /// Forgets the failures of somebody who has guessed right.
    pub fn succeeded(&self, guessers: &[Guesser]) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for guesser in guessers {
            failures.remove(&guesser.key);
        }
    }
}

fn wait_after(count: u32, free: u32) -> Duration {
    match count.checked_sub(free.saturating_add(1)) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 2u32.checked_pow(doublings).unwrap_or(u32::MAX);
            FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesser(key: &str) -> [Guesser; 1] {
        [Guesser { key: key.to_owned(), free: 2 }]
    }

    #[test]
    fn waits_grow_after_the_free_failures_and_end_with_a_success() {
        let attempts = Attempts::default();
        let mut now = Instant::now();
        for _ in 0..3 {
            assert_eq!(attempts.begin(&guesser("a"), now), Ok(()));
        }
        let mut waits = vec![];
        for _ in 0..10 {
            let wait = attempts.begin(&guesser("a"), now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(attempts.begin(&guesser("a"), now), Ok(()));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(attempts.begin(&guesser("b"), now), Ok(()), "others do not wait");
        attempts.succeeded(&guesser("a"));
        assert_eq!(attempts.begin(&guesser("a"), now), Ok(()));
    }

    #[test]
    fn failures_are_forgotten_after_an_hour() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for _ in 0..3 {
            attempts.begin(&guesser("a"), now).unwrap();
        }
        let later = now + FORGOTTEN_AFTER;
        assert_eq!(attempts.begin(&guesser("a"), later), Ok(()));
        assert_eq!(attempts.begin(&guesser("a"), later), Ok(()));
    }

    #[test]
    fn no_more_than_a_number_of_guessers_are_remembered() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for n in 0..MAX_REMEMBERED + 100 {
            let at = now + Duration::from_millis(u64::try_from(n).unwrap() / 10);
            attempts.begin(&guesser(&n.to_string()), at).unwrap();
        }
        assert_eq!(attempts.failures.lock().unwrap().len(), MAX_REMEMBERED);
    }
}
