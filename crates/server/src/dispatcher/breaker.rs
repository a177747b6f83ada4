//! The breaker: pauses a campaign after many failures in a row, until a person resumes it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// After this many failures in a row a campaign is paused.
pub const BREAKER_LIMIT: u32 = 10;

/// Counts the failures in a row of each campaign, over all sessions of this node.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: Mutex<HashMap<i64, u32>>,
}

impl Breaker {
    /// Counts what became of an attempt. Returns whether it was one failure too many.
    pub fn trips(&self, campaign: i64, is_failure: bool) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_failure {
            failures.remove(&campaign);
            return false;
        }
        let count = failures.entry(campaign).or_default();
        *count += 1;
        let trips = *count >= BREAKER_LIMIT;
        if trips {
            failures.remove(&campaign);
        }
        trips
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trips_on_a_run_of_failures_of_one_campaign() {
        let breaker = Breaker::default();
        let run = |n| (0..n).filter(|_| breaker.trips(1, true)).count();
        assert_eq!(run(BREAKER_LIMIT - 1), 0);
        assert!(!breaker.trips(1, false), "a success ends the run");
        assert_eq!(run(BREAKER_LIMIT), 1);
    }

    #[test]
    fn campaigns_that_take_turns_have_their_own_runs() {
        let breaker = Breaker::default();
        let turns = |_| [breaker.trips(1, true), breaker.trips(2, false)];
        let trips: Vec<_> = (0..BREAKER_LIMIT).flat_map(turns).collect();
        assert_eq!(trips.iter().filter(|tripped| **tripped).count(), 1);
        assert!(trips[trips.len() - 2]);
    }
}
