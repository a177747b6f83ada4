//! Pieces that several pages show.

use maud::{Markup, html};

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
