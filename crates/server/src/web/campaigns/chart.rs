//! Messages sent, delivered and read over time.

use super::super::parts::StateGroup;
use super::super::texts::text;
use super::super::visitor::Visitor;
use crate::store::state::Timeline;
use maud::{Markup, html};

/// The chart's size, in units of its own.
const WIDTH: u64 = 720;
const HEIGHT: u64 = 200;
/// The room for half a line's width above and below.
const EDGE: u64 = 2;

/// Draws how a campaign went on.
pub fn draw(visitor: &Visitor, timeline: Option<Timeline>) -> Markup {
    let Some(timeline) = timeline else {
        return html! { p.soft { (text!(visitor, "campaign-chart-none")) } };
    };
    let last = |series: &[u64]| series.last().copied().unwrap_or_default();
    let most = last(&timeline.sent).max(1);
    let steps = (timeline.sent.len() as u64 - 1).max(1);
    let ends = timeline.begins + timeline.width.saturating_mul(steps as u32);
    let series = [
        (StateGroup::Sent, &timeline.sent),
        (StateGroup::Delivered, &timeline.delivered),
        (StateGroup::Read, &timeline.read),
    ];
    let label = text!(
        visitor,
        "campaign-chart-label",
        begins = visitor.moment(timeline.begins),
        ends = visitor.moment(ends),
        sent = last(&timeline.sent),
        delivered = last(&timeline.delivered),
        read = last(&timeline.read)
    );
    let floor = HEIGHT - EDGE;
    let points = |counts: &[u64]| -> String {
        let point = |(step, count): (usize, &u64)| {
            let x = step as u64 * WIDTH / steps;
            format!("{x},{}", floor - count * (floor - EDGE) / most)
        };
        // One point alone would not be seen.
        let counts =
            if counts.len() == 1 { [counts[0], counts[0]].to_vec() } else { counts.to_vec() };
        counts.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    };
    html! {
        p.soft.number aria-hidden="true" { (visitor.texts().number(most)) }
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            line.grid x1="0" x2=(WIDTH) y1=(EDGE) y2=(EDGE) {}
            line.grid x1="0" x2=(WIDTH) y1=(floor) y2=(floor) {}
            @for (group, counts) in series {
                polyline class={ "line " (group.as_str()) } points=(points(counts)) {}
            }
        }
        p.soft.chart-ends aria-hidden="true" {
            span { (visitor.moment(timeline.begins)) }
            span { (visitor.moment(ends)) }
        }
        ul.legend aria-hidden="true" {
            @for (group, counts) in series {
                li {
                    span class={ "dot " (group.as_str()) } {}
                    (group.label(visitor)) " "
                    strong.number { (visitor.texts().number(last(counts))) }
                }
            }
        }
    }
}
