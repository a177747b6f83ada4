//! Pieces that several pages show.

use super::texts::text;
use super::visitor::Visitor;
use crate::store::state::DeliveryCounts;
use kabari_domain::DeliveryState;
use maud::{Markup, html};
use serde_json::Value;

/// How a piece of a page is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something is under way, or waits.
    Wait,
    /// Something is wrong.
    Bad,
    /// Just so.
    Plain,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Wait => "wait",
            Tone::Bad => "bad",
            Tone::Plain => "plain",
        }
    }
}

/// A message that stands out; screen readers read one about a fault at once.
pub fn alert(tone: Tone, content: Markup) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! { div class={ "alert " (tone.class()) } role=(role) { (content) } }
}

/// A word or two in a box.
pub fn badge(tone: Tone, label: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (label) } }
}

/// What a list shows while nothing is in it, and what to do about that.
pub fn empty(what: &str, next: Markup) -> Markup {
    html! {
        div.empty {
            p { strong { (what) } }
            (next)
        }
    }
}

/// What is told apart of the states of deliveries: a colour in bars and charts, and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateGroup {
    /// Still to be sent.
    Queued,
    /// Taken by WhatsApp.
    Sent,
    /// On the recipient's phone.
    Delivered,
    /// Opened by the recipient.
    Read,
    /// Refused by WhatsApp.
    Failed,
    /// Never sent, for a reason of ours.
    Skipped,
    /// Sent without an answer: a person decides.
    Uncertain,
}

impl StateGroup {
    /// All of them, in the order of bars and legends.
    pub const ALL: [StateGroup; 7] = [
        StateGroup::Read,
        StateGroup::Delivered,
        StateGroup::Sent,
        StateGroup::Queued,
        StateGroup::Uncertain,
        StateGroup::Failed,
        StateGroup::Skipped,
    ];

    /// Returns the group of a state.
    pub fn of(state: DeliveryState) -> StateGroup {
        use DeliveryState::*;
        match state {
            Queued | Leased | Sending | RetryWait => StateGroup::Queued,
            Accepted => StateGroup::Sent,
            Delivered => StateGroup::Delivered,
            Read => StateGroup::Read,
            Failed => StateGroup::Failed,
            Skipped | Expired | Superseded | Cancelled => StateGroup::Skipped,
            Uncertain => StateGroup::Uncertain,
        }
    }

    /// Returns the states in the group.
    pub fn states(self) -> Vec<DeliveryState> {
        DeliveryState::ALL.into_iter().filter(|state| StateGroup::of(*state) == self).collect()
    }

    /// Returns the name in addresses and the class in the style sheet.
    pub fn as_str(self) -> &'static str {
        match self {
            StateGroup::Queued => "queued",
            StateGroup::Sent => "sent",
            StateGroup::Delivered => "delivered",
            StateGroup::Read => "read",
            StateGroup::Failed => "failed",
            StateGroup::Skipped => "skipped",
            StateGroup::Uncertain => "uncertain",
        }
    }

    /// Returns the group of this name.
    pub fn from_name(name: &str) -> Option<StateGroup> {
        Self::ALL.into_iter().find(|group| group.as_str() == name)
    }

    /// Returns the word for it.
    pub fn label(self, visitor: &Visitor) -> String {
        match self {
            StateGroup::Queued => text!(visitor, "state-queued"),
            StateGroup::Sent => text!(visitor, "state-sent"),
            StateGroup::Delivered => text!(visitor, "state-delivered"),
            StateGroup::Read => text!(visitor, "state-read"),
            StateGroup::Failed => text!(visitor, "state-failed"),
            StateGroup::Skipped => text!(visitor, "state-skipped"),
            StateGroup::Uncertain => text!(visitor, "state-uncertain"),
        }
    }

    /// Returns how it is meant.
    pub fn tone(self) -> Tone {
        match self {
            StateGroup::Sent | StateGroup::Delivered | StateGroup::Read => Tone::Good,
            StateGroup::Queued | StateGroup::Uncertain => Tone::Wait,
            StateGroup::Failed => Tone::Bad,
            StateGroup::Skipped => Tone::Plain,
        }
    }

    fn count(self, counts: &DeliveryCounts) -> u64 {
        self.states().into_iter().map(|state| counts.get(state)).sum()
    }
}

/// The width of a bar, in units of its own.
const BAR: u64 = 1000;

/// A bar of how many deliveries are in each state, and its legend with the numbers.
pub fn progress(visitor: &Visitor, counts: &DeliveryCounts) -> Markup {
    let total = counts.total().max(1);
    let shown: Vec<_> = StateGroup::ALL
        .into_iter()
        .map(|group| (group, group.count(counts)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let mut before = 0;
    let segments = shown.iter().map(|(group, count)| {
        let start = before * BAR / total;
        before += count;
        (group, start, before * BAR / total - start)
    });
    let segments: Vec<_> = segments.collect();
    html! {
        svg.bar viewBox={ "0 0 " (BAR) " 1" } preserveAspectRatio="none" aria-hidden="true" {
            @for (group, x, width) in segments {
                rect class=(group.as_str()) x=(x) y="0" width=(width) height="1" {}
            }
        }
        ul.legend {
            @for (group, count) in shown {
                li {
                    span class={ "dot " (group.as_str()) } {}
                    (group.label(visitor)) " "
                    strong.number { (visitor.texts().number(count)) }
                }
            }
        }
    }
}

/// The request that does the same by API, to copy.
pub fn as_curl(visitor: &Visitor, method: &str, path: &str, body: Option<&Value>) -> Markup {
    let mut command = format!("curl -X {method} {}", quoted(&format!("{}{path}", visitor.origin)));
    command.push_str(" \\\n  -H \"X-API-Key: $API_KEY\"");
    if let Some(body) = body {
        let body = quoted(&body.to_string());
        command.push_str(&format!(" \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"));
    }
    html! {
        details.curl {
            summary { (text!(visitor, "curl-title")) " " code { (method) " " (path) } }
            pre tabindex="0" { code { (command) } }
            button.second type="button" data-copy="" data-copied=(text!(visitor, "curl-copied")) hidden {
                (text!(visitor, "curl-copy"))
            }
        }
    }
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Links to the first and the next part of a list; an address only where there is such a part.
pub fn pager(visitor: &Visitor, first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.row aria-label=(text!(visitor, "pages-label")) {
                @if let Some(first) = first {
                    a.button.second href=(first) { (text!(visitor, "pages-first")) }
                }
                @if let Some(next) = next {
                    a.button.second rel="next" href=(next) { (text!(visitor, "pages-next")) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_in_the_group_that_names_it() {
        for group in StateGroup::ALL {
            assert!(!group.states().is_empty(), "{group:?}");
            assert_eq!(StateGroup::from_name(group.as_str()), Some(group));
        }
        let states: usize = StateGroup::ALL.iter().map(|group| group.states().len()).sum();
        assert_eq!(states, DeliveryState::ALL.len());
    }

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_was() {
        assert_eq!(quoted("a 'b' $c"), r"'a '\''b'\'' $c'");
    }
}
