//! The first step: a notice, or a text.

use super::super::bubble::bubble;
use super::super::error::PageError;
use super::super::layout::csrf_field;
use super::super::parts::{Tone, alert};
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::draft::{Draft, To, keep, load};
use super::{Example, FormFields, Step, address, require_sender, step_page};
use crate::api::Api;
use crate::api::send::{Audience, MAX_MESSAGE_CHARS, Plan, find_notice};
use axum::extract::{Path, Query, RawForm, State};
use axum::response::{IntoResponse, Redirect, Response};
use kabari_domain::Notice;
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// What the form names a text that is no notice.
const TEXT: &str = "text";

/// What the send is begun with.
#[derive(Deserialize)]
pub struct Beginning {
    notice: Option<i64>,
}

/// The first step of a new send.
pub async fn begin(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Query(Beginning { notice }): Query<Beginning>,
) -> Result<Markup, PageError> {
    require_sender(&visitor)?;
    let notices = api.billing.notices(true).await?;
    let notice = notice.or_else(|| notices.first().map(|newest| newest.id));
    let draft = Draft { notice, ..Draft::default() };
    form_page(&visitor, &api, None, &draft, notices, false).await
}

/// The first step of a send that has been begun.
pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Markup, PageError> {
    require_sender(&visitor)?;
    let draft = load(&api, &id).await?;
    let notices = api.billing.notices(true).await?;
    form_page(&visitor, &api, Some(&id), &draft, notices, false).await
}

async fn form_page(
    visitor: &Visitor,
    api: &Api,
    id: Option<&str>,
    draft: &Draft,
    mut notices: Vec<Notice>,
    lacks_text: bool,
) -> Result<Markup, PageError> {
    // One that is no longer active can be sent too, by whoever comes from its page.
    if let Some(id) = draft.notice.filter(|id| notices.iter().all(|notice| notice.id != *id)) {
        notices.insert(0, find_notice(api, id).await?);
    }
    let content = html! {
        @if lacks_text { (alert(Tone::Bad, html! { (text!(visitor, "send-lacks-text")) })) }
        form.columns method="post" {
            (csrf_field(visitor))
            div.card hx-post="/app/send/preview" hx-trigger="change, input delay:400ms"
                hx-include="closest form" hx-target="#preview" {
                fieldset {
                    legend { (text!(visitor, "send-what")) }
                    @for notice in &notices {
                        (choice(&notice.id.to_string(), draft.notice == Some(notice.id), html! {
                            strong { (notice.title) }
                            span.soft { (notice.affected_area.as_deref().unwrap_or_default()) }
                        }))
                    }
                    @if notices.is_empty() {
                        p.soft { (text!(visitor, "send-no-notices")) }
                    }
                    (choice(TEXT, draft.notice.is_none(), html! {
                        strong { (text!(visitor, "send-own-text")) }
                        span.soft { (text!(visitor, "send-own-text-hint")) }
                    }))
                }
                div.field.for-text {
                    label for="text" { (text!(visitor, "send-text")) }
                    textarea id="text" name="text" maxlength=(MAX_MESSAGE_CHARS)
                        aria-describedby="text-hint" { (draft.text) }
                    p.hint id="text-hint" { (text!(visitor, "send-text-hint")) }
                }
            }
            section aria-labelledby="preview-title" {
                h2 id="preview-title" { (text!(visitor, "send-preview")) }
                div id="preview" { (preview_of(visitor, api, draft).await?) }
            }
            div.row { button { (text!(visitor, "send-next-to")) } }
        }
    };
    Ok(step_page(visitor, id, Step::What, content))
}

fn choice(value: &str, is_checked: bool, content: Markup) -> Markup {
    html! {
        label.choice {
            input type="radio" name="what" value=(value) checked[is_checked] required;
            span { (content) }
        }
    }
}

/// What the first of those concerned would read, or the first customer at all.
async fn preview_of(visitor: &Visitor, api: &Api, draft: &Draft) -> Result<Markup, PageError> {
    let plan = match draft.notice {
        Some(id) => {
            let notice = find_notice(api, id).await?;
            let audience = Audience::of(None, Some(&notice));
            Plan::of_notice(api, notice, None, audience)
        }
        None => Plan::of_text(draft.text.clone(), Audience::Everybody),
    };
    if plan.template().trim().is_empty() {
        return Ok(html! { p.soft { (text!(visitor, "send-preview-empty")) } });
    }
    Ok(match Example::of(api, &plan).await? {
        Some(Example { name, text }) => html! {
            (bubble(&text))
            p.soft { (text!(visitor, "send-preview-for", name = name)) }
        },
        None => html! {
            (bubble(plan.template()))
            p.soft { (text!(visitor, "send-preview-nobody")) }
        },
    })
}

/// The preview of what a form has in it.
pub async fn preview(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    RawForm(form): RawForm,
) -> Result<Markup, PageError> {
    require_sender(&visitor)?;
    preview_of(&visitor, &api, &read(&FormFields::read(&form), Draft::default())).await
}

/// Returns the draft with what the form says.
fn read(form: &FormFields, draft: Draft) -> Draft {
    let notice = form.first("what").parse().ok();
    // Browsers end lines with two characters; a phone shows one.
    let text = form.first("text").replace("\r\n", "\n");
    let to = draft.to.filter(|to| notice.is_some() || *to != To::Concerned);
    Draft { notice, text, to, ..draft }
}

/// Keeps a new draft, and leads on.
pub async fn create(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    require_sender(&visitor)?;
    go_on(&visitor, &api, None, read(&FormFields::read(&form), Draft::default())).await
}

/// Keeps what has changed, and leads on.
pub async fn change(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    require_sender(&visitor)?;
    let draft = read(&FormFields::read(&form), load(&api, &id).await?);
    go_on(&visitor, &api, Some(&id), draft).await
}

async fn go_on(
    visitor: &Visitor,
    api: &Api,
    id: Option<&str>,
    draft: Draft,
) -> Result<Response, PageError> {
    if draft.notice.is_none() && draft.text.trim().is_empty() {
        let notices = api.billing.notices(true).await?;
        return Ok(form_page(visitor, api, id, &draft, notices, true).await?.into_response());
    }
    let id = keep(api, id, &draft).await?;
    Ok(Redirect::to(&address(&id, Step::To)).into_response())
}
