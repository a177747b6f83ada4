//! The page for browsers at `GET /api/whatsapp/qr`, and at the same address of every session:
//! links a phone by QR or by code.
//!
//! The page itself holds no data and needs no key; its script asks the API for the state and the
//! QR, with the key that a person types in where one is needed.

use axum::extract::Request;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

/// The page loads what this server serves, and nobody may put it into a frame.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const SCRIPT_PATH: &str = "/api/whatsapp/qr/page.js";
const STYLE_PATH: &str = "/api/whatsapp/qr/page.css";

/// Answers browsers with the page and its files, and lets everybody else through to the data,
/// which is guarded.
pub async fn serve(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_qr = path.starts_with("/api/whatsapp/") && path.ends_with("/qr");
    match path {
        SCRIPT_PATH if is_read => file("text/javascript", include_str!("link_page/page.js")),
        STYLE_PATH if is_read => file("text/css", include_str!("link_page/page.css")),
        _ if is_qr && is_read => {
            let mut response = match is_accepted(request.headers()) {
                true => page(),
                false => next.run(request).await,
            };
            response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
            response
        }
        _ => next.run(request).await,
    }
}

/// Returns whether the caller takes HTML: a browser that opens an address says so, and scripts
/// and programs do not.
fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|media_type| media_type.trim().eq_ignore_ascii_case("text/html"))
}

fn page() -> Response {
    let headers = [(CONTENT_SECURITY_POLICY, CONTENT_POLICY), (REFERRER_POLICY, "no-referrer")];
    (headers, Html(include_str!("link_page/page.html"))).into_response()
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
