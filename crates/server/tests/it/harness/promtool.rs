//! Prometheus's own judge of what is written for it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where `cargo xtask test` puts it where the system has none.
const UNPACKED: &str = "tools/usr/bin/promtool";

/// Runs promtool, which has to have no complaint.
pub fn promtool(arguments: &[&str], input: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let unpacked = target.join(UNPACKED);
    let program = if unpacked.exists() { unpacked } else { "promtool".into() };
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.unwrap_or_else(|error| {
        panic!("no promtool ({error}): run the tests with `cargo xtask test`, which gets it")
    });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}\n{input}");
}
