//! How much a number may send, and when a send would end.

use crate::Timestamp;
use crate::quiet_hours::QuietHours;
use chrono::{DateTime, Datelike, Days, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use std::time::Duration;

/// The most a newly linked number sends on its first day; twice that on the second, and so on.
const WARM_UP_FIRST_DAY: u32 = 20;
/// From this day on, counted from 0, a number is warm.
const WARM_UP_DAYS: u32 = 8;
const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
/// The furthest a forecast looks ahead, in stretches of the day that differ from each other.
const MAX_FORECAST_STEPS: u32 = 20_000;

/// Limits that the operator puts on every number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// When nothing but urgent messages goes out.
    pub quiet_hours: Option<QuietHours>,
    /// The zone of `quiet_hours` and of the day that caps count.
    pub timezone: Tz,
    /// Most messages of a number a day, unless the number has a cap of its own.
    pub daily_cap: Option<u32>,
    /// Whether a newly linked number begins with few messages a day.
    pub warm_up: bool,
}

/// What one number has sent, and its own cap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// When the number was linked: its warm-up counts from there.
    pub linked_at: Timestamp,
    /// The day that `sent_today` counts; see [`Quotas::day`].
    pub day: i64,
    /// Messages that went to the wire that day.
    pub sent_today: u32,
    /// The number's own cap, which stands above [`Quotas::daily_cap`].
    pub daily_cap: Option<u32>,
}

impl Quotas {
    /// Returns quotas without any limit.
    pub fn none() -> Quotas {
        Quotas { quiet_hours: None, timezone: Tz::UTC, daily_cap: None, warm_up: false }
    }

    /// Returns the time on the operator's wall.
    pub fn local_time(&self, now: Timestamp) -> NaiveDateTime {
        let utc = DateTime::from_timestamp_millis(now.0).unwrap_or_default();
        utc.with_timezone(&self.timezone).naive_local()
    }

    /// Returns the instant of a local time. One that a change to summer time skips is an hour
    /// later.
    fn instant(&self, local: NaiveDateTime) -> Timestamp {
        let zoned = self.timezone.from_local_datetime(&local).earliest();
        let later = || self.timezone.from_local_datetime(&(local + chrono::TimeDelta::hours(1)));
        let zoned = zoned.or_else(|| later().earliest());
        Timestamp(
            zoned.map_or_else(|| local.and_utc().timestamp_millis(), |t| t.timestamp_millis()),
        )
    }

    /// Returns the operator's day, as a number that changes at midnight.
    pub fn day(&self, now: Timestamp) -> i64 {
        i64::from(self.local_time(now).num_days_from_ce())
    }

    /// Returns the operator's last midnight.
    pub fn midnight(&self, now: Timestamp) -> Timestamp {
        self.instant(self.local_time(now).date().and_time(NaiveTime::MIN))
    }

    /// Returns the operator's next midnight.
    pub fn next_day(&self, now: Timestamp) -> Timestamp {
        let tomorrow =
            self.local_time(now).date().checked_add_days(Days::new(1)).unwrap_or_default();
        self.instant(tomorrow.and_time(NaiveTime::MIN))
    }

    /// Returns the end of the quiet hours around `now`; `None` outside of them.
    pub fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        let end = self.quiet_hours?.end_after(self.local_time(now))?;
        Some(self.instant(end))
    }

    /// Returns how many more messages a number may send today; `None` is no limit.
    pub fn left_today(&self, usage: &Usage, now: Timestamp) -> Option<u32> {
        let warm_up = self.warm_up.then(|| warm_up_cap(usage.linked_at, now)).flatten();
        let cap = [usage.daily_cap.or(self.daily_cap), warm_up].into_iter().flatten().min()?;
        let sent = if usage.day == self.day(now) { usage.sent_today } else { 0 };
        Some(cap.saturating_sub(sent))
    }

    /// Returns when the last of `messages` would be out if `numbers` share them, nothing else is
    /// sent, and the first goes out at `starts_at`. `None` if that is never, or too far away to
    /// tell.
    pub fn forecast(
        &self,
        numbers: &[Capacity],
        starts_at: Timestamp,
        messages: u64,
        urgent: bool,
    ) -> Option<Timestamp> {
        let mut numbers = numbers.to_vec();
        let mut now = starts_at;
        let mut left = messages as f64;
        let mut first_of_day = -1;
        for _ in 0..MAX_FORECAST_STEPS {
            if left < 0.5 {
                return Some(now);
            }
            if let Some(end) = self.quiet_until(now).filter(|_| !urgent) {
                now = end;
                continue;
            }
            let day = self.day(now);
            let begins = std::mem::replace(&mut first_of_day, day) != day;
            let mut until = self.next_change(now, urgent);
            let mut rate = 0.0;
            for number in &mut numbers {
                if number.free_from > now {
                    until = until.min(number.free_from);
                    continue;
                }
                if begins && left >= 0.5 && self.left_today(&number.usage, now) != Some(0) {
                    // No pause goes before the first message.
                    number.count(1.0, day);
                    left -= 1.0;
                }
                let gap = number.gap.max(Duration::from_millis(1)).as_millis() as f64;
                match self.left_today(&number.usage, now) {
                    Some(0) => continue,
                    Some(cap) => until = until.min(now + number.gap * cap),
                    None => {}
                }
                rate += 1.0 / gap;
            }
            if rate > 0.0 && left >= 0.5 {
                let needed = Duration::from_millis((left / rate).ceil() as u64);
                if now + needed <= until {
                    return Some(now + needed);
                }
            } else if left < 0.5 {
                return Some(now);
            }
            let span = until.since(now).as_millis() as f64;
            for number in numbers.iter_mut().filter(|number| number.free_from <= now) {
                let gap = number.gap.max(Duration::from_millis(1)).as_millis() as f64;
                let cap = self.left_today(&number.usage, now).map_or(f64::MAX, f64::from);
                let sent = (span / gap).min(cap);
                number.count(sent, day);
                left -= sent;
            }
            now = until.max(now + Duration::from_millis(1));
        }
        None
    }

    /// Returns the next midnight or beginning of quiet hours.
    fn next_change(&self, now: Timestamp, urgent: bool) -> Timestamp {
        let midnight = self.next_day(now);
        let quiet = self.quiet_hours.filter(|_| !urgent);
        quiet.map_or(midnight, |hours| {
            midnight.min(self.instant(hours.start_after(self.local_time(now))))
        })
    }
}

/// What one number can send, for a forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// The mean time from one message to the next.
    pub gap: Duration,
    /// What it has sent.
    pub usage: Usage,
    /// When it can send again, such as at the end of a ban.
    pub free_from: Timestamp,
}

impl Capacity {
    fn count(&mut self, sent: f64, day: i64) {
        let before = if self.usage.day == day { self.usage.sent_today } else { 0 };
        self.usage.day = day;
        self.usage.sent_today = before.saturating_add(sent.round() as u32);
    }
}

fn warm_up_cap(linked_at: Timestamp, now: Timestamp) -> Option<u32> {
    let days = u32::try_from((now.0 - linked_at.0).max(0) / MILLIS_PER_DAY).unwrap_or(u32::MAX);
    (days < WARM_UP_DAYS).then(|| WARM_UP_FIRST_DAY << days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas() -> Quotas {
        Quotas {
            quiet_hours: "22:00-05:00".parse().ok(),
            timezone: chrono_tz::Asia::Jakarta,
            daily_cap: Some(100),
            warm_up: true,
        }
    }

    fn at(utc: &str) -> Timestamp {
        Timestamp(DateTime::parse_from_rfc3339(utc).unwrap().timestamp_millis())
    }

    fn capacity(gap_ms: u64) -> Capacity {
        let gap = Duration::from_millis(gap_ms);
        Capacity { gap, usage: Usage::default(), free_from: Timestamp(0) }
    }

    #[test]
    fn days_and_quiet_hours_are_those_of_the_operators_zone() {
        assert_eq!(quotas().quiet_until(at("2026-01-10T14:59:59Z")), None);
        let morning = Some(at("2026-01-10T22:00:00Z"));
        assert_eq!(quotas().quiet_until(at("2026-01-10T15:00:00Z")), morning, "22:00 in Jakarta");
        assert_eq!(quotas().quiet_until(at("2026-01-10T22:00:00Z")), None, "05:00 in Jakarta");
        let day = |utc| quotas().day(at(utc));
        assert_eq!(day("2026-01-10T16:59:59Z") + 1, day("2026-01-10T17:00:00Z"));
        assert_eq!(quotas().next_day(at("2026-01-10T01:00:00Z")), at("2026-01-10T17:00:00Z"));
        assert_eq!(quotas().midnight(at("2026-01-10T01:00:00Z")), at("2026-01-09T17:00:00Z"));
    }

    #[test]
    fn a_new_number_begins_slowly_and_the_cap_counts_the_day() {
        let linked_at = at("2026-01-10T00:00:00Z");
        let day = quotas().day(linked_at);
        let mut usage = Usage { linked_at, day, sent_today: 15, daily_cap: None };
        assert_eq!(quotas().left_today(&usage, linked_at), Some(5));
        assert_eq!(quotas().left_today(&usage, at("2026-01-11T00:00:00Z")), Some(40));
        assert_eq!(quotas().left_today(&usage, at("2026-01-18T00:00:00Z")), Some(100));
        usage.sent_today = 99;
        assert_eq!(quotas().left_today(&usage, linked_at), Some(0));
        assert_eq!(Quotas::none().left_today(&usage, linked_at), None);
        let own = Usage { daily_cap: Some(7), ..usage };
        assert_eq!(quotas().left_today(&own, at("2026-01-18T00:00:00Z")), Some(7));
    }

    #[test]
    fn a_forecast_without_limits_follows_the_pace() {
        let start = at("2026-01-10T01:00:00Z");
        let end = |numbers: &[Capacity], messages| {
            Quotas::none().forecast(numbers, start, messages, false).unwrap().since(start)
        };
        assert_eq!(end(&[capacity(2500)], 1), Duration::ZERO);
        assert_eq!(end(&[capacity(2500)], 101), Duration::from_secs(250));
        assert_eq!(end(&[capacity(2000); 2], 102), Duration::from_secs(100));
        assert_eq!(end(&[capacity(0)], 0), Duration::ZERO);
        assert_eq!(Quotas::none().forecast(&[], start, 1, false), None);
    }

    #[test]
    fn a_daily_cap_stretches_a_send_over_days() {
        let quotas = Quotas { daily_cap: Some(500), ..Quotas::none() };
        let start = at("2026-01-10T00:00:00Z");
        let end = quotas.forecast(&[capacity(2500)], start, 5_000, false).unwrap();
        assert_eq!(quotas.day(end) - quotas.day(start), 9, "5000 at 500 a day end on the 10th day");
        let none = Quotas { daily_cap: Some(0), ..Quotas::none() };
        assert_eq!(none.forecast(&[capacity(2500)], start, 1, false), None);
    }

    #[test]
    fn quiet_hours_interrupt_a_send_unless_it_is_urgent() {
        let quotas = Quotas { daily_cap: None, warm_up: false, ..quotas() };
        // 21:50 in Jakarta: 600 s until the quiet hours, 7 hours of them.
        let start = at("2026-01-10T14:50:00Z");
        let end = |urgent| quotas.forecast(&[capacity(2000)], start, 601, urgent).unwrap();
        assert_eq!(end(true).since(start), Duration::from_secs(1200));
        let expected = at("2026-01-10T22:00:00Z") + Duration::from_secs(600);
        assert!(end(false).since(expected) + expected.since(end(false)) <= Duration::from_secs(4));
    }

    #[test]
    fn a_banned_number_counts_from_the_end_of_its_ban() {
        let start = at("2026-01-10T00:00:00Z");
        let free_from = start + Duration::from_secs(3600);
        let banned = Capacity { free_from, ..capacity(1000) };
        let end = Quotas::none().forecast(&[banned], start, 11, false).unwrap();
        assert!(end.since(free_from + Duration::from_secs(10)) <= Duration::from_secs(1), "{end}");
    }
}
