//! Sending in three steps: what, to whom, and a last look. Each step is a page with an address of
//! its own, and the draft is kept between them.

mod check;
mod draft;
mod test_message;
mod to;
mod what;

use super::error::PageError;
use super::layout::{Page, Section, page};
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::api::send::Plan;
use crate::store::StoreError;
use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::TryStreamExt;
use maud::{Markup, html};
use std::sync::Arc;

/// The pages below `/app/send`.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/send", get(what::begin).post(what::create))
        .route("/app/send/preview", post(what::preview))
        .route("/app/send/{draft}", get(what::show).post(what::change))
        .route("/app/send/{draft}/to", get(to::show).post(to::choose))
        .route("/app/send/{draft}/customers", post(to::search))
        .route("/app/send/{draft}/check", get(check::show).post(check::send))
        .route("/app/send/{draft}/urgent", post(check::set_urgent))
        .route("/app/send/{draft}/test", post(test_message::send))
        .route("/app/send/{draft}/test/{campaign}", get(test_message::show))
}

/// A step of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    What,
    To,
    Check,
}

/// Returns where a step of a draft is.
fn address(draft: &str, step: Step) -> String {
    let base = Section::Send.address();
    match step {
        Step::What => format!("{base}/{draft}"),
        Step::To => format!("{base}/{draft}/to"),
        Step::Check => format!("{base}/{draft}/check"),
    }
}

/// Writes the page of a step; `draft` is there once the first step is done.
fn step_page(visitor: &Visitor, draft: Option<&str>, here: Step, content: Markup) -> Markup {
    let steps = [
        (Step::What, text!(visitor, "send-step-what")),
        (Step::To, text!(visitor, "send-step-to")),
        (Step::Check, text!(visitor, "send-step-check")),
    ];
    let body = html! {
        nav aria-label=(text!(visitor, "send-steps")) {
            ol.steps role="list" {
                @for (step, label) in steps {
                    li aria-current=[(step == here).then_some("step")] {
                        @match draft {
                            Some(draft) if step != here => a href=(address(draft, step)) { (label) },
                            _ => (label),
                        }
                    }
                }
            }
        }
        (content)
    };
    page(visitor, Page { title: text!(visitor, "send-title"), section: Section::Send, body })
}

/// What a real recipient would read.
struct Example {
    name: String,
    text: String,
}

impl Example {
    /// Returns what the first recipient of a plan would read.
    async fn of(api: &Api, plan: &Plan) -> Result<Option<Example>, StoreError> {
        let reached = plan
            .recipients(api)
            .try_filter(|recipient| std::future::ready(recipient.phone.is_some()));
        let first = std::pin::pin!(reached).try_next().await?;
        Ok(first.map(|recipient| Example {
            name: recipient.customer_name,
            text: recipient.text.unwrap_or_else(|| plan.template().to_owned()),
        }))
    }
}

/// The fields of a form; a name may be there several times.
struct FormFields(Vec<(String, String)>);

impl FormFields {
    fn read(form: &Bytes) -> FormFields {
        FormFields(form_urlencoded::parse(form).into_owned().collect())
    }

    /// Returns the first value of a field; nothing is as good as an empty one.
    fn first(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// Requires somebody who may send.
fn require_sender(visitor: &Visitor) -> Result<(), PageError> {
    visitor.require(kabari_domain::Role::Sender)
}
