//! What an admin does with a number.

use super::super::error::PageError;
use super::super::layout::{Page, Section, csrf_field, page};
use super::super::parts::{Tone, alert, as_curl};
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{Done, address, details, view};
use crate::api::Api;
use crate::api::link::{ActionResult, session_path};
use crate::api::session_view::SessionView;
use crate::api::sessions::{self, MAX_DELAY_MS};
use crate::api::validation::PathText;
use crate::store::state::{Action, SessionChange};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use kabari_domain::Role;
use kabari_domain::session::DEFAULT_SESSION;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Leads back to the page of a number, which says what was done.
pub fn back(name: &str, done: Done) -> Redirect {
    Redirect::to(&format!("{}?done={}", address(name), done.name()))
}

/// The buttons for what is done at once, and the links to what is asked about first.
pub fn buttons(visitor: &Visitor, number: &SessionView) -> Markup {
    let name = &number.session.name;
    let address = address(name);
    let switch = if number.session.paused { "resume" } else { "pause" };
    html! {
        section.card aria-labelledby="actions" {
            h2 id="actions" { (text!(visitor, "number-actions")) }
            div.row {
                @if number.session.paused {
                    form method="post" action={ (address) "/resume" } {
                        (csrf_field(visitor))
                        button { (text!(visitor, "number-resume")) }
                    }
                } @else {
                    form method="post" action={ (address) "/pause" } {
                        (csrf_field(visitor))
                        button.second { (text!(visitor, "number-pause")) }
                    }
                }
                form method="post" action={ (address) "/restart" } {
                    (csrf_field(visitor))
                    button.second { (text!(visitor, "number-restart")) }
                }
                @if number.session.is_linked() {
                    a.button.danger href={ (address) "/logout" } { (text!(visitor, "number-logout")) }
                }
                @if name != DEFAULT_SESSION {
                    a.button.danger href={ (address) "/remove" } { (text!(visitor, "number-remove")) }
                }
            }
            (as_curl(visitor, "POST", &format!("{}/{switch}", session_path(name)), None))
            (as_curl(visitor, "POST", &format!("{}/restart", session_path(name)), None))
        }
    }
}

/// The form for the pace and the cap of a number.
pub fn pace_form(
    visitor: &Visitor,
    api: &Api,
    number: &SessionView,
    fault: Option<String>,
) -> Markup {
    let session = &number.session;
    let pace = api.settings.pace;
    let usual_cap = match api.settings.quotas.daily_cap {
        Some(cap) => visitor.texts().number(cap.into()),
        None => text!(visitor, "number-no-cap"),
    };
    let delay = session.delay.map(seconds).unwrap_or_default();
    let jitter = session.jitter.map(seconds).unwrap_or_default();
    let cap = session.daily_cap.map(|cap| cap.to_string()).unwrap_or_default();
    html! {
        section.card aria-labelledby="pace" {
            h2 id="pace" { (text!(visitor, "pace-title")) }
            p.soft { (text!(visitor, "pace-why")) }
            @if let Some(fault) = fault {
                (alert(Tone::Bad, html! { (fault) }))
            }
            form method="post" action=(address(&session.name)) {
                (csrf_field(visitor))
                div.choices {
                    (seconds_field("delay", text!(visitor, "pace-delay"), &delay,
                        text!(visitor, "pace-usual", usual = seconds(pace.delay))))
                    (seconds_field("jitter", text!(visitor, "pace-jitter"), &jitter,
                        text!(visitor, "pace-usual", usual = seconds(pace.jitter))))
                    div.field {
                        label for="cap" { (text!(visitor, "pace-cap")) }
                        input id="cap" name="cap" type="number" min="0" max=(u32::MAX) inputmode="numeric"
                            value=(cap) aria-describedby="cap-hint";
                        p.hint id="cap-hint" { (text!(visitor, "pace-usual", usual = usual_cap)) }
                    }
                }
                button.second { (text!(visitor, "pace-save")) }
            }
            (as_curl(visitor, "PATCH", &session_path(&session.name), Some(&json!({
                "pace": {
                    "delay_ms": session.delay.map(|delay| delay.as_millis() as u64),
                    "jitter_ms": session.jitter.map(|jitter| jitter.as_millis() as u64),
                },
                "daily_cap": session.daily_cap,
            }))))
        }
    }
}

fn seconds_field(name: &str, label: String, value: &str, hint: String) -> Markup {
    let most = MAX_DELAY_MS / 1000;
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type="number" min="0" max=(most) step="0.1" inputmode="decimal"
                value=(value) aria-describedby={ (name) "-hint" };
            p.hint id={ (name) "-hint" } { (hint) }
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}", duration.as_millis() as f64 / 1000.0)
}

/// A number's pace as a form sends it; what is empty follows the settings.
#[derive(Deserialize)]
pub struct PaceForm {
    delay: String,
    jitter: String,
    cap: String,
}

impl PaceForm {
    /// Returns the change that it asks for; `None` if something in it is no such number.
    fn read(&self) -> Option<SessionChange> {
        let cap = Some(self.cap.trim()).filter(|cap| !cap.is_empty());
        Some(SessionChange {
            paused: None,
            delay: Some(read_seconds(&self.delay)?),
            jitter: Some(read_seconds(&self.jitter)?),
            daily_cap: Some(cap.map(str::parse).transpose().ok()?),
        })
    }
}

fn read_seconds(typed: &str) -> Option<Option<Duration>> {
    if typed.trim().is_empty() {
        return Some(None);
    }
    let seconds = typed.trim().replace(',', ".").parse().ok()?;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (duration.as_millis() <= MAX_DELAY_MS.unsigned_abs().into()).then_some(Some(duration))
}

/// Changes the pace and the cap of a number.
pub async fn change(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Form(form): Form<PaceForm>,
) -> Result<Response, PageError> {
    visitor.require(Role::Admin)?;
    if let Some(change) = form.read() {
        sessions::change_to(&api, &name, &change).await?;
        visitor.record(&api, Action::ChangeSession, &name).await;
        return Ok(back(&name, Done::Changed).into_response());
    }
    let number = view(&api, &name).await?;
    let fault = text!(visitor, "pace-fault");
    let body = details(&visitor, &api, &number, Some(fault)).await?;
    let title = text!(visitor, "number-title", name = name);
    Ok(page(&visitor, Page { title, section: Section::Numbers, body }).into_response())
}

/// What a new number is called.
#[derive(Deserialize)]
pub struct AddForm {
    name: String,
}

/// Adds a number.
pub async fn add(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Form(form): Form<AddForm>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    sessions::add(&api, &form.name).await?;
    visitor.record(&api, Action::CreateSession, &form.name).await;
    Ok(back(&form.name, Done::Added))
}

/// Leads back to the page of a number, which says whether it worked.
fn outcome(name: &str, result: Json<ActionResult>, done: Done) -> Redirect {
    back(name, if result.0.success { done } else { Done::Failed })
}

/// Makes a new connection.
pub async fn restart(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    let result = sessions::restart(State(api.clone()), PathText(name.clone())).await?;
    visitor.record(&api, Action::RestartSession, &name).await;
    Ok(outcome(&name, result, Done::Restarting))
}

/// Lets a number send nothing until it is resumed.
pub async fn pause(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    let result = sessions::pause(State(api.clone()), PathText(name.clone())).await?;
    visitor.record(&api, Action::PauseSession, &name).await;
    Ok(outcome(&name, result, Done::Paused))
}

/// Lets a paused number send again.
pub async fn resume(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    let result = sessions::resume(State(api.clone()), PathText(name.clone())).await?;
    visitor.record(&api, Action::ResumeSession, &name).await;
    Ok(outcome(&name, result, Done::Resumed))
}

/// Asks whether the phone is to be unlinked.
pub async fn ask_logout(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Markup, PageError> {
    visitor.require(Role::Admin)?;
    view(&api, &name).await?;
    let question = Question {
        title: text!(visitor, "logout-title", name = name.clone()),
        consequence: text!(visitor, "logout-consequence"),
        button: text!(visitor, "number-logout"),
        action: "logout",
        request: ("POST", format!("{}/logout", session_path(&name))),
    };
    Ok(question.show(&visitor, &name))
}

/// Unlinks the phone.
pub async fn logout(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    let result = sessions::logout(State(api.clone()), PathText(name.clone())).await?;
    visitor.record(&api, Action::LogoutSession, &name).await;
    Ok(outcome(&name, result, Done::LoggedOut))
}

/// Asks whether the number is to be removed.
pub async fn ask_remove(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Markup, PageError> {
    visitor.require(Role::Admin)?;
    view(&api, &name).await?;
    let question = Question {
        title: text!(visitor, "remove-title", name = name.clone()),
        consequence: text!(visitor, "remove-consequence"),
        button: text!(visitor, "number-remove"),
        action: "remove",
        request: ("DELETE", session_path(&name)),
    };
    Ok(question.show(&visitor, &name))
}

/// Removes the number.
pub async fn remove(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    sessions::remove(&api, &name).await?;
    visitor.record(&api, Action::DeleteSession, &name).await;
    Ok(Redirect::to(&format!("{}?done={}", Section::Numbers.address(), Done::Removed.name())))
}

/// Asks before something that cannot be taken back.
struct Question {
    title: String,
    consequence: String,
    button: String,
    action: &'static str,
    /// The same by API.
    request: (&'static str, String),
}

impl Question {
    fn show(self, visitor: &Visitor, name: &str) -> Markup {
        let address = address(name);
        let body = html! {
            section.card {
                p { (self.consequence) }
                form.row method="post" action={ (address) "/" (self.action) } {
                    (csrf_field(visitor))
                    button.danger { (self.button) }
                    a.button.second href=(address) { (text!(visitor, "number-keep")) }
                }
                (as_curl(visitor, self.request.0, &self.request.1, None))
            }
        };
        page(visitor, Page { title: self.title, section: Section::Numbers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(delay: &str, cap: &str) -> Option<SessionChange> {
        let (delay, cap) = (delay.to_owned(), cap.to_owned());
        PaceForm { delay, jitter: String::new(), cap }.read()
    }

    #[test]
    fn seconds_are_read_with_either_decimal_sign_and_what_is_empty_follows_the_settings() {
        let delay = |typed| read(typed, "").and_then(|change| change.delay);
        assert_eq!(delay("2.5"), Some(Some(Duration::from_millis(2500))));
        assert_eq!(delay("2,5"), Some(Some(Duration::from_millis(2500))));
        assert_eq!(delay(""), Some(None));
        assert_eq!(read("", "500").map(|change| change.daily_cap), Some(Some(Some(500))));
    }

    #[test]
    fn what_is_no_pace_changes_nothing() {
        for delay in ["-1", "x", "3601", "NaN", "inf"] {
            assert_eq!(read(delay, ""), None, "{delay}");
        }
        assert_eq!(read("", "-1"), None);
    }
}
