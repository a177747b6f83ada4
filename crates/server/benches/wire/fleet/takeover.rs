//! Three processes, one of which is killed: when its numbers send again.

use super::{ORDINARY_DELAY, Order, Strangers, link, number};
use crate::kabari::Installation;
use crate::simulator::Simulator;
use anyhow::{Context, ensure};
use std::time::{Duration, SystemTime};
use tokio::time::{sleep, timeout};

/// How many numbers the killed process has.
const NUMBERS: u32 = 5;
/// More than are written to until the end.
const RECIPIENTS: u32 = 1000;
/// How often to read the ledger.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the killed process had written has come in by then; no lease is over.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// Prints how long the numbers were silent.
pub async fn measure(order: &Order) -> anyhow::Result<()> {
    eprintln!("a node with {NUMBERS} numbers is killed");
    let simulator = Simulator::start().await?;
    let mariadb = order.mariadb_url.as_deref();
    let installation = Installation::new(&simulator, order.engine, mariadb, RECIPIENTS).await?;
    // The first holds every number: the others find none that is free.
    let mut first = installation.start("first", ORDINARY_DELAY).await?;
    link(&mut first, &simulator, 0..NUMBERS).await?;
    let second = installation.start("second", ORDINARY_DELAY).await?;
    let third = installation.start("third", ORDINARY_DELAY).await?;

    let campaign = first.write_to(Strangers::new().take(RECIPIENTS), &[]).await?;
    all_send_after(&simulator, 0).await?;
    first.process.kill().await?;
    let killed = since_1970()?;
    let resumed = all_send_after(&simulator, killed + LAST_BYTES.as_nanos() as u64).await?;
    second.cancel(campaign).await?;

    // Nobody has scanned anything since: each number still has the one device it had.
    let numbers: Vec<String> = (0..NUMBERS).map(number).collect();
    ensure!(simulator.are_connected(&numbers).await?, "a number has lost its device");
    simulator.assert_no_violation().await?;
    second.process.stop().await?;
    third.process.stop().await?;
    let seconds = resumed.iter().map(|at| format!("{:.1}", (at - killed) as f64 / 1e9));
    println!(
        "\nThree processes, the one with {NUMBERS} numbers killed with -9: they sent again from the others, without a\n\
         QR, after {} s.",
        seconds.collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Returns, in order, when the first message of each number came in after this time.
async fn all_send_after(simulator: &Simulator, time: u64) -> anyhow::Result<Vec<u64>> {
    timeout(PATIENCE, async {
        loop {
            let mut firsts = simulator.arrivals(0).await?.firsts_after(time);
            if firsts.len() == NUMBERS as usize {
                firsts.sort_unstable();
                return Ok(firsts);
            }
            sleep(LOOK_EVERY).await;
        }
    })
    .await
    .context("not all numbers send")?
}

/// Nanoseconds, as in the ledger.
fn since_1970() -> anyhow::Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos())?)
}
