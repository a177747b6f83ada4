//! What this process counts and times, for Prometheus and for `/readyz`.
//!
//! Labels are names of sessions, states and routes, of which there are few. No phone number is
//! ever one.

use kabari_domain::{DeliveryEvent, MessageId, ReceiptRank};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of what takes a moment: statements and requests, in seconds.
const MOMENTS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0, 10.0];
/// Upper bounds of the time to the server's ack, in seconds.
const ACKS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0];
/// Upper bounds of the time from an ack to a receipt, in seconds: phones are offline for hours.
const RECEIPTS: [f64; 8] = [1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0];
/// How many acked messages are remembered to time their receipts. What is older is not timed.
const TIMED_MESSAGES: usize = 10_000;
/// A message is late when it leaves later than its pace by more than this share of the pace,
const LATE_SHARE: u32 = 20;
/// or by this, where the pace is short.
const LATE_AT_LEAST: Duration = Duration::from_millis(50);

/// A loop of the dispatcher that has to come round again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// Takes and renews sessions.
    Fleet,
    /// Starts, expires and completes campaigns.
    Upkeep,
}

/// The measurements of this process. Cloning is cheap; all clones are one.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    attempts: IntCounterVec,
    acks: Histogram,
    receipts: IntCounterVec,
    receipt_times: HistogramVec,
    paced: IntCounterVec,
    connects: IntCounterVec,
    requests: HistogramVec,
    claims: Histogram,
    acked: Mutex<AckTimes>,
    /// When each loop has come round last, on the dispatcher's monotonic clock.
    rounds: Mutex<[Duration; 2]>,
}

impl Default for Inner {
    fn default() -> Inner {
        let registry = Registry::new();
        Inner {
            attempts: registered(
                &registry,
                counter(
                    "attempts_total",
                    "Attempts to send, by what came of them.",
                    &["session", "outcome"],
                ),
            ),
            acks: registered(
                &registry,
                histogram("ack_seconds", "Time from a message to WhatsApp's answer.", &ACKS),
            ),
            receipts: registered(
                &registry,
                counter(
                    "receipts_total",
                    "Messages that recipients have received or read.",
                    &["rank"],
                ),
            ),
            receipt_times: registered(
                &registry,
                histograms(
                    "receipt_seconds",
                    "Time from WhatsApp's ack to the receipt, of messages sent since the start.",
                    &["rank"],
                    &RECEIPTS,
                ),
            ),
            paced: registered(
                &registry,
                counter(
                    "paced_messages_total",
                    "Messages that followed another, by whether they left in time for the pace.",
                    &["session", "pace"],
                ),
            ),
            connects: registered(
                &registry,
                counter("connects_total", "Connections made to WhatsApp.", &["session"]),
            ),
            requests: registered(
                &registry,
                histograms(
                    "http_request_seconds",
                    "Time until the answer to a request begins.",
                    &["method", "route", "status"],
                    &MOMENTS,
                ),
            ),
            claims: registered(
                &registry,
                histogram(
                    "claim_seconds",
                    "Time to take the next deliveries of a session from the database.",
                    &MOMENTS,
                ),
            ),
            acked: Mutex::default(),
            rounds: Mutex::default(),
            registry,
        }
    }
}

impl Metrics {
    /// Returns the metrics of a node that starts now, on the dispatcher's monotonic clock: until its
    /// loops have come round, they have been away since then.
    pub fn starting(at: Duration) -> Metrics {
        let metrics = Metrics::default();
        *lock(&metrics.0.rounds) = [at; 2];
        metrics
    }

    /// Shows what is measured elsewhere, such as a database's [`statement_times`].
    pub fn show(&self, times: Histogram) {
        registered(&self.0.registry, times);
    }

    /// Counts an attempt; `time` is how long WhatsApp took for its answer.
    pub fn attempted(&self, session: &str, outcome: DeliveryEvent, time: Duration) {
        self.0.attempts.with_label_values(&[session, outcome_name(outcome)]).inc();
        if outcome == DeliveryEvent::Acked {
            self.0.acks.observe(time.as_secs_f64());
        }
    }

    /// Remembers when a message was acked, to time its receipts.
    pub fn acked(&self, message: &MessageId, at: Duration) {
        lock(&self.0.acked).insert(message, at);
    }

    /// Counts the receipts of these messages, and times those whose acks are remembered.
    pub fn received(&self, messages: &[MessageId], rank: ReceiptRank, at: Duration) {
        let name = match rank {
            ReceiptRank::Delivered => "delivered",
            ReceiptRank::Read => "read",
        };
        self.0.receipts.with_label_values(&[name]).inc_by(messages.len() as u64);
        let acked = lock(&self.0.acked);
        let times = self.0.receipt_times.with_label_values(&[name]);
        for acked_at in messages.iter().filter_map(|message| acked.0.get(message.as_str())) {
            times.observe(at.saturating_sub(*acked_at).as_secs_f64());
        }
    }

    /// Counts a message that followed another of its session `late` after the pace allowed it.
    pub fn paced(&self, session: &str, pace: Duration, late: Duration) {
        let missed = late > (pace / LATE_SHARE).max(LATE_AT_LEAST);
        let label = if missed { "missed" } else { "kept" };
        self.0.paced.with_label_values(&[session, label]).inc();
    }

    /// Counts a connection of this session.
    pub fn connected(&self, session: &str) {
        self.0.connects.with_label_values(&[session]).inc();
    }

    /// Counts a request, by the template of its route.
    pub fn requested(&self, method: &str, route: &str, status: u16, time: Duration) {
        let status = status.to_string();
        self.0.requests.with_label_values(&[method, route, &status]).observe(time.as_secs_f64());
    }

    /// Times how long the database took to give a session its next deliveries.
    pub fn claimed(&self, time: Duration) {
        self.0.claims.observe(time.as_secs_f64());
    }

    /// A loop has come round without an error.
    pub fn came_round(&self, which: Loop, at: Duration) {
        lock(&self.0.rounds)[which as usize] = at;
    }

    /// Returns how long ago the loop came round that has been away for longest.
    pub fn longest_round(&self, now: Duration) -> Duration {
        let rounds = lock(&self.0.rounds);
        rounds.iter().map(|at| now.saturating_sub(*at)).max().unwrap_or_default()
    }

    /// Returns everything, in Prometheus's text format.
    pub fn text(&self, gauges: &Registry) -> Result<String, prometheus::Error> {
        let mut text = vec![];
        for registry in [&self.0.registry, gauges] {
            TextEncoder::new().encode(&registry.gather(), &mut text)?;
        }
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

/// When messages were acked, the newest [`TIMED_MESSAGES`] of them.
#[derive(Default)]
struct AckTimes(HashMap<String, Duration>, VecDeque<String>);

impl AckTimes {
    fn insert(&mut self, message: &MessageId, at: Duration) {
        if self.1.len() == TIMED_MESSAGES
            && let Some(oldest) = self.1.pop_front()
        {
            self.0.remove(&oldest);
        }
        let message = message.as_str().to_owned();
        if self.0.insert(message.clone(), at).is_none() {
            self.1.push_back(message);
        }
    }
}

/// Returns the times of a database's statements, to be [shown](Metrics::show).
pub fn statement_times(database: &str) -> Histogram {
    let opts = HistogramOpts::new(name("statement_seconds"), "Time of a statement.")
        .const_label("database", database)
        .buckets(MOMENTS.to_vec());
    Histogram::with_opts(opts).expect("name and buckets are valid")
}

fn counter(short: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name(short), help), labels).expect("name and labels are valid")
}

fn histogram(short: &str, help: &str, buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts::new(name(short), help).buckets(buckets.to_vec());
    Histogram::with_opts(opts).expect("name and buckets are valid")
}

fn histograms(short: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let opts = HistogramOpts::new(name(short), help).buckets(buckets.to_vec());
    HistogramVec::new(opts, labels).expect("name, labels and buckets are valid")
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}

/// Returns the full name of a metric.
pub fn name(short: &str) -> String {
    format!("kabari_{short}")
}

/// Returns what an attempt that ended so is called.
pub fn outcome_name(event: DeliveryEvent) -> &'static str {
    match event {
        DeliveryEvent::Acked => "acked",
        DeliveryEvent::Refused => "refused",
        DeliveryEvent::Deferred(_) => "deferred",
        DeliveryEvent::Unanswered(_) | DeliveryEvent::AnswerLost => "unanswered",
        DeliveryEvent::NotSent(_) => "not_sent",
        _ => "other",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        metrics.text(&Registry::new()).unwrap()
    }

    #[test]
    fn a_message_is_late_beyond_a_twentieth_of_its_pace() {
        let metrics = Metrics::default();
        let pace = Duration::from_secs(2);
        for millis in [0, 99, 101] {
            metrics.paced("default", pace, Duration::from_millis(millis));
        }
        metrics.paced("fast", Duration::ZERO, Duration::from_millis(49));
        let text = text(&metrics);
        for line in [
            r#"kabari_paced_messages_total{pace="kept",session="default"} 2"#,
            r#"kabari_paced_messages_total{pace="missed",session="default"} 1"#,
            r#"kabari_paced_messages_total{pace="kept",session="fast"} 1"#,
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn receipts_are_timed_from_the_ack_as_long_as_it_is_remembered() {
        let metrics = Metrics::default();
        let id = |n: usize| MessageId::from_stored(format!("3EB0{n}"));
        for n in 0..=TIMED_MESSAGES {
            metrics.acked(&id(n), Duration::from_secs(1));
        }
        let messages = [id(0), id(1)];
        metrics.received(&messages, ReceiptRank::Delivered, Duration::from_secs(4));
        let text = text(&metrics);
        assert!(text.contains(r#"kabari_receipts_total{rank="delivered"} 2"#), "{text}");
        assert!(text.contains(r#"kabari_receipt_seconds_sum{rank="delivered"} 3"#), "{text}");
    }

    #[test]
    fn the_longest_round_is_that_of_the_slower_loop() {
        let metrics = Metrics::starting(Duration::from_secs(10));
        assert_eq!(metrics.longest_round(Duration::from_secs(15)), Duration::from_secs(5));
        metrics.came_round(Loop::Fleet, Duration::from_secs(50));
        metrics.came_round(Loop::Upkeep, Duration::from_secs(20));
        assert_eq!(metrics.longest_round(Duration::from_secs(60)), Duration::from_secs(40));
    }
}
