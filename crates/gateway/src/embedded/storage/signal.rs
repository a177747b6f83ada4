//! Identities, ratchets and keys.

use super::{Result, Storage, collection};
use async_trait::async_trait;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::wacore::store::error::StoreError;
use whatsapp_rust::wacore::store::traits::SignalStore;

#[async_trait]
impl SignalStore for Storage {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(collection::IDENTITIES, address, key);
        self.put(collection::SIGNAL_USERS, user_of(address), Vec::new());
        Ok(())
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let Some(key) = self.get(collection::IDENTITIES, address.as_bytes()).await? else {
            return Ok(None);
        };
        let key = <[u8; 32]>::try_from(key);
        key.map(Some)
            .map_err(|_| StoreError::Validation("an identity key of another length".into()))
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.delete(collection::IDENTITIES, address);
        Ok(())
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(self.get(collection::SESSIONS, address.as_bytes()).await?.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put(collection::SESSIONS, address, session);
        self.put(collection::SIGNAL_USERS, user_of(address), Vec::new());
        Ok(())
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.delete(collection::SESSIONS, address);
        Ok(())
    }

    /// Returns whether there ever was one: who has been forgotten still counts.
    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        Ok(self.get(collection::SIGNAL_USERS, user.as_bytes()).await?.is_some())
    }

    /// Nothing reads whether a key was uploaded: the device has the first id that was not.
    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        self.put(collection::PREKEYS, id.to_be_bytes(), record);
        Ok(())
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(self.get(collection::PREKEYS, &id.to_be_bytes()).await?.map(Bytes::from))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let keys = ids.iter().map(|id| id.to_be_bytes().to_vec()).collect();
        let entries = self.get_many(collection::PREKEYS, keys).await?;
        entries.into_iter().map(|entry| Ok((id_of(&entry.key)?, entry.value.into()))).collect()
    }

    /// As for [`store_prekey`](SignalStore::store_prekey), there is nothing to remember.
    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.delete(collection::PREKEYS, id.to_be_bytes());
        Ok(())
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let entries = self.get_all(collection::PREKEYS).await?;
        entries.iter().try_fold(0, |max, entry| Ok(id_of(&entry.key)?.max(max)))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put(collection::SIGNED_PREKEYS, id.to_be_bytes(), record);
        Ok(())
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get(collection::SIGNED_PREKEYS, &id.to_be_bytes()).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let entries = self.get_all(collection::SIGNED_PREKEYS).await?;
        entries.into_iter().map(|entry| Ok((id_of(&entry.key)?, entry.value))).collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.delete(collection::SIGNED_PREKEYS, id.to_be_bytes());
        Ok(())
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put(collection::SENDER_KEYS, address, record);
        Ok(())
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        self.get(collection::SENDER_KEYS, address.as_bytes()).await
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.delete(collection::SENDER_KEYS, address);
        Ok(())
    }
}

/// The user of `user:device@server` or `user@server`, with anything after it.
pub(super) fn user_of(address: &str) -> &str {
    address.split(['@', ':']).next().unwrap_or(address)
}

fn id_of(key: &[u8]) -> Result<u32> {
    let key = <[u8; 4]>::try_from(key);
    key.map(u32::from_be_bytes)
        .map_err(|_| StoreError::Validation("a key id of another length".into()))
}
