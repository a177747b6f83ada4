//! WhatsApp sessions: their entries, sealed, each batch written by whoever holds the session.

use super::super::batch::Statement;
use super::super::engine::Engine;
use super::super::error::{StoreError, Which};
use super::super::lists::{fill_up, insertable, placeholders};
use super::super::row::{Row, Value, params};
use super::StateStore;
use super::sealed::Sealer;
use super::sessions::SessionLease;
use crate::crash_point::crash_point;
use crate::session_key::SessionKey;
use async_trait::async_trait;
use kabari_gateway::{Change, Entry, Key, SessionStore, SessionStoreError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Rows that one statement writes or names. A row has five values, and SQLite takes 32,766.
const ROWS_PER_STATEMENT: usize = 200;

impl StateStore {
    /// Returns the session that this lease holds, for its client. Writing through it fails once
    /// another holds the session.
    ///
    /// # Errors
    /// [`StoreError::WrongSessionKey`] if the session was stored with another key.
    pub async fn session_store(
        &self,
        lease: &SessionLease,
        key: &SessionKey,
    ) -> Result<Arc<dyn SessionStore>, StoreError> {
        let sealer = Sealer::new(key, &lease.name);
        let store = StoredSession { state: self.clone(), lease: lease.clone(), sealer };
        store.check_key().await?;
        Ok(Arc::new(store))
    }

    /// Checks the key against one entry of each session.
    ///
    /// # Errors
    /// [`StoreError::WrongSessionKey`] if one of them was stored with another key.
    pub async fn check_session_key(&self, key: &SessionKey) -> Result<(), StoreError> {
        let sql = "SELECT DISTINCT session FROM session_entries";
        for row in self.db().rows(sql, vec![]).await? {
            let name: String = row.get("session")?;
            check_key(self, &name, &Sealer::new(key, &name)).await?;
        }
        Ok(())
    }

    /// Returns whether anything of this session is stored.
    pub async fn has_session_entries(&self, session: &str) -> Result<bool, StoreError> {
        let sql = "SELECT session FROM session_entries WHERE session = ? LIMIT 1";
        Ok(self.db().row(sql, params![session]).await?.is_some())
    }
}

async fn check_key(state: &StateStore, session: &str, sealer: &Sealer) -> Result<(), StoreError> {
    let sql = "SELECT collection, name, value FROM session_entries WHERE session = ? LIMIT 1";
    let Some(row) = state.db().row(sql, params![session]).await? else { return Ok(()) };
    let (collection, name) = (row.get::<String>("collection")?, row.get::<Vec<u8>>("name")?);
    let opened = sealer.open(&collection, &name, &row.get::<Vec<u8>>("value")?);
    opened.map(|_| ()).ok_or(StoreError::WrongSessionKey)
}

/// An entry as it is stored.
struct Sealed {
    collection: &'static str,
    name: Vec<u8>,
    value: Vec<u8>,
    stamp: i64,
}

struct StoredSession {
    state: StateStore,
    lease: SessionLease,
    sealer: Sealer,
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSession").field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl StoredSession {
    async fn check_key(&self) -> Result<(), StoreError> {
        check_key(&self.state, &self.lease.name, &self.sealer).await
    }

    /// Returns whether the session is still held under the lease.
    async fn is_held(&self) -> Result<bool, StoreError> {
        let sql = "SELECT epoch FROM sessions WHERE name = ? AND owner = ? AND epoch = ?";
        let SessionLease { name, owner, epoch } = &self.lease;
        let values = params![name.as_str(), owner.as_str(), *epoch];
        Ok(self.state.db().row(sql, values).await?.is_some())
    }

    /// Writes entries in one statement, if the session is still held. That costs a server one turn
    /// instead of the four of a transaction, for every message.
    async fn put_fenced(&self, entries: &[Sealed]) -> Result<(), SessionStoreError> {
        // Without the session's row the name is NULL, which the column refuses. Locked, so that
        // nobody can take the session before the entries are there.
        let engine = self.state.db().engine();
        let Statement { mut sql, mut values, .. } = self.put(entries);
        let held = format!(
            "((SELECT name FROM sessions WHERE name = ? AND owner = ? AND epoch = ?{}),",
            engine.lock_row()
        );
        sql = sql.replacen("(?,", &held, 1);
        let SessionLease { name, owner, epoch } = &self.lease;
        values.splice(..1, params![name.as_str(), owner.as_str(), *epoch]);
        crash_point("entries.written");
        let put = || self.state.db().execute_unannounced(&sql, values.clone());
        match self.state.db().retry(put).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Err(SessionStoreError::Fenced),
            Err(error) => return Err(unavailable(error)),
        }
        crash_point("entries.committed");
        Ok(())
    }

    /// Runs the statements in one transaction, if the session is still held. Returns how many rows
    /// they changed.
    async fn write_fenced(&self, statements: &[Statement]) -> Result<u64, SessionStoreError> {
        let written = self.state.write_changes(&self.lease, statements).await;
        written.map_err(unavailable)?.ok_or(SessionStoreError::Fenced)
    }

    fn put(&self, entries: &[Sealed]) -> Statement {
        let sql = format!(
            "INSERT INTO session_entries (session, collection, name, value, stamp) VALUES {}{}",
            vec!["(?, ?, ?, ?, ?)"; entries.len()].join(", "),
            self.state.db().engine().or_update("session, collection, name", &["value", "stamp"])
        );
        let row = |entry: &Sealed| {
            let Sealed { collection, name, value, stamp } = entry;
            let session = self.lease.name.as_str();
            params![session, *collection, name.clone(), value.clone(), *stamp]
        };
        Statement::new(sql, entries.iter().flat_map(row).collect())
    }

    fn delete(&self, names: &[(&'static str, Vec<u8>)]) -> Statement {
        let (named, values) = named(&self.lease.name, names);
        Statement::new(format!("DELETE FROM session_entries WHERE {named}"), values)
    }

    /// Those of the entries with these names that are there, each with its collection.
    async fn find(
        &self,
        names: &[(&'static str, Vec<u8>)],
    ) -> Result<Vec<(&'static str, Entry)>, StoreError> {
        let (named, values) = named(&self.lease.name, names);
        let sql = format!("SELECT collection, name, value FROM session_entries WHERE {named}");
        let rows = self.state.db().rows(&sql, values).await?;
        let entries = rows.iter().map(|row| {
            let stored: String = row.get("collection")?;
            let known = names.iter().map(|(collection, _)| *collection).find(|c| *c == stored);
            let collection =
                known.ok_or_else(|| StoreError::unreadable(Which::State, "collection"))?;
            Ok((collection, self.open(row, collection)?))
        });
        entries.collect()
    }

    async fn all(&self, collection: &'static str) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT name, value FROM session_entries WHERE session = ? AND collection = ?";
        let values = params![self.lease.name.as_str(), collection];
        let rows = self.state.db().rows(sql, values).await?;
        rows.iter().map(|row| self.open(row, collection)).collect()
    }

    fn open(&self, row: &Row, collection: &str) -> Result<Entry, StoreError> {
        let (name, value) = (row.get::<Vec<u8>>("name")?, row.get::<Vec<u8>>("value")?);
        let opened = self.sealer.open(collection, &name, &value);
        opened.ok_or_else(|| StoreError::unreadable(Which::State, "value"))
    }
}

/// Holds for the entries of a session with these names. The session stands with each collection:
/// SQLite would read all of its entries otherwise. All collections get as many names as the one with
/// the most, so that there are few such conditions.
fn named(session: &str, names: &[(&'static str, Vec<u8>)]) -> (String, Vec<Value>) {
    let mut by_collection: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (collection, name) in names {
        by_collection.entry(collection).or_default().push(name.clone().into());
    }
    let (mut terms, mut values) = (Vec::new(), Vec::new());
    let longest = by_collection.values().map(Vec::len).max().unwrap_or_default();
    for (collection, mut names) in by_collection {
        fill_up(&mut names, longest);
        let among = placeholders(names.len());
        terms.push(format!("(session = ? AND collection = ? AND name IN ({among}))"));
        values.extend(params![session, collection]);
        values.extend(names);
    }
    (terms.join(" OR "), values)
}

fn unavailable(error: StoreError) -> SessionStoreError {
    SessionStoreError::Unavailable(error.to_string())
}

#[async_trait]
impl SessionStore for StoredSession {
    async fn read(&self, keys: &[Key]) -> Result<Vec<(&'static str, Entry)>, SessionStoreError> {
        let name = |(collection, key): &Key| (*collection, self.sealer.name(collection, key));
        let names: Vec<_> = keys.iter().map(name).collect();
        let mut found = Vec::new();
        for chunk in names.chunks(ROWS_PER_STATEMENT) {
            found.extend(self.find(chunk).await.map_err(unavailable)?);
        }
        Ok(found)
    }

    async fn read_all(&self, collection: &'static str) -> Result<Vec<Entry>, SessionStoreError> {
        self.all(collection).await.map_err(unavailable)
    }

    async fn write(&self, changes: &[Change]) -> Result<(), SessionStoreError> {
        if changes.is_empty() {
            let held = self.is_held().await.map_err(unavailable)?;
            return held.then_some(()).ok_or(SessionStoreError::Fenced);
        }
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Put { collection, entry, stamp } => {
                    let name = self.sealer.name(collection, &entry.key);
                    let value = self.sealer.seal(collection, &name, entry);
                    puts.push(Sealed { collection, name, value, stamp: *stamp });
                }
                Change::Delete { collection, key } => {
                    deletes.push((*collection, self.sealer.name(collection, key)));
                }
            }
        }
        let puts = insertable(&puts, ROWS_PER_STATEMENT);
        // A file has no turns to save: there it goes with the batches of others.
        let is_on_a_server = self.state.db().engine() == Engine::MySql;
        if let ([entries], true, true) = (&puts[..], deletes.is_empty(), is_on_a_server)
            && !self.state.hands_over(&self.lease)
        {
            return self.put_fenced(entries).await;
        }
        let puts = puts.into_iter().map(|entries| self.put(entries));
        let deletes = deletes.chunks(ROWS_PER_STATEMENT).map(|chunk| self.delete(chunk));
        self.write_fenced(&puts.chain(deletes).collect::<Vec<_>>()).await.map(|_| ())
    }

    async fn expire(&self, collection: &'static str, stamp: i64) -> Result<u64, SessionStoreError> {
        let sql = "DELETE FROM session_entries WHERE session = ? AND collection = ? \
                   AND stamp <> 0 AND stamp < ?";
        let values = params![self.lease.name.as_str(), collection, stamp];
        self.write_fenced(&[Statement::new(sql, values)]).await
    }

    async fn wipe(&self) -> Result<(), SessionStoreError> {
        let sql = "DELETE FROM session_entries WHERE session = ?".to_owned();
        let values = params![self.lease.name.as_str()];
        self.write_fenced(&[Statement::new(sql, values)]).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::StateTarget;

    #[tokio::test]
    async fn entries_are_found_by_their_whole_key() {
        let directory = tempfile::tempdir().unwrap();
        let target = StateTarget::Sqlite { path: directory.path().join("state.db") };
        let state = StateStore::open(target, Clock::System).await.unwrap();
        let names = [("identities", b"a".to_vec()), ("identities", b"b".to_vec())];
        let (named, values) = named("default", &[&names[..], &[("lids", b"c".to_vec())]].concat());

        for what in ["SELECT value", "DELETE"] {
            let sql = format!("EXPLAIN QUERY PLAN {what} FROM session_entries WHERE {named}");
            let steps = state.db().rows(&sql, values.clone()).await.unwrap();
            let steps = steps.iter().map(|step| step.get::<String>("detail").unwrap());
            let searches: Vec<_> = steps.filter(|step| step.contains("session_entries")).collect();
            assert_eq!(searches.len(), 2, "{searches:?}");
            for search in searches {
                assert!(search.ends_with("(session=? AND collection=? AND name=?)"), "{search}");
            }
        }
    }
}
