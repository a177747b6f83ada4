//! One process with more and more sessions.

use super::{ORDINARY_DELAY, Order, SLOW_START, Strangers, link, number};
use crate::kabari::{Installation, Kabari};
use crate::report::{engine_name, right_aligned, table};
use crate::simulator::Simulator;
use anyhow::ensure;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long the process has nothing to do before its memory is read.
const IDLE: Duration = Duration::from_secs(15);
/// What a machine with two cores cannot reach, in messages per second.
const FAST_AT_MOST: u32 = 1_500;
/// Messages that no number gets to send, so that none runs out of work.
const SPARE: u32 = 10;
/// A gap this much longer than the delay is too long.
const LONG: f64 = 1.05;

/// One number of sessions.
struct Row {
    sessions: u32,
    connected_after: Duration,
    idle_mb: f64,
    idle_cpu: f64,
    threads: u32,
    open_files: usize,
    gaps: Gaps,
    busy_mb: f64,
    per_second: f64,
}

impl Row {
    /// What the table shows.
    fn cells(&self, first: &Row) -> [String; 13] {
        let more = self.sessions - first.sessions;
        let each = (self.idle_mb - first.idle_mb) / f64::from(more.max(1));
        let gaps = &self.gaps;
        [
            self.sessions.to_string(),
            format!("{:.1} s", self.connected_after.as_secs_f64()),
            format!("{:.0}", self.idle_mb),
            if more == 0 { "-".to_owned() } else { format!("{each:.2}") },
            format!("{:.0} %", self.idle_cpu * 100.0),
            self.threads.to_string(),
            self.open_files.to_string(),
            gaps.numbers.to_string(),
            gaps.measured(format!("{:.1} %", gaps.long as f64 * 100.0 / gaps.all.max(1) as f64)),
            gaps.measured(format!("{:.2} s", gaps.longest.as_secs_f64())),
            gaps.short.to_string(),
            format!("{:.0}", self.per_second),
            format!("{:.0}", self.busy_mb),
        ]
    }
}

/// The times between two messages of one number, at the ordinary delay.
struct Gaps {
    /// How many numbers sent anything.
    numbers: usize,
    all: usize,
    short: usize,
    long: usize,
    longest: Duration,
}

impl Gaps {
    /// What was measured, or `-` where the numbers were too slow for any gap after the slow start.
    fn measured(&self, shown: String) -> String {
        if self.all == 0 { "-".to_owned() } else { shown }
    }
}

/// Prints a row for each number of sessions.
pub async fn measure(order: &Order) -> anyhow::Result<()> {
    let customers = |sessions: &u32| sessions * paced(order) + FAST_AT_MOST * order.seconds;
    let customers = order.sessions.iter().map(customers).sum();
    let simulator = Simulator::start().await?;
    let mariadb = order.mariadb_url.as_deref();
    let installation = Installation::new(&simulator, order.engine, mariadb, customers).await?;
    let mut growth =
        Growth { order, simulator, installation, linked: 0, strangers: Strangers::new() };
    let mut rows = vec![];
    for &sessions in &order.sessions {
        let row = growth.row(sessions).await?;
        // The first row is what the others are compared with.
        let first = rows.first().unwrap_or(&row);
        eprintln!("{sessions} sessions: {}", row.cells(first).join(", "));
        rows.push(row);
    }
    growth.simulator.assert_no_violation().await?;
    print(order, &rows);
    Ok(())
}

/// How many messages one number gets to send at the ordinary delay.
fn paced(order: &Order) -> u32 {
    SLOW_START + order.seconds / ORDINARY_DELAY.as_secs() as u32 + SPARE
}

struct Growth<'o> {
    order: &'o Order,
    simulator: Simulator,
    installation: Installation,
    linked: u32,
    strangers: Strangers,
}

impl Growth<'_> {
    async fn row(&mut self, sessions: u32) -> anyhow::Result<Row> {
        eprintln!("{sessions} sessions: linking");
        let mut kabari = self.start(ORDINARY_DELAY).await?.0;
        link(&mut kabari, &self.simulator, self.linked..sessions).await?;
        self.linked = sessions;
        kabari.process.stop().await?;

        eprintln!("{sessions} sessions: a message every {} s", ORDINARY_DELAY.as_secs());
        let (kabari, connected_after) = self.start(ORDINARY_DELAY).await?;
        let numbers: Vec<String> = (0..sessions).map(number).collect();
        ensure!(self.simulator.are_connected(&numbers).await?, "some are not connected");
        let before = kabari.process.cpu()?;
        sleep(IDLE).await;
        let idle_cpu = (kabari.process.cpu()? - before).as_secs_f64() / IDLE.as_secs_f64();
        let idle_mb = kabari.process.resident_mb()?;
        let (threads, open_files) = (kabari.process.threads()?, kabari.process.open_files()?);
        let gaps = self.gaps(&kabari).await?;
        kabari.process.stop().await?;

        eprintln!("{sessions} sessions: as fast as it goes");
        let (kabari, _) = self.start(Duration::ZERO).await?;
        let per_second = self.per_second(&kabari).await?;
        let busy_mb = kabari.process.resident_mb()?;
        kabari.process.stop().await?;
        Ok(Row {
            sessions,
            connected_after,
            idle_mb,
            idle_cpu,
            threads,
            open_files,
            gaps,
            busy_mb,
            per_second,
        })
    }

    /// Starts the process. Returns it with the time until all that are linked are connected.
    async fn start(&self, delay: Duration) -> anyhow::Result<(Kabari, Duration)> {
        let begun = Instant::now();
        let mut kabari = self.installation.start("node", delay).await?;
        kabari.are_connected(self.linked).await?;
        Ok((kabari, begun.elapsed()))
    }

    async fn gaps(&mut self, kabari: &Kabari) -> anyhow::Result<Gaps> {
        let before = self.simulator.last_entry().await?;
        let messages = self.linked * paced(self.order);
        let campaign = kabari.write_to(self.strangers.take(messages), &[]).await?;
        sleep(ORDINARY_DELAY * 2 * SLOW_START + Duration::from_secs(self.order.seconds.into()))
            .await;
        kabari.cancel(campaign).await?;
        let arrivals = self.simulator.arrivals(before).await?;
        let short = arrivals.gaps(0).into_iter().filter(|gap| *gap < ORDINARY_DELAY).count();
        // The gap after the last slow message is a long one, too.
        let gaps = arrivals.gaps(SLOW_START as usize + 1);
        Ok(Gaps {
            numbers: arrivals.numbers(),
            all: gaps.len(),
            short,
            long: gaps.iter().filter(|gap| **gap > ORDINARY_DELAY.mul_f64(LONG)).count(),
            longest: gaps.into_iter().max().unwrap_or_default(),
        })
    }

    async fn per_second(&mut self, kabari: &Kabari) -> anyhow::Result<f64> {
        let before = self.simulator.last_entry().await?;
        let messages = FAST_AT_MOST * self.order.seconds;
        let campaign = kabari.write_to(self.strangers.take(messages), &[]).await?;
        sleep(Duration::from_secs(self.order.seconds.into())).await;
        kabari.cancel(campaign).await?;
        Ok(self.simulator.arrivals(before).await?.per_second())
    }
}

fn print(order: &Order, rows: &[Row]) {
    println!(
        "\n\
         One process with its state on {engine}, all sessions linked before it starts. Connected: seconds\n\
         from its start until all are. MB: resident, {idle} s later; each: of it for every session more than\n\
         in the first row. CPU idle: of one core, with nothing to send. With a delay of {delay} s, for\n\
         {seconds} s: how many numbers sent anything, the share of gaps between two messages of one number that are more than {long:.0} % too\n\
         long, the longest, and how many are too short. msg/s: first messages with a delay of 0, all\n\
         numbers together, for {seconds} s; MB busy: resident after them.\n",
        engine = engine_name(order.engine),
        idle = IDLE.as_secs(),
        delay = ORDINARY_DELAY.as_secs(),
        seconds = order.seconds,
        long = (LONG - 1.0) * 100.0,
    );
    let mut shown = table([
        "sessions",
        "connected",
        "MB",
        "each",
        "CPU idle",
        "threads",
        "files",
        "sending",
        "too long",
        "longest",
        "too short",
        "msg/s",
        "MB busy",
    ]);
    for row in rows {
        shown.add_row(row.cells(&rows[0]));
    }
    println!("{}", right_aligned(shown, 0));
}
