//! kabari's server: see `ARCHITECTURE.md`.

pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
mod crash_point;
pub mod data_dir;
mod disk;
pub mod dispatcher;
mod env_file;
mod gateway_api;
pub mod gateway_app;
mod lane;
pub mod logging;
pub mod metrics;
pub mod origins;
mod outcome;
mod passkey_snippet;
mod private;
pub mod secrets;
pub mod session_key;
pub mod sessions;
pub mod store;
pub mod trace;
pub mod waits;
pub mod whatsapp_session;
