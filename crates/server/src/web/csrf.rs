//! Forms of other sites are refused: every change brings back the token of the page it was asked
//! from, in the field `csrf` or, from scripts and with files, in a header.

use super::error::PageError;
use super::visitor::Visitor;
use crate::request_body::MAX_BODY_BYTES;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

/// The name of the field in forms.
pub const FIELD: &str = "csrf";
/// The header that htmx sends instead.
pub const HEADER: &str = "x-csrf-token";

const FORM: &str = "application/x-www-form-urlencoded";

/// Lets a change through if it brings the token back.
pub async fn guard(visitor: Visitor, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let is_token = |given: &[u8]| bool::from(given.ct_eq(visitor.csrf.as_bytes()));
    if request.headers().get(HEADER).is_some_and(|given| is_token(given.as_bytes())) {
        return next.run(request).await;
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with(FORM)) {
        return PageError::Forged.into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(form) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return PageError::TooLarge.into_response();
    };
    match field(&form) {
        Some(given) if is_token(given.as_bytes()) => {
            next.run(Request::from_parts(parts, Body::from(form))).await
        }
        _ => PageError::Forged.into_response(),
    }
}

fn field(form: &Bytes) -> Option<String> {
    let mut fields = form_urlencoded::parse(form);
    fields.find(|(name, _)| name == FIELD).map(|(_, value)| value.into_owned())
}
