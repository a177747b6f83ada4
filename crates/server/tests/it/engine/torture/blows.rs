//! What is done to the cluster, and how often.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::fmt;

/// One blow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
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

/// For each blow the kills that go with one of them.
const KILLS_PER: [(Blow, usize); 9] = [
    (Blow::Stop, 8),
    (Blow::Cut, 8),
    (Blow::Hang, 8),
    (Blow::Restart, 25),
    (Blow::Forward, 16),
    (Blow::Back, 16),
    (Blow::Ban, 8),
    (Blow::Logout, 12),
    (Blow::Replace, 25),
];

impl Blow {
    /// So many kills, and of everything else that is possible a share, but at least one, in
    /// random order.
    pub fn some(rng: &mut StdRng, kills: usize, possible: impl Fn(Blow) -> bool) -> Vec<Blow> {
        let mut blows = vec![Blow::Kill; kills];
        for (blow, per) in KILLS_PER.into_iter().filter(|(blow, _)| possible(*blow)) {
            blows.extend(std::iter::repeat_n(blow, (kills / per).max(1)));
        }
        blows.shuffle(rng);
        blows
    }
}

/// How often which of them fell.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<Blow, u32>);

impl Tally {
    pub fn count(&mut self, blow: Blow) {
        *self.0.entry(blow).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> =
            self.0.iter().map(|(blow, count)| format!("{blow:?} {count}").to_lowercase()).collect();
        write!(f, "under {}", counts.join(", "))
    }
}

/// Any of them.
pub fn one_of<'a, T>(rng: &mut StdRng, among: &'a mut [T]) -> &'a mut T {
    let index = rng.random_range(0..among.len());
    &mut among[index]
}
