//! The simulator, as a process of its own.

use crate::process::Process;
use anyhow::ensure;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::process::Command;
use wa_sim::{Config, Entry, Outcome};

const ANNOUNCED: &str = "simulator on ";

/// What the process does: it serves until it is killed.
pub async fn serve() -> anyhow::Result<()> {
    let simulator = wa_sim::Simulator::start(Config::default()).await?;
    eprintln!("{ANNOUNCED}{}", simulator.addr());
    std::future::pending().await
}

/// Where clients of the simulator at this address connect.
pub fn ws_url(address: &str) -> String {
    format!("ws://{address}/ws/chat")
}

/// A phone scans a QR code, at the simulator of this address.
pub async fn scan(address: &str, qr: &str, phone: &str) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let scan = json!({ "qr": qr, "phone": phone });
    let url = format!("http://{address}/control/scan");
    http.post(url).json(&scan).send().await?.error_for_status()?;
    Ok(())
}

/// A running simulator.
pub struct Simulator {
    pub process: Process,
    address: String,
    http: reqwest::Client,
}

impl Simulator {
    pub async fn start() -> anyhow::Result<Simulator> {
        let mut process = Process::spawn(Command::new(std::env::current_exe()?).arg("simulator"))?;
        let address = process.says(ANNOUNCED).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Simulator { process, address, http })
    }

    /// Where clients connect.
    pub fn ws_url(&self) -> String {
        ws_url(&self.address)
    }

    fn control(&self, what: &str) -> String {
        format!("http://{}/control/{what}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    async fn ledger(&self, after: u64) -> anyhow::Result<Vec<Entry>> {
        let url = self.control(&format!("ledger?after={after}"));
        let ledger = self.http.get(url).send().await?.error_for_status()?.text().await?;
        ledger.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The number of the ledger's last entry.
    pub async fn last_entry(&self) -> anyhow::Result<u64> {
        Ok(self.ledger(0).await?.last().map_or(0, |entry| entry.seq))
    }

    /// How fast this many messages came in after this entry of the ledger. Each must have been
    /// read by whom it was for.
    pub async fn messages_per_second(&self, after: u64, messages: u32) -> anyhow::Result<f64> {
        let ledger = self.ledger(after).await?;
        let shown = ledger
            .iter()
            .filter(|entry| entry.outcome == Outcome::Decrypted && entry.owner == entry.to);
        let came: BTreeMap<&str, u64> = shown.map(|e| (e.id.as_str(), e.wire_ns)).collect();
        ensure!(came.len() == messages as usize, "{} of {messages} arrived", came.len());
        let first = came.values().min().copied().unwrap_or_default();
        let last = came.values().max().copied().unwrap_or_default();
        Ok(f64::from(messages - 1) * 1e9 / (last - first) as f64)
    }

    /// What was measured must be what a real server would have taken.
    pub async fn assert_no_violation(&self) -> anyhow::Result<()> {
        let violations: Value =
            self.http.get(self.control("violations")).send().await?.json().await?;
        ensure!(violations == json!([]), "{violations:#}");
        Ok(())
    }
}
