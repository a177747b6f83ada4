//! Everything that needs more than one crate, as one binary: it links once.
#![allow(clippy::unwrap_used)]

mod api;
mod architecture;
mod baileys;
mod cli;
mod deploy;
mod docs;
mod engine;
mod gateway;
mod harness;
mod modules;
mod monitoring;
mod outages;
mod release;
mod store;
mod traces;
mod web;
mod whatsmeow;
