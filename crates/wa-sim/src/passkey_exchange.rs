//! What a client and a phone exchange when the account wants its passkey, and how the two come to
//! the same code and key.

use anyhow::{Context, ensure};
use buffa::Message;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use wacore::crypto::hkdf_sha256;
use wacore_libsignal::crypto::{aes_256_gcm_decrypt, hmac_sha256};
use wacore_libsignal::protocol::{KeyPair, PublicKey};
use waproto::whatsapp as wa;

use crate::phone::raw;

/// What a code is made of: five bytes as eight of these characters.
const CODE_BYTES: usize = 5;
const CODE_ALPHABET: &[u8; 32] = b"123456789ABCDEFGHJKLMNPQRSTVWXYZ";
const HANDOFF_KEY: &[u8] = b"shortcake-passkey-handoff-v1";
const PAIRING_KEY: &[u8] = b"Pairing Information Encryption Key";

/// A client that the server has asked for the passkey of an account.
pub(crate) struct Shortcake {
    pub number: String,
    /// The secret that the QR or the typed code gave the phone.
    pub secret: [u8; 32],
    pub challenge: String,
    pub expires_at: u64,
    pub options: Value,
    /// The newest reference the client has asked for.
    pub reference: Option<String>,
    pub stage: Stage,
}

pub(crate) enum Stage {
    /// The server has asked, and waits for the assertion.
    Asked,
    /// The assertion holds. The phone has answered, and waits for the client's nonce.
    Committed(Box<Exchange>),
    /// Both show the code.
    Revealed {
        code: String,
        /// Opens what the client sends at the end.
        key: [u8; 32],
        /// Whether the phone's user has found the code to be the same.
        compared: bool,
        /// The client's new secret, once it has confirmed.
        new_secret: Option<[u8; 32]>,
    },
}

/// What the two sides have told each other before the client shows its nonce.
pub(crate) struct Exchange {
    pub identity: Vec<u8>,
    pub commitment: Vec<u8>,
    pub theirs: [u8; 32],
    pub device_type: i32,
    pub ours: KeyPair,
    pub nonce: [u8; 32],
    /// Whether the client has proved to know the secret of the QR: then no code need be compared.
    pub proved: bool,
}

impl Shortcake {
    /// Returns until when the client may answer, if it was asked about this number and still may.
    pub fn expires_at(&self, number: &str, now_ms: u64) -> Option<u64> {
        (self.number == number && now_ms < self.expires_at).then_some(self.expires_at)
    }
}

impl Exchange {
    /// Returns the code that both sides show.
    pub fn code(&self, companion_nonce: &[u8]) -> String {
        let known = [companion_nonce, self.ours.public_key.public_key_bytes()].concat();
        let mask = digest(&SHA256, &known);
        let bits = self.nonce.iter().zip(mask.as_ref()).take(CODE_BYTES);
        let bits = bits.fold(0u64, |bits, (&ours, &theirs)| (bits << 8) | u64::from(ours ^ theirs));
        let characters = CODE_BYTES * 8 / 5;
        let character = |nth: usize| {
            let index = (bits >> (5 * (characters - 1 - nth))) & 31;
            char::from(CODE_ALPHABET[index as usize])
        };
        (0..characters).map(character).collect()
    }

    /// Returns the key for what the client sends at the end.
    pub fn key(&self, reference: &str) -> anyhow::Result<[u8; 32]> {
        let theirs = PublicKey::from_djb_public_key_bytes(&self.theirs)?;
        let shared = self.ours.private_key.calculate_agreement(&theirs)?;
        let salt = format!("Companion Pairing {} with ref {reference}", self.device_type);
        let key = hkdf_sha256(&shared, 32, Some(salt.as_bytes()), PAIRING_KEY)
            .map_err(|_| anyhow::anyhow!("no key for the request"))?;
        Ok(raw(&key))
    }
}

/// Returns the companion's identity, and its commitment to a nonce.
pub(crate) fn open_prologue(payload: &[u8]) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let prologue = wa::ProloguePayload::decode_from_slice(payload).context("malformed prologue")?;
    let identity = prologue.companion_ephemeral_identity.context("no identity of the companion")?;
    let commitment = prologue.commitment.into_option().and_then(|commitment| commitment.hash);
    Ok((identity, commitment.context("no commitment")?))
}

pub(crate) fn open_request(sealed: &[u8], key: &[u8; 32]) -> anyhow::Result<wa::PairingRequest> {
    let sealed = wa::EncryptedPairingRequest::decode_from_slice(sealed).context("malformed")?;
    let (iv, payload) = sealed.iv.zip(sealed.encrypted_payload).context("iv or payload missing")?;
    let mut opened = Vec::new();
    aes_256_gcm_decrypt(key, iv.as_slice().try_into()?, b"", &payload, &mut opened)
        .map_err(|_| anyhow::anyhow!("the request does not open"))?;
    ensure!(!opened.is_empty(), "the request is empty");
    Ok(wa::PairingRequest::decode_from_slice(opened.as_slice())?)
}

/// Returns the proof that only the client that showed the scanned QR can give.
pub(crate) fn handoff_proof(secret: &[u8; 32], payload: &[u8]) -> anyhow::Result<Vec<u8>> {
    let key = hkdf_sha256(secret, 32, None, HANDOFF_KEY)
        .map_err(|_| anyhow::anyhow!("no key for the handoff proof"))?;
    Ok(hmac_sha256(&key, payload).to_vec())
}
