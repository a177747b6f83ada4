//! The gateway against a WhatsApp server and against other gateways, all on loopback.

#![allow(clippy::unwrap_used)]

mod embedded_history;
mod embedded_link;
mod embedded_send;
mod embedded_store;
#[path = "../../../server/tests/it/harness/ports.rs"]
mod ports;
mod remote;
mod world;
