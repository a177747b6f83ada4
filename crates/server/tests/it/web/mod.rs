//! The operator's page, over HTTP and in Chromium.

mod campaigns;
mod customers;
mod import;
mod layout;
mod notices;
mod operations;
