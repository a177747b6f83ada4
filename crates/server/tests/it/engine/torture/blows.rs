//! What is done to the cluster, and how often.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::fmt;

/// One blow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9` of a process, which is started again.
    Kill,
    /// SIGSTOP of a process for longer than a lease.
    Stop,
    /// Every connection to the database ends at once, and new ones are refused for a moment.
    Cut,
    /// `kill -9` of the database server, which is started again.
    Restart,
    /// The clock is set forward by an hour.
    Forward,
    /// The clock is set back by an hour.
    Back,
}

/// Kills for each of the others.
const KILLS_PER_STOP: usize = 8;
const KILLS_PER_CUT: usize = 8;
const KILLS_PER_RESTART: usize = 25;
const KILLS_PER_STEP: usize = 16;

impl Blow {
    /// So many kills, and of everything else that is possible a share, but at least one, in
    /// random order.
    pub fn some(rng: &mut StdRng, kills: usize, cuts: bool, restarts: bool) -> Vec<Blow> {
        let share = |per: usize| (kills / per).max(1);
        let mut blows = vec![Blow::Kill; kills];
        let mut add = |blow, count| blows.extend(std::iter::repeat_n(blow, count));
        add(Blow::Stop, share(KILLS_PER_STOP));
        add(Blow::Forward, share(KILLS_PER_STEP));
        add(Blow::Back, share(KILLS_PER_STEP));
        if cuts {
            add(Blow::Cut, share(KILLS_PER_CUT));
        }
        if restarts {
            add(Blow::Restart, share(KILLS_PER_RESTART));
        }
        blows.shuffle(rng);
        blows
    }
}

/// How often which of them fell.
#[derive(Debug, Default)]
pub struct Tally {
    kills: u32,
    stops: u32,
    cuts: u32,
    restarts: u32,
    clock_steps: u32,
}

impl Tally {
    pub fn count(&mut self, blow: Blow) {
        let counter = match blow {
            Blow::Kill => &mut self.kills,
            Blow::Stop => &mut self.stops,
            Blow::Cut => &mut self.cuts,
            Blow::Restart => &mut self.restarts,
            Blow::Forward | Blow::Back => &mut self.clock_steps,
        };
        *counter += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { kills, stops, cuts, restarts, clock_steps } = self;
        write!(
            f,
            "under {kills} kills, {stops} stops, {cuts} database cuts, {restarts} database \
             restarts, {clock_steps} clock steps"
        )
    }
}

/// Any of them.
pub fn one_of<'a, T>(rng: &mut StdRng, among: &'a mut [T]) -> &'a mut T {
    let index = rng.random_range(0..among.len());
    &mut among[index]
}
