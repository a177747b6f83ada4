//! The media host: serves files over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::core::Core;
use crate::faults::{Action, Facts, Stanza};
use crate::media::AUTH;

pub(crate) fn routes() -> Router<Arc<Core>> {
    Router::new().route("/media/history/{phone}/{part}", get(history))
}

#[derive(Deserialize)]
struct Download {
    /// The hash of the file.
    token: String,
    auth: Option<String>,
}

async fn history(
    State(core): State<Arc<Core>>,
    Path((number, part)): Path<(String, usize)>,
    Query(download): Query<Download>,
) -> Result<Vec<u8>, StatusCode> {
    let facts = Facts { stanza: Stanza::Media, from: None, to: Some(&number), id: None };
    let action = core.state().faults.strike(facts);
    match action {
        Some(Action::Error { code, .. }) => {
            return Err(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Some(Action::Swallow) => std::future::pending().await,
        Some(Action::Delay { ms, jitter_ms }) => {
            let until = core.clock.now_ms() + core.state().faults.jittered(ms, jitter_ms);
            core.clock.sleep_until(until).await;
        }
        _ => {}
    }
    if download.auth.as_deref() != Some(AUTH) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let file = core.state().files.get(&(number, part)).cloned().ok_or(StatusCode::NOT_FOUND)?;
    if download.token != URL_SAFE_NO_PAD.encode(file.sha256) {
        return Err(StatusCode::FORBIDDEN);
    }
    let mut bytes = file.bytes.clone();
    if action == Some(Action::Corrupt) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    Ok(bytes)
}
