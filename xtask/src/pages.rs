//! The operator's page in Chromium: pictures of every page, and how soon the first one is seen.

use crate::{process, test, tools};
use anyhow::Result;

/// Makes the pictures in `docs/screenshots` anew.
pub fn screenshots() -> Result<()> {
    run("screenshots")
}

/// Prints how soon the first page is seen on a slow line.
pub fn speed() -> Result<()> {
    run("speed")
}

fn run(task: &str) -> Result<()> {
    tools::ensure(&[tools::CHROMIUM, tools::CHROMEDRIVER, tools::EMOJI])?;
    let example = ["run", "--locked", "-p", "kabari", "--example", "pages", "--", task];
    process::run(test::cargo().args(example))
}
