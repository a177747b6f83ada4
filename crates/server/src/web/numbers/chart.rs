//! What has gone out today, hour by hour.

use super::super::error::PageError;
use super::super::texts::text;
use super::super::visitor::Visitor;
use crate::api::Api;
use crate::api::session_view::SessionView;
use crate::store::state::HourOfMessages;
use kabari_domain::{Phone, Timestamp};
use maud::{Markup, html};
use std::time::Duration;

const HOURS: usize = 24;
/// The chart's size, in units of its own.
const WIDTH: u64 = 360;
const HEIGHT: u64 = 120;
/// The room for the hours below the bars, and for the figure above the highest.
const FOOT: u64 = 22;
const HEAD: u64 = 18;
/// Every so many hours one is named.
const NAMED_HOURS: usize = 6;

/// A chart of today's messages for each of these numbers that has sent some.
pub async fn today(
    visitor: &Visitor,
    api: &Api,
    numbers: &[SessionView],
) -> Result<Markup, PageError> {
    let now = api.state.now().await?;
    let midnight = api.settings.quotas.midnight(now);
    let sent = api.state.sent_since(midnight).await?;
    let phones = numbers.iter().filter_map(|number| Some((number, number.session.phone.as_ref()?)));
    let charts: Vec<_> = phones
        .map(|(number, phone)| (&number.session.name, by_hour(&sent, phone, midnight)))
        .filter(|(_, hours)| hours.iter().sum::<u64>() > 0)
        .collect();
    Ok(html! {
        section.card aria-labelledby="today" {
            h2 id="today" { (text!(visitor, "number-today")) }
            @if charts.is_empty() {
                p.soft { (text!(visitor, "number-today-none")) }
            }
            @for (name, hours) in &charts {
                @if numbers.len() > 1 { h3 { (name) } }
                (draw(visitor, hours))
            }
        }
    })
}

fn by_hour(sent: &[HourOfMessages], phone: &Phone, midnight: Timestamp) -> [u64; HOURS] {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let mut hours = [0; HOURS];
    for entry in sent.iter().filter(|entry| entry.sender == *phone) {
        let hour = entry.begins.since(midnight).as_secs() / HOUR.as_secs();
        if let Some(messages) = hours.get_mut(hour as usize) {
            *messages += entry.messages;
        }
    }
    hours
}

fn draw(visitor: &Visitor, hours: &[u64; HOURS]) -> Markup {
    let words = visitor.texts();
    let most = hours.iter().copied().max().unwrap_or_default().max(1);
    let busiest = hours.iter().position(|messages| *messages == most).unwrap_or_default();
    let label = text!(
        visitor,
        "number-today-label",
        total = hours.iter().sum::<u64>(),
        hour = format!("{busiest:02}"),
        most = most
    );
    let column = WIDTH / HOURS as u64;
    let floor = HEIGHT - FOOT;
    html! {
        svg.chart.hours viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            line.grid x1="0" x2=(WIDTH) y1=(floor) y2=(floor) {}
            @for (hour, messages) in hours.iter().enumerate() {
                @let x = hour as u64 * column;
                @let height = messages * (floor - HEAD) / most;
                @if *messages > 0 {
                    rect.sent x=(x + 2) y=(floor - height) width=(column - 4) height=(height.max(1)) rx="2" {}
                }
                @if hour == busiest {
                    text x=(x + column / 2) y=(floor - height - 5) text-anchor="middle" {
                        (words.number(*messages))
                    }
                }
                @if hour % NAMED_HOURS == 0 {
                    text x=(x + 2) y=(HEIGHT - 5) { (format!("{hour:02}")) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_in_the_hour_of_the_day_that_they_went_out_in() {
        let midnight = Timestamp(1_000_000);
        let phone = Phone::parse("081299990000").unwrap();
        let entry = |hour: u64, messages| HourOfMessages {
            sender: phone.clone(),
            begins: midnight + Duration::from_secs(hour * 3600),
            messages,
        };
        let hours = by_hour(&[entry(0, 2), entry(9, 80), entry(30, 1)], &phone, midnight);
        assert_eq!((hours[0], hours[9], hours.iter().sum::<u64>()), (2, 80, 82));
        let other = Phone::parse("081299990001").unwrap();
        assert_eq!(by_hour(&[entry(0, 2)], &other, midnight), [0; HOURS]);
    }
}
