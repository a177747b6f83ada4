//! The real whatsapp-rust client against the simulator.

#![allow(clippy::unwrap_used)]

mod addresses;
mod browser;
mod client;
mod control;
mod faults;
mod history;
mod inbox;
mod load;
mod messages;
mod outages;
mod pairing;
mod passkey;
mod restart;
mod strictness;
