//! Files that clients download, encrypted for whoever was told the key.

use wacore::crypto::hkdf_sha256;
use wacore_libsignal::crypto::{CryptographicHash, aes_256_cbc_encrypt_into, hmac_sha256_two_part};

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

/// Returns where a part of a history is.
pub(crate) fn direct_path(number: &str, part: usize) -> String {
    format!("/media/history/{number}/{part}")
}
