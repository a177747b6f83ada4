//! Logging in and out.

use super::error::PageError;
use super::layout::{Page, Section, csrf_field, page};
use super::parts::{Tone, alert};
use super::texts::text;
use super::visitor::{Identity, Visitor};
use crate::access::attempts::{Attempts, Guesser};
use crate::access::password;
use crate::access::token::{random_token, token_hash};
use crate::api::Api;
use crate::store::state::{Action, Actor, ActorKind, LOGIN_LIFETIME};
use axum::extract::{Query, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use kabari_domain::access::MAX_NAME;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The cookie that has the token of a login.
pub const SESSION_COOKIE: &str = "kabari_session";

const LOGIN: &str = "/app/login";
const LANGUAGE: &str = "/app/language";

/// How often somebody may be wrong before they have to wait: at one name from one address, from one
/// address at any name, and at one name from anywhere. The last is high: whoever guesses from many
/// addresses must not lock the user out.
const FREE_PER_NAME_AND_ADDRESS: u32 = 5;
const FREE_PER_ADDRESS: u32 = 20;
const FREE_PER_NAME: u32 = 100;

/// Where visitors log in and out.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route(LOGIN, get(show).post(log_in)).route("/app/logout", post(log_out))
}

/// Returns whether a page can be seen without logging in.
pub fn is_for_guests(path: &str) -> bool {
    [LOGIN, LANGUAGE].contains(&path)
}

/// Sends somebody to the login, and back to where they wanted to go.
pub fn ask(visitor: &Visitor, method: &Method) -> Response {
    let mut address = LOGIN.to_owned();
    if *method == Method::GET && !visitor.is_part && visitor.path != super::PAGES {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("next", &visitor.path)
            .finish();
        address = format!("{LOGIN}?{query}");
    }
    if visitor.is_part {
        // A redirect would put the login where the part belongs.
        return (StatusCode::UNAUTHORIZED, [(HeaderName::from_static("hx-redirect"), address)])
            .into_response();
    }
    Redirect::to(&address).into_response()
}

/// Returns the cookie for a token: until the browser is closed, or for some time.
pub fn session_cookie(token: &str, lifetime: Option<Duration>, https: bool) -> String {
    let lifetime = lifetime.map(|lifetime| format!("; Max-Age={}", lifetime.as_secs()));
    let secure = if https { "; Secure" } else { "" };
    format!(
        "{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{}{secure}",
        lifetime.unwrap_or_default()
    )
}

/// Why somebody is not logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The name or the password is wrong.
    Wrong,
    /// Too many were wrong; the next may be tried after this long.
    TooSoon(Duration),
    /// Too many passwords are being checked.
    Overloaded,
}

impl Denied {
    fn status(self) -> StatusCode {
        match self {
            Denied::Wrong => StatusCode::UNAUTHORIZED,
            Denied::TooSoon(_) => StatusCode::TOO_MANY_REQUESTS,
            Denied::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the visitor reads about it.
    pub fn explanation(self, visitor: &Visitor) -> String {
        match self {
            Denied::Wrong => text!(visitor, "login-wrong"),
            Denied::TooSoon(wait) => text!(visitor, "login-wait", seconds = seconds(wait)),
            Denied::Overloaded => text!(visitor, "login-busy"),
        }
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Checks a password, and returns its hash. Whoever is wrong too often has to wait; what is wrong,
/// name or password, cannot be told from the answer or the time it takes.
pub async fn check_password(
    api: &Api,
    attempts: &Attempts,
    visitor: &Visitor,
    name: &str,
    given: String,
) -> Result<Result<String, Denied>, PageError> {
    let address = visitor.peer.address;
    let guessers = [
        Guesser { key: format!("{name} {address}"), free: FREE_PER_NAME_AND_ADDRESS },
        Guesser { key: address.to_string(), free: FREE_PER_ADDRESS },
        Guesser { key: name.to_owned(), free: FREE_PER_NAME },
    ];
    if let Err(wait) = attempts.begin(&guessers, Instant::now()) {
        return Ok(Err(Denied::TooSoon(wait)));
    }
    let hash = api.state.password_hash(name).await?;
    let exists = hash.is_some();
    match (password::verify(given, hash.clone()).await, hash) {
        (Ok(true), Some(hash)) => {
            attempts.succeeded(&guessers);
            Ok(Ok(hash))
        }
        (Ok(_), _) => {
            // What is no user's name may be a password that was typed into the wrong field.
            let subject = if exists { name } else { "" };
            visitor.record(api, Action::FailLogIn, subject).await;
            Ok(Err(Denied::Wrong))
        }
        (Err(password::Overloaded), _) => Ok(Err(Denied::Overloaded)),
    }
}

/// Begins a login, and returns its cookie; `None` if the password has just been changed.
pub async fn begin(
    api: &Api,
    visitor: &Visitor,
    name: &str,
    password_hash: &str,
) -> Result<Option<String>, PageError> {
    // Never a token that the browser had before: somebody else may have put it there.
    let token = random_token();
    let address = visitor.peer.address.to_string();
    let hash = token_hash(&token);
    let begun = api.state.begin_login(name, password_hash, &hash, &address).await?;
    let cookie = session_cookie(&token, Some(LOGIN_LIFETIME), visitor.peer.https);
    Ok(begun.then_some(cookie))
}

#[derive(Deserialize)]
struct Asked {
    /// The page that the visitor wanted to see.
    next: Option<String>,
}

async fn show(visitor: Visitor, Query(asked): Query<Asked>) -> Response {
    let next = next_page(asked.next);
    match visitor.identity {
        Identity::Guest => form(&visitor, "", &next, None).into_response(),
        Identity::User(_) | Identity::Local => Redirect::to(&next).into_response(),
    }
}

/// Only pages of ours: nobody is sent elsewhere by a link to the login.
fn next_page(next: Option<String>) -> String {
    next.filter(|next| next.starts_with(super::PAGES)).unwrap_or_else(|| super::PAGES.to_owned())
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    next: Option<String>,
}

async fn log_in(
    State(api): State<Arc<Api>>,
    Extension(attempts): Extension<Arc<Attempts>>,
    visitor: Visitor,
    Form(credentials): Form<Credentials>,
) -> Result<Response, PageError> {
    let next = next_page(credentials.next);
    // Phones begin a name with a capital letter.
    let name: String = credentials.name.trim().to_lowercase().chars().take(MAX_NAME).collect();
    let hash = check_password(&api, &attempts, &visitor, &name, credentials.password).await?;
    let denied = match hash {
        Ok(hash) => match begin(&api, &visitor, &name, &hash).await? {
            Some(cookie) => {
                if let Some(earlier) = visitor.login() {
                    let (user, id) = (&earlier.user_name, earlier.id);
                    api.state.end_login(user, id).await?;
                }
                let actor =
                    Actor { kind: ActorKind::User, name, address: Some(visitor.peer.address) };
                api.state.record(&actor, Action::LogIn, "", &Value::Null).await;
                return Ok(([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response());
            }
            None => Denied::Wrong,
        },
        Err(denied) => denied,
    };
    let body = form(&visitor, &name, &next, Some(denied));
    let mut response = (denied.status(), body).into_response();
    if let Denied::TooSoon(wait) = denied {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
    }
    Ok(response)
}

fn form(visitor: &Visitor, name: &str, next: &str, denied: Option<Denied>) -> Markup {
    let body = html! {
        @if let Some(denied) = denied {
            (alert(Tone::Bad, html! { (denied.explanation(visitor)) }))
        }
        form.card.narrow method="post" action=(LOGIN) {
            (csrf_field(visitor))
            input type="hidden" name="next" value=(next);
            div.field {
                label for="name" { (text!(visitor, "login-name")) }
                input id="name" name="name" value=(name) required autocomplete="username"
                    autocapitalize="none" spellcheck="false" autofocus[name.is_empty()];
            }
            div.field {
                label for="password" { (text!(visitor, "login-password")) }
                input id="password" name="password" type="password" required
                    autocomplete="current-password" autofocus[!name.is_empty()];
            }
            button { (text!(visitor, "login-submit")) }
        }
        p.soft { (text!(visitor, "login-forgotten")) }
    };
    page(visitor, Page { title: text!(visitor, "login-title"), section: Section::None, body })
}

async fn log_out(State(api): State<Arc<Api>>, visitor: Visitor) -> Result<Response, PageError> {
    if let Some(login) = visitor.login() {
        let (user, id) = (&login.user_name, login.id);
        api.state.end_login(user, id).await?;
        visitor.record(&api, Action::LogOut, "").await;
    }
    let cookie = session_cookie("", Some(Duration::ZERO), visitor.peer.https);
    Ok(([(SET_COOKIE, cookie)], Redirect::to(LOGIN)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_back_to_pages_of_ours_only() {
        for next in ["/app/", "/app/campaigns/12?state=failed"] {
            assert_eq!(next_page(Some(next.to_owned())), next);
        }
        for next in ["", "https://evil.example/app/", "//evil.example/app/", "/docs", "/app"] {
            assert_eq!(next_page(Some(next.to_owned())), "/app/");
        }
    }

    #[test]
    fn a_cookie_is_for_this_server_and_encrypted_lines_where_there_is_one() {
        let cookie = session_cookie("abc", Some(Duration::from_secs(60)), true);
        let expected = "kabari_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure";
        assert_eq!(cookie, expected);
        let plain = session_cookie("abc", None, false);
        assert_eq!(plain, "kabari_session=abc; Path=/; HttpOnly; SameSite=Lax");
    }
}
