//! How much room a disk has left.

use std::path::Path;

/// Sessions and campaigns need little; below this, trouble is near.
pub const LOW_BYTES: u64 = 200 * 1024 * 1024;

/// Returns how much kabari may still write where this file or directory is; `None` where the
/// system does not tell.
pub fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
