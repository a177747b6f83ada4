//! Bytes in JSON files: base64.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    STANDARD.decode(text).context("a saved value is not base64")
}

pub(crate) fn decode_key(text: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = decode(text)?;
    bytes.as_slice().try_into().context("a saved key does not have 32 bytes")
}
