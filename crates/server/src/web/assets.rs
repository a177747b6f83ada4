//! The files that pages load. All are part of the program: nothing is asked of anybody else.

use axum::extract::Path;
use axum::http::header::ETAG;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, header::IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// htmx and what is ours, as one file: a phone on a slow line waits for each request.
const SCRIPT: &str =
    concat!(include_str!("assets/htmx.min.js"), "\n", include_str!("assets/page.js"),);
const STYLE: &str = include_str!("assets/page.css");
const ICON: &str = include_str!("assets/icon.svg");

/// Whoever has a file of this version need not ask again: another version has another address.
const FOR_A_YEAR: &str = "public, max-age=31536000, immutable";
const ASK_EACH_TIME: &str = "no-cache";

/// Tells one version of the files from another.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest =
        [SCRIPT, STYLE, ICON].iter().fold(Sha256::new(), |all, file| all.chain_update(file));
    digest.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
});

/// Returns the address of a file in the version that this program has.
pub fn address(name: &str) -> String {
    format!("/app/assets/{name}?v={}", *VERSION)
}

/// Serves one of the files.
pub async fn serve(Path(name): Path<String>, uri: axum::http::Uri, headers: HeaderMap) -> Response {
    let (content_type, content) = match name.as_str() {
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "page.css" => ("text/css; charset=utf-8", STYLE),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let tag = format!("\"{}\"", *VERSION);
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    let is_this_version = uri.query() == Some(&format!("v={}", *VERSION));
    let caching = if is_this_version { FOR_A_YEAR } else { ASK_EACH_TIME };
    let headers =
        [(CONTENT_TYPE, content_type.to_owned()), (CACHE_CONTROL, caching.to_owned()), (ETAG, tag)];
    (headers, content).into_response()
}
