//! The media host: files that clients download over HTTP, encrypted for whoever was told the key.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use wacore::crypto::hkdf_sha256;
use wacore_libsignal::crypto::{CryptographicHash, aes_256_cbc_encrypt_into, hmac_sha256_two_part};

use crate::core::Core;
use crate::faults::{Action, Facts, Stanza};

/// What clients show for being let in, as the server told them with the name of the host.
pub(crate) const AUTH: &str = "sim";
/// What the keys of a history are derived with.
const HISTORY_KEYS: &[u8] = b"WhatsApp History Keys";
/// Initialization vector, cipher key, MAC key, and one more that nobody uses.
const EXPANDED_KEY: usize = 112;
/// How much of the MAC goes with a file.
const MAC: usize = 10;

/// An encrypted file, and what a client has to be told of it.
pub(crate) struct File {
    pub bytes: Vec<u8>,
    pub key: [u8; 32],
    pub sha256: [u8; 32],
    pub plain_sha256: [u8; 32],
    pub plain_length: u64,
}

impl File {
    pub fn encrypt(plain: &[u8], key: [u8; 32]) -> anyhow::Result<Self> {
        let keys = hkdf_sha256(&key, EXPANDED_KEY, None, HISTORY_KEYS)?;
        let (iv, rest) = keys.split_at(16);
        let (cipher_key, rest) = rest.split_at(32);
        let mac_key = &rest[..32];
        let mut bytes = Vec::new();
        aes_256_cbc_encrypt_into(plain, cipher_key, iv, &mut bytes)?;
        let mac = hmac_sha256_two_part(mac_key, iv, &bytes);
        bytes.extend_from_slice(&mac[..MAC]);
        Ok(Self {
            key,
            sha256: sha256(&bytes)?,
            plain_sha256: sha256(plain)?,
            plain_length: u64::try_from(plain.len())?,
            bytes,
        })
    }
}

fn sha256(bytes: &[u8]) -> anyhow::Result<[u8; 32]> {
    let mut hash = CryptographicHash::new("SHA-256")?;
    hash.update(bytes);
    Ok(crate::phone::raw(&hash.finalize()))
}

pub(crate) fn routes() -> Router<Arc<Core>> {
    Router::new().route("/media/history/{phone}/{part}", get(history))
}

/// Where a part of a history is.
pub(crate) fn direct_path(number: &str, part: usize) -> String {
    format!("/media/history/{number}/{part}")
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
