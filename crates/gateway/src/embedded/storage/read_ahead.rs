//! What the next sends will ask for, read in one go: the library reads it key by key.

use super::{Memory, Result, Storage, collection, store_error};
use crate::session_store::{Entry, Key};
use std::collections::{BTreeSet, HashMap};
use whatsapp_rust::Jid;
use whatsapp_rust::wacore::types::jid::JidExt;

/// What the store has under each key, if anything.
type Read = Vec<(Key, Option<Vec<u8>>)>;

impl Storage {
    /// Reads what is stored about these people, unless it is known. What an earlier call has read
    /// about others is forgotten.
    pub async fn read_ahead(&self, people: &[Jid]) -> Result<()> {
        let users = people.iter().filter(|jid| jid.is_pn()).map(|jid| jid.user.as_bytes().to_vec());
        let lids = self.get_many(collection::LIDS, users.collect()).await?;
        let lids = lids.iter().filter_map(|entry| std::str::from_utf8(&entry.value).ok());
        let people = people.iter().cloned().chain(lids.map(Jid::lid));
        let keys: BTreeSet<Key> = people.flat_map(|jid| keys_of(&jid)).collect();

        let keep = |memory: &mut Memory, read: Read| {
            memory.read_ahead.retain(|key, _| keys.contains(key));
            memory.read_ahead.extend(read);
        };
        self.read_unknown(keys.iter().cloned(), keep).await
    }

    /// Gives back the memory of what was read ahead.
    pub fn forget_read_ahead(&self) {
        self.memory().read_ahead = HashMap::new();
    }

    /// Reads what the library asks for, one after the other, when it has just learned a LID.
    pub async fn read_about_lid(&self, lid: &str) -> Result<()> {
        let keys = keys_of(&Jid::lid(lid));
        let keep = |memory: &mut Memory, read: Read| {
            read.into_iter().for_each(|(key, value)| memory.know(key, value));
        };
        self.read_unknown(keys, keep).await
    }

    /// Reads those of the entries that are not in memory, and has them kept there, those that are
    /// not in the store either included.
    async fn read_unknown(
        &self,
        keys: impl IntoIterator<Item = Key>,
        keep: impl FnOnce(&mut Memory, Read),
    ) -> Result<()> {
        let _turn = self.access.lock().await;
        let unknown: Vec<Key> = {
            let memory = self.memory();
            keys.into_iter().filter(|key| memory.get(key).is_none()).collect()
        };
        let read = self.patiently(|| self.store.read(&unknown)).await;
        let mut found: HashMap<Key, Vec<u8>> = read
            .map_err(store_error)?
            .into_iter()
            .map(|(collection, Entry { key, value })| ((collection, key), value))
            .collect();
        let read = unknown.into_iter().map(|key| {
            let value = found.remove(&key);
            (key, value)
        });
        let read = read.collect();
        // Nothing was written meanwhile, but something may have changed: that is looked up first.
        keep(&mut self.memory(), read);
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
