//! What the client knows of its contacts, and the messages it may have to send again.

use super::{Before, Result, Storage, collection, from_json, joined, to_json};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};
use whatsapp_rust::wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, MessageSecret, MsgSecretEntry, MsgSecretStore,
    ProtocolStore, TcTokenEntry, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

/// Which devices of a group have the sender's key.
type KeyHolders = BTreeMap<String, bool>;

#[async_trait]
impl ProtocolStore for Storage {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        Ok(self.key_holders(group_jid).await?.into_iter().collect())
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let mut holders = self.key_holders(group_jid).await?;
        holders.extend(entries.iter().map(|(device, has_key)| ((*device).to_owned(), *has_key)));
        self.put_json(collection::SENDER_KEY_DEVICES, group_jid, &holders)
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        self.delete(collection::SENDER_KEY_DEVICES, group_jid);
        Ok(())
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        for entry in self.get_all(collection::SENDER_KEY_DEVICES).await? {
            let mut holders: KeyHolders = from_json(&entry.value)?;
            holders.retain(|device, _| !device_jids.contains(&device.as_str()));
            self.put_json(collection::SENDER_KEY_DEVICES, entry.key, &holders)?;
        }
        Ok(())
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        for entry in self.get_all(collection::SENDER_KEY_DEVICES).await? {
            self.delete(collection::SENDER_KEY_DEVICES, entry.key);
        }
        Ok(())
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(collection::LID_MAPPINGS, lid.as_bytes()).await
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        match self.get(collection::LIDS, phone.as_bytes()).await? {
            Some(lid) => self.get_json(collection::LID_MAPPINGS, &lid).await,
            None => Ok(None),
        }
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.read_about_lid(&entry.lid).await?;
        let before = self.get_lid_mapping(&entry.lid).await?;
        if let Some(before) = before.filter(|before| before.phone_number != entry.phone_number) {
            self.delete(collection::LIDS, before.phone_number);
        }
        self.put(collection::LIDS, entry.phone_number.as_str(), entry.lid.as_str());
        self.put_json(collection::LID_MAPPINGS, entry.lid.as_str(), entry)
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        let lids = entries.iter().map(|entry| entry.lid.as_bytes().to_vec()).collect();
        let mut numbers: HashMap<Vec<u8>, String> = HashMap::new();
        for before in self.get_many(collection::LID_MAPPINGS, lids).await? {
            let mapping: LidPnMappingEntry = from_json(&before.value)?;
            numbers.insert(before.key, mapping.phone_number);
        }
        for entry in entries {
            let number = entry.phone_number.as_str();
            let before = numbers.insert(entry.lid.as_bytes().to_vec(), number.to_owned());
            if let Some(before) = before.filter(|before| before != number) {
                self.delete(collection::LIDS, before);
            }
            self.put(collection::LIDS, number, entry.lid.as_str());
            self.put_json(collection::LID_MAPPINGS, entry.lid.as_str(), entry)?;
        }
        Ok(())
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let entries = self.get_all(collection::LID_MAPPINGS).await?;
        entries.iter().map(|entry| from_json(&entry.value)).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        self.put(collection::BASE_KEYS, joined(&[address, message_id]), base_key);
        Ok(())
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message_id: &str,
        current_base_key: &[u8],
    ) -> Result<bool> {
        let saved = self.get(collection::BASE_KEYS, &joined(&[address, message_id])).await?;
        Ok(saved.as_deref() == Some(current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.delete(collection::BASE_KEYS, joined(&[address, message_id]));
        Ok(())
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        let list = to_json(&record)?;
        // A change of it was told once, and is acknowledged by the next frame. The first can be
        // asked for again.
        if self.get(collection::DEVICE_LISTS, record.user.as_bytes()).await?.is_some() {
            self.put(collection::DEVICE_LISTS, record.user.as_str(), list);
        } else {
            self.put_later(collection::DEVICE_LISTS, record.user.as_str(), list);
        }
        Ok(())
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        self.get_json(collection::DEVICE_LISTS, user.as_bytes()).await
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.delete(collection::DEVICE_LISTS, user);
        Ok(())
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        self.get(collection::GROUPS, group_jid.as_bytes()).await
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.put(collection::GROUPS, group_jid, blob);
        Ok(())
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.delete(collection::GROUPS, group_jid);
        Ok(())
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        self.get_json(collection::TC_TOKENS, jid.as_bytes()).await
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let before = self.get_tc_token(jid).await?;
        let given_at = before.and_then(|before| before.sender_timestamp);
        // What comes with giving them ours is asked for again where it is lost. A token that they
        // give by themselves is told once.
        if given_at != entry.sender_timestamp {
            self.put_later(collection::TC_TOKENS, jid, to_json(entry)?);
        } else {
            self.put(collection::TC_TOKENS, jid, to_json(entry)?);
        }
        Ok(())
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.delete(collection::TC_TOKENS, jid);
        Ok(())
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let entries = self.get_all(collection::TC_TOKENS).await?;
        Ok(entries.iter().map(|entry| String::from_utf8_lossy(&entry.key).into_owned()).collect())
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let mut deleted = 0;
        for entry in self.get_all(collection::TC_TOKENS).await? {
            let token: TcTokenEntry = from_json(&entry.value)?;
            let received = !token.token.is_empty() && token.token_timestamp >= token_cutoff;
            let sent = token.sender_timestamp.is_some_and(|sent| sent >= sender_cutoff);
            if !received && !sent {
                self.delete(collection::TC_TOKENS, entry.key);
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    async fn store_sent_message(
        &self,
        chat_jid: &str,
        message_id: &str,
        payload: &[u8],
    ) -> Result<()> {
        let key = joined(&[chat_jid, message_id]);
        self.put_until(collection::SENT_MESSAGES, key, payload, seconds_now(), Before::Messages);
        Ok(())
    }

    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        let key = joined(&[chat_jid, message_id]);
        let payload = self.get(collection::SENT_MESSAGES, &key).await?;
        if payload.is_some() {
            self.delete(collection::SENT_MESSAGES, key);
        }
        Ok(payload)
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.expire(collection::SENT_MESSAGES, cutoff_timestamp).await
    }
}

/// A token that somebody has given us.
pub(in crate::embedded) struct ReceivedToken {
    /// Whose it is: the hidden id.
    pub lid: String,
    pub token: Vec<u8>,
    /// When it was given, in Unix seconds.
    pub given_at: i64,
}

impl Storage {
    /// Stores tokens, each unless there is a newer one.
    pub(in crate::embedded) async fn receive_tokens(
        &self,
        received: Vec<ReceivedToken>,
    ) -> Result<()> {
        let lids = received.iter().map(|received| received.lid.as_bytes().to_vec()).collect();
        let mut stored: HashMap<Vec<u8>, TcTokenEntry> = HashMap::new();
        for entry in self.get_many(collection::TC_TOKENS, lids).await? {
            stored.insert(entry.key, from_json(&entry.value)?);
        }
        for ReceivedToken { lid, token, given_at } in received {
            let before = stored.get(lid.as_bytes());
            // Without a token it only tells when we gave ours.
            if before.is_some_and(|b| !b.token.is_empty() && b.token_timestamp > given_at) {
                continue;
            }
            let sender_timestamp = before.and_then(|before| before.sender_timestamp);
            let entry = TcTokenEntry { token, token_timestamp: given_at, sender_timestamp };
            self.put_json(collection::TC_TOKENS, lid, &entry)?;
        }
        Ok(())
    }

    async fn key_holders(&self, group_jid: &str) -> Result<KeyHolders> {
        let holders = self.get_json(collection::SENDER_KEY_DEVICES, group_jid.as_bytes()).await?;
        Ok(holders.unwrap_or_default())
    }
}

/// A message's secret as it is stored. It expires at its stamp.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredSecret {
    pub secret: MessageSecret,
    pub expires_at: i64,
    pub message_ts: i64,
}

#[async_trait]
impl MsgSecretStore for Storage {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let keys = entries.iter().map(|entry| joined(&[&entry.chat, &entry.sender, &entry.msg_id]));
        let keys: Vec<Vec<u8>> = keys.collect();
        let stored = self.get_many(collection::MESSAGE_SECRETS, keys.clone()).await?;
        let mut secrets: HashMap<Vec<u8>, StoredSecret> = HashMap::new();
        for entry in stored {
            secrets.insert(entry.key, from_json(&entry.value)?);
        }
        let count = entries.len();
        for (key, entry) in keys.into_iter().zip(entries) {
            let (expires_at, message_ts) = match secrets.get(&key) {
                Some(before) => (
                    merge_msg_secret_expiry(before.expires_at, entry.expires_at),
                    merge_msg_secret_message_ts(before.message_ts, entry.message_ts),
                ),
                None => (entry.expires_at, entry.message_ts),
            };
            let secret = StoredSecret { secret: entry.secret, expires_at, message_ts };
            self.put_secret(key.clone(), &secret)?;
            secrets.insert(key, secret);
        }
        Ok(count)
    }

    async fn get_msg_secret(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let secret = self.get_msg_secret_with_ts(chat, sender, msg_id).await?;
        Ok(secret.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let key = joined(&[chat, sender, msg_id]);
        let stored: Option<StoredSecret> = self.get_json(collection::MESSAGE_SECRETS, &key).await?;
        Ok(stored.map(|stored| (stored.secret.to_vec(), stored.message_ts)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.expire(collection::MESSAGE_SECRETS, cutoff_timestamp.saturating_add(1)).await
    }
}

impl Storage {
    pub(super) fn put_secret(&self, key: Vec<u8>, secret: &StoredSecret) -> Result<()> {
        let value = to_json(secret)?;
        self.put_until(collection::MESSAGE_SECRETS, key, value, secret.expires_at, Before::Nothing);
        Ok(())
    }
}

fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
