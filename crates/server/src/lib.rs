//! kabari's server: see `ARCHITECTURE.md`.

pub mod clock;
pub mod store;
