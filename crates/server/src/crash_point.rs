//! Named points at which tests end the process.
//!
//! With `CRASH_AT=name` in the environment the process ends the moment it comes to the point of
//! that name, or with `CRASH_ON_HIT=n` when it comes there for the nth time. It ends by `kill -9`:
//! nothing is flushed, rolled back or said. The released program has no such points.

/// Dies here, if told to.
#[cfg(debug_assertions)]
pub fn crash_point(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Armed {
        at: String,
        on_hit: u32,
        hits: AtomicU32,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let on_hit = std::env::var("CRASH_ON_HIT").ok().and_then(|hit| hit.parse().ok());
        std::env::var("CRASH_AT").ok().map(|at| Armed {
            at,
            on_hit: on_hit.unwrap_or(1),
            hits: AtomicU32::new(0),
        })
    });

    if let Some(armed) = ARMED.as_ref().filter(|armed| armed.at == name)
        && armed.hits.fetch_add(1, Ordering::SeqCst) + 1 == armed.on_hit
    {
        kill_this_process();
    }
}

/// Kills this process. The standard library can only `abort`, which is another signal and may leave
/// a core dump.
#[cfg(debug_assertions)]
fn kill_this_process() -> ! {
    let id = std::process::id().to_string();
    let killed = std::process::Command::new("kill").args(["-9", &id]).status();
    // The signal is on its way, unless there is no `kill`, which the caller should notice.
    assert!(killed.is_ok(), "cannot run kill: {killed:?}");
    loop {
        std::thread::park();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub fn crash_point(_name: &str) {}
