//! One message at a time, and never too soon after the one before.
//!
//! Each kabari in front of a gateway keeps the pace of the number, which they hand to each other
//! by lease. But one that was stopped, or killed with a request under way, cannot take back what
//! it has asked for: only here, at the wire, do the messages of all of them meet. Other clients
//! keep their own pace, and get what they always got.

use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

pub struct Lane {
    delay: Duration,
    free_at: Mutex<Instant>,
}

impl Lane {
    /// Begins with a pause: a gateway that ran before this one may have sent a moment ago.
    pub fn new(delay: Duration) -> Lane {
        Lane { delay, free_at: Mutex::new(Instant::now() + delay) }
    }

    /// Sends when it is this message's turn. The pause counts from the answer: only then was it
    /// surely on the wire.
    pub async fn take<T>(&self, send: impl Future<Output = T>) -> T {
        let mut free_at = self.free_at.lock().await;
        sleep_until(*free_at).await;
        let answer = send.await;
        *free_at = Instant::now() + self.delay;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test]
    async fn what_comes_at_once_goes_out_one_by_one() {
        const DELAY: Duration = Duration::from_millis(10);
        const ANSWER_TAKES: Duration = Duration::from_millis(5);
        let start = Instant::now();
        let lane = Lane::new(DELAY);
        let send = || {
            lane.take(async {
                let at = start.elapsed();
                tokio::time::sleep(ANSWER_TAKES).await;
                at
            })
        };
        let sent_at = join_all([send(), send(), send()]).await;
        assert!(sent_at[0] >= DELAY);
        for pair in sent_at.windows(2) {
            assert!(pair[1] - pair[0] >= ANSWER_TAKES + DELAY, "{sent_at:?}");
        }
    }
}
