//! The operator's page.

mod access;
mod log;
mod login;
mod protection;
