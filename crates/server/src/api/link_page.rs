//! The page for browsers at `GET /api/whatsapp/qr`, and at the same address of every session:
//! links a phone by QR or by code.
//!
//! The page itself holds no data and needs no key; its script asks the API for the state and the
//! QR, with the key that a person types in where one is needed.

use super::accepts_html;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method};
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
            let mut response = match accepts_html(request.headers()) {
                true => page(),
                false => next.run(request).await,
            };
            response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
            response
        }
        _ => next.run(request).await,
    }
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
