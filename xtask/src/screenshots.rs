//! `cargo xtask screenshots`: pictures of every page, for the documents.

use crate::{process, test, tools};
use anyhow::Result;

/// Makes the pictures in `docs/screenshots` anew.
pub fn run() -> Result<()> {
    tools::ensure(&[tools::CHROMIUM, tools::CHROMEDRIVER, tools::EMOJI])?;
    process::run(test::cargo().args([
        "run",
        "--locked",
        "-p",
        "kabari",
        "--example",
        "screenshots",
    ]))
}
