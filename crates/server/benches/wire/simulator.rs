//! The simulator, as a process of its own.

use crate::arrivals::Arrivals;
use crate::process::Process;
use anyhow::ensure;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::process::Command;
use wa_sim::{Config, CopyOutcome, LedgerEntry};

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
    let scan = json!({ "qr": qr, "phone": phone });
    let url = format!("http://{address}/control/scan");
    let http = kabari_gateway::http::client(&url).build()?;
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
        let http = kabari_gateway::http::client("http:").build()?;
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

    async fn ledger(&self, after: u64) -> anyhow::Result<Vec<LedgerEntry>> {
        let url = self.control(&format!("ledger?after={after}"));
        let ledger = self.http.get(url).send().await?.error_for_status()?.text().await?;
        ledger.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The number of the ledger's last entry.
    pub async fn last_entry(&self) -> anyhow::Result<u64> {
        Ok(self.ledger(0).await?.last().map_or(0, |entry| entry.seq))
    }

    /// The messages that came in after this entry of the ledger and were read by whom they were
    /// for.
    pub async fn arrivals(&self, after: u64) -> anyhow::Result<Arrivals> {
        let mut ledger = self.ledger(after).await?;
        ledger.retain(|entry| entry.outcome == CopyOutcome::Decrypted && entry.owner == entry.to);
        Ok(Arrivals::of(&ledger))
    }

    /// How fast this many messages came in after this entry of the ledger. Each must have been
    /// read by whom it was for.
    pub async fn messages_per_second(&self, after: u64, messages: u32) -> anyhow::Result<f64> {
        let arrivals = self.arrivals(after).await?;
        ensure!(
            arrivals.count() == messages as usize,
            "{} of {messages} arrived",
            arrivals.count()
        );
        Ok(arrivals.per_second())
    }

    /// Whether each of these numbers has one linked device, and that one is connected.
    pub async fn are_connected(&self, numbers: &[String]) -> anyhow::Result<bool> {
        let accounts: Vec<Value> =
            self.http.get(self.control("accounts")).send().await?.json().await?;
        let connected: BTreeSet<&str> = accounts
            .iter()
            .filter(|account| match account["devices"].as_array().map(Vec::as_slice) {
                Some([device]) => device["connected"] == true,
                _ => false,
            })
            .filter_map(|account| account["phone"].as_str())
            .collect();
        Ok(numbers.iter().all(|number| connected.contains(number.as_str())))
    }

    /// What was measured must be what a real server would have taken.
    pub async fn assert_no_violation(&self) -> anyhow::Result<()> {
        let violations: Value =
            self.http.get(self.control("violations")).send().await?.json().await?;
        ensure!(violations == json!([]), "{violations:#}");
        Ok(())
    }
}
