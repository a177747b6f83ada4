//! The page for browsers at `GET /api/whatsapp/qr`: links a phone by QR or by code.
//!
//! The page itself holds no data and needs no key; its script asks the API for the state and the
//! QR, with the key that a person types in where one is needed.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

/// The page loads what this server serves, and nobody may put it into a frame.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const SCRIPT_PATH: &str = "/api/whatsapp/qr/page.js";
const STYLE_PATH: &str = "/api/whatsapp/qr/page.css";

/// Returns whether a request is for the page or a part of it, and not for data.
pub fn is_asked_for(request: &Request) -> bool {
    let path = request.uri().path();
    let is_qr = path.starts_with("/api/whatsapp/") && path.ends_with("/qr");
    [SCRIPT_PATH, STYLE_PATH].contains(&path) || (is_qr && is_accepted(request.headers()))
}

/// Returns whether the caller takes HTML: a browser that opens an address says so, and scripts
/// and programs do not.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|media_type| media_type.trim().eq_ignore_ascii_case("text/html"))
}

/// The page.
pub fn page() -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (VARY, ACCEPT.as_str()),
    ];
    (headers, Html(include_str!("link_page/page.html"))).into_response()
}

/// The files that the page loads.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let script = || async { file("text/javascript", include_str!("link_page/page.js")) };
    let style = || async { file("text/css", include_str!("link_page/page.css")) };
    Router::new().route(SCRIPT_PATH, get(script)).route(STYLE_PATH, get(style))
}

/// Never older than the program: the page and its files have to fit each other.
fn file(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_who_accepts_html_gets_the_page() {
        let accepted =
            |value| is_accepted(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]));
        assert!(accepted("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(accepted("application/json, Text/HTML;q=0.5"));
        assert!(!accepted("*/*"));
        assert!(!accepted("application/json"));
        assert!(!is_accepted(&HeaderMap::new()));
    }
}
