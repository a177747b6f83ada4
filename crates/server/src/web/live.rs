//! Parts of a page that renew themselves: each asks again when something may have changed (see
//! [`events`](super::events)), and is answered only when it has.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A part of a page that renews itself.
pub struct Live<'a> {
    /// Its id on the page.
    pub id: &'a str,
    /// Where it asks.
    pub address: String,
    /// How long it waits between two questions; without events it asks as often.
    pub every: Duration,
}

/// What a page has already.
#[derive(Debug, Default, Deserialize)]
pub struct Seen {
    #[serde(default)]
    seen: String,
}

impl Live<'_> {
    /// Puts the part on a page.
    pub fn show(&self, content: &Markup) -> Markup {
        self.show_around(content, content)
    }

    /// Puts a part on a page that has other such parts in it; `frame` is the content without them.
    pub fn show_around(&self, frame: &Markup, content: &Markup) -> Markup {
        let joint = if self.address.contains('?') { '&' } else { '?' };
        html! {
            div.live id=(self.id) hx-get={ (self.address) (joint) "seen=" (mark(frame)) }
                hx-trigger="renew consume" hx-swap="outerHTML" data-every=(self.every.as_millis()) {
                (content)
            }
        }
    }

    /// Answers a page that asks, with nothing if it has this content.
    pub fn answer(&self, seen: &Seen, content: &Markup) -> Response {
        self.answer_around(seen, content, content)
    }

    /// Answers a page that asks for a part with others in it.
    pub fn answer_around(&self, seen: &Seen, frame: &Markup, content: &Markup) -> Response {
        if seen.seen == mark(frame) {
            return StatusCode::NO_CONTENT.into_response();
        }
        self.show_around(frame, content).into_response()
    }
}

/// Tells one content from another.
fn mark(content: &Markup) -> String {
    let digest = Sha256::digest(&content.0);
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_answered_only_when_something_has_changed() {
        let every = Duration::from_secs(1);
        let live = Live { id: "state", address: "/app/state".to_owned(), every };
        let (before, after) = (html! { "1" }, html! { "2" });
        let seen = Seen { seen: mark(&before) };
        assert!(live.show(&before).0.contains(&format!("?seen={}", seen.seen)));
        assert_eq!(live.answer(&seen, &before).status(), StatusCode::NO_CONTENT);
        assert_eq!(live.answer(&seen, &after).status(), StatusCode::OK);
        assert_eq!(live.answer(&Seen::default(), &before).status(), StatusCode::OK);
    }
}
