//! The API over real HTTP.

mod contract;
mod docs;
mod http;
mod sends;
mod sessions;
