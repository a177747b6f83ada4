//! kabari's server: see `ARCHITECTURE.md`.
#![allow(missing_docs, reason = "an application: a comment that only repeats the name is left out")]

pub mod access;
pub mod api;
pub mod app;
mod backup;
pub mod cli;
pub mod clock;
pub mod config;
mod crash_point;
pub mod data_dir;
mod delivery_view;
mod disk;
pub mod dispatcher;
mod env_file;
mod gateway_api;
pub mod gateway_app;
pub mod http_server;
pub mod logging;
pub mod metrics;
pub mod origins;
mod paced_gateway;
mod passkey_snippet;
mod private;
mod request_body;
mod secrets;
pub mod session_key;
pub mod sessions;
pub mod store;
pub mod timeouts;
pub mod trace;
mod web;
pub mod whatsapp_session;
