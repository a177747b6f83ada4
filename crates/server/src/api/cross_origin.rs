//! Requests that a web page makes a browser send.
//!
//! Pages of allowed origins may call (CORS). A request that a browser attributes to any other
//! page is refused before its body is read: the browser would keep the answer from that page, but
//! by then a form or a `no-cors` request would have done its harm. Programs that are no browsers
//! send none of the headers looked at here.

use super::auth::Access;
use super::error::ApiError;
use crate::origins::{Origins, authority};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    HeaderName, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kabari_domain::wording;
use std::sync::Arc;

const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const ALLOWED_HEADERS: &str = "content-type, authorization, x-api-key, idempotency-key, prefer";
const EXPOSED_HEADERS: &str = "Location";
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_MAX_AGE: &str = "600";

const SEC_FETCH_SITE: &str = "sec-fetch-site";
const SEC_FETCH_MODE: &str = "sec-fetch-mode";
const SEC_FETCH_DEST: &str = "sec-fetch-dest";
/// A page on the internet that calls an address on this network asks for this as well.
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// Where a request comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// A page that may call, with its origin.
    AllowedPage(HeaderValue),
    /// A page of ours, a person's own navigation, or no browser at all.
    Own,
    /// Any other page.
    ForeignPage,
}

/// Answers preflights, refuses requests of pages that are not allowed, and tells the browser of
/// an allowed page that it may show it the answer.
pub async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let source = source(&access.origins, request.method(), request.headers());
    let mut response = match &source {
        Source::ForeignPage => {
            let origin = text(request.headers(), ORIGIN.as_str()).unwrap_or("unknown");
            tracing::warn!(
                origin,
                "refused a request from a web page; if the page is yours, add it to CORS_ORIGINS"
            );
            ApiError::Forbidden(wording::FOREIGN_PAGE.into()).into_response()
        }
        Source::AllowedPage(_) if is_preflight(&request) => preflight(request.headers()),
        Source::AllowedPage(_) | Source::Own => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Source::AllowedPage(origin) = source {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
    response
}

fn source(origins: &Origins, method: &Method, headers: &HeaderMap) -> Source {
    let origin = headers.get(ORIGIN);
    let origin_text = origin.map(|origin| origin.to_str().unwrap_or_default());
    if let (Some(value), Some(text)) = (origin, origin_text)
        && origins.allow(text)
    {
        return Source::AllowedPage(value.clone());
    }
    let is_own = match (text(headers, SEC_FETCH_SITE), origin_text) {
        (Some("same-origin" | "none"), _) => true,
        (Some(_), _) => is_followed_link(method, headers),
        // Browsers leave `Sec-Fetch-Site` out where the address is neither https nor loopback.
        (None, Some(origin)) => {
            authority(origin).is_some_and(|a| Some(a) == text(headers, HOST.as_str()))
        }
        (None, None) => true,
    };
    if is_own { Source::Own } else { Source::ForeignPage }
}

/// Returns whether a person opens an address of ours in a tab. The page that has the link learns
/// nothing, and a GET changes nothing, unless the key stands in the address.
fn is_followed_link(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && !headers.contains_key(ORIGIN)
        && text(headers, SEC_FETCH_MODE) == Some("navigate")
        && text(headers, SEC_FETCH_DEST) == Some("document")
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a browser that asks whether it may send a request. It asks without a key.
fn preflight(asked: &HeaderMap) -> Response {
    let allowed = [
        (ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE),
    ];
    let mut response = (StatusCode::NO_CONTENT, allowed).into_response();
    if asked.contains_key(&REQUEST_PRIVATE_NETWORK) {
        response.headers_mut().insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(origins: &str, method: Method, given: &[(&'static str, &'static str)]) -> Source {
        let headers = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        source(&origins.parse().unwrap(), &method, &headers.collect())
    }

    #[test]
    fn requests_of_programs_and_own_pages_pass() {
        for given in [
            &[][..],
            &[("host", "evil.example")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://kabari.example.net")],
            &[("host", "192.168.1.5:8001"), ("origin", "http://192.168.1.5:8001")],
        ] {
            assert_eq!(judged("", Method::POST, given), Source::Own, "{given:?}");
        }
    }

    #[test]
    fn requests_of_allowed_pages_pass_with_their_origin() {
        let billing = "https://billing.example.net";
        let given = [("origin", billing), ("sec-fetch-site", "cross-site")];
        let allowed = Source::AllowedPage(HeaderValue::from_static(billing));
        assert_eq!(judged(billing, Method::POST, &given), allowed);
        assert_eq!(judged("", Method::POST, &given), Source::ForeignPage);
    }

    #[test]
    fn requests_of_other_pages_are_refused() {
        for given in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", ""), ("host", "")],
            &[("origin", "http://evil.example"), ("host", "localhost:8001")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
        ] {
            for method in [Method::GET, Method::POST] {
                assert_eq!(judged("", method, given), Source::ForeignPage, "{given:?}");
            }
        }
    }

    #[test]
    fn a_link_from_another_page_can_be_followed_but_no_form_sent() {
        let tab = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(judged("", Method::GET, &tab), Source::Own);
        assert_eq!(judged("", Method::POST, &tab), Source::ForeignPage);
    }
}
