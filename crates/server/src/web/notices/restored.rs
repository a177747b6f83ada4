//! "Restored": telling exactly those who got the message about a notice that it is over.

use super::super::bubble::bubble;
use super::super::campaigns::address as campaign_address;
use super::super::error::PageError;
use super::super::layout::{Page, Section, csrf_field, page};
use super::super::parts::{Tone, alert, as_curl, empty};
use super::super::path_id::PathId;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{address, find, warning};
use crate::api::error::ApiError;
use crate::api::send::{self, MAX_MESSAGE_CHARS, SendOptions, restored};
use crate::api::{Api, campaigns};
use crate::store::state::{Campaign, CampaignKind, IdempotencyKey, NewDelivery};
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::TryStreamExt;
use kabari_domain::template::{Values, render};
use kabari_domain::{DeliveryState, Notice, Role};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Campaigns of a notice that are looked at for what is still to come.
const CAMPAIGNS: u32 = 50;

/// What the page sends.
#[derive(Deserialize)]
pub struct RestoredForm {
    message: String,
    /// How many people the page named.
    count: usize,
    /// Made with the page: what comes with it a second time is the same send.
    key: String,
}

pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Markup, PageError> {
    visitor.require(Role::Sender)?;
    let notice = find(&api, id).await?;
    let message = restored::text_of(&api, &notice);
    form(&visitor, &api, &notice, &message, html! {}).await
}

/// Sends, if the page still says what would happen.
pub async fn send(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Form(sent): Form<RestoredForm>,
) -> Result<Response, PageError> {
    visitor.require(Role::Sender)?;
    let notice = find(&api, id).await?;
    // Browsers send lines as a terminal does.
    let message = sent.message.replace("\r\n", "\n");
    let request = json!({ "notice_id": id, "message": &message });
    let key = IdempotencyKey { key: sent.key, fingerprint: send::hash(&request) };
    if let Some(campaign) = send::made_before(&api, Some(&key)).await? {
        return Ok(Redirect::to(&campaign_address(campaign)).into_response());
    }
    let fault = match message.trim() {
        "" => Some(text!(visitor, "restored-no-text")),
        _ if message.chars().count() > MAX_MESSAGE_CHARS => {
            Some(text!(visitor, "restored-too-long"))
        }
        _ if message.contains("{odp}") => Some(text!(visitor, "restored-no-odp")),
        _ => None,
    };
    if let Some(fault) = fault {
        let fault = alert(Tone::Bad, html! { (fault) });
        return Ok(form(&visitor, &api, &notice, &message, fault).await?.into_response());
    }
    let plan = restored::plan(&api, &notice, Some(message.clone()))?;
    let recipients: Vec<_> = plan.recipients(&api).try_collect().await?;
    if recipients.len() != sent.count {
        let changed = warning(text!(visitor, "restored-changed", count = recipients.len()));
        return Ok(form(&visitor, &api, &notice, &message, changed).await?.into_response());
    }
    let options = SendOptions::default();
    let sent = send::once(
        api.clone(),
        plan,
        recipients,
        options,
        key,
        request.to_string(),
        visitor.actor(),
    );
    match sent.await {
        Ok(campaign) => Ok(Redirect::to(&campaign_address(campaign)).into_response()),
        Err(ApiError::DuplicateSend { campaign }) => {
            let earlier = html! {
                (text!(visitor, "restored-sent-before")) " "
                a href=(campaign_address(campaign)) { (text!(visitor, "restored-see-campaign")) }
            };
            let earlier = alert(Tone::Wait, earlier);
            Ok(form(&visitor, &api, &notice, &message, earlier).await?.into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// The message as the first recipient would see it.
#[derive(Deserialize)]
pub struct PreviewForm {
    message: String,
}

pub async fn preview(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Form(form): Form<PreviewForm>,
) -> Result<Markup, PageError> {
    visitor.require(Role::Sender)?;
    let first = reached(&api, id).await?.into_iter().next();
    Ok(preview_of(&form.message, first.as_ref()))
}

fn preview_of(message: &str, recipient: Option<&NewDelivery>) -> Markup {
    let Some(recipient) = recipient else { return bubble(message) };
    let id = recipient.customer_id.unwrap_or_default();
    bubble(&render(message, Values { name: &recipient.customer_name, odp: "", id }))
}

async fn reached(api: &Api, notice: i64) -> Result<Vec<NewDelivery>, PageError> {
    let recipients = send::Audience::Reached(notice).recipients(api, "");
    Ok(recipients.try_collect().await?)
}

async fn form(
    visitor: &Visitor,
    api: &Api,
    notice: &Notice,
    message: &str,
    said: Markup,
) -> Result<Markup, PageError> {
    let recipients = reached(api, notice.id).await?;
    let count = recipients.len();
    let address = address(notice.id);
    let key = format!("page-{:032x}", rand::random::<u128>());
    let body = html! {
        p { a href=(address) { (notice.title) } }
        (said)
        (still_to_come(visitor, api, notice.id).await?)
        @if count == 0 {
            (empty(&text!(visitor, "restored-nobody"), html! { p { (text!(visitor, "restored-nobody-hint")) } }))
        } @else {
            section.card {
                p { (text!(visitor, "restored-whom", count = count)) }
                form.fields method="post" action={ (address) "/restored" } {
                    (csrf_field(visitor))
                    input type="hidden" name="key" value=(key);
                    input type="hidden" name="count" value=(count);
                    div.field {
                        label for="message" { (text!(visitor, "restored-text")) }
                        textarea id="message" name="message" rows="12" required
                            aria-describedby="message-hint"
                            hx-post={ (address) "/restored/preview" } hx-target="#preview"
                            hx-trigger="input changed delay:300ms" { (message) }
                        p.hint id="message-hint" { (text!(visitor, "restored-placeholders")) }
                    }
                    h2 { (text!(visitor, "restored-preview")) }
                    div id="preview" { (preview_of(message, recipients.first())) }
                    button id="send" { (text!(visitor, "restored-send", count = count)) }
                }
            }
            section.card {
                (as_curl(visitor, "POST", "/api/send/restored",
                    Some(&json!({ "notice_id": notice.id, "message": message }))))
            }
        }
    };
    let title = text!(visitor, "restored-title");
    Ok(page(visitor, Page { title, section: Section::Notices, body }))
}

/// What somebody should know before they send: messages about the outage that still wait, those
/// that nobody knows about, and that it was told before.
async fn still_to_come(visitor: &Visitor, api: &Api, notice: i64) -> Result<Markup, PageError> {
    let campaigns = api.state.campaigns_for_notice(notice, CAMPAIGNS).await?;
    let views = campaigns::views(api, campaigns).await?;
    let is_restored = |campaign: &Campaign| campaign.kind == CampaignKind::Restored;
    let told = views.iter().find(|view| is_restored(&view.campaign));
    let outage: Vec<_> = views.iter().filter(|view| !is_restored(&view.campaign)).collect();
    let waiting = outage.iter().find(|view| !view.campaign.phase.status.is_final());
    let uncertain = outage.iter().find(|view| view.counts.get(DeliveryState::Uncertain) > 0);
    let warnings = [
        waiting.map(|view| {
            (view.campaign.id, text!(visitor, "restored-waiting", count = view.counts.open()))
        }),
        uncertain.map(|view| {
            let count = view.counts.get(DeliveryState::Uncertain);
            (view.campaign.id, text!(visitor, "restored-uncertain", count = count))
        }),
        told.map(|view| {
            let time = visitor.moment(view.campaign.created_at);
            (view.campaign.id, text!(visitor, "restored-told", time = time))
        }),
    ];
    Ok(html! {
        @for (campaign, said) in warnings.into_iter().flatten() {
            (alert(Tone::Wait, html! {
                (said) " " a href=(campaign_address(campaign)) { (text!(visitor, "restored-see-campaign")) }
            }))
        }
    })
}
