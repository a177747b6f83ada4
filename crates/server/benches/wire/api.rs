//! How fast the list of customers is read, and what many connections leave in memory.

use crate::Engine;
use crate::kabari::{ANNOUNCED, add_customers, customer_rows, empty_database};
use crate::process::Process;
use crate::report::{engine_name, right_aligned, table};
use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use reqwest::Url;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::str::FromStr;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;

/// How many connections ask at once for the list.
const READERS: usize = 8;
/// Where no WhatsApp is, on this machine: it is not part of this.
const NOBODY: &str = "ws://127.0.0.1:9/ws/chat";
/// How many customers there are where connections are many.
const FEW: u32 = 100;
/// How many connections there are at the peak.
const CONNECTIONS: usize = 1_000;
/// How often each of them asks.
const REQUESTS_EACH: usize = 5;
/// How long memory may take to come back.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// What ends an answer that is written while it is read.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
const BUFFER: usize = 64 * 1024;

/// What to measure.
#[derive(clap::Args)]
pub struct Order {
    /// How many customers there are, one row of the table each.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 10_000])]
    customers: Vec<u32>,
    /// Where the customers are (may be repeated).
    #[arg(long, value_enum, default_values = ["sqlite", "mariadb"])]
    engine: Vec<Engine>,
    /// How long each rate is measured, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// A MariaDB account that may make databases.
    #[arg(long, env = "TEST_MARIADB_URL", hide_env_values = true)]
    mariadb_url: Option<String>,
}

/// Measures every number of customers on every engine, then the memory, and prints what came of it.
pub async fn measure(order: Order) -> anyhow::Result<()> {
    ensure!(order.seconds > 0 && !order.customers.contains(&0), "nothing to measure");
    let mut rates = table(["customers in", "customers", "answers/s", "MB/s", "CPU"]);
    let mut memory = table(["customers in", "MB before", "MB at the peak", "MB after"]);
    for &engine in &order.engine {
        for &customers in &order.customers {
            eprintln!("{customers} customers in {}", engine_name(engine));
            rates.add_row(rate(&order, engine, customers).await?);
        }
        eprintln!("{CONNECTIONS} connections, customers in {}", engine_name(engine));
        memory.add_row(resident(&order, engine).await?);
    }
    println!(
        "\n\
         GET /api/customers by {READERS} connections that stay open, for {} s. CPU is kabari's processor time\n\
         in ms per answer; the readers and MariaDB share the processors of this machine.\n",
        order.seconds,
    );
    println!("{}", right_aligned(rates, 1));
    println!(
        "\n\
         Resident memory of kabari that is linked to no number: {settled} s after its start, the most it\n\
         ever had while {CONNECTIONS} connections asked {REQUESTS_EACH} times each for {FEW} customers, and {settled} s after\n\
         the last of them had gone.\n",
        settled = SETTLED_AFTER.as_secs(),
    );
    println!("{}", right_aligned(memory, 1));
    Ok(())
}

async fn rate(order: &Order, engine: Engine, customers: u32) -> anyhow::Result<[String; 5]> {
    let kabari = Unlinked::start(order, engine, customers).await?;
    // What is done once, such as to connect to the database, is not part of the rate.
    load(&kabari.address, READERS, Until::Answers(1)).await?;
    let before = kabari.process.cpu()?;
    let (answers, bytes) = load(&kabari.address, READERS, Until::Seconds(order.seconds)).await?;
    let cpu = kabari.process.cpu()? - before;
    kabari.process.stop().await?;
    let seconds = order.seconds as f64;
    Ok([
        engine_name(engine).to_owned(),
        customers.to_string(),
        format!("{:.0}", answers as f64 / seconds),
        format!("{:.1}", bytes as f64 / seconds / 1e6),
        format!("{:.2}", cpu.as_secs_f64() * 1000.0 / answers as f64),
    ])
}

async fn resident(order: &Order, engine: Engine) -> anyhow::Result<[String; 4]> {
    let kabari = Unlinked::start(order, engine, FEW).await?;
    sleep(SETTLED_AFTER).await;
    let before = kabari.process.resident_mb()?;
    load(&kabari.address, CONNECTIONS, Until::Answers(REQUESTS_EACH)).await?;
    let peak = kabari.process.peak_mb()?;
    sleep(SETTLED_AFTER).await;
    let after = kabari.process.resident_mb()?;
    kabari.process.stop().await?;
    let [before, peak, after] = [before, peak, after].map(|mb| format!("{mb:.0}"));
    Ok([engine_name(engine).to_owned(), before, peak, after])
}

/// kabari that is linked to no number.
struct Unlinked {
    process: Process,
    address: String,
    _directory: TempDir,
}

impl Unlinked {
    async fn start(order: &Order, engine: Engine, customers: u32) -> anyhow::Result<Unlinked> {
        let directory = TempDir::new()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_kabari"));
        command
            .arg("serve")
            .env_clear()
            .current_dir(&directory)
            .env("DATA_DIR", directory.path())
            .env("API_PORT", "0")
            .env("WA_WEBSOCKET_URL", NOBODY);
        match engine {
            Engine::Sqlite => add_customers(directory.path(), customers).await?,
            Engine::Mariadb => {
                let server = order.mariadb_url.as_deref();
                let server = server.context("--engine mariadb needs --mariadb-url")?;
                command.envs(billing_server(server, customers).await?);
            }
        }
        let mut process = Process::spawn(&mut command)?;
        let announced = process.says(ANNOUNCED).await?;
        let address = announced.split_whitespace().next().unwrap_or_default().to_owned();
        Ok(Unlinked { process, address, _directory: directory })
    }
}

/// Makes a billing database with these customers. Returns the settings that name it.
async fn billing_server(
    server: &str,
    customers: u32,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let url = empty_database(server, "kabari_bench_billing").await?;
    let mut connection = MySqlConnectOptions::from_str(&url)?.connect().await?;
    let table = "CREATE TABLE customers (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
                 name VARCHAR(255) NOT NULL, odp VARCHAR(255), phone VARCHAR(255) NOT NULL, \
                 is_active TINYINT(1) NOT NULL DEFAULT 1) \
                 DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_unicode_ci";
    sqlx::raw_sql(table).execute(&mut connection).await?;
    sqlx::raw_sql(AssertSqlSafe(customer_rows(customers))).execute(&mut connection).await?;
    connection.close().await?;
    let url = Url::parse(&url)?;
    Ok(vec![
        ("DB_HOST", url.host_str().unwrap_or_default().to_owned()),
        ("DB_PORT", url.port().unwrap_or(3306).to_string()),
        ("DB_USERNAME", url.username().to_owned()),
        ("DB_PASSWORD", url.password().unwrap_or_default().to_owned()),
        ("DB_DATABASE", url.path().trim_start_matches('/').to_owned()),
    ])
}

/// When connections stop asking.
#[derive(Clone, Copy)]
enum Until {
    /// This time is over.
    Seconds(u64),
    /// Each connection has had this many answers.
    Answers(usize),
}

/// Asks on this many connections at once. Returns how many answers there were, and their bytes.
async fn load(address: &str, connections: usize, until: Until) -> anyhow::Result<(usize, usize)> {
    let readers = (0..connections).map(|_| async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (began, mut answers, mut bytes) = (Instant::now(), 0, 0);
        loop {
            let goes_on = match until {
                Until::Seconds(seconds) => began.elapsed() < Duration::from_secs(seconds),
                Until::Answers(wanted) => answers < wanted,
            };
            if !goes_on {
                return anyhow::Ok((answers, bytes));
            }
            bytes += ask(&mut stream).await?;
            answers += 1;
        }
    });
    let all = try_join_all(readers).await?;
    Ok(all.into_iter().fold((0, 0), |(a, b), (answers, bytes)| (a + answers, b + bytes)))
}

/// Asks for all customers. Returns how many bytes the answer had.
async fn ask(stream: &mut TcpStream) -> anyhow::Result<usize> {
    stream.write_all(b"GET /api/customers HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let (mut buffer, mut bytes) = (Vec::with_capacity(BUFFER), 0);
    loop {
        // What may be the start of the end stays.
        let rest = buffer.len().saturating_sub(LAST_CHUNK.len());
        buffer.drain(..rest);
        let read = stream.read_buf(&mut buffer).await?;
        ensure!(read > 0, "the connection ended in an answer");
        if bytes == 0 {
            ensure!(buffer.starts_with(b"HTTP/1.1 200"), "the list is refused");
        }
        bytes += read;
        if buffer.ends_with(LAST_CHUNK) {
            return Ok(bytes);
        }
    }
}
