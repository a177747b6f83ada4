//! Who may ask, of the API and of `kabari gateway` alike. With `API_KEY` set, whoever has the key;
//! without it, only this machine.

use super::error::ApiError;
use crate::origins::{Origins, is_loopback};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::middleware::Next;
use axum::response::Response;
use kabari_domain::wording;
use std::sync::Arc;
use subtle::ConstantTimeEq;

const API_KEY_HEADER: &str = "x-api-key";

/// Answered without a key: what a load balancer asks, and the documentation, which says nothing
/// that is not in the source code; a browser could not send a key for it. What speaks the dialects
/// of other gateways has a key of its own.
const OPEN_PATHS: [&str; 5] = ["/", "/health", "/livez", "/readyz", "/openapi.json"];
const OPEN_PREFIXES: [&str; 3] = ["/docs", "/redoc", "/compat"];

/// Who may call.
pub struct Access {
    /// What callers must show. Without one, only this machine is served.
    pub key: Option<String>,
    /// Whose web pages may call.
    pub origins: Origins,
}

/// Lets a request through or answers 401 or 403.
pub async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match &access.key {
        Some(_) if is_open(request.uri().path()) => {}
        Some(key) => require_key(request.headers(), key)?,
        None => require_loopback_host(request.headers())?,
    }
    Ok(next.run(request).await)
}

fn is_open(path: &str) -> bool {
    let below = |prefix: &&str| {
        path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    OPEN_PATHS.contains(&path) || OPEN_PREFIXES.iter().any(below)
}

fn require_key(headers: &HeaderMap, key: &str) -> Result<(), ApiError> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().as_bytes());
    let given = headers.get(API_KEY_HEADER).map(|value| value.as_bytes()).or(bearer);
    match given {
        Some(given) if is_key(given, key) => Ok(()),
        _ => Err(ApiError::Unauthorized),
    }
}

/// Returns whether this is the key, in a time that says nothing about it.
pub fn is_key(given: &[u8], key: &str) -> bool {
    given.ct_eq(key.as_bytes()).into()
}

/// A page on the internet can make a browser ask this machine under a name of its own (DNS
/// rebinding); the name is then in `Host`.
pub fn require_loopback_host(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if is_loopback(host) { Ok(()) } else { Err(ApiError::Forbidden(wording::FOREIGN_HOST)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn only_names_of_this_machine_are_served_without_a_key() {
        for host in
            ["localhost", "LOCALHOST:8001", "127.0.0.1:8001", "127.1.2.3", "[::1]:8001", "[::1]"]
        {
            assert!(require_loopback_host(&headers("host", host)).is_ok(), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8001",
            "10.0.0.1",
            "127.0.0.1.evil.example",
            "[::2]",
            "localhost.evil.example",
        ] {
            assert!(require_loopback_host(&headers("host", host)).is_err(), "{host}");
        }
        assert!(require_loopback_host(&HeaderMap::new()).is_err());
    }

    #[test]
    fn the_key_comes_in_either_header() {
        assert!(require_key(&headers("x-api-key", "rahasia"), "rahasia").is_ok());
        assert!(require_key(&headers("authorization", "bearer rahasia"), "rahasia").is_ok());
        for (name, value) in [
            ("x-api-key", "rahasi"),
            ("x-api-key", ""),
            ("authorization", "rahasia"),
            ("authorization", "Basic rahasia"),
            ("cookie", "rahasia"),
        ] {
            assert!(require_key(&headers(name, value), "rahasia").is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_path_that_only_begins_like_an_open_one_is_not_open() {
        assert!(["/", "/health", "/docs", "/docs/index.html", "/redoc"].into_iter().all(is_open));
        assert!(!["/docsx", "/api/customers", "/healthy", "//"].into_iter().any(is_open));
    }
}
