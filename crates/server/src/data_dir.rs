//! The data directory: private, used by one process at a time, and the node's identity.

use crate::private::{self, Others};
use anyhow::Context;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const NODE_NAME_BYTES: usize = 8;
/// How long to wait for a directory that is in use.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// How often to try meanwhile.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// A data directory that is ours until this is dropped.
pub struct DataDir {
    node: String,
    // The lock lives as long as the file is open; the system drops it if the process dies.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, and private if it is not; locks it, and reads the
    /// node's name, or makes one.
    pub fn open(path: &Path) -> anyhow::Result<DataDir> {
        let shown = path.display();
        private::directory()
            .recursive(true)
            .create(path)
            .with_context(|| format!("cannot make the data directory {shown}: set DATA_DIR to a place that can be written"))?;
        make_private(path)?;
        let mut lock = private::file()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("node"))
            .with_context(|| {
                format!("cannot write in the data directory {shown}: check its owner and mode")
            })?;
        match locked(&lock) {
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

    /// Returns the node's name: the same after every restart on this directory.
    pub fn node(&self) -> &str {
        &self.node
    }
}

/// Locks the file. One that ended a moment ago may have it still: so may a child that it was
/// starting, until that is a program of its own.
fn locked(file: &File) -> Result<(), TryLockError> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => sleep(LOCK_POLL),
            locked => return locked,
        }
    }
}

/// Takes everybody else's rights to the directory away: who reads it can write as our number.
fn make_private(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let others = private::others(path)?;
    anyhow::ensure!(
        others != Others::Shared,
        "the data directory {shown} is for everybody's files: set DATA_DIR to a directory that only kabari uses"
    );
    if others != Others::None {
        private::make_private(path).with_context(|| {
            format!("others can look into the data directory {shown}, and that cannot be changed: make kabari's user its owner")
        })?;
        tracing::warn!("others could look into the data directory {shown}; made it private");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_has_one_user_and_keeps_its_node_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/data");
        let first = DataDir::open(&path).unwrap();
        let name = first.node().to_owned();
        let error = DataDir::open(&path).err().unwrap().to_string();
        assert!(error.contains("another kabari"), "{error}");
        drop(first);
        assert_eq!(DataDir::open(&path).unwrap().node(), name);
    }

    #[cfg(unix)]
    #[test]
    fn the_directory_is_made_private_unless_shared() {
        use std::fs::{self, Permissions};
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let set = |mode| fs::set_permissions(directory.path(), Permissions::from_mode(mode));
        set(0o755).unwrap();
        let _open = DataDir::open(directory.path()).unwrap();
        let mode = fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        set(0o1777).unwrap();
        let error = DataDir::open(directory.path()).err().unwrap().to_string();
        assert!(error.contains("DATA_DIR"), "{error}");
        let mode = fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1777);
    }
}
