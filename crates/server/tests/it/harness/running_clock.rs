//! A manual clock that runs, many times as fast as time.

use kabari::clock::Clock;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// How far the clock is turned at each tick.
const STEP: Duration = Duration::from_millis(40);
/// How often it is turned.
const TICK: Duration = Duration::from_millis(2);

/// Turns the clock until this is dropped: 20 seconds in each.
pub struct RunningClock {
    _task: AbortOnDropHandle<()>,
}

impl RunningClock {
    pub fn start(clock: &Clock) -> RunningClock {
        let clock = clock.clone();
        let turn = async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                clock.advance(STEP);
            }
        };
        RunningClock { _task: AbortOnDropHandle::new(tokio::spawn(turn)) }
    }
}
