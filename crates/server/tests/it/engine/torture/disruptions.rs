//! What is done to the cluster, and how often.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::fmt;

/// One disruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disruption {
    /// `kill -9` of a process, which is started again.
    Kill,
    /// SIGSTOP of a process for longer than a lease.
    Stop,
    /// Every connection to the database ends at once, and new ones are refused for a while.
    Cut,
    /// The database says nothing for a while.
    Hang,
    /// `kill -9` of the database server, which is started again.
    Restart,
    /// The clock is set forward by an hour.
    Forward,
    /// The clock is set back by an hour.
    Back,
    /// WhatsApp bans a number for a time.
    Ban,
    /// A phone unlinks its number; somebody links it again.
    Logout,
    /// A phone unlinks its number; somebody links another phone there.
    Replace,
}

/// For each disruption the kills that go with one of them.
const KILLS_PER: [(Disruption, usize); 9] = [
    (Disruption::Stop, 8),
    (Disruption::Cut, 8),
    (Disruption::Hang, 8),
    (Disruption::Restart, 25),
    (Disruption::Forward, 16),
    (Disruption::Back, 16),
    (Disruption::Ban, 8),
    (Disruption::Logout, 12),
    (Disruption::Replace, 25),
];

impl Disruption {
    /// So many kills, and of everything else that is possible a share, but at least one, in
    /// random order.
    pub fn some(
        rng: &mut StdRng,
        kills: usize,
        possible: impl Fn(Disruption) -> bool,
    ) -> Vec<Disruption> {
        let mut disruptions = vec![Disruption::Kill; kills];
        for (disruption, per) in
            KILLS_PER.into_iter().filter(|(disruption, _)| possible(*disruption))
        {
            disruptions.extend(std::iter::repeat_n(disruption, (kills / per).max(1)));
        }
        disruptions.shuffle(rng);
        disruptions
    }
}

/// How often which of them fell.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<Disruption, u32>);

impl Tally {
    pub fn count(&mut self, disruption: Disruption) {
        *self.0.entry(disruption).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self
            .0
            .iter()
            .map(|(disruption, count)| format!("{disruption:?} {count}").to_lowercase())
            .collect();
        write!(f, "under {}", counts.join(", "))
    }
}

/// Any of them.
pub fn one_of<'a, T>(rng: &mut StdRng, among: &'a mut [T]) -> &'a mut T {
    let index = rng.random_range(0..among.len());
    &mut among[index]
}
