//! kabari, as the program it is: `kabari serve` with a delay of 0.

use crate::link::link;
use crate::people::{name, phone, text};
use crate::process::Process;
use crate::simulator::Simulator;
use crate::{Engine, Order};
use anyhow::Context;
use clap::Parser;
use kabari::cli::client::Client;
use kabari::config::Options;
use kabari::session_key::SessionKey;
use kabari::store::billing;
use serde_json::{Value, json};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio::process::Command;

/// How often to ask for the campaign: rarely enough to cost nothing beside the messages.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What the log says in front of the API's address.
const ANNOUNCED: &str = "API on http://";

/// A running kabari with customers to write to.
pub struct Kabari {
    pub process: Process,
    api: Client,
    customers: Vec<u32>,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

impl Kabari {
    /// Links a session in this directory, and starts it there.
    pub async fn start(
        simulator: &Simulator,
        directory: &Path,
        engine: Engine,
        order: &Order,
    ) -> anyhow::Result<Kabari> {
        add_customers(directory, order.recipients).await?;
        let mut options = Cli::parse_from(["kabari"]).options;
        options.data_dir = directory.to_owned();
        options.wa_websocket_url = Some(simulator.ws_url());
        let mut command = Command::new(env!("CARGO_BIN_EXE_kabari"));
        command
            .arg("serve")
            // Whatever is set for a kabari of this machine's own.
            .env_clear()
            .current_dir(directory)
            .env("DATA_DIR", directory)
            .env("API_PORT", "0")
            .env("WA_WEBSOCKET_URL", simulator.ws_url())
            .env("SEND_DELAY_MS", "0")
            .env("SEND_JITTER_MS", "0");
        let mut secrets = vec![];
        if engine == Engine::Mariadb {
            let server = order.mariadb_url.as_deref();
            let server = server.context("--engine mariadb needs --mariadb-url")?;
            let url = empty_database(server).await?;
            let key = SessionKey::random().to_hex();
            command.env("STATE_DATABASE_URL", &url).env("SESSION_KEY", &key);
            secrets = vec![("STATE_DATABASE_URL", url), ("SESSION_KEY", key)];
        }
        let secret = |name: &str| {
            secrets.iter().find(|(one, _)| *one == name).map(|(_, value)| value.clone())
        };
        let settings =
            options.check_with(&secret).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        link(simulator, &settings).await?;
        let mut process = Process::spawn(&mut command)?;
        let announced = process.says(ANNOUNCED).await?;
        let address = announced.split_whitespace().next().unwrap_or_default();
        let api = Client::at(&format!("http://{address}"), None)?;
        let kabari = Kabari { process, api, customers: (1..=order.recipients).collect() };
        kabari.until("/api/whatsapp/status", |status| status["connected"] == true).await?;
        Ok(kabari)
    }

    /// A campaign to all customers, until every message is reported as read.
    pub async fn write_to_everybody(&mut self) -> anyhow::Result<()> {
        let body = json!({ "message": text("{nama}"), "customer_ids": self.customers });
        let headers = [("prefer", "respond-async")];
        let (_, campaign) = self.api.post("/api/send/custom", &body, &headers).await?;
        let path = format!("/api/campaigns/{}", campaign["id"]);
        self.until(&path, |campaign| campaign["counts"]["read"] == self.customers.len()).await
    }

    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        while !wanted(&self.api.get(path).await?) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// The billing database.
async fn add_customers(directory: &Path, customers: u32) -> anyhow::Result<()> {
    let path = directory.join("billing.db");
    billing::create(&path).await?;
    let rows: Vec<String> = (1..=customers)
        .map(|id| format!("({id}, '{}', '{}', 'ODP-1')", name(id), phone(id)))
        .collect();
    let sql = format!("INSERT INTO customers (id, name, phone, odp) VALUES {}", rows.join(", "));
    let mut file = SqliteConnectOptions::new().filename(&path).connect().await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut file).await?;
    Ok(file.close().await?)
}

/// An empty database on this server, and its URL.
async fn empty_database(server: &str) -> anyhow::Result<String> {
    const NAME: &str = "kabari_bench";
    let mut connection = MySqlConnectOptions::from_str(server)?.connect().await?;
    let sql = format!("DROP DATABASE IF EXISTS {NAME}; CREATE DATABASE {NAME}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(format!("{}/{NAME}", server.trim_end_matches('/')))
}
