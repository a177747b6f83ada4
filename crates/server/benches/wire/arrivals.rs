//! When messages came in over the wire, by the simulator's ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wa_sim::LedgerEntry;

/// When the messages of each number came in, in order, in nanoseconds since 1970.
#[derive(Debug, Default)]
pub struct Arrivals(BTreeMap<String, Vec<u64>>);

impl Arrivals {
    /// Counts each message id once.
    pub fn of(ledger: &[LedgerEntry]) -> Arrivals {
        let mut seen = BTreeSet::new();
        let mut arrivals = Arrivals::default();
        for entry in ledger.iter().filter(|entry| seen.insert(entry.id.as_str())) {
            arrivals.0.entry(entry.from.clone()).or_default().push(entry.wire_ns);
        }
        arrivals.0.values_mut().for_each(|times| times.sort_unstable());
        arrivals
    }

    /// How many messages came in.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The numbers that any came from.
    pub fn numbers(&self) -> usize {
        self.0.len()
    }

    /// The time from the first to the last.
    pub fn span(&self) -> Duration {
        let all = || self.0.values().flatten().copied();
        let first = all().min().unwrap_or_default();
        Duration::from_nanos(all().max().unwrap_or_default() - first)
    }

    /// How many came in per second, from the first to the last; 0 if there are not two.
    pub fn per_second(&self) -> f64 {
        match self.count() {
            0 | 1 => 0.0,
            count => (count - 1) as f64 / self.span().as_secs_f64(),
        }
    }

    /// The times between two messages of one number, each number's first `skipped` messages left
    /// out.
    pub fn gaps(&self, skipped: usize) -> Vec<Duration> {
        let of_number = |times: &Vec<u64>| {
            let times = times.get(skipped..).unwrap_or_default();
            times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
        };
        self.0.values().flat_map(of_number).map(Duration::from_nanos).collect()
    }

    /// When the first message of each number came in that came after this time.
    pub fn firsts_after(&self, time: u64) -> Vec<u64> {
        let after = |times: &Vec<u64>| times.iter().copied().find(|at| *at > time);
        self.0.values().filter_map(after).collect()
    }
}
