//! The operator's page, in Chromium.

mod layout;
