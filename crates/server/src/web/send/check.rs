//! The third step: a last look at who gets what and when, and the button that sends.

use super::super::bubble::bubble;
use super::super::campaigns::address as campaign_address;
use super::super::error::PageError;
use super::super::layout::{Section, csrf_field};
use super::super::numbers;
use super::super::parts::{Tone, alert, as_curl};
use super::super::reasons;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::draft::{Draft, To, keep, load};
use super::{Example, FormFields, Step, address, require_sender, step_page, test_message};
use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::send::{Outlook, Plan, once};
use crate::store::StoreError;
use crate::store::state::NewDelivery;
use axum::extract::{Path, Query, RawForm, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::TryStreamExt;
use kabari_domain::{Timestamp, WaitReason, wording};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What came of the last try.
#[derive(Debug, Default, Deserialize)]
pub struct Before {
    /// The recipients that were confirmed, where they are no longer so many.
    confirmed: Option<u64>,
    /// The campaign that sent the same a moment ago.
    duplicate: Option<i64>,
    /// The campaign that the test message is.
    test: Option<i64>,
    /// Whether the number for the test cannot be read.
    #[serde(default)]
    bad_number: bool,
}

/// The third step.
pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(before): Query<Before>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    require_sender(&visitor)?;
    let draft = load(&api, &id).await?;
    let plan = draft.plan(&api).await?;
    if draft.lacks(plan.template()).is_some() {
        return Ok(Redirect::to(&address(&id, Step::To)).into_response());
    }
    let options = draft.options(false);
    let mut outlook = Outlook::new(&api, &options).await?;
    let mut recipients = plan.recipients(&api);
    while let Some(recipient) = recipients.try_next().await? {
        outlook.count(&recipient);
    }
    let (_, ends_at) = outlook.span(&api, &options).await?;
    let sent = draft.sent(&api, &id).await?;
    let content = html! {
        @if let Some(confirmed) = before.confirmed.filter(|confirmed| *confirmed != outlook.to_send) {
            (alert(Tone::Wait, html! {
                (text!(visitor, "check-changed", before = confirmed, now = outlook.to_send))
            }))
        }
        (recipients_card(&visitor, &id, &outlook))
        (message_card(&visitor, &api, &plan).await?)
        (time_card(&visitor, &api, &id, &draft, &outlook, ends_at).await?)
        (test_message::card(&visitor, &id, before.test, before.bad_number, &headers))
        (final_card(&visitor, &api, &id, &outlook, sent, before.duplicate).await?)
        @if let Some((path, body)) = as_request(&draft) {
            (as_curl(&visitor, "POST", &path, Some(&body)))
        }
    };
    Ok(step_page(&visitor, Some(&id), Step::Check, content).into_response())
}

/// Who gets it, and who does not.
fn recipients_card(visitor: &Visitor, id: &str, outlook: &Outlook) -> Markup {
    let words = visitor.texts();
    let cold = outlook.to_send - outlook.warm;
    html! {
        section.card aria-labelledby="recipients" {
            div.head {
                h2 id="recipients" { (text!(visitor, "check-recipients")) }
                a href=(address(id, Step::To)) { (text!(visitor, "check-change-to")) }
            }
            div.figures {
                p.figure { strong { (words.number(outlook.to_send)) } (text!(visitor, "check-get-it")) }
                p.figure { strong { (words.number(outlook.total - outlook.to_send)) } (text!(visitor, "check-skipped")) }
                p.figure { strong { (words.number(outlook.warm)) } (text!(visitor, "check-warm")) }
                p.figure { strong { (words.number(cold)) } (text!(visitor, "check-cold")) }
            }
            @if cold > 0 {
                p.soft { (text!(visitor, "check-cold-hint")) }
            }
            @if !outlook.skipped.is_empty() {
                ul.list role="list" {
                    @for (reason, skipped) in &outlook.skipped {
                        li {
                            span { strong.number { (words.number(skipped.count)) } " " (reason_text(visitor, reason)) }
                            span.soft {
                                (skipped.named.join(", "))
                                @if skipped.count > skipped.named.len() as u64 { ", …" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What is the matter with so many recipients.
fn reason_text(visitor: &Visitor, reason: &str) -> String {
    match reason {
        wording::INVALID_NUMBER | wording::INVALID_PHONE => text!(visitor, "check-invalid-number"),
        wording::DUPLICATE_NUMBER => text!(visitor, "check-duplicate-number"),
        wording::TEXT_TOO_LONG => text!(visitor, "check-text-too-long"),
        other => reasons::worded(visitor, other),
    }
}

async fn message_card(visitor: &Visitor, api: &Api, plan: &Plan) -> Result<Markup, StoreError> {
    let example = Example::of(api, plan).await?;
    let name = example.as_ref().map(|example| example.name.clone()).filter(|name| !name.is_empty());
    let text = example.map_or_else(|| plan.template().to_owned(), |example| example.text);
    Ok(html! {
        section.card aria-labelledby="message" {
            h2 id="message" { (text!(visitor, "check-message")) }
            (bubble(&text))
            @if let Some(name) = name {
                p.soft { (text!(visitor, "send-preview-for", name = name)) }
            }
        }
    })
}

/// When it goes out, and what it has to wait for.
async fn time_card(
    visitor: &Visitor,
    api: &Api,
    id: &str,
    draft: &Draft,
    outlook: &Outlook,
    ends_at: Option<Timestamp>,
) -> Result<Markup, PageError> {
    let now = api.state.now().await?;
    let numbers = numbers::all(api).await?;
    let quiet_until = api.settings.quotas.quiet_until(now);
    // Without a limit on one of them there is none on all together.
    let linked = numbers.iter().filter(|number| number.session.is_linked());
    let left: Option<u64> = linked.map(|number| number.left_today.map(u64::from)).sum();
    let troubled = numbers.iter().filter(|number| {
        number.waiting.is_some_and(|waiting| waiting.reason != WaitReason::QuietHours)
    });
    Ok(html! {
        section.card aria-labelledby="time" {
            h2 id="time" { (text!(visitor, "check-time")) }
            p {
                @match ends_at {
                    Some(time) => (text!(visitor, "check-ends-at", time = visitor.moment(time))),
                    None => (text!(visitor, "check-ends-unknown")),
                }
            }
            @if let Some(left) = left.filter(|left| *left < outlook.to_send) {
                (alert(Tone::Wait, html! { (text!(visitor, "check-quota", left = left)) }))
            }
            @if let Some(time) = quiet_until {
                @let time = visitor.moment(time);
                (alert(Tone::Wait, html! {
                    @if draft.urgent { (text!(visitor, "check-quiet-urgent", time = time)) }
                    @else { (text!(visitor, "check-quiet", time = time)) }
                }))
            }
            @for number in troubled {
                @let condition = numbers::condition(visitor, number);
                (alert(condition.tone, html! {
                    strong { (number.session.name) ": " (condition.label) } ". "
                    (condition.advice.unwrap_or_default())
                }))
            }
            form.row method="post" action={ (address(id, Step::What)) "/urgent" } {
                (csrf_field(visitor))
                @if draft.urgent {
                    strong { (text!(visitor, "check-is-urgent")) }
                    button.second name="urgent" value="no" { (text!(visitor, "check-not-urgent")) }
                } @else {
                    button.second name="urgent" value="yes" { (text!(visitor, "check-urgent")) }
                    span.soft { (text!(visitor, "check-urgent-hint")) }
                }
            }
        }
    })
}

/// The button that sends, or why there is none.
async fn final_card(
    visitor: &Visitor,
    api: &Api,
    id: &str,
    outlook: &Outlook,
    sent: Option<i64>,
    duplicate: Option<i64>,
) -> Result<Markup, PageError> {
    let is_linked = numbers::all(api).await?.iter().any(|number| number.session.is_linked());
    let label = text!(visitor, "check-send", count = outlook.to_send);
    Ok(html! {
        section.card.final aria-labelledby="final" {
            h2 id="final" { (text!(visitor, "check-final")) }
            @if let Some(campaign) = sent {
                (alert(Tone::Good, html! {
                    (text!(visitor, "check-sent")) " "
                    a href=(campaign_address(campaign)) { (text!(visitor, "check-sent-see")) }
                }))
            } @else if outlook.to_send == 0 {
                (alert(Tone::Bad, html! { (text!(visitor, "check-nobody")) }))
            } @else if !is_linked {
                (alert(Tone::Bad, html! {
                    (text!(visitor, "check-unlinked")) " "
                    a href=(Section::Numbers.address()) { (text!(visitor, "home-first-link-go")) }
                }))
            } @else {
                @if let Some(campaign) = duplicate {
                    (alert(Tone::Wait, html! {
                        (text!(visitor, "check-duplicate")) " "
                        a href=(campaign_address(campaign)) { (text!(visitor, "check-sent-see")) }
                    }))
                }
                form.row method="post" action=(address(id, Step::Check)) {
                    (csrf_field(visitor))
                    input type="hidden" name="count" value=(outlook.to_send);
                    @if duplicate.is_some() {
                        button.danger name="force" value="yes" { (text!(visitor, "check-send-again", count = outlook.to_send)) }
                    } @else {
                        button { (label) }
                    }
                    a.button.second href=(address(id, Step::To)) { (text!(visitor, "send-back")) }
                }
            }
        }
    })
}

/// The request that does the same by API, where one does.
fn as_request(draft: &Draft) -> Option<(String, Value)> {
    let (path, mut body) = match (draft.to.as_ref()?, draft.notice) {
        (To::Odps(odps), notice) => {
            let [odp] = odps.as_slice() else { return None };
            let path = format!("/api/send/by-odp/{}", utf8_percent_encode(odp, NON_ALPHANUMERIC));
            let body = match notice {
                Some(notice) => json!({ "notice_id": notice }),
                None => json!({ "custom_message": draft.text }),
            };
            (path, body)
        }
        (To::Numbers(_), _) | (To::Everybody, Some(_)) => return None,
        (_, Some(notice)) => ("/api/send/notification".to_owned(), json!({ "notice_id": notice })),
        (_, None) => ("/api/send/custom".to_owned(), json!({ "message": draft.text })),
    };
    if let Some(To::Customers(ids)) = &draft.to {
        body["customer_ids"] = json!(ids);
    }
    if draft.urgent {
        body["urgent"] = true.into();
    }
    Some((path, body))
}

/// Lets a send go out before others and in quiet hours, or no longer.
pub async fn set_urgent(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Redirect, PageError> {
    require_sender(&visitor)?;
    let urgent = FormFields::read(&form).first("urgent") == "yes";
    let draft = Draft { urgent, ..load(&api, &id).await? };
    let id = keep(&api, Some(&id), &draft).await?;
    Ok(Redirect::to(&address(&id, Step::Check)))
}

/// Sends what was confirmed: once, however often it is asked for, and only while it is for as
/// many recipients as the page said.
pub async fn send(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Redirect, PageError> {
    require_sender(&visitor)?;
    let form = FormFields::read(&form);
    let draft = load(&api, &id).await?;
    if let Some(campaign) = draft.sent(&api, &id).await? {
        return Ok(Redirect::to(&campaign_address(campaign)));
    }
    let check = address(&id, Step::Check);
    let plan = draft.plan(&api).await?;
    let recipients: Vec<NewDelivery> = plan.recipients(&api).try_collect().await?;
    let to_send = recipients.iter().filter(|recipient| recipient.phone.is_some()).count();
    let confirmed = form.first("count");
    if draft.lacks(plan.template()).is_some() || confirmed != to_send.to_string() {
        return Ok(Redirect::to(&format!(
            "{check}?confirmed={}",
            confirmed.parse().unwrap_or(0u64)
        )));
    }
    let options = draft.options(form.first("force") == "yes");
    let request = json!(draft).to_string();
    match once(api, plan, recipients, options, draft.key(&id), request, visitor.actor()).await {
        Ok(campaign) => Ok(Redirect::to(&campaign_address(campaign))),
        Err(ApiError::DuplicateSend { campaign }) => {
            Ok(Redirect::to(&format!("{check}?duplicate={campaign}")))
        }
        Err(error) => Err(error.into()),
    }
}
