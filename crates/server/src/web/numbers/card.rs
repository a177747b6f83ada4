//! A number on a card, as the first page and the list show it.

use super::super::parts::badge;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{address, condition};
use crate::api::session_view::SessionView;
use maud::{Markup, html};

/// A card for each number, with a link to its page.
pub fn cards(visitor: &Visitor, numbers: &[SessionView]) -> Markup {
    html! {
        ul.cards role="list" {
            @for number in numbers {
                li.card { (card(visitor, number)) }
            }
        }
    }
}

fn card(visitor: &Visitor, number: &SessionView) -> Markup {
    let name = &number.session.name;
    let condition = condition(visitor, number);
    html! {
        div.head {
            h3 { a id={ "number-" (name) } href=(address(name)) { (name) } }
            (badge(condition.tone, &condition.label))
        }
        @if let Some(phone) = number.session.phone.as_ref().filter(|_| number.session.is_linked()) {
            p.number { "+" (phone.digits()) }
        }
        @if let Some(advice) = condition.advice {
            p.soft { (advice) }
        }
        @if let Some(since) = since(visitor, number) {
            p.soft { (since) }
        }
        (figures(visitor, number))
    }
}

/// Since when it sends nothing, or else since when it is linked.
fn since(visitor: &Visitor, number: &SessionView) -> Option<String> {
    let session = &number.session;
    if let Some(since) = session.waiting_since.filter(|_| number.waiting.is_some()) {
        return Some(text!(visitor, "number-waiting-since", time = visitor.moment(since)));
    }
    let linked_at = session.linked_at.filter(|_| session.is_linked())?;
    Some(text!(visitor, "number-linked-since", time = visitor.moment(linked_at)))
}

/// What it has sent today, and what it still may.
pub fn figures(visitor: &Visitor, number: &SessionView) -> Markup {
    let words = visitor.texts();
    html! {
        div.figures {
            p.figure {
                strong { (words.number(number.sent_today.into())) }
                (text!(visitor, "number-sent-today"))
            }
            p.figure {
                strong {
                    @match number.left_today {
                        Some(left) => (words.number(left.into())),
                        None => "∞",
                    }
                }
                @match number.left_today {
                    Some(_) => (text!(visitor, "number-left-today")),
                    None => (text!(visitor, "number-no-cap")),
                }
            }
        }
    }
}
