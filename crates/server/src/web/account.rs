//! A user's own page: where they are logged in, and their password.

use super::error::PageError;
use super::layout::{Page, Section, csrf_field, page};
use super::login;
use super::parts::{Tone, alert, badge};
use super::texts::text;
use super::visitor::Visitor;
use crate::access::attempts::Attempts;
use crate::access::password::{self, MIN_PASSWORD, UnusablePassword};
use crate::api::Api;
use crate::store::state::{Action, Login};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use kabari_domain::Role;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

const ACCOUNT: &str = "/app/account";

/// The page and its forms.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route(ACCOUNT, get(show))
        .route("/app/account/password", post(change_password))
        .route("/app/account/browsers/others/end", post(end_others))
        .route("/app/account/browsers/{id}/end", post(end))
}

/// What a role is called.
pub fn role_name(visitor: &Visitor, role: Role) -> String {
    match role {
        Role::Viewer => text!(visitor, "role-viewer"),
        Role::Sender => text!(visitor, "role-sender"),
        Role::Admin => text!(visitor, "role-admin"),
    }
}

async fn show(State(api): State<Arc<Api>>, visitor: Visitor) -> Result<Markup, PageError> {
    whole(&api, &visitor, None).await
}

/// The page, with what is wrong with a new password.
async fn whole(api: &Api, visitor: &Visitor, fault: Option<&str>) -> Result<Markup, PageError> {
    // Without users there is no account.
    let Some(login) = visitor.login() else { return Err(PageError::NotFound) };
    let user = &login.user_name;
    let browsers = api.state.logins(user).await?;
    let body = html! {
        p { (text!(visitor, "account-who", name = user.as_str())) " " (badge(Tone::Plain, &role_name(visitor, visitor.role))) }
        section.card {
            h2 { (text!(visitor, "account-browsers")) }
            ul.list {
                @for browser in &browsers { (entry(visitor, browser, browser.id == login.id)) }
            }
            @if browsers.len() > 1 {
                form method="post" action="/app/account/browsers/others/end" {
                    (csrf_field(visitor))
                    button.second { (text!(visitor, "account-end-others")) }
                }
            }
        }
        form.card.narrow method="post" action="/app/account/password" {
            h2 { (text!(visitor, "account-password")) }
            (csrf_field(visitor))
            // Password managers look for the name beside the passwords.
            input type="hidden" name="name" value=(user) autocomplete="username";
            div.field {
                label for="current" { (text!(visitor, "password-current")) }
                input id="current" name="current" type="password" required autocomplete="current-password";
            }
            (new_password_fields(visitor, fault))
            button { (text!(visitor, "account-password")) }
        }
    };
    let title = text!(visitor, "account-title");
    Ok(page(visitor, Page { title, section: Section::None, body }))
}

fn entry(visitor: &Visitor, browser: &Login, is_this: bool) -> Markup {
    let began = visitor.moment(browser.created_at);
    let address = browser.address.as_str();
    html! {
        li {
            span {
                (text!(visitor, "account-browser", began = began, address = address))
                br;
                span.soft { (text!(visitor, "account-seen", time = visitor.moment(browser.last_seen_at))) }
            }
            @if is_this {
                (badge(Tone::Good, &text!(visitor, "account-this")))
            } @else {
                form method="post" action={ "/app/account/browsers/" (browser.id) "/end" } {
                    (csrf_field(visitor))
                    button.second { (text!(visitor, "account-end")) }
                }
            }
        }
    }
}

/// The fields for a new password, with what is wrong with the one that was typed.
pub fn new_password_fields(visitor: &Visitor, fault: Option<&str>) -> Markup {
    let described_by =
        if fault.is_some() { "password-hint password-fault" } else { "password-hint" };
    html! {
        div.field {
            label for="password" { (text!(visitor, "password-new")) }
            input id="password" name="password" type="password" required autocomplete="new-password"
                aria-describedby=(described_by) aria-invalid=[fault.map(|_| "true")];
            span.hint id="password-hint" { (text!(visitor, "password-hint", characters = MIN_PASSWORD)) }
            @if let Some(fault) = fault { span.fault id="password-fault" role="alert" { (fault) } }
        }
        div.field {
            label for="again" { (text!(visitor, "password-again")) }
            input id="again" name="again" type="password" required autocomplete="new-password";
        }
    }
}

/// A new password, typed twice.
#[derive(Deserialize)]
pub struct NewPassword {
    password: String,
    again: String,
}

impl NewPassword {
    /// Returns the password if this user may have it, or what is wrong with it.
    pub fn check(self, visitor: &Visitor, user: &str) -> Result<String, String> {
        if self.password != self.again {
            return Err(text!(visitor, "password-differs"));
        }
        password::check(&self.password, user).map_err(|unusable| match unusable {
            UnusablePassword::TooShort => {
                text!(visitor, "password-too-short", characters = MIN_PASSWORD)
            }
            UnusablePassword::TooLong => text!(visitor, "password-too-long"),
            UnusablePassword::IsName => text!(visitor, "password-is-name"),
        })?;
        Ok(self.password)
    }
}

/// Returns the hash of a password, or what the visitor reads while too many are being hashed.
pub async fn hash(visitor: &Visitor, password: String) -> Result<String, String> {
    password::hash(password).await.map_err(|password::Overloaded| text!(visitor, "login-busy"))
}

#[derive(Deserialize)]
struct PasswordChange {
    current: String,
    #[serde(flatten)]
    new: NewPassword,
}

/// Gives a user another password. Every other browser has to log in again.
async fn change_password(
    State(api): State<Arc<Api>>,
    Extension(attempts): Extension<Arc<Attempts>>,
    visitor: Visitor,
    Form(change): Form<PasswordChange>,
) -> Result<Response, PageError> {
    let Some(login) = visitor.login() else { return Err(PageError::NotFound) };
    let user = login.user_name.clone();
    let refused = async |fault: &str| {
        let body = whole(&api, &visitor, Some(fault)).await?;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
    };
    let new = match change.new.check(&visitor, &user) {
        Ok(new) => new,
        Err(fault) => return refused(&fault).await,
    };
    let checked = login::check_password(&api, &attempts, &visitor, &user, change.current).await?;
    if let Err(denied) = checked {
        let fault = match denied {
            login::Denied::Wrong => text!(visitor, "password-wrong"),
            denied => denied.explanation(&visitor),
        };
        return refused(&fault).await;
    }
    let hash = match hash(&visitor, new).await {
        Ok(hash) => hash,
        Err(fault) => return refused(&fault).await,
    };
    api.state.set_password(&user, &hash).await?;
    visitor.record(&api, Action::ChangePassword, &user).await;
    let body = html! {
        (alert(Tone::Good, html! { (text!(visitor, "password-changed")) }))
        p { a href=(super::PAGES) { (text!(visitor, "error-back")) } }
    };
    let title = text!(visitor, "account-title");
    match login::begin(&api, &visitor, &user, &hash).await? {
        Some(cookie) => {
            let body = page(&visitor, Page { title, section: Section::None, body });
            Ok(([(SET_COOKIE, cookie)], body).into_response())
        }
        None => Ok(Redirect::to(ACCOUNT).into_response()),
    }
}

async fn end(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Path(id): Path<i64>,
) -> Result<Redirect, PageError> {
    let Some(login) = visitor.login() else { return Err(PageError::NotFound) };
    if api.state.end_login(&login.user_name, id).await? {
        visitor.record_with(&api, Action::LogOut, "", &json!({ "browsers": 1 })).await;
    }
    Ok(Redirect::to(ACCOUNT))
}

async fn end_others(State(api): State<Arc<Api>>, visitor: Visitor) -> Result<Redirect, PageError> {
    let Some(login) = visitor.login() else { return Err(PageError::NotFound) };
    let (user, here) = (&login.user_name, login.id);
    let ended = api.state.end_other_logins(user, here).await?;
    visitor.record_with(&api, Action::LogOut, "", &json!({ "browsers": ended })).await;
    Ok(Redirect::to(ACCOUNT))
}
