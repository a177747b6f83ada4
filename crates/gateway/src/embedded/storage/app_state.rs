//! The device itself, and the account's settings as its devices share them.

use super::{ONLY, Result, Storage, collection};
use async_trait::async_trait;
use std::collections::HashMap;
use whatsapp_rust::wacore::appstate::hash::HashState;
use whatsapp_rust::wacore::appstate::processor::AppStateMutationMAC;
use whatsapp_rust::wacore::store::Device;
use whatsapp_rust::wacore::store::traits::{AppStateSyncKey, AppSyncStore, DeviceStore};

/// A store has one session, and this is the number of its device.
const DEVICE_ID: i32 = 1;

#[async_trait]
impl DeviceStore for Storage {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put_json(collection::DEVICE, ONLY, device)
    }

    async fn load(&self) -> Result<Option<Device>> {
        self.get_json(collection::DEVICE, ONLY).await
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.get(collection::DEVICE, ONLY).await?.is_some())
    }

    async fn create(&self) -> Result<i32> {
        self.put_json(collection::DEVICE, ONLY, &Device::new())?;
        Ok(DEVICE_ID)
    }
}

#[async_trait]
impl AppSyncStore for Storage {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_json(collection::SYNC_KEYS, key_id).await
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        self.put(collection::LATEST_SYNC_KEY, ONLY, key_id);
        self.put_json(collection::SYNC_KEYS, key_id, &key)
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        self.get(collection::LATEST_SYNC_KEY, ONLY).await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        let version = self.get_json(collection::SYNC_VERSIONS, name.as_bytes()).await?;
        Ok(version.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put_json(collection::SYNC_VERSIONS, name, &state)
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        for mutation in mutations {
            let key = mac_key(name, &mutation.index_mac);
            self.put(collection::SYNC_MACS, key, mutation.value_mac.as_slice());
        }
        Ok(())
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(collection::SYNC_MACS, &mac_key(name, index_mac)).await
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let keys = index_macs.iter().map(|index_mac| mac_key(name, index_mac)).collect();
        let entries = self.get_many(collection::SYNC_MACS, keys).await?;
        let mut macs: HashMap<Vec<u8>, Vec<u8>> =
            entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        let found = index_macs
            .iter()
            .filter_map(|index_mac| Some((*index_mac, macs.remove(&mac_key(name, index_mac))?)));
        Ok(found.collect())
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        for index_mac in index_macs {
            self.delete(collection::SYNC_MACS, mac_key(name, index_mac));
        }
        Ok(())
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let of_name = mac_key(name, &[]);
        for entry in self.get_all(collection::SYNC_MACS).await? {
            if entry.key.starts_with(&of_name) {
                self.delete(collection::SYNC_MACS, entry.key);
            }
        }
        Ok(())
    }
}

/// Returns the name, a zero byte, and the bytes.
fn mac_key(name: &str, index_mac: &[u8]) -> Vec<u8> {
    [name.as_bytes(), &[0], index_mac].concat()
}
