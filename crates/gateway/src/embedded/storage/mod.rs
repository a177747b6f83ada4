//! The session of one client: what it changes is kept in memory until it is written, in one batch,
//! before anything leaves for WhatsApp.
//!
//! The library reads and writes through the traits that the other modules implement; the transport
//! calls [`Storage::flush`] before it sends.

mod app_state;
mod legacy;
mod memory;
mod protocol;
mod read_ahead;
mod signal;

pub use legacy::{LegacyDevice, LegacySession};
use memory::{Before, Memory, Stored};
pub(super) use protocol::ReceivedToken;

use crate::session_store::{Entry, SessionStore, SessionStoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use whatsapp_rust::wacore::store::error::StoreError;

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// How long a call to the store is repeated while the store is unavailable: a connection that was
/// cut is made anew within it, and WhatsApp waits that long for a frame.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two of these calls.
const STORE_PAUSE: Duration = Duration::from_millis(100);
/// For how long after a write the number counts as held. After it, a frame that changes nothing
/// asks again before it leaves.
const HELD_FOR: Duration = Duration::from_secs(1);
/// How long a change may wait for a frame to be written with.
const WRITE_DELAY: Duration = Duration::from_millis(500);
/// The collections of a session.
mod collection {
    pub const DEVICE: &str = "device";
    pub const IDENTITIES: &str = "identities";
    pub const SESSIONS: &str = "sessions";
    /// Users with an identity or a session, whatever their devices.
    pub const SIGNAL_USERS: &str = "signal_users";
    pub const PREKEYS: &str = "prekeys";
    pub const SIGNED_PREKEYS: &str = "signed_prekeys";
    pub const SENDER_KEYS: &str = "sender_keys";
    pub const SENDER_KEY_DEVICES: &str = "sender_key_devices";
    pub const SYNC_KEYS: &str = "sync_keys";
    /// One entry: the id of the sync key that came last.
    pub const LATEST_SYNC_KEY: &str = "latest_sync_key";
    pub const SYNC_VERSIONS: &str = "sync_versions";
    pub const SYNC_MACS: &str = "sync_macs";
    pub const LID_MAPPINGS: &str = "lid_mappings";
    /// The LID of each phone number.
    pub const LIDS: &str = "lids";
    pub const BASE_KEYS: &str = "base_keys";
    pub const DEVICE_LISTS: &str = "device_lists";
    pub const GROUPS: &str = "groups";
    pub const TC_TOKENS: &str = "tc_tokens";
    pub const SENT_MESSAGES: &str = "sent_messages";
    pub const MESSAGE_SECRETS: &str = "message_secrets";
}

/// The collections whose keys must not be used a second time. Where one has no entry, the client
/// agrees on new keys.
pub const RATCHETS: [&str; 2] = [collection::SESSIONS, collection::SENDER_KEYS];

/// The key of a collection with a single entry.
const ONLY: &[u8] = b"";

/// Returns a key of several parts, none of which contains a zero byte.
fn joined(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}

/// The session, as its client sees it.
#[derive(Debug)]
pub(super) struct Storage {
    store: Arc<dyn SessionStore>,
    memory: Mutex<Memory>,
    /// Whoever talks to the store has this, so that what is read is not older than what was
    /// written.
    access: tokio::sync::Mutex<StoreAccess>,
    changed: Notify,
    fenced: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct StoreAccess {
    /// When the store last said that the number is held.
    held_at: Option<Instant>,
    /// Whether the client has ended.
    closed: bool,
}

impl Storage {
    pub fn new(store: Arc<dyn SessionStore>) -> Storage {
        Storage {
            store,
            memory: Mutex::default(),
            access: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            fenced: watch::Sender::new(false),
        }
    }

    /// Writes down what has changed.
    pub async fn flush(&self) -> Result<(), SessionStoreError> {
        let mut access = self.access.lock().await;
        self.flush_in(&mut access).await
    }

    /// Writes down what has changed, unless all of it may wait. When this returns, the number was
    /// held a moment ago, and a frame may leave: with a message, or without one.
    pub async fn write_ahead(&self, with_message: bool) -> Result<(), SessionStoreError> {
        let frame = if with_message { Before::Messages } else { Before::Everything };
        let mut access = self.access.lock().await;
        let is_held = access.held_at.is_some_and(|at| at.elapsed() < HELD_FOR);
        if is_held && !access.closed && !*self.fenced.borrow() && !self.memory().holds_up(frame) {
            return Ok(());
        }
        self.flush_in(&mut access).await
    }

    /// Writes down what is left, and nothing more: whatever a client does that did not end in time
    /// is not for its successor to find.
    pub async fn close(&self) -> Result<(), SessionStoreError> {
        let mut access = self.access.lock().await;
        let flushed = self.flush_in(&mut access).await;
        access.closed = true;
        flushed
    }

    async fn flush_in(&self, access: &mut StoreAccess) -> Result<(), SessionStoreError> {
        if *self.fenced.borrow() {
            return Err(SessionStoreError::Fenced);
        }
        if access.closed {
            return Err(SessionStoreError::Unavailable("the session is closed".into()));
        }
        let batch = self.memory().begin_batch();
        if batch.is_empty() && access.held_at.is_some_and(|at| at.elapsed() < HELD_FOR) {
            return Ok(());
        }
        let asked_at = Instant::now();
        self.patiently(|| self.store.write(&batch)).await?;
        self.memory().end_batch();
        access.held_at = Some(asked_at);
        Ok(())
    }

    /// Writes down, a little later, what no frame has taken along. Never returns.
    pub async fn keep_written(&self) -> Infallible {
        loop {
            self.changed.notified().await;
            tokio::time::sleep(WRITE_DELAY).await;
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "cannot write the WhatsApp session; it is tried again");
                self.changed.notify_one();
            }
        }
    }

    /// Returns when another node holds the number.
    pub async fn fenced(&self) {
        let mut fenced = self.fenced.subscribe();
        // The sender lives in `self`, so this wait cannot fail.
        let _ = fenced.wait_for(|fenced| *fenced).await;
    }

    /// Removes the session.
    pub async fn wipe(&self) -> Result<(), SessionStoreError> {
        let _turn = self.access.lock().await;
        *self.memory() = Memory::default();
        self.patiently(|| self.store.wipe()).await
    }

    async fn get(&self, collection: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let key = (collection, key.to_vec());
        if let Some(value) = self.memory().get(&key) {
            return Ok(value.clone());
        }
        let _turn = self.access.lock().await;
        // While this one waited, another may have read or written it.
        if let Some(value) = self.memory().get(&key) {
            return Ok(value.clone());
        }
        let read = self.patiently(|| self.store.read(std::slice::from_ref(&key))).await;
        let value = read.map_err(store_error)?.pop().map(|(_, entry)| entry.value);
        let mut memory = self.memory();
        memory.know(key.clone(), value.clone());
        // Nothing was written meanwhile, but something may have changed.
        Ok(memory.changed.get(&key).map_or(value, |changed| changed.value.clone()))
    }

    /// Returns those of the keys that are there, with their values.
    async fn get_many(&self, collection: &'static str, keys: Vec<Vec<u8>>) -> Result<Vec<Entry>> {
        let _turn = self.access.lock().await;
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for key in keys {
            let full = (collection, key);
            match self.memory().get(&full) {
                Some(value) => {
                    found.extend(value.clone().map(|value| Entry { key: full.1, value }));
                }
                None => unknown.push(full),
            }
        }
        if !unknown.is_empty() {
            let read = self.patiently(|| self.store.read(&unknown)).await;
            found.extend(read.map_err(store_error)?.into_iter().map(|(_, entry)| entry));
        }
        Ok(found)
    }

    async fn get_all(&self, collection: &'static str) -> Result<Vec<Entry>> {
        let _turn = self.access.lock().await;
        let read = self.patiently(|| self.store.read_all(collection)).await;
        let mut entries = read.map_err(store_error)?;
        let memory = self.memory();
        for changes in [&memory.writing, &memory.changed] {
            let of_collection = changes.iter().filter(|((name, _), _)| *name == collection);
            for ((_, key), stored) in of_collection {
                entries.retain(|entry| entry.key != *key);
                entries.extend(stored.value.clone().map(|value| Entry { key: key.clone(), value }));
            }
        }
        Ok(entries)
    }

    fn put(&self, collection: &'static str, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let stored = Stored { value: Some(value.into()), stamp: 0, before: Before::Everything };
        self.change(collection, key.into(), stored);
    }

    /// For what WhatsApp tells again where it is lost.
    fn put_later(
        &self,
        collection: &'static str,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) {
        let stored = Stored { value: Some(value.into()), stamp: 0, before: Before::Nothing };
        self.change(collection, key.into(), stored);
    }

    /// Puts an entry that can expire.
    fn put_until(
        &self,
        collection: &'static str,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
        stamp: i64,
        before: Before,
    ) {
        let stored = Stored { value: Some(value.into()), stamp, before };
        self.change(collection, key.into(), stored);
    }

    fn delete(&self, collection: &'static str, key: impl Into<Vec<u8>>) {
        let stored = Stored { value: None, stamp: 0, before: Before::Everything };
        self.change(collection, key.into(), stored);
    }

    fn change(&self, collection: &'static str, key: Vec<u8>, mut stored: Stored) {
        let key = (collection, key);
        let mut memory = self.memory();
        // The library writes much that it has not changed.
        if memory.get(&key).is_some_and(|before| *before == stored.value) {
            return;
        }
        memory.read_ahead.remove(&key);
        if let Some(earlier) = memory.changed.get(&key) {
            stored.before = stored.before.max(earlier.before);
        }
        memory.changed.insert(key, stored);
        drop(memory);
        self.changed.notify_one();
    }

    async fn get_json<T: DeserializeOwned>(
        &self,
        collection: &'static str,
        key: &[u8],
    ) -> Result<Option<T>> {
        self.get(collection, key).await?.map(|value| from_json(&value)).transpose()
    }

    fn put_json(
        &self,
        collection: &'static str,
        key: impl Into<Vec<u8>>,
        value: &impl Serialize,
    ) -> Result<()> {
        self.put(collection, key, to_json(value)?);
        Ok(())
    }

    /// Removes what has a stamp below this one.
    async fn expire(&self, collection: &'static str, stamp: i64) -> Result<u32> {
        let _turn = self.access.lock().await;
        let expired = self.patiently(|| self.store.expire(collection, stamp)).await;
        expired.map(|count| u32::try_from(count).unwrap_or(u32::MAX)).map_err(store_error)
    }

    /// Repeats a call while the store is unavailable, for a while.
    async fn patiently<T, F>(&self, call: impl Fn() -> F) -> Result<T, SessionStoreError>
    where
        F: Future<Output = Result<T, SessionStoreError>>,
    {
        let begun = Instant::now();
        loop {
            match call().await {
                Err(SessionStoreError::Unavailable(_)) if begun.elapsed() < STORE_PATIENCE => {
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                Err(SessionStoreError::Fenced) => {
                    self.fenced.send_replace(true);
                    return Err(SessionStoreError::Fenced);
                }
                done => return done,
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn store_error(error: SessionStoreError) -> StoreError {
    StoreError::Database(Box::new(error))
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn from_json<T: DeserializeOwned>(value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

#[cfg(test)]
mod tests;
