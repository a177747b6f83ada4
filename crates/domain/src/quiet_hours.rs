//! The time of day when nothing is sent.

use chrono::{NaiveDateTime, NaiveTime, TimeDelta};
use std::str::FromStr;

/// A span of the local day, such as `22:00-05:00`; it may cross midnight. The beginning belongs to
/// it, the end does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: NaiveTime,
    to: NaiveTime,
}

/// The text is not two different times of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not two times of day: write them like 22:00-05:00")]
pub struct InvalidQuietHours;

impl QuietHours {
    /// Returns when the quiet hours around this local time end; `None` outside of them.
    pub fn end_after(self, now: NaiveDateTime) -> Option<NaiveDateTime> {
        let time = now.time();
        let crosses_midnight = self.from > self.to;
        let (quiet, end_is_tomorrow) = if crosses_midnight {
            (time >= self.from || time < self.to, time >= self.from)
        } else {
            (time >= self.from && time < self.to, false)
        };
        let day = if end_is_tomorrow { now.date() + TimeDelta::days(1) } else { now.date() };
        quiet.then(|| day.and_time(self.to))
    }

    /// Returns the next beginning of quiet hours after this local time.
    pub fn start_after(self, now: NaiveDateTime) -> NaiveDateTime {
        let day = now.date();
        let day = if now.time() < self.from { day } else { day + TimeDelta::days(1) };
        day.and_time(self.from)
    }
}

impl FromStr for QuietHours {
    type Err = InvalidQuietHours;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = |text: &str| {
            NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| InvalidQuietHours)
        };
        let (from, to) = text.split_once('-').ok_or(InvalidQuietHours)?;
        let (from, to) = (time(from)?, time(to)?);
        if from == to { Err(InvalidQuietHours) } else { Ok(QuietHours { from, to }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(hours: &str, now: &str) -> Option<String> {
        let hours: QuietHours = hours.parse().unwrap();
        hours.end_after(now.parse().unwrap()).map(|end| end.to_string())
    }

    #[test]
    fn quiet_hours_may_cross_midnight() {
        let night = "22:00-05:00";
        assert_eq!(end(night, "2026-01-10T21:59:59"), None);
        assert_eq!(end(night, "2026-01-10T22:00:00").as_deref(), Some("2026-01-11 05:00:00"));
        assert_eq!(end(night, "2026-01-11T04:59:59").as_deref(), Some("2026-01-11 05:00:00"));
        assert_eq!(end(night, "2026-01-11T05:00:00"), None);
    }

    #[test]
    fn quiet_hours_may_lie_within_a_day() {
        assert_eq!(
            end("12:00-13:30", "2026-01-10T12:30:00").as_deref(),
            Some("2026-01-10 13:30:00")
        );
        assert_eq!(end("12:00-13:30", "2026-01-10T13:30:00"), None);
    }

    #[test]
    fn invalid_spans_are_refused() {
        for text in ["", "22:00", "22:00-22:00", "25:00-05:00", "22-5", "a-b"] {
            assert!(text.parse::<QuietHours>().is_err(), "{text}");
        }
    }
}
