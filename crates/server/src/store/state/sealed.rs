//! Session entries as they are stored: nobody without the key can read them, move them to another
//! place, or tell whose they are.

use crate::session_key::SessionKey;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use kabari_gateway::Entry;
use sha2::Sha256;

/// Random nonces of this length do not repeat, however much is written.
const NONCE_BYTES: usize = 24;
/// How much of a key's HMAC stands in its place.
const NAME_BYTES: usize = 16;
/// The length of the key, in front of key and value.
const LENGTH_BYTES: usize = 4;

/// Seals and opens the entries of one session.
pub(super) struct Sealer {
    session: String,
    names: Hmac<Sha256>,
    values: XChaCha20Poly1305,
}

impl Sealer {
    pub fn new(key: &SessionKey, session: &str) -> Sealer {
        let derived = |purpose: &str| {
            let mut mac = hmac(key.bytes());
            mac.update(purpose.as_bytes());
            mac.finalize().into_bytes()
        };
        Sealer {
            session: session.to_owned(),
            names: hmac(&derived("kabari: names of session entries")),
            values: XChaCha20Poly1305::new(&derived("kabari: session entries")),
        }
    }

    /// Returns what stands in the place of a key. The same key always has the same name.
    pub fn name(&self, collection: &str, key: &[u8]) -> Vec<u8> {
        let mut mac = self.names.clone();
        for part in [self.session.as_bytes(), &[0], collection.as_bytes(), &[0], key] {
            mac.update(part);
        }
        mac.finalize().into_bytes()[..NAME_BYTES].to_vec()
    }

    pub fn seal(&self, collection: &str, name: &[u8], entry: &Entry) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let length = u32::try_from(entry.key.len()).expect("a key is short").to_be_bytes();
        let plain = [length.as_slice(), &entry.key, &entry.value].concat();
        let payload = Payload { msg: &plain, aad: &self.place(collection, name) };
        let sealed = self.values.encrypt(&XNonce::from(nonce), payload);
        [nonce.to_vec(), sealed.expect("an entry is far shorter than the cipher allows")].concat()
    }

    /// Opens an entry; `None` if it was sealed with another key, for another place, or damaged.
    pub fn open(&self, collection: &str, name: &[u8], sealed: &[u8]) -> Option<Entry> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &self.place(collection, name) };
        let plain = self.values.decrypt(&XNonce::from(*nonce), payload).ok()?;
        let (length, rest) = plain.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (key, value) = rest.split_at_checked(length)?;
        Some(Entry { key: key.to_vec(), value: value.to_vec() })
    }

    /// Returns what a sealed entry is bound to.
    fn place(&self, collection: &str, name: &[u8]) -> Vec<u8> {
        [self.session.as_bytes(), &[0], collection.as_bytes(), &[0], name].concat()
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { key: b"6281234567801@s.whatsapp.net".to_vec(), value: b"a ratchet".to_vec() }
    }

    #[test]
    fn opens_what_it_sealed() {
        let sealer = Sealer::new(&SessionKey::random(), "default");
        let name = sealer.name("sessions", &entry().key);
        let sealed = sealer.seal("sessions", &name, &entry());
        assert_eq!(sealer.open("sessions", &name, &sealed).unwrap().value, b"a ratchet");
        assert_ne!(sealed, sealer.seal("sessions", &name, &entry()), "another nonce");
    }

    #[test]
    fn shows_neither_key_nor_value() {
        let sealer = Sealer::new(&SessionKey::random(), "default");
        let name = sealer.name("sessions", &entry().key);
        let sealed = sealer.seal("sessions", &name, &entry());
        for stored in [&name, &sealed] {
            for part in [&entry().key[..8], b"ratchet"] {
                assert!(!stored.windows(part.len()).any(|window| window == part));
            }
        }
    }

    #[test]
    fn opens_nothing_with_another_key_from_another_place_or_damaged() {
        let key = SessionKey::random();
        let sealer = Sealer::new(&key, "default");
        let name = sealer.name("sessions", &entry().key);
        let sealed = sealer.seal("sessions", &name, &entry());

        let other_key = Sealer::new(&SessionKey::random(), "default");
        assert!(other_key.open("sessions", &name, &sealed).is_none());
        let other_session = Sealer::new(&key, "north");
        assert!(other_session.open("sessions", &name, &sealed).is_none());
        assert!(sealer.open("identities", &name, &sealed).is_none());
        assert!(sealer.open("sessions", &sealer.name("sessions", b"x"), &sealed).is_none());
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(sealer.open("sessions", &name, &damaged).is_none());
        assert!(sealer.open("sessions", &name, &sealed[..10]).is_none());
    }
}
