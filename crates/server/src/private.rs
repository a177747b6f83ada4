//! Files and directories that only their owner may look into. On Windows the directories of a
//! user are private by themselves, and nothing is changed.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Makes directories for their owner alone.
pub fn directory() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut directory = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
    directory
}

/// Opens files, and makes those that are not there for their owner alone.
pub fn file() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut file = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file
}

/// Who besides its owner may use a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Nobody.
    None,
    /// The group, or everybody.
    Some,
    /// Everybody, as in `/tmp`, where many users keep their files.
    Shared,
}

/// Returns who besides its owner may use this file or directory.
pub fn others(path: &Path) -> io::Result<Others> {
    let metadata = std::fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        const STICKY: u32 = 0o1000;
        let mode = metadata.permissions().mode();
        Ok(match (mode & STICKY, mode & RIGHTS_OF_OTHERS) {
            (0, 0) => Others::None,
            (0, _) => Others::Some,
            _ => Others::Shared,
        })
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        Ok(Others::None)
    }
}

/// Takes the rights of all others away.
pub fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = std::fs::metadata(path)?.permissions();
        permissions.set_mode(permissions.mode() & !RIGHTS_OF_OTHERS);
        std::fs::set_permissions(path, permissions)?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Makes a renamed or new file durable: its name is in the directory.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    // Windows cannot open a directory as a file, and writes names by itself.
    #[cfg(unix)]
    std::fs::File::open(directory)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

/// The rights of the group and of all others, as in `chmod`.
#[cfg(unix)]
const RIGHTS_OF_OTHERS: u32 = 0o077;
