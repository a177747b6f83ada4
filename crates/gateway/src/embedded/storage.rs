//! The session's files: the keys of a WhatsApp account, so nobody else may read them.

use crate::GatewayError;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const DIR: &str = "whatsapp";
const FILE: &str = "session.db";
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The place of the session on disk.
#[derive(Clone)]
pub(super) struct Storage {
    dir: PathBuf,
}

impl Storage {
    pub fn new(data_dir: &Path) -> Storage {
        Storage { dir: data_dir.join(DIR) }
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Makes the directory and an empty database, and takes everybody else's rights away. SQLite
    /// gives the files it puts beside a database (`-wal`, `-shm`) the mode of the database.
    pub fn prepare(&self) -> Result<(), GatewayError> {
        self.try_prepare().map_err(|error| self.error("prepare", &error))
    }

    fn try_prepare(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(DIR_MODE).create(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(DIR_MODE))?;
        self.create_database()?;
        for entry in fs::read_dir(&self.dir)? {
            fs::set_permissions(entry?.path(), Permissions::from_mode(FILE_MODE))?;
        }
        Ok(())
    }

    fn create_database(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(FILE_MODE).open(self.database())
    }

    /// Removes the session. The database goes last: a crash in between leaves a session that the
    /// server refuses, and so another try at this.
    pub fn wipe(&self) -> Result<(), GatewayError> {
        let database = self.database();
        for suffix in ["-wal", "-shm", "-journal", ""] {
            let mut path = database.clone().into_os_string();
            path.push(suffix);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(self.error("wipe", &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn error(&self, what: &str, error: &dyn std::fmt::Display) -> GatewayError {
        GatewayError::Storage(format!(
            "cannot {what} {}: {error}. Check the owner, the rights and the free space there",
            self.dir.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_can_read_it_even_if_it_was_open_before() {
        let data = tempfile::tempdir().unwrap();
        let storage = Storage::new(data.path());
        storage.prepare().unwrap();
        fs::set_permissions(&storage.dir, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(storage.database(), Permissions::from_mode(0o644)).unwrap();

        storage.prepare().unwrap();
        assert_eq!(mode(&storage.dir), 0o700);
        assert_eq!(mode(&storage.database()), 0o600);
    }

    #[test]
    fn a_wipe_leaves_no_file_and_can_be_repeated() {
        let data = tempfile::tempdir().unwrap();
        let storage = Storage::new(data.path());
        storage.prepare().unwrap();
        fs::write(storage.dir.join("session.db-wal"), "x").unwrap();

        storage.wipe().unwrap();
        storage.wipe().unwrap();
        assert_eq!(fs::read_dir(&storage.dir).unwrap().count(), 0);
    }

    #[test]
    fn a_place_that_cannot_be_used_is_named() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("whatsapp"), "a file, not a directory").unwrap();
        let error = Storage::new(data.path()).prepare().unwrap_err();
        assert!(error.to_string().contains("whatsapp"), "{error}");
    }
}
