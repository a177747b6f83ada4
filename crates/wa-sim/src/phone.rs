//! The Signal side of a simulated phone: its keys, its sessions, what it encrypts and decrypts.

mod saved;

use std::collections::HashMap;

use anyhow::{Context, bail};
use async_trait::async_trait;
use futures_util::FutureExt;
use rand::rngs::StdRng;
use wacore_libsignal::protocol::{
    CiphertextMessage, Direction, GenericSignedPreKey, IdentityChange, IdentityKey,
    IdentityKeyPair, IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord,
    PreKeySignalMessage, PreKeyStore, ProtocolAddress, SessionRecord, SessionStore, SignalMessage,
    SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, Timestamp,
    UsePQRatchet, message_decrypt, message_encrypt, process_prekey_bundle,
};

pub(crate) use saved::SavedPhone;

use crate::seed::Seed;

type SignalResult<T> = Result<T, SignalProtocolError>;

/// The only signed prekey a simulated phone has.
const SIGNED_PREKEY_ID: u32 = 1;
/// Registration ids are 14 bits, and 0 is not one.
const REGISTRATION_IDS: u32 = 0x3fff;

/// A ciphertext with the `type` its `<enc>` carries.
pub(crate) struct Ciphertext {
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// What a phone publishes about itself for others to write to it.
pub(crate) struct PublishedKeys {
    pub registration_id: u32,
    pub identity: [u8; 32],
    pub signed_prekey: PublicPreKey,
    pub signature: Vec<u8>,
    pub one_time: Option<PublicPreKey>,
}

/// A prekey as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicPreKey {
    pub id: u32,
    pub key: [u8; 32],
}

/// One device's Signal state. The phone of an account is its device 0.
pub(crate) struct Phone {
    identities: Identities,
    sessions: SignalSessions,
    prekeys: PreKeys,
    signed_prekey: SignedPreKey,
    signature: Vec<u8>,
    rng: StdRng,
}

impl Phone {
    /// Makes the phone's keys. `installation` counts reinstallations: each has other keys.
    pub fn new(seed: Seed, number: &str, installation: u32) -> anyhow::Result<Self> {
        let mut rng = seed.rng(&format!("phone {number} {installation}"));
        let identity = IdentityKeyPair::generate(&mut rng);
        let signed = KeyPair::generate(&mut rng);
        let signature = identity
            .private_key()
            .calculate_signature(&signed.public_key.serialize(), &mut rng)?
            .to_vec();
        let id = seed.bytes(&format!("registration {number} {installation}"));
        let registration_id = u32::from_be_bytes([0, 0, id[0], id[1]]) % REGISTRATION_IDS + 1;
        Ok(Self {
            identities: Identities { own: identity, registration_id, known: HashMap::new() },
            sessions: SignalSessions(HashMap::new()),
            prekeys: PreKeys { outstanding: HashMap::new(), next: 1 },
            signed_prekey: SignedPreKey(SignedPreKeyRecord::new(
                SIGNED_PREKEY_ID.into(),
                Timestamp::from_epoch_millis(0),
                &signed,
                &signature,
            )),
            signature,
            rng,
        })
    }

    pub fn identity(&self) -> &IdentityKeyPair {
        &self.identities.own
    }

    pub fn identity_public(&self) -> [u8; 32] {
        raw(self.identities.own.public_key().public_key_bytes())
    }

    /// Signs with the phone's identity, as an account vouches for its devices.
    pub fn sign(&mut self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let signature =
            self.identities.own.private_key().calculate_signature(message, &mut self.rng)?;
        Ok(signature.to_vec())
    }

    /// Returns a bundle for someone who wants to write. Each takes a one-time key away, if
    /// `one_time`.
    pub fn publish(&mut self, one_time: bool) -> anyhow::Result<PublishedKeys> {
        let one_time = if one_time { Some(self.prekeys.issue(&mut self.rng)) } else { None };
        let signed = self.signed_prekey.0.public_key()?;
        Ok(PublishedKeys {
            registration_id: self.identities.registration_id,
            identity: self.identity_public(),
            signed_prekey: PublicPreKey {
                id: SIGNED_PREKEY_ID,
                key: raw(signed.public_key_bytes()),
            },
            signature: self.signature.clone(),
            one_time,
        })
    }

    pub fn decrypt(
        &mut self,
        from: &ProtocolAddress,
        kind: &str,
        bytes: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let message = match kind {
            "pkmsg" => {
                CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(bytes)?)
            }
            "msg" => CiphertextMessage::SignalMessage(SignalMessage::try_from(bytes)?),
            other => bail!("cannot decrypt enc type {other}"),
        };
        let result = ready(message_decrypt(
            &message,
            from,
            &mut self.sessions,
            &mut self.identities,
            &mut self.prekeys,
            &self.signed_prekey,
            &mut self.rng,
            UsePQRatchet::No,
        ))??;
        if let Some(id) = result.consumed_prekey_id {
            self.prekeys.outstanding.remove(&id.into());
        }
        Ok(result.plaintext)
    }

    pub fn has_session(&self, with: &ProtocolAddress) -> bool {
        self.sessions.0.contains_key(with.as_str())
    }

    /// Starts a session from the other device's published keys.
    pub fn start_session(
        &mut self,
        with: &ProtocolAddress,
        bundle: &PreKeyBundle,
    ) -> anyhow::Result<()> {
        ready(process_prekey_bundle(
            with,
            &mut self.sessions,
            &mut self.identities,
            bundle,
            &mut self.rng,
            UsePQRatchet::No,
        ))??;
        Ok(())
    }

    pub fn encrypt(
        &mut self,
        to: &ProtocolAddress,
        plaintext: &[u8],
    ) -> anyhow::Result<Ciphertext> {
        let message =
            ready(message_encrypt(plaintext, to, &mut self.sessions, &mut self.identities))??;
        match message {
            CiphertextMessage::PreKeySignalMessage(m) => {
                Ok(Ciphertext { kind: "pkmsg", bytes: m.serialized().to_vec() })
            }
            CiphertextMessage::SignalMessage(m) => {
                Ok(Ciphertext { kind: "msg", bytes: m.serialized().to_vec() })
            }
            _ => bail!("a direct message is either pkmsg or msg"),
        }
    }

    /// Forgets the session with a device, as after its retry receipt.
    pub fn forget_session(&mut self, with: &ProtocolAddress) {
        self.sessions.0.remove(with.as_str());
    }
}

pub(crate) fn raw(bytes: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = bytes.len().min(key.len());
    key[..length].copy_from_slice(&bytes[..length]);
    key
}

/// Runs a future of the library, which never has to wait: the stores below answer at once.
fn ready<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    future.now_or_never().context("a store in memory made the Signal library wait")
}

struct Identities {
    own: IdentityKeyPair,
    registration_id: u32,
    known: HashMap<String, IdentityKey>,
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.own.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.registration_id)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> SignalResult<IdentityChange> {
        let before = self.known.insert(address.as_str().to_owned(), *identity);
        Ok(IdentityChange::from_changed(before.is_some_and(|before| before != *identity)))
    }

    async fn is_trusted_identity(
        &self,
        _: &ProtocolAddress,
        _: &IdentityKey,
        _: Direction,
    ) -> SignalResult<bool> {
        // Phones accept a contact's new identity and only tell their user about it.
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(self.known.get(address.as_str()).copied())
    }
}

struct SignalSessions(HashMap<String, SessionRecord>);

#[async_trait]
impl SessionStore for SignalSessions {
    async fn load_session(&self, address: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.0.get(address.as_str()).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.0.contains_key(address.as_str()))
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: SessionRecord,
    ) -> SignalResult<()> {
        self.0.insert(address.as_str().to_owned(), record);
        Ok(())
    }
}

struct PreKeys {
    /// Handed out and not used yet.
    outstanding: HashMap<u32, KeyPair>,
    next: u32,
}

impl PreKeys {
    fn issue(&mut self, rng: &mut StdRng) -> PublicPreKey {
        let pair = KeyPair::generate(rng);
        let id = self.next;
        self.next += 1;
        let key = raw(pair.public_key.public_key_bytes());
        self.outstanding.insert(id, pair);
        PublicPreKey { id, key }
    }
}

#[async_trait]
impl PreKeyStore for PreKeys {
    async fn get_pre_key(&self, id: PreKeyId) -> SignalResult<PreKeyRecord> {
        let pair = self.outstanding.get(&id.into()).ok_or(SignalProtocolError::InvalidPreKeyId)?;
        Ok(PreKeyRecord::new(id, pair))
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> SignalResult<()> {
        self.outstanding.insert(id.into(), record.key_pair()?);
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> SignalResult<()> {
        self.outstanding.remove(&id.into());
        Ok(())
    }
}

struct SignedPreKey(SignedPreKeyRecord);

#[async_trait]
impl SignedPreKeyStore for SignedPreKey {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        if id == SIGNED_PREKEY_ID.into() {
            Ok(self.0.clone())
        } else {
            Err(SignalProtocolError::InvalidSignedPreKeyId)
        }
    }

    async fn save_signed_pre_key(
        &mut self,
        _: SignedPreKeyId,
        record: &SignedPreKeyRecord,
    ) -> SignalResult<()> {
        self.0 = record.clone();
        Ok(())
    }
}
