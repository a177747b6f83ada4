//! Linking a phone: by QR, by code, or through the account's passkey. The panel follows the link
//! by itself.

use super::super::error::PageError;
use super::super::layout::{Page, Section, csrf_field, page};
use super::super::live::{Live, Seen};
use super::super::parts::{Tone, alert, badge};
use super::super::reasons;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{address, condition, passkey, view};
use crate::api::Api;
use crate::api::session_view::SessionView;
use crate::api::whatsapp::{PairRequest, pair_with};
use crate::store::state::Action;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use kabari_domain::{LinkState, Role};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// How often the panel asks whether something has changed.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Everything about the link of a number, for a page that follows it.
pub fn panel(visitor: &Visitor, number: &SessionView) -> Markup {
    let (frame, content) = (state(visitor, number, html! {}), content(visitor, number));
    live("link", number).show_around(&frame, &content)
}

/// A part of the panel that is asked for at an address of its own.
fn live<'a>(part: &'a str, number: &SessionView) -> Live<'a> {
    let address = format!("{}/{part}", address(&number.session.name));
    Live { id: part, address, every: ASK_EVERY }
}

/// The panel, if it is not the one that the page has.
pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    let number = view(&api, &name).await?;
    let (frame, content) = (state(&visitor, &number, html! {}), content(&visitor, &number));
    Ok(live("link", &number).answer_around(&seen, &frame, &content))
}

/// The QR, if it is not the one that the page has.
pub async fn show_qr(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    visitor.require(Role::Admin)?;
    let number = view(&api, &name).await?;
    Ok(live("qr", &number).answer(&seen, &qr(&visitor, &number)))
}

/// The QR renews itself more often than the rest, in which somebody may be writing.
fn content(visitor: &Visitor, number: &SessionView) -> Markup {
    state(visitor, number, live("qr", number).show(&qr(visitor, number)))
}

fn state(visitor: &Visitor, number: &SessionView, qr: Markup) -> Markup {
    let condition = condition(visitor, number);
    let link = &number.link;
    html! {
        section.card aria-labelledby="link-title" {
            div.head {
                h2 id="link-title" { (text!(visitor, "link-title")) }
                span role="status" { (badge(condition.tone, &condition.label)) }
            }
            @if let Some(phone) = link.phone.as_ref().filter(|_| !link.state.is_unlinked()) {
                p.figure {
                    strong { "+" (phone) }
                    @if link.is_connected() { (text!(visitor, "link-connected")) }
                }
            }
            @if let Some(advice) = condition.advice {
                p { (advice) }
            }
            @if let Some(error) = &link.error {
                details {
                    summary { (text!(visitor, "link-reason")) }
                    p.soft { (reasons::worded(visitor, error)) }
                }
            }
            @if is_to_be_linked(number) {
                @if visitor.may(Role::Admin) {
                    (linking(visitor, number, qr))
                } @else {
                    p { (text!(visitor, "link-for-admins")) }
                }
            }
            @if matches!(link.state, LinkState::PasskeyRequired { .. }) && visitor.may(Role::Admin) {
                (passkey::steps(visitor, number))
            }
        }
    }
}

/// Whether a QR is there to be scanned, or soon will be.
fn is_to_be_linked(number: &SessionView) -> bool {
    let is_new = number.link.state == LinkState::Starting && number.session.phone.is_none();
    matches!(number.link.state, LinkState::NotLinked | LinkState::LoggedOut) || is_new
}

fn linking(visitor: &Visitor, number: &SessionView, qr: Markup) -> Markup {
    let address = address(&number.session.name);
    html! {
        div.cards {
            (qr)
            ol.how {
                li { (text!(visitor, "link-step-open")) }
                li { (text!(visitor, "link-step-menu")) }
                li { (text!(visitor, "link-step-scan")) }
            }
        }
        form method="post" action={ (address) "/code" } hx-post={ (address) "/code" }
            hx-target="#code-answer" hx-swap="innerHTML" {
            (csrf_field(visitor))
            h3 { (text!(visitor, "link-code-title")) }
            div.field {
                label for="phone" { (text!(visitor, "link-code-phone")) }
                input id="phone" name="phone" type="tel" inputmode="tel" autocomplete="tel" required
                    aria-describedby="phone-hint";
                p.hint id="phone-hint" { (text!(visitor, "link-code-hint")) }
            }
            button.second { (text!(visitor, "link-code-button")) }
            div id="code-answer" role="status" {}
        }
    }
}

fn qr(visitor: &Visitor, number: &SessionView) -> Markup {
    html! {
        @match &number.link.qr_png {
            Some(png) => {
                img.qr src=(png) alt=(text!(visitor, "link-qr"));
                p.soft { (text!(visitor, "link-qr-renewed")) }
            }
            None => p.qr.empty { (text!(visitor, "link-qr-wait")) }
        }
    }
}

/// Which phone is to be linked.
#[derive(Deserialize)]
pub struct CodeForm {
    phone: String,
}

/// Shows a code to type into the phone.
pub async fn code(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Form(form): Form<CodeForm>,
) -> Result<Markup, PageError> {
    visitor.require(Role::Admin)?;
    view(&api, &name).await?;
    let answer = pair_with(&api, &name, &PairRequest { phone: form.phone }).await?.0;
    visitor.record(&api, Action::PairSession, &name).await;
    let said = match &answer.code {
        Some(code) => html! {
            p.code { (code) }
            p { (text!(visitor, "link-code-type")) }
        },
        None => alert(Tone::Bad, html! { (text!(visitor, "link-code-none")) }),
    };
    if visitor.is_part {
        return Ok(said);
    }
    let body = html! {
        div.card { (said) }
        p { a href=(address(&name)) { (text!(visitor, "number-back")) } }
    };
    let title = text!(visitor, "link-code-title");
    Ok(page(&visitor, Page { title, section: Section::Numbers, body }))
}
