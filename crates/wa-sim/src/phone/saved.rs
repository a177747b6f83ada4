//! A phone as it is kept in a file.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use wacore_libsignal::protocol::{
    GenericSignedPreKey, IdentityKey, IdentityKeyPair, KeyPair, PrivateKey, SessionRecord,
    SignedPreKeyRecord,
};

use super::{Identities, Phone, PreKeys, SignalSessions, SignedPreKey};
use crate::base64_bytes::{decode, decode_key, encode};
use crate::seed::Seed;

/// All of a phone but its random numbers, which start anew. Keys and sessions are base64.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedPhone {
    identity: String,
    registration_id: u32,
    signed_prekey: String,
    signature: String,
    next_prekey: u32,
    prekeys: BTreeMap<u32, String>,
    sessions: BTreeMap<String, String>,
    identities: BTreeMap<String, String>,
}

impl Phone {
    pub fn save(&self) -> anyhow::Result<SavedPhone> {
        let sessions = self
            .sessions
            .0
            .iter()
            .map(|(address, session)| Ok((address.clone(), encode(&session.serialize()?))))
            .collect::<anyhow::Result<_>>()?;
        Ok(SavedPhone {
            identity: encode(self.identities.own.private_key().serialize()),
            registration_id: self.identities.registration_id,
            signed_prekey: encode(&self.signed_prekey.0.serialize()?),
            signature: encode(&self.signature),
            next_prekey: self.prekeys.next,
            prekeys: self
                .prekeys
                .outstanding
                .iter()
                .map(|(&id, pair)| (id, encode(pair.private_key.serialize())))
                .collect(),
            sessions,
            identities: self
                .identities
                .known
                .iter()
                .map(|(address, identity)| (address.clone(), encode(&identity.serialize())))
                .collect(),
        })
    }

    /// Brings a phone back. `label` names its random numbers, which must not repeat old ones.
    pub fn restore(saved: &SavedPhone, seed: Seed, label: &str) -> anyhow::Result<Self> {
        let mut sessions = HashMap::new();
        for (address, session) in &saved.sessions {
            sessions.insert(address.clone(), SessionRecord::deserialize(&decode(session)?)?);
        }
        let mut known = HashMap::new();
        for (address, identity) in &saved.identities {
            known.insert(address.clone(), IdentityKey::decode(&decode(identity)?)?);
        }
        let mut outstanding = HashMap::new();
        for (&id, private) in &saved.prekeys {
            outstanding.insert(id, pair(private)?);
        }
        let identity = pair(&saved.identity)?;
        Ok(Self {
            identities: Identities {
                own: IdentityKeyPair::new(
                    IdentityKey::new(identity.public_key),
                    identity.private_key,
                ),
                registration_id: saved.registration_id,
                known,
            },
            sessions: SignalSessions(sessions),
            prekeys: PreKeys { outstanding, next: saved.next_prekey },
            signed_prekey: SignedPreKey(SignedPreKeyRecord::deserialize(&decode(
                &saved.signed_prekey,
            )?)?),
            signature: decode(&saved.signature)?,
            rng: seed.rng(label),
        })
    }
}

fn pair(private: &str) -> anyhow::Result<KeyPair> {
    let private = PrivateKey::deserialize(&decode_key(private)?)?;
    Ok(KeyPair::new(private.public_key()?, private))
}
