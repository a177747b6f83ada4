//! The clock of kabari processes, to be set while they run.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `CLOCK_STEP_FILE` names: by how much the time they read is off.
pub struct ClockFile {
    path: PathBuf,
    millis: i64,
    furthest: i64,
}

impl ClockFile {
    /// The true time, so far.
    pub fn new(directory: &Path) -> ClockFile {
        ClockFile { path: directory.join("clock-step"), millis: 0, furthest: 0 }
    }

    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    pub fn forward(&mut self, by: Duration) {
        self.set(self.millis + by.as_millis() as i64);
    }

    pub fn back(&mut self, by: Duration) {
        self.set(self.millis - by.as_millis() as i64);
    }

    /// As far as it has ever been: what was then put off for a moment has waited for that since.
    pub fn catch_up(&mut self) {
        self.set(self.furthest);
    }

    fn set(&mut self, millis: i64) {
        self.millis = millis;
        self.furthest = self.furthest.max(millis);
        // Renamed, so that nobody reads half a number.
        let new = self.path.with_extension("new");
        std::fs::write(&new, millis.to_string()).unwrap();
        std::fs::rename(&new, &self.path).unwrap();
    }
}
