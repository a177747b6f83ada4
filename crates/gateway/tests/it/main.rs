//! The gateway against a WhatsApp server and against other gateways, all on loopback.

#![allow(clippy::unwrap_used)]

mod embedded_history;
mod embedded_link;
mod embedded_send;
mod embedded_store;
mod remote;
mod world;
