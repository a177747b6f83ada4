//! What the next sends will ask for, read in one go: the library reads it key by key.

use super::{Result, Storage, collection, store_error};
use crate::session_store::{Entry, Key};
use std::collections::{BTreeSet, HashMap};
use whatsapp_rust::Jid;
use whatsapp_rust::wacore::types::jid::JidExt;

impl Storage {
    /// Reads what is stored about these people, unless it is known. What an earlier call has read
    /// and nobody has asked for is forgotten.
    pub async fn read_ahead(&self, people: &[Jid]) -> Result<()> {
        let users = people.iter().filter(|jid| jid.is_pn()).map(|jid| jid.user.as_bytes().to_vec());
        let lids = self.get_many(collection::LIDS, users.collect()).await?;
        let lids = lids.iter().filter_map(|entry| std::str::from_utf8(&entry.value).ok());
        let people = people.iter().cloned().chain(lids.map(Jid::lid));
        let keys: BTreeSet<Key> = people.flat_map(|jid| keys_of(&jid)).collect();

        let _turn = self.access.lock().await;
        let unknown: Vec<Key> = {
            let memory = self.memory();
            keys.into_iter().filter(|key| memory.get(key).is_none()).collect()
        };
        let read = self.patiently(|| self.store.read(&unknown)).await;
        let found = read.map_err(store_error)?;
        let mut memory = self.memory();
        // Nothing was written meanwhile, but something may have changed: that is looked up first.
        memory.read_ahead = unknown.into_iter().map(|key| (key, None)).collect();
        for (collection, Entry { key, value }) in found {
            memory.read_ahead.insert((collection, key), Some(value));
        }
        Ok(())
    }

    /// Reads what the library asks for, one after the other, when it has just learned a LID.
    pub async fn read_of_lids(&self, lids: impl Iterator<Item = &str>) -> Result<()> {
        use collection::{DEVICE_LISTS, LID_MAPPINGS, SIGNAL_USERS};
        let keys_of = |lid: &str| {
            let key = lid.as_bytes().to_vec();
            [DEVICE_LISTS, LID_MAPPINGS, SIGNAL_USERS].map(|collection| (collection, key.clone()))
        };
        let _turn = self.access.lock().await;
        let unknown: Vec<Key> = {
            let memory = self.memory();
            lids.flat_map(keys_of).filter(|key| memory.get(key).is_none()).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let read = self.patiently(|| self.store.read(&unknown)).await;
        let found = read.map_err(store_error)?.into_iter();
        let mut found: HashMap<Key, Vec<u8>> =
            found.map(|(collection, Entry { key, value })| ((collection, key), value)).collect();
        let mut memory = self.memory();
        for key in unknown {
            let value = found.remove(&key);
            memory.know(key, value);
        }
        Ok(())
    }
}

/// The keys under which the library looks for somebody before it writes to them.
fn keys_of(jid: &Jid) -> [Key; 7] {
    let user = || jid.user.as_bytes().to_vec();
    let address = || jid.to_protocol_address_string().into_bytes();
    [
        (collection::DEVICE_LISTS, user()),
        (collection::IDENTITIES, address()),
        (collection::LIDS, user()),
        (collection::LID_MAPPINGS, user()),
        (collection::SESSIONS, address()),
        (collection::SIGNAL_USERS, user()),
        (collection::TC_TOKENS, user()),
    ]
}
