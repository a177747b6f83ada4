//! Where the embedded client keeps its session.
//!
//! To a store, a session is entries in collections, each a key and a value of bytes. Whoever holds
//! the number is the only one who writes them, and gives all that changed since the last write in
//! one batch.

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A collection, a short ASCII name, and a key in it.
pub type Key = (&'static str, Vec<u8>);

/// One key and what is stored under it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Unique within its collection.
    pub key: Vec<u8>,
    /// Opaque to the store.
    pub value: Vec<u8>,
}

/// One change of a session.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// Stores the entry, in place of one with the same key.
    Put {
        /// The collection, a short ASCII name.
        collection: &'static str,
        /// Key and value.
        entry: Entry,
        /// Seconds since 1970 that [`SessionStore::expire`] compares; 0 for an entry that stays.
        stamp: i64,
    },
    /// Removes the entry, if it is there.
    Delete {
        /// The collection.
        collection: &'static str,
        /// The key.
        key: Vec<u8>,
    },
}

/// Why a session was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionStoreError {
    /// Nothing was written: whoever holds the number now is not the one this store was made for.
    #[error("another node holds this number now")]
    Fenced,
    /// Nothing was read, or it is unknown whether the batch was written. The same call may succeed
    /// later.
    #[error("{0}")]
    Unavailable(String),
}

/// The entries of one session.
#[async_trait]
pub trait SessionStore: Send + Sync + fmt::Debug {
    /// Returns those of the entries with these keys that exist, each with its collection, in any
    /// order.
    async fn read(&self, keys: &[Key]) -> Result<Vec<(&'static str, Entry)>, SessionStoreError>;

    /// Returns all entries of a collection, in any order.
    async fn read_all(&self, collection: &'static str) -> Result<Vec<Entry>, SessionStoreError>;

    /// Makes all of the changes or none. No two of them have the same key. An empty batch only
    /// asks whether the number is still held.
    async fn write(&self, changes: &[Change]) -> Result<(), SessionStoreError>;

    /// Removes the entries of a collection with a stamp below this one, other than 0, and returns
    /// their number.
    async fn expire(&self, collection: &'static str, stamp: i64) -> Result<u64, SessionStoreError>;

    /// Removes the whole session.
    async fn wipe(&self) -> Result<(), SessionStoreError>;
}

/// A session that lives as long as the process, for tests.
#[derive(Default)]
pub struct MemoryStore(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    /// Value and stamp.
    entries: BTreeMap<Key, (Vec<u8>, i64)>,
    failing: Option<SessionStoreError>,
    writes: usize,
    reads: usize,
}

impl MemoryStore {
    /// Makes every further call fail with this error, or none.
    pub fn fail_with(&self, error: Option<SessionStoreError>) {
        self.contents().failing = error;
    }

    /// Returns the number of entries in a collection.
    pub fn len(&self, collection: &str) -> usize {
        self.contents().entries.keys().filter(|(name, _)| *name == collection).count()
    }

    /// Returns whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.contents().entries.is_empty()
    }

    /// Returns how many batches with a change in them have been written.
    pub fn writes(&self) -> usize {
        self.contents().writes
    }

    /// Returns how many times something has been read.
    pub fn reads(&self) -> usize {
        self.contents().reads
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self) -> Result<MutexGuard<'_, Contents>, SessionStoreError> {
        let contents = self.contents();
        match contents.failing.clone() {
            Some(error) => Err(error),
            None => Ok(contents),
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn read(&self, keys: &[Key]) -> Result<Vec<(&'static str, Entry)>, SessionStoreError> {
        let mut contents = self.checked()?;
        contents.reads += 1;
        let found = keys.iter().filter_map(|place| {
            let (value, _) = contents.entries.get(place)?;
            let (collection, key) = place.clone();
            Some((collection, Entry { key, value: value.clone() }))
        });
        Ok(found.collect())
    }

    async fn read_all(&self, collection: &'static str) -> Result<Vec<Entry>, SessionStoreError> {
        let mut contents = self.checked()?;
        contents.reads += 1;
        let of_collection = contents.entries.iter().filter(|((name, _), _)| *name == collection);
        Ok(of_collection
            .map(|((_, key), (value, _))| Entry { key: key.clone(), value: value.clone() })
            .collect())
    }

    async fn write(&self, changes: &[Change]) -> Result<(), SessionStoreError> {
        let mut contents = self.checked()?;
        contents.writes += usize::from(!changes.is_empty());
        for change in changes.iter().cloned() {
            match change {
                Change::Put { collection, entry, stamp } => {
                    contents.entries.insert((collection, entry.key), (entry.value, stamp));
                }
                Change::Delete { collection, key } => {
                    contents.entries.remove(&(collection, key));
                }
            }
        }
        Ok(())
    }

    async fn expire(
        &self,
        collection: &'static str,
        before: i64,
    ) -> Result<u64, SessionStoreError> {
        let mut contents = self.checked()?;
        let count = contents.entries.len();
        contents
            .entries
            .retain(|(name, _), (_, stamp)| *name != collection || *stamp == 0 || *stamp >= before);
        Ok((count - contents.entries.len()) as u64)
    }

    async fn wipe(&self) -> Result<(), SessionStoreError> {
        self.checked()?.entries.clear();
        Ok(())
    }
}
