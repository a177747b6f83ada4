//! Secrets that a browser or a program shows: tokens of logins, and API keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What every API key begins with, so that people and scanners recognize one.
pub const API_KEY_PREFIX: &str = "kbr_";

/// Enough that nobody guesses one.
const TOKEN_BYTES: usize = 32;

/// Returns a new secret: 256 random bits as 43 letters, digits, `-` and `_`.
pub fn random_token() -> String {
    let bytes: [u8; TOKEN_BYTES] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns a new API key.
pub fn random_api_key() -> String {
    format!("{API_KEY_PREFIX}{}", random_token())
}

/// Returns what is stored of a secret: its SHA-256, as hexadecimal digits. Slow hashes are for what
/// can be guessed.
pub fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}

/// Returns what a form has to send along with a request from a browser with this token. Nobody who
/// does not know the token can say it.
pub fn csrf_token(token: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(b"kabari: forms");
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_their_hashes_do_not_show_them() {
        let (one, other) = (random_api_key(), random_api_key());
        assert_ne!(one, other);
        assert_eq!(one.len(), API_KEY_PREFIX.len() + 43);
        assert_eq!(token_hash(&one), token_hash(&one.clone()));
        assert_ne!(token_hash(&one), token_hash(&other));
        assert_ne!(csrf_token(&one), token_hash(&one));
        assert_ne!(csrf_token(&one), csrf_token(&other));
    }
}
