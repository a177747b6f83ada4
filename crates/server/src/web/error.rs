//! What a visitor reads when a page cannot be shown.

use super::language::Language;
use super::layout::{Page, Section, page};
use super::parts::{Tone, alert};
use super::reasons;
use super::texts::text;
use super::visitor::Visitor;
use crate::api::error::ApiError;
use crate::store::StoreError;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kabari_domain::Role;
use maud::{Markup, html};
use std::sync::Arc;

/// Why a page cannot be shown, or a change not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Nothing is at this address.
    #[error("no such page")]
    NotFound,
    /// What was being prepared to be sent is no longer kept.
    #[error("no such draft")]
    DraftGone,
    /// The visitor's role does not allow it; this one does.
    #[error("only for role {}", .0.as_str())]
    Forbidden(Role),
    /// Nobody can log in, and this is not the machine itself.
    #[error("there are no users; add one with `kabari user add NAME`")]
    NoUsers,
    /// The form did not come from a page of ours, or from one that is too old.
    #[error("a form without the visitor's token")]
    Forged,
    /// The form is larger than [`MAX_BODY_BYTES`](crate::request_body::MAX_BODY_BYTES).
    #[error("the form is too large")]
    TooLarge,
    /// What the API would have answered.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> PageError {
        PageError::Api(error.into())
    }
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            PageError::NotFound | PageError::DraftGone => StatusCode::NOT_FOUND,
            PageError::Forbidden(_) | PageError::NoUsers | PageError::Forged => {
                StatusCode::FORBIDDEN
            }
            PageError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            PageError::Api(error) => error.status(),
        }
    }

    /// Returns what the visitor reads about it.
    pub fn explanation(&self, visitor: &Visitor) -> String {
        match self {
            PageError::NotFound => text!(visitor, "error-not-found"),
            PageError::DraftGone => text!(visitor, "error-draft-gone"),
            PageError::Forbidden(Role::Admin) => text!(visitor, "error-for-admins"),
            PageError::Forbidden(_) => text!(visitor, "error-for-senders"),
            PageError::NoUsers => text!(visitor, "error-no-users"),
            PageError::Forged => text!(visitor, "error-forged"),
            PageError::TooLarge => text!(visitor, "error-too-large"),
            PageError::Api(ApiError::Store(error)) if visitor.language == Language::English => {
                error.to_string()
            }
            PageError::Api(ApiError::Invalid(_)) => text!(visitor, "error-invalid"),
            PageError::Api(error) => reasons::worded(visitor, &error.detail()),
        }
    }
}

/// Leaves the writing to [`show`], which knows the visitor's language.
impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Any address that has no page.
pub async fn not_found() -> PageError {
    PageError::NotFound
}

/// Shows the error in place of a page that cannot be shown.
pub async fn show(visitor: Visitor, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match response.extensions().get::<Arc<PageError>>() {
        Some(error) => answer(&visitor, error),
        None => response,
    }
}

/// Writes the page for an error: a whole one, or only its message for a part of a page.
pub fn answer(visitor: &Visitor, error: &PageError) -> Response {
    if error.status().is_server_error() {
        // What somebody has searched for may be a number.
        let path = visitor.path.split('?').next();
        tracing::error!(%error, path, "a page could not be shown");
    }
    let message = message(visitor, error);
    let title = text!(visitor, "error-title");
    let body = if visitor.is_part { message } else { whole(visitor, title, message) };
    (error.status(), body).into_response()
}

fn message(visitor: &Visitor, error: &PageError) -> Markup {
    alert(Tone::Bad, html! { (error.explanation(visitor)) })
}

fn whole(visitor: &Visitor, title: String, message: Markup) -> Markup {
    let body = html! {
        (message)
        p { a href=(super::PAGES) { (text!(visitor, "error-back")) } }
    };
    page(visitor, Page { title, section: Section::None, body })
}
