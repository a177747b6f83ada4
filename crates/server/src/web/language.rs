//! Which language a visitor reads.

use crate::api::Api;
use axum::http::HeaderMap;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use serde::Deserialize;
use std::sync::Arc;

const LANGUAGE_COOKIE: &str = "kabari_language";
const A_YEAR_IN_SECONDS: u32 = 365 * 24 * 60 * 60;

/// A language of the pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Language {
    /// Indonesian.
    #[default]
    #[serde(rename = "id")]
    Indonesian,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Language::Indonesian, Language::English];

    /// The language's code in HTML and in the cookie.
    pub fn code(self) -> &'static str {
        match self {
            Language::Indonesian => "id",
            Language::English => "en",
        }
    }

    /// What the language calls itself.
    pub fn name(self) -> &'static str {
        match self {
            Language::Indonesian => "Bahasa Indonesia",
            Language::English => "English",
        }
    }

    /// Returns the language that a browser has chosen.
    pub fn of(headers: &HeaderMap) -> Language {
        let chosen = cookie(headers, LANGUAGE_COOKIE);
        let chosen = Language::ALL.into_iter().find(|one| Some(one.code()) == chosen);
        chosen.unwrap_or_default()
    }
}

/// Returns the value of a cookie.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

/// The form in the foot of every page.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/app/language", post(choose))
}

#[derive(Deserialize)]
struct Choice {
    language: Language,
    /// The page to show again.
    back: String,
}

/// Remembers a visitor's language.
async fn choose(Form(choice): Form<Choice>) -> Response {
    let code = choice.language.code();
    let cookie = format!(
        "{LANGUAGE_COOKIE}={code}; Path=/; Max-Age={A_YEAR_IN_SECONDS}; HttpOnly; SameSite=Lax"
    );
    // Only pages of ours: nobody is sent elsewhere by a form.
    let back = if choice.back.starts_with(super::PAGES) { &choice.back } else { super::PAGES };
    ([(SET_COOKIE, cookie)], Redirect::to(back)).into_response()
}
