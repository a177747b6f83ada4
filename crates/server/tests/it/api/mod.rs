//! The API over real HTTP.

mod browser;
mod compat;
mod contract;
mod cross_origin;
mod docs;
mod http;
mod keys;
mod passkey;
mod schemathesis;
mod sends;
mod sessions;
