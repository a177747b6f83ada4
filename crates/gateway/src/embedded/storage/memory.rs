//! What of a session is in memory: changes that are not written yet, and what was read.

use super::collection;
use crate::session_store::{Change, Entry, Key};
use std::collections::HashMap;

/// How much of what was read and written last is remembered at least, in bytes of keys and values:
/// what there is about some 100 recipients. Twice as much is remembered at most.
pub(super) const KNOWN_BYTES: usize = 64 * 1024;

/// Returns whether values of a collection are kept in memory. The library remembers ratchets
/// itself, and reads the others once, if at all.
fn is_remembered(collection: &str) -> bool {
    use collection::{MESSAGE_SECRETS, PREKEYS, SENT_MESSAGES, SESSIONS};
    ![MESSAGE_SECRETS, PREKEYS, SENT_MESSAGES, SESSIONS].contains(&collection)
}

#[derive(Default)]
pub(super) struct Memory {
    /// What has changed since the last batch.
    pub changed: HashMap<Key, Stored>,
    /// The batch under way, or one that failed.
    pub writing: HashMap<Key, Stored>,
    /// What the store has.
    known: HashMap<Key, Option<Vec<u8>>>,
    pub known_bytes: usize,
    /// What was `known` until it was too much.
    known_before: HashMap<Key, Option<Vec<u8>>>,
    /// What the store has and the next sends will ask for.
    pub read_ahead: HashMap<Key, Option<Vec<u8>>>,
}

/// A value, or that there is none.
#[derive(Clone)]
pub(super) struct Stored {
    pub value: Option<Vec<u8>>,
    pub stamp: i64,
    pub before: Before,
}

/// What may not leave for WhatsApp before a change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Before {
    /// WhatsApp tells it again where it is lost.
    Nothing,
    /// It is about a message on its way.
    Messages,
    Everything,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    pub fn get(&self, key: &Key) -> Option<&Option<Vec<u8>>> {
        let newer = self.changed.get(key).or_else(|| self.writing.get(key));
        let newer = newer.map(|stored| &stored.value);
        let known = || self.known.get(key).or_else(|| self.known_before.get(key));
        newer.or_else(known).or_else(|| self.read_ahead.get(key))
    }

    /// Whether such a frame has to wait for a batch.
    pub fn holds_up(&self, frame: Before) -> bool {
        // A batch that failed may have been written.
        !self.writing.is_empty() || self.changed.values().any(|stored| stored.before >= frame)
    }

    pub fn know(&mut self, key: Key, value: Option<Vec<u8>>) {
        if !is_remembered(key.0) {
            return;
        }
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        if self.known_bytes > KNOWN_BYTES {
            self.known_before = std::mem::take(&mut self.known);
            self.known_bytes = 0;
        }
        self.known_bytes += key.1.len() + size(&value);
        let key_bytes = key.1.len();
        if let Some(before) = self.known.insert(key, value) {
            self.known_bytes -= key_bytes + size(&before);
        }
    }

    /// Begins a batch with everything that is not in the store yet.
    pub fn begin_batch(&mut self) -> Vec<Change> {
        for (key, stored) in std::mem::take(&mut self.changed) {
            self.writing.insert(key, stored);
        }
        let change = |((collection, key), stored): (&Key, &Stored)| match stored.value.clone() {
            Some(value) => {
                let entry = Entry { key: key.clone(), value };
                Change::Put { collection, entry, stamp: stored.stamp }
            }
            None => Change::Delete { collection, key: key.clone() },
        };
        self.writing.iter().map(change).collect()
    }

    pub fn end_batch(&mut self) {
        for (key, stored) in std::mem::take(&mut self.writing) {
            self.know(key, stored.value);
        }
    }
}
