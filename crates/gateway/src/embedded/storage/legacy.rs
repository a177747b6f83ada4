//! A session of kabari before it kept sessions in the state database: a file in the format of the
//! library's own store, which this takes over.
//!
//! What only saves a question to WhatsApp is left behind and asked anew: device lists, groups, and
//! how far the account's settings had been read.

use super::protocol::StoredSecret;
use super::{Before, ONLY, Result, Storage, collection, from_json, joined};
use crate::GatewayError;
use crate::session_store::SessionStore;
use std::sync::Arc;
use whatsapp_rust::wacore::libsignal::protocol::{KeyPair, PrivateKey, PublicKey};
use whatsapp_rust::wacore::store::Device;
use whatsapp_rust::wacore::store::device::account_serde;
use whatsapp_rust::wacore::store::error::StoreError;
use whatsapp_rust::wacore::store::traits::{
    AppStateSyncKey, LidPnMappingEntry, ProtocolStore, SignalStore, TcTokenEntry,
};

/// The rows of such a file. Times are in seconds since 1970, as they are there.
#[derive(Debug, Default)]
pub struct LegacySession {
    /// The linked device.
    pub device: LegacyDevice,
    /// Address and key.
    pub identities: Vec<(String, Vec<u8>)>,
    /// Address and ratchets.
    pub sessions: Vec<(String, Vec<u8>)>,
    /// Id and key.
    pub prekeys: Vec<(i64, Vec<u8>)>,
    /// Id and key.
    pub signed_prekeys: Vec<(i64, Vec<u8>)>,
    /// Group with sender, and key.
    pub sender_keys: Vec<(String, Vec<u8>)>,
    /// Id and encoded key, by id.
    pub sync_keys: Vec<(Vec<u8>, Vec<u8>)>,
    /// LID, phone number, when it was learned and updated, and from what.
    pub lid_mappings: Vec<(String, String, i64, i64, String)>,
    /// Contact, token, its time, and when ours was sent.
    pub tokens: Vec<(String, Vec<u8>, i64, Option<i64>)>,
    /// Chat, message id, encoded message, and when it was sent.
    pub sent_messages: Vec<(String, String, Vec<u8>, i64)>,
    /// Chat, sender and message id; secret; when it expires; when the message was sent.
    pub secrets: Vec<(LegacyMessage, Vec<u8>, i64, i64)>,
}

/// Chat, sender and message id.
pub type LegacyMessage = (String, String, String);

/// The row of the device, column by column.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "they are the columns' names")]
pub struct LegacyDevice {
    pub pn: String,
    pub lid: String,
    pub registration_id: i64,
    pub noise_key: Vec<u8>,
    pub identity_key: Vec<u8>,
    pub signed_pre_key: Vec<u8>,
    pub signed_pre_key_id: i64,
    pub signed_pre_key_signature: Vec<u8>,
    pub adv_secret_key: Vec<u8>,
    pub account: Option<Vec<u8>>,
    pub push_name: String,
    pub edge_routing_info: Option<Vec<u8>>,
    pub next_pre_key_id: i64,
    pub first_unupload_pre_key_id: i64,
    pub server_has_prekeys: bool,
    pub nct_salt: Option<Vec<u8>>,
    pub login_counter: i64,
    pub lid_migrated: bool,
    pub last_signed_pre_key_rotation_ms: i64,
    pub read_receipts_disabled: bool,
}

impl LegacySession {
    /// Returns whether the store has this session already, whatever has happened in it since.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn is_in(&self, store: &dyn SessionStore) -> Result<bool, GatewayError> {
        let stored = store.read(&[(collection::DEVICE, ONLY.to_vec())]).await?;
        let unreadable = |error: StoreError| GatewayError::Storage(error.to_string());
        let Some((_, entry)) = stored.first() else { return Ok(false) };
        let device: Device = from_json(&entry.value).map_err(unreadable)?;
        let identity = key_pair(&self.device.identity_key).map_err(unreadable)?;
        let bytes = |pair: &KeyPair| pair.public_key.public_key_bytes().to_vec();
        Ok(bytes(&device.identity_key) == bytes(&identity))
    }

    /// Writes the session into the store, in one batch.
    ///
    /// # Errors
    /// If a row cannot be read, or the store not written.
    pub async fn write_to(self, store: Arc<dyn SessionStore>) -> Result<(), GatewayError> {
        let storage = Storage::new(store);
        let unreadable = |error: StoreError| {
            GatewayError::Storage(format!("the old WhatsApp session cannot be read: {error}"))
        };
        storage.put_legacy(self).await.map_err(unreadable)?;
        storage.flush().await.map_err(|error| GatewayError::Storage(error.to_string()))
    }
}

impl Storage {
    async fn put_legacy(&self, legacy: LegacySession) -> Result<()> {
        self.put_json(collection::DEVICE, ONLY, &legacy.device.decoded()?)?;
        for (address, key) in legacy.identities {
            let key = fixed(key, "identity key")?;
            self.put_identity(&address, key).await?;
        }
        for (address, session) in legacy.sessions {
            self.put_session(&address, &session).await?;
        }
        for (id, key) in legacy.prekeys {
            self.store_prekey(unsigned(id), &key, true).await?;
        }
        for (id, key) in legacy.signed_prekeys {
            self.store_signed_prekey(unsigned(id), &key).await?;
        }
        for (address, key) in legacy.sender_keys {
            self.put_sender_key(&address, &key).await?;
        }
        for (id, encoded) in legacy.sync_keys {
            // The library asks the phone again for one that it cannot read.
            if let Some(key) = decoded_sync_key(&encoded) {
                self.put(collection::LATEST_SYNC_KEY, ONLY, id.as_slice());
                self.put_json(collection::SYNC_KEYS, id, &key)?;
            }
        }
        for (lid, phone_number, created_at, updated_at, learning_source) in legacy.lid_mappings {
            let mapping =
                LidPnMappingEntry { lid, phone_number, created_at, updated_at, learning_source };
            self.put(collection::LIDS, mapping.phone_number.as_str(), mapping.lid.as_str());
            self.put_json(collection::LID_MAPPINGS, mapping.lid.as_str(), &mapping)?;
        }
        for (jid, token, token_timestamp, sender_timestamp) in legacy.tokens {
            let token = TcTokenEntry { token, token_timestamp, sender_timestamp };
            self.put_tc_token(&jid, &token).await?;
        }
        for (chat, id, payload, sent_at) in legacy.sent_messages {
            let key = joined(&[&chat, &id]);
            self.put_until(collection::SENT_MESSAGES, key, payload, sent_at, Before::Everything);
        }
        for ((chat, sender, id), secret, expires_at, message_ts) in legacy.secrets {
            let secret = fixed(secret, "message secret")?;
            let secret = StoredSecret { secret, expires_at, message_ts };
            self.put_secret(joined(&[&chat, &sender, &id]), &secret)?;
        }
        Ok(())
    }
}

impl LegacyDevice {
    fn decoded(self) -> Result<Device> {
        let account = self.account.as_deref().map(account_serde::from_bytes).transpose();
        let account = account.map_err(|error| StoreError::Serialization(Box::new(error)))?;
        // The rest is asked for at the next connection.
        Ok(Device {
            pn: self.pn.parse().ok(),
            lid: self.lid.parse().ok(),
            registration_id: unsigned(self.registration_id),
            noise_key: key_pair(&self.noise_key)?,
            identity_key: key_pair(&self.identity_key)?,
            signed_pre_key: key_pair(&self.signed_pre_key)?,
            signed_pre_key_id: unsigned(self.signed_pre_key_id),
            signed_pre_key_signature: fixed(self.signed_pre_key_signature, "signature")?,
            adv_secret_key: fixed(self.adv_secret_key, "account secret")?,
            account: account.map(Arc::new),
            push_name: self.push_name,
            edge_routing_info: self.edge_routing_info,
            next_pre_key_id: unsigned(self.next_pre_key_id),
            first_unupload_pre_key_id: unsigned(self.first_unupload_pre_key_id),
            server_has_prekeys: self.server_has_prekeys,
            nct_salt: self.nct_salt,
            login_counter: i32::try_from(self.login_counter).unwrap_or_default(),
            lid_migrated: self.lid_migrated,
            last_signed_pre_key_rotation_ms: self.last_signed_pre_key_rotation_ms,
            read_receipts_disabled: self.read_receipts_disabled,
            ..Device::new()
        })
    }
}

/// Returns the private key, then the public one.
fn key_pair(bytes: &[u8]) -> Result<KeyPair> {
    let (private, public) = bytes
        .split_at_checked(32)
        .ok_or_else(|| StoreError::Validation("a key pair of another length".into()))?;
    let invalid = |error| StoreError::Serialization(Box::new(error));
    let private = PrivateKey::deserialize(private).map_err(invalid)?;
    let public = PublicKey::from_djb_public_key_bytes(public).map_err(invalid)?;
    Ok(KeyPair::new(public, private))
}

fn fixed<const N: usize>(bytes: Vec<u8>, what: &str) -> Result<[u8; N]> {
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| StoreError::Validation(format!("a {what} of {length} bytes, not {N}")))
}

/// Reads an unsigned number: SQLite has signed ones only, and the library stored these as they
/// were.
fn unsigned(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(stored as i32 as u32)
}

/// Returns a protocol buffer with the key in field 1, its fingerprint in 2 and its time in 3.
fn decoded_sync_key(mut encoded: &[u8]) -> Option<AppStateSyncKey> {
    let mut key = AppStateSyncKey::default();
    while !encoded.is_empty() {
        let tag = varint(&mut encoded)?;
        match tag {
            0x0a | 0x12 => {
                let length = usize::try_from(varint(&mut encoded)?).ok()?;
                let (bytes, rest) = encoded.split_at_checked(length)?;
                encoded = rest;
                match tag {
                    0x0a => key.key_data = bytes.to_vec(),
                    _ => key.fingerprint = bytes.to_vec(),
                }
            }
            0x18 => key.timestamp = varint(&mut encoded)? as i64,
            _ => return None,
        }
    }
    (key.key_data.len() == 32).then_some(key)
}

fn varint(encoded: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = encoded.split_first()?;
        *encoded = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
