//! The data directory: private, used by one process at a time, and the node's identity.

use anyhow::Context;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const NODE_NAME_BYTES: usize = 8;

/// A data directory that is ours until this is dropped.
pub struct DataDir {
    node: String,
    // The lock lives as long as the file is open; the system drops it if the process dies.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, locks it, and reads the node's name, or makes one.
    pub fn open(path: &Path) -> anyhow::Result<DataDir> {
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data directory {shown}: set DATA_DIR to a place that can be written"))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("node"))
            .with_context(|| {
                format!("cannot write in the data directory {shown}: check its owner and mode")
            })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "another kabari uses the data directory {shown}: end it, or set DATA_DIR to another place"
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error)
                    .with_context(|| format!("cannot lock the data directory {shown}"));
            }
        }
        let mut node = String::new();
        lock.read_to_string(&mut node)?;
        if node.trim().is_empty() {
            let bytes: [u8; NODE_NAME_BYTES] = rand::random();
            node = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            lock.rewind()?;
            lock.write_all(node.as_bytes())?;
            lock.sync_all()?;
        }
        Ok(DataDir { node: node.trim().to_owned(), _lock: lock })
    }

    /// The node's name: the same after every restart on this directory.
    pub fn node(&self) -> &str {
        &self.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_used_by_one_at_a_time_and_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/data");
        let first = DataDir::open(&path).unwrap();
        let name = first.node().to_owned();
        let error = DataDir::open(&path).err().unwrap().to_string();
        assert!(error.contains("another kabari"), "{error}");
        drop(first);
        assert_eq!(DataDir::open(&path).unwrap().node(), name);
    }
}
