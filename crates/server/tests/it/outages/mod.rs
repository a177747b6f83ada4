//! What kabari stands on goes away in mid-campaign: room on the disk, open files, memory, the names
//! of other machines, the database server that takes the writes. The pace, the leases and the waits
//! are those that users have, on a clock that runs fast; what counts is the simulator's ledger.

mod disk;
mod memory;
mod names;
mod open_files;
mod writer;

use crate::harness::caller::Caller;
use crate::harness::database::billing_file;
use crate::harness::node::{Node, Setup};
use crate::harness::served::PATIENCE;
use crate::harness::world::{CUSTOMERS, OWN, assert_report_is_true, billing_sql};
use kabari::clock::Clock;
use reqwest::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use wa_sim::{Config, MessageFilter, Simulator};

/// How many seconds of kabari's time pass in one.
const SPEED: u32 = 5;
const RECIPIENTS: i64 = 24;
/// How often to look whether a process is ready.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// What a campaign needs, on this installation.
struct Installation {
    simulator: Simulator,
    setup: Setup,
    directory: TempDir,
}

impl Installation {
    /// With a number that is linked, and its state where this changes the setup to.
    async fn linked(change: impl FnOnce(Setup) -> Setup) -> Installation {
        let simulator = Simulator::start(Config::default()).await.unwrap();
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        billing_file(&data, &billing_sql(CUSTOMERS)).await;
        let setup = Setup::ordinary(&data, &simulator)
            .with("CLOCK_SPEED", SPEED.to_string())
            .with("CLOCK_BASE", Clock::System.now().0.to_string());
        let setup = change(setup);
        setup.link(&simulator, OWN).await;
        Installation { simulator, setup, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// How many messages phones show.
    fn reached(&self) -> i64 {
        self.simulator.messages(MessageFilter::default()).len() as i64
    }

    /// Waits until phones show so many more.
    async fn until_more(&self, more: i64) {
        let enough = self.reached() + more;
        let reached = |_: &Simulator| self.reached() >= enough;
        self.simulator.wait_for(reached, PATIENCE).await.unwrap();
    }

    /// Begins a campaign, and waits until it is in its middle.
    async fn send_half(&self, caller: &Caller) -> i64 {
        let campaign = caller.send(1..=RECIPIENTS).await;
        self.until_more(3).await;
        campaign
    }

    /// Waits until the campaign is over: everybody has its message once, and the report says so.
    async fn finish(&self, node: &mut Node, campaign: i64) {
        let caller = node.caller().await.unwrap_or_else(|| panic!("it has ended:\n{}", node.log()));
        until_reasons(&caller, &[]).await;
        caller.completed(campaign).await;
        assert_report_is_true(&self.simulator, &caller.deliveries(campaign).await);
        assert_eq!(self.reached(), RECIPIENTS);
    }
}

/// Waits until `/readyz` gives these reasons, in this order, and returns what it says.
async fn until_reasons(caller: &Caller, expected: &[&str]) -> Value {
    let mut seen = Value::Null;
    let waiting = async {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let answer = caller.try_request(Method::GET, "/readyz", &[], &Value::Null).await;
            seen = answer.unwrap().1;
            let reasons = seen["reasons"].as_array().unwrap().iter();
            if reasons.map(|one| one["reason"].as_str().unwrap()).eq(expected.iter().copied()) {
                return;
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "not {expected:?}, but {seen:#}");
    seen
}

/// A path as a word for the shell.
fn word(path: &Path) -> String {
    format!("'{}'", path.display())
}
