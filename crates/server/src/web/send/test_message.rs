//! A test to the sender's own phone, before anybody else gets it.

use super::super::error::PageError;
use super::super::language::cookie;
use super::super::layout::csrf_field;
use super::super::live::{Live, Seen};
use super::super::parts::{StateGroup, Tone, alert, badge};
use super::super::reasons;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::draft::load;
use super::{Example, FormFields, Step, address, require_sender};
use crate::api::Api;
use crate::api::send::{SendOptions, to_numbers};
use axum::extract::{Path, Query, RawForm, State};
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use kabari_domain::Phone;
use maud::{Markup, html};
use std::sync::Arc;
use std::time::Duration;

/// Where the browser keeps the number for tests.
const NUMBER_COOKIE: &str = "kabari_test_number";
const A_YEAR_IN_SECONDS: u32 = 365 * 24 * 60 * 60;

/// Two tests of the same text within this time are a double click.
const DOUBLE_CLICK: Duration = Duration::from_secs(5);

/// How often the page asks whether the test has arrived.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The form for a test, and what became of the last one.
pub fn card(
    visitor: &Visitor,
    draft: &str,
    sent: Option<i64>,
    is_bad_number: bool,
    headers: &HeaderMap,
) -> Markup {
    let number = cookie(headers, NUMBER_COOKIE).unwrap_or_default();
    html! {
        section.card aria-labelledby="test" {
            h2 id="test" { (text!(visitor, "test-title")) }
            @if is_bad_number { (alert(Tone::Bad, html! { (text!(visitor, "test-bad-number")) })) }
            form method="post" action={ (address(draft, Step::What)) "/test" } {
                (csrf_field(visitor))
                div.field {
                    label for="test-number" { (text!(visitor, "test-number")) }
                    input id="test-number" name="number" type="tel" inputmode="tel"
                        autocomplete="tel" required value=(number);
                }
                button.second { (text!(visitor, "test-send")) }
            }
            @if let Some(campaign) = sent {
                (live(draft, campaign).show(&html! { p.soft { (text!(visitor, "test-under-way")) } }))
            }
        }
    }
}

fn live(draft: &str, campaign: i64) -> Live<'static> {
    let address = format!("{}/test/{campaign}", address(draft, Step::What));
    Live { id: "test-state", address, every: ASK_EVERY }
}

/// Sends the text that the first recipient would read.
pub async fn send(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    require_sender(&visitor)?;
    let number = FormFields::read(&form).first("number").to_owned();
    let check = address(&id, Step::Check);
    let Ok(phone) = Phone::parse(&number) else {
        return Ok(Redirect::to(&format!("{check}?bad_number=true")).into_response());
    };
    let plan = load(&api, &id).await?.plan(&api).await?;
    let example = Example::of(&api, &plan).await?;
    let text = example.map_or_else(|| plan.template().to_owned(), |example| example.text);
    let numbers = vec![(phone.digits().to_owned(), None)];
    // It goes out at night too: somebody waits for it.
    let options = SendOptions {
        urgent: true,
        duplicate_guard_seconds: Some(DOUBLE_CLICK),
        ..SendOptions::default()
    };
    let campaign = to_numbers(api, numbers, text, options, visitor.actor()).await?;
    let cookie = format!(
        "{NUMBER_COOKIE}={}; Path=/app/send; Max-Age={A_YEAR_IN_SECONDS}; HttpOnly; SameSite=Lax",
        phone.digits()
    );
    let back = Redirect::to(&format!("{check}?test={campaign}#test"));
    Ok(([(SET_COOKIE, cookie)], back).into_response())
}

/// What became of a test.
pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path((draft, campaign)): Path<(String, i64)>,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    require_sender(&visitor)?;
    let delivery = api.state.deliveries(campaign, None, 1).await?.pop();
    let delivery = delivery.ok_or(PageError::NotFound)?;
    let group = StateGroup::of(delivery.progress.state);
    let content = html! {
        p role="status" {
            (badge(group.tone(), &group.label(&visitor))) " "
            (reasons::of_delivery(&visitor, &delivery).filter(|_| !delivery.progress.state.is_open()).unwrap_or_default())
        }
    };
    Ok(live(&draft, campaign).answer(&seen, &content))
}
