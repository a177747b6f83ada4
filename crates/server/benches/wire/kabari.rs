//! kabari, as the program it is: `kabari serve`, on a state of its own or one that several share.

use crate::Engine;
use crate::process::Process;
use crate::recipients::{name, phone, text};
use crate::simulator::{Simulator, scan};
use anyhow::Context;
use kabari::cli::client::ApiClient;
use kabari::session_key::SessionKey;
use kabari::store::billing;
use kabari_domain::session::DEFAULT_SESSION;
use serde_json::{Value, json};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// How often to ask for what is waited for: rarely enough to cost nothing beside the messages.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a session may take until it shows a QR.
const QR_PATIENCE: Duration = Duration::from_secs(60);
/// What the log says in front of the API's address.
pub const ANNOUNCED: &str = "API on http://";
/// What the log says when a session is connected.
const CONNECTED: &str = "WhatsApp: connected";

/// One kabari, of one process or several.
pub struct Installation {
    websocket_url: String,
    directory: TempDir,
    /// How many customers there are.
    customers: u32,
    /// What the nodes are set to beside what each needs.
    settings: Vec<(&'static str, String)>,
}

impl Installation {
    /// An empty one that talks to this simulator.
    pub async fn new(
        simulator: &Simulator,
        engine: Engine,
        mariadb_url: Option<&str>,
        customers: u32,
    ) -> anyhow::Result<Installation> {
        let settings = match engine {
            Engine::Sqlite => vec![],
            Engine::Mariadb => {
                let server = mariadb_url.context("--engine mariadb needs --mariadb-url")?;
                let url = empty_database(server, "kabari_bench").await?;
                let key = SessionKey::random().to_hex();
                vec![("STATE_DATABASE_URL", url), ("SESSION_KEY", key)]
            }
        };
        let websocket_url = simulator.ws_url();
        Ok(Installation { websocket_url, directory: TempDir::new()?, customers, settings })
    }

    /// Sets something for the processes that are started from now on.
    pub fn set(&mut self, name: &'static str, value: String) {
        self.settings.push((name, value));
    }

    /// How much room its state takes, in MB; on SQLite, that of this process.
    pub async fn state_mb(&self, node: &str) -> anyhow::Result<f64> {
        const BYTES: &str = "SELECT CAST(SUM(data_length + index_length) AS SIGNED) \
             FROM information_schema.tables WHERE table_schema = DATABASE()";
        let server = self.settings.iter().find(|(name, _)| *name == "STATE_DATABASE_URL");
        let bytes = match server {
            Some((_, url)) => {
                let mut connection = MySqlConnectOptions::from_str(url)?.connect().await?;
                sqlx::query_scalar::<_, i64>(BYTES).fetch_one(&mut connection).await? as u64
            }
            None => {
                let file = |name| std::fs::metadata(self.directory.path().join(node).join(name));
                ["state.db", "state.db-wal"].map(file).into_iter().flatten().map(|f| f.len()).sum()
            }
        };
        Ok(bytes as f64 / 1e6)
    }

    /// Starts one of its processes, with a data directory of this name.
    pub async fn start(&self, node: &str, delay: Duration) -> anyhow::Result<Kabari> {
        let directory = self.directory.path().join(node);
        if !directory.exists() {
            std::fs::create_dir(&directory)?;
            add_customers(&directory, self.customers).await?;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_kabari"));
        command
            .arg("serve")
            // Whatever is set for a kabari of this machine's own.
            .env_clear()
            .current_dir(&directory)
            .env("DATA_DIR", &directory)
            .env("API_PORT", "0")
            .env("WA_WEBSOCKET_URL", &self.websocket_url)
            .env("SEND_DELAY_MS", delay.as_millis().to_string())
            .env("SEND_JITTER_MS", "0")
            .envs(self.settings.iter().cloned());
        let mut process = Process::spawn(&mut command)?;
        let announced = process.says(ANNOUNCED).await?;
        let address = announced.split_whitespace().next().unwrap_or_default();
        let base = format!("http://{address}");
        Ok(Kabari { process, api: ApiClient::at(&base, None)?, base })
    }
}

/// One running process.
pub struct Kabari {
    pub process: Process,
    api: ApiClient,
    base: String,
}

impl Kabari {
    /// Links a session of this name to the phone of this number; makes it if it must be.
    pub async fn link(
        &self,
        simulator: &Simulator,
        session: &str,
        number: &str,
    ) -> anyhow::Result<()> {
        const SESSIONS: &str = "/api/whatsapp/sessions";
        if session != DEFAULT_SESSION {
            self.api.post(SESSIONS, &json!({ "name": session }), &[]).await?;
        }
        let path = format!("{SESSIONS}/{session}/qr");
        let shown = timeout(QR_PATIENCE, self.until(&path, |qr| qr["text"].is_string()))
            .await
            .with_context(|| format!("the session {session} shows no QR"))??;
        scan(simulator.address(), shown["text"].as_str().unwrap_or_default(), number).await
    }

    /// Returns when this many sessions have been connected.
    pub async fn are_connected(&mut self, sessions: u32) -> anyhow::Result<()> {
        for _ in 0..sessions {
            self.process.says(CONNECTED).await?;
        }
        Ok(())
    }

    /// Begins a campaign to these customers from these sessions, or from all if none is named.
    /// Returns its number.
    pub async fn write_to(&self, customers: Range<u32>, from: &[&str]) -> anyhow::Result<i64> {
        let customers: Vec<u32> = customers.collect();
        let body =
            json!({ "message": text("{nama}"), "customer_ids": customers, "sessions": from });
        let headers = [("prefer", "respond-async")];
        let (_, campaign) = self.api.post("/api/send/custom", &body, &headers).await?;
        campaign["id"].as_i64().context("a campaign has a number")
    }

    /// Returns when every message of this campaign is reported as read.
    pub async fn is_read(&self, campaign: i64) -> anyhow::Result<()> {
        let path = format!("/api/campaigns/{campaign}");
        self.until(&path, |campaign| {
            let counts = campaign["counts"].as_object();
            counts.is_some_and(|counts| counts.iter().all(|(s, n)| s == "read" || n == 0))
        })
        .await?;
        Ok(())
    }

    /// Returns what it has counted and timed so far, in Prometheus's text format.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let url = format!("{}/metrics", self.base);
        let http = kabari_gateway::http::client(&url).build()?;
        Ok(http.get(url).send().await?.error_for_status()?.text().await?)
    }

    /// Sends nothing more of this campaign.
    pub async fn cancel(&self, campaign: i64) -> anyhow::Result<()> {
        let path = format!("/api/campaigns/{campaign}/cancel");
        self.api.post(&path, &json!({}), &[]).await?;
        Ok(())
    }

    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        loop {
            let answer = self.api.get(path).await?;
            if wanted(&answer) {
                return Ok(answer);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The billing database.
pub async fn add_customers(directory: &Path, customers: u32) -> anyhow::Result<()> {
    let path = directory.join("billing.db");
    billing::create(&path).await?;
    let mut file = SqliteConnectOptions::new().filename(&path).connect().await?;
    sqlx::raw_sql(AssertSqlSafe(customer_rows(customers))).execute(&mut file).await?;
    Ok(file.close().await?)
}

/// The statement that adds this many customers.
pub fn customer_rows(customers: u32) -> String {
    let rows: Vec<String> = (1..=customers)
        .map(|id| format!("({id}, '{}', '{}', 'ODP-1')", name(id), phone(id)))
        .collect();
    format!("INSERT INTO customers (id, name, phone, odp) VALUES {}", rows.join(", "))
}

/// An empty database of this name on this server, and its URL.
pub async fn empty_database(server: &str, name: &str) -> anyhow::Result<String> {
    let mut connection = MySqlConnectOptions::from_str(server)?.connect().await?;
    let sql = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(format!("{}/{name}", server.trim_end_matches('/')))
}
