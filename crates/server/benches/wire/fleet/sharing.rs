//! One campaign on ten numbers, and on one.

use super::{Order, SLOW_START, Strangers, link, session};
use crate::kabari::{Installation, Kabari};
use crate::simulator::Simulator;
use anyhow::ensure;
use std::time::Duration;

/// How many share the work.
const NUMBERS: u32 = 10;
/// The time between two messages of one number.
const DELAY: Duration = Duration::from_millis(200);
/// How many recipients a campaign goes to.
const RECIPIENTS: u32 = 600;
/// How many messages each number sends before, until it is at its full pace.
const WARM_UP: u32 = SLOW_START * 4;

/// Prints how many times as long one number takes.
pub async fn measure(order: &Order) -> anyhow::Result<()> {
    eprintln!("{NUMBERS} numbers against one");
    let simulator = Simulator::start().await?;
    let mut strangers = Strangers::new();
    let customers = NUMBERS * WARM_UP + 2 * RECIPIENTS;
    let mariadb = order.mariadb_url.as_deref();
    let installation = Installation::new(&simulator, order.engine, mariadb, customers).await?;
    let mut kabari = installation.start("node", DELAY).await?;
    link(&mut kabari, &simulator, 0..NUMBERS).await?;
    let campaign = kabari.write_to(strangers.take(NUMBERS * WARM_UP), &[]).await?;
    kabari.is_read(campaign).await?;

    let mut took = [Duration::ZERO; 2];
    for (numbers, took) in [NUMBERS, 1].into_iter().zip(&mut took) {
        *took = campaign_time(&kabari, &simulator, &mut strangers, numbers).await?;
    }
    let [all, one] = took.map(|took| took.as_secs_f64());
    simulator.assert_no_violation().await?;
    println!(
        "\n{RECIPIENTS} recipients, a message of one number every {} ms, from the first message to the last at the wire:\n\
         one number {one:.1} s, {NUMBERS} numbers {all:.2} s: {:.1} times as fast.",
        DELAY.as_millis(),
        one / all
    );
    Ok(())
}

/// The time from the first to the last message of a campaign at the wire.
async fn campaign_time(
    kabari: &Kabari,
    simulator: &Simulator,
    strangers: &mut Strangers,
    numbers: u32,
) -> anyhow::Result<Duration> {
    let before = simulator.last_entry().await?;
    let names: Vec<String> = (0..numbers).map(session).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let campaign = kabari.write_to(strangers.take(RECIPIENTS), &names).await?;
    kabari.is_read(campaign).await?;
    let arrivals = simulator.arrivals(before).await?;
    ensure!(
        arrivals.count() == RECIPIENTS as usize,
        "{} of {RECIPIENTS} arrived",
        arrivals.count()
    );
    ensure!(arrivals.numbers() == numbers as usize, "{} numbers sent", arrivals.numbers());
    Ok(arrivals.span())
}
