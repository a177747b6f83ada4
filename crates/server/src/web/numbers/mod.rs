//! The WhatsApp numbers: how each is linked, what it may send, and what it has sent today.

mod actions;
mod card;
mod chart;
mod condition;
mod link;
mod passkey;

pub use card::cards;
pub use condition::{Condition, condition, waits};

use super::error::PageError;
use super::layout::csrf_field;
use super::layout::{Page, Section, page};
use super::parts::{Tone, alert, as_curl};
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::api::link::find;
use crate::api::session_view::SessionView;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use kabari_domain::Role;
use kabari_domain::session::{DEFAULT_SESSION, MAX_SESSION_NAME};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The pages below `/app/whatsapp`.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/whatsapp", get(list).post(actions::add))
        .route("/app/whatsapp/{name}", get(one).post(actions::change))
        .route("/app/whatsapp/{name}/link", get(link::show))
        .route("/app/whatsapp/{name}/qr", get(link::show_qr))
        .route("/app/whatsapp/{name}/code", post(link::code))
        .route("/app/whatsapp/{name}/passkey", post(passkey::answer))
        .route("/app/whatsapp/{name}/passkey/confirm", post(passkey::confirm))
        .route("/app/whatsapp/{name}/restart", post(actions::restart))
        .route("/app/whatsapp/{name}/pause", post(actions::pause))
        .route("/app/whatsapp/{name}/resume", post(actions::resume))
        .route("/app/whatsapp/{name}/logout", get(actions::ask_logout).post(actions::logout))
        .route("/app/whatsapp/{name}/remove", get(actions::ask_remove).post(actions::remove))
}

/// Returns where the page of a number is.
fn address(name: &str) -> String {
    format!("/app/whatsapp/{name}")
}

/// Returns all numbers as they are now.
pub async fn all(api: &Api) -> Result<Vec<SessionView>, PageError> {
    let now = api.state.now().await?;
    let sessions = api.state.sessions().await?;
    Ok(sessions.into_iter().map(|session| SessionView::of(api, session, now)).collect())
}

async fn view(api: &Api, name: &str) -> Result<SessionView, PageError> {
    let session = find(api, name).await?;
    let now = api.state.now().await?;
    Ok(SessionView::of(api, session, now))
}

/// What was done before the page was shown.
#[derive(Debug, Default, Deserialize)]
struct After {
    done: Option<Done>,
}

/// What a page says after a change.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Added,
    Removed,
    Restarting,
    Paused,
    Resumed,
    LoggedOut,
    Changed,
    Answered,
    Failed,
}

impl Done {
    fn name(self) -> &'static str {
        match self {
            Done::Added => "added",
            Done::Removed => "removed",
            Done::Restarting => "restarting",
            Done::Paused => "paused",
            Done::Resumed => "resumed",
            Done::LoggedOut => "logged_out",
            Done::Changed => "changed",
            Done::Answered => "answered",
            Done::Failed => "failed",
        }
    }

    fn show(self, visitor: &Visitor) -> Markup {
        let said = match self {
            Done::Added => text!(visitor, "number-done-added"),
            Done::Removed => text!(visitor, "number-done-removed"),
            Done::Restarting => text!(visitor, "number-done-restarting"),
            Done::Paused => text!(visitor, "number-done-paused"),
            Done::Resumed => text!(visitor, "number-done-resumed"),
            Done::LoggedOut => text!(visitor, "number-done-logged-out"),
            Done::Changed => text!(visitor, "number-done-changed"),
            Done::Answered => text!(visitor, "number-done-answered"),
            Done::Failed => text!(visitor, "number-done-failed"),
        };
        let tone = if matches!(self, Done::Failed) { Tone::Bad } else { Tone::Good };
        alert(tone, html! { (said) })
    }
}

async fn list(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Query(after): Query<After>,
) -> Result<Markup, PageError> {
    let numbers = all(&api).await?;
    let body = match numbers.as_slice() {
        // Most providers have one number: its page is the page.
        [only] => html! {
            @if let Some(done) = after.done { (done.show(&visitor)) }
            (details(&visitor, &api, only, None).await?)
            (add_form(&visitor))
        },
        several => html! {
            @if let Some(done) = after.done { (done.show(&visitor)) }
            (cards(&visitor, several))
            (chart::today(&visitor, &api, several).await?)
            (add_form(&visitor))
        },
    };
    let title = text!(visitor, "numbers-title");
    Ok(page(&visitor, Page { title, section: Section::Numbers, body }))
}

async fn one(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Query(after): Query<After>,
) -> Result<Markup, PageError> {
    let number = view(&api, &name).await?;
    let body = html! {
        @if let Some(done) = after.done { (done.show(&visitor)) }
        (details(&visitor, &api, &number, None).await?)
        p { a href=(Section::Numbers.address()) { (text!(visitor, "numbers-all")) } }
    };
    let title = text!(visitor, "number-title", name = name);
    Ok(page(&visitor, Page { title, section: Section::Numbers, body }))
}

/// Everything about one number; `fault` says what is wrong with the form for its pace.
async fn details(
    visitor: &Visitor,
    api: &Api,
    number: &SessionView,
    fault: Option<String>,
) -> Result<Markup, PageError> {
    let contacts = match &number.session.phone {
        Some(phone) => api.state.contact_count(phone).await?,
        None => 0,
    };
    Ok(html! {
        (link::panel(visitor, number))
        section.card aria-labelledby="use" {
            h2 id="use" { (text!(visitor, "number-use")) }
            (card::figures(visitor, number))
            dl.facts {
                dt { (text!(visitor, "number-contacts")) }
                dd.number { (visitor.texts().number(contacts.into())) }
                @if let Some(linked_at) = number.session.linked_at.filter(|_| number.session.is_linked()) {
                    dt { (text!(visitor, "number-linked-at")) }
                    dd { (visitor.moment(linked_at)) }
                }
                @if let Some(percent) = number.session.history {
                    dt { (text!(visitor, "number-history")) }
                    dd.number { (percent) " %" }
                }
            }
        }
        (chart::today(visitor, api, std::slice::from_ref(number)).await?)
        @if visitor.may(Role::Admin) {
            (actions::buttons(visitor, number))
            (actions::pace_form(visitor, api, number, fault))
        }
    })
}

fn add_form(visitor: &Visitor) -> Markup {
    html! {
        @if visitor.may(Role::Admin) {
            details.card {
                summary { (text!(visitor, "numbers-add")) }
                form method="post" action=(Section::Numbers.address()) {
                    (csrf_field(visitor))
                    div.field {
                        label for="name" { (text!(visitor, "numbers-name")) }
                        input id="name" name="name" required pattern="[a-z0-9_\\-]+"
                            maxlength=(MAX_SESSION_NAME) autocapitalize="none" autocomplete="off"
                            aria-describedby="name-hint";
                        p.hint id="name-hint" {
                            (text!(visitor, "numbers-name-hint", example = DEFAULT_SESSION))
                        }
                    }
                    button { (text!(visitor, "numbers-add")) }
                }
                (as_curl(visitor, "POST", "/api/whatsapp/sessions", Some(&json!({ "name": "kantor" }))))
            }
        }
    }
}
