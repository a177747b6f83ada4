//! Care for the number: at night nothing goes out, never more in a day than it may, and nothing
//! to strangers while WhatsApp does not want that.

use super::gate::{Gate, Spared};
use super::{Context, DispatcherSettings};
use crate::store::{Sender, StoreError};
use chrono::{DateTime, Datelike, NaiveDateTime};
use kabari_domain::{PauseReason, Timestamp};

/// The most a newly linked number sends on its first day; twice that on the second, and so on.
const WARM_UP_FIRST_DAY: u32 = 20;
/// From this day on, counted from 0, a number is warm.
const WARM_UP_DAYS: u32 = 8;
const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

impl DispatcherSettings {
    /// The operator's wall clock.
    fn local(&self, now: Timestamp) -> NaiveDateTime {
        let utc = DateTime::from_timestamp_millis(now.0).unwrap_or_default();
        utc.with_timezone(&self.timezone).naive_local()
    }

    /// The operator's day, as a number that changes at midnight.
    pub fn day(&self, now: Timestamp) -> i64 {
        i64::from(self.local(now).num_days_from_ce())
    }

    /// Whether nothing but urgent messages goes out now.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        self.quiet_hours.is_some_and(|hours| hours.end_after(self.local(now)).is_some())
    }

    /// How many more messages this number may send today; `None` is no limit.
    pub fn left_today(&self, sender: &Sender, now: Timestamp) -> Option<u32> {
        let warm_up = self.warm_up.then(|| warm_up_cap(sender.linked_at, now)).flatten();
        let cap = [self.daily_cap, warm_up].into_iter().flatten().min()?;
        let sent = if sender.day == self.day(now) { sender.sent_today } else { 0 };
        Some(cap.saturating_sub(sent))
    }
}

impl Context {
    /// The gate as care for the number leaves it.
    pub async fn care_gate(&self, sender: &Sender, now: Timestamp) -> Result<Gate, StoreError> {
        let (reason, spares) = if self.settings.left_today(sender, now) == Some(0) {
            (PauseReason::DailyCap, Spared::Nobody)
        } else if self.settings.is_quiet(now) {
            (PauseReason::QuietHours, Spared::Urgent)
        } else if sender.reach_out_until > now {
            let going_on = self.state.campaigns_for_contacts(&sender.phone).await?;
            (PauseReason::ReachOutLimit, Spared::These(going_on))
        } else {
            return Ok(Gate::Open);
        };
        Ok(Gate::Closed { reason, fails_new: None, spares })
    }
}

fn warm_up_cap(linked_at: Timestamp, now: Timestamp) -> Option<u32> {
    let days = u32::try_from((now.0 - linked_at.0).max(0) / MILLIS_PER_DAY).unwrap_or(u32::MAX);
    (days < WARM_UP_DAYS).then(|| WARM_UP_FIRST_DAY << days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pace;
    use crate::waits::Waits;
    use kabari_domain::Phone;
    use std::time::Duration;

    fn settings() -> DispatcherSettings {
        DispatcherSettings {
            node: "test".into(),
            pace: Pace { delay: Duration::ZERO, jitter: Duration::ZERO },
            quiet_hours: "22:00-05:00".parse().ok(),
            timezone: chrono_tz::Asia::Jakarta,
            daily_cap: Some(100),
            warm_up: true,
            waits: Waits::default(),
        }
    }

    fn at(utc: &str) -> Timestamp {
        Timestamp(DateTime::parse_from_rfc3339(utc).unwrap().timestamp_millis())
    }

    #[test]
    fn night_is_where_the_operator_is() {
        assert!(!settings().is_quiet(at("2026-01-10T14:59:59Z")));
        assert!(settings().is_quiet(at("2026-01-10T15:00:00Z")), "22:00 in Jakarta");
        assert!(!settings().is_quiet(at("2026-01-10T22:00:00Z")), "05:00 in Jakarta");
        let day = |utc| settings().day(at(utc));
        assert_eq!(day("2026-01-10T16:59:59Z") + 1, day("2026-01-10T17:00:00Z"));
    }

    #[test]
    fn a_new_number_begins_slowly_and_the_cap_counts_the_day() {
        let linked_at = at("2026-01-10T00:00:00Z");
        let mut sender = Sender {
            phone: Phone::from_stored("6281299990000"),
            owner: None,
            epoch: 1,
            lease_until: Timestamp(0),
            next_slot_at: Timestamp(0),
            linked_at,
            day: settings().day(linked_at),
            sent_today: 15,
            reach_out_until: Timestamp(0),
        };
        assert_eq!(settings().left_today(&sender, linked_at), Some(5));
        assert_eq!(settings().left_today(&sender, at("2026-01-11T00:00:00Z")), Some(40));
        assert_eq!(settings().left_today(&sender, at("2026-01-18T00:00:00Z")), Some(100));
        sender.sent_today = 99;
        assert_eq!(settings().left_today(&sender, linked_at), Some(0));
        let unlimited = DispatcherSettings { daily_cap: None, warm_up: false, ..settings() };
        assert_eq!(unlimited.left_today(&sender, linked_at), None);
    }
}
