//! How long kabari's own reads and claims take beside a short history and a long one:
//! `cargo xtask bench history`.

use anyhow::{Context, ensure};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use futures_util::{StreamExt, TryStreamExt, stream};
use kabari::clock::Clock;
use kabari::store::state::{
    Affinity, CampaignKind, Claim, Creation, LinkReport, NewCampaign, NewDelivery, SessionKind,
    StateStore,
};
use kabari::store::{SessionLease, StateTarget};
use kabari::trace::Trail;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_domain::{DeliveryState, LinkState, MessageId, Phone, Timestamp};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Campaigns of the short history: a full page of the list, so that both lists are as long.
const CAMPAIGNS: usize = 50;
/// Recipients of each campaign of the history.
const RECIPIENTS: usize = 20;
/// Recipients of the campaign that is under way.
const UNDER_WAY: usize = 500;
/// How often everything is measured; the median counts.
const ROUNDS: usize = 21;
const PAGE: u32 = 50;
const BATCH: u32 = 10;
/// Longer than everything here takes.
const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const OWN: &str = "6281299990000";
const DATABASE: &str = "kabari_history";
const WHAT: [&str; 7] = [
    "list of campaigns",
    "one campaign",
    "its recipients",
    "its report",
    "claim of 10",
    "first page",
    "backlog",
];

/// Measures with a short history and a long one.
#[derive(Parser)]
struct Order {
    /// How many deliveries the long history has, at least.
    #[arg(long, default_value_t = 1_000_000)]
    deliveries: usize,
    /// A MariaDB account that may make databases; without it SQLite is measured.
    #[arg(long)]
    mariadb_url: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let order = Order::parse();
    let directory = TempDir::new()?;
    let place = match &order.mariadb_url {
        Some(url) => Place::Server(url.trim_end_matches('/').to_owned()),
        None => Place::File(directory.path().join("state.db")),
    };
    place.make().await?;
    let state = StateStore::open(place.target(), Clock::System).await?;
    for _ in 0..CAMPAIGNS {
        send(&state, RECIPIENTS).await?;
    }
    place.execute(ENDED).await?;
    let lease = hold(&state).await?;
    let mut campaigns = CAMPAIGNS;
    let short = measure(&state, &lease).await?;
    place.execute(&forget_after(campaigns)).await?;
    while campaigns * RECIPIENTS < order.deliveries {
        place.execute(&double(campaigns)).await?;
        campaigns *= 2;
    }
    let long = measure(&state, &lease).await?;
    place.end().await?;

    let of = |campaigns: usize| format!("{} deliveries", campaigns * RECIPIENTS);
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["ms".to_owned(), of(CAMPAIGNS), of(campaigns), "ratio".to_owned()]);
    for (what, (short, long)) in WHAT.into_iter().zip(short.into_iter().zip(long)) {
        let millis = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
        let ratio = format!("{:.2}", long.as_secs_f64() / short.as_secs_f64());
        table.add_row([what.to_owned(), millis(short), millis(long), ratio]);
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    let engine = order.mariadb_url.map_or("SQLite", |_| "MariaDB");
    println!(
        "\n\
         State on {engine}, in campaigns of {RECIPIENTS}, beside one of {UNDER_WAY} that is under way;\n\
         medians of {ROUNDS}.\n\n\
         {table}"
    );
    Ok(())
}

/// All that was sent is read, half a minute after the one before.
const ENDED: &str = "UPDATE deliveries SET state = 'read', sender = '6281299990000', \
     first_sent_at = due_at + id * 30000, accepted_at = due_at + id * 30000, \
     delivered_at = due_at + id * 30000, read_at = due_at + id * 30000; \
     UPDATE campaigns SET status = 'completed', finished_at = id * 600000";

/// Copies as many campaigns as there are.
fn double(campaigns: usize) -> String {
    let deliveries = campaigns * RECIPIENTS;
    format!(
        "INSERT INTO deliveries (id, campaign_id, position, customer_id, customer_name, phone_raw, \
         phone, text, message_id, state, sender, attempts, due_at, first_sent_at, accepted_at, \
         delivered_at, read_at) SELECT id + {deliveries}, campaign_id + {campaigns}, position, \
         customer_id, customer_name, phone_raw, phone, text, CONCAT('history-', id + {deliveries}), \
         state, sender, 1, due_at, first_sent_at, accepted_at, delivered_at, read_at \
         FROM deliveries; \
         INSERT INTO campaigns (id, kind, subject, template, status, fingerprint, request, total, \
         created_at, started_at, finished_at) SELECT id + {campaigns}, kind, subject, template, \
         status, fingerprint, request, total, created_at, started_at, finished_at FROM campaigns"
    )
}

fn forget_after(campaigns: usize) -> String {
    format!(
        "DELETE FROM deliveries WHERE campaign_id > {campaigns}; \
         DELETE FROM campaigns WHERE id > {campaigns}"
    )
}

/// Where the state is.
enum Place {
    File(PathBuf),
    /// A server, without a database.
    Server(String),
}

impl Place {
    async fn make(&self) -> anyhow::Result<()> {
        self.on_server(&format!("DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}"))
            .await
    }

    async fn end(&self) -> anyhow::Result<()> {
        self.on_server(&format!("DROP DATABASE {DATABASE}")).await
    }

    async fn on_server(&self, sql: &str) -> anyhow::Result<()> {
        let Place::Server(url) = self else { return Ok(()) };
        let mut connection = MySqlConnectOptions::from_str(url)?.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    fn target(&self) -> StateTarget {
        match self {
            Place::File(path) => StateTarget::Sqlite { path: path.clone() },
            Place::Server(url) => StateTarget::MySql { url: format!("{url}/{DATABASE}") },
        }
    }

    /// Runs statements behind the store's back.
    async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        match self {
            Place::Server(_) => self.on_server(&format!("USE {DATABASE}; {sql}")).await,
            Place::File(path) => {
                let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
                Ok(connection.close().await?)
            }
        }
    }
}

async fn send(state: &StateStore, recipients: usize) -> anyhow::Result<i64> {
    let campaign = NewCampaign {
        kind: CampaignKind::Notification,
        notice_id: None,
        subject: "Kabel FO putus".to_owned(),
        template: "Halo {nama}".to_owned(),
        parent_id: None,
        urgent: false,
        sessions: vec![],
        starts_at: None,
        spacing: Duration::ZERO,
        expires_at: None,
        fingerprint: "history".to_owned(),
        request: "{}".to_owned(),
        trail: Trail::default(),
    };
    let recipients = stream::iter(0..recipients).map(|n| Ok(recipient(n)));
    match state.create_campaign(campaign, recipients, None, None, false).await? {
        Creation::Created(id) => Ok(id),
        other => anyhow::bail!("not made: {other:?}"),
    }
}

fn recipient(n: usize) -> NewDelivery {
    NewDelivery {
        customer_id: Some(n as i64),
        customer_name: format!("Pelanggan {n}"),
        phone_raw: Some(format!("0811{n:07}")),
        phone: Some(Phone::from_stored(format!("62811{n:07}"))),
        text: None,
        message_id: MessageId::from_random(rand::random()),
        state: DeliveryState::Queued,
        error: None,
    }
}

/// Holds a session that is linked.
async fn hold(state: &StateStore) -> anyhow::Result<SessionLease> {
    let kind = SessionKind::Embedded;
    state.create_session(DEFAULT_SESSION, kind).await?;
    let lease = state.hold_session(DEFAULT_SESSION, kind, "node", LEASE).await?;
    let lease = lease.context("somebody else holds the session")?;
    let report = LinkReport {
        state: LinkState::Connected,
        phone: Some(Phone::from_stored(OWN)),
        qr: None,
        passkey: None,
        error: None,
    };
    state.report_link(&lease, &report).await?;
    Ok(lease)
}

/// Returns the medians, in the order of [`WHAT`].
async fn measure(state: &StateStore, lease: &SessionLease) -> anyhow::Result<Vec<Duration>> {
    let under_way = send(state, UNDER_WAY).await?;
    let mut times: [Vec<Duration>; WHAT.len()] = Default::default();
    for _ in 0..ROUNDS {
        for (times, took) in times.iter_mut().zip(round(state, lease, under_way).await?) {
            times.push(took);
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn round(
    state: &StateStore,
    lease: &SessionLease,
    campaign: i64,
) -> anyhow::Result<[Duration; WHAT.len()]> {
    let mut last = Instant::now();
    let mut took = || std::mem::replace(&mut last, Instant::now()).elapsed();
    let listed = state.campaigns(None, PAGE).await?;
    let ids: Vec<i64> = listed.iter().map(|campaign| campaign.id).collect();
    state.counts_of(&ids).await?;
    ensure!(ids.len() == PAGE as usize, "the list is not full");
    let list = took();
    state.campaign(campaign).await?.context("it was made")?;
    state.counts(campaign).await?;
    let one = took();
    state.deliveries(campaign, None, PAGE).await?;
    let recipients = took();
    let rows = state.report_rows(campaign).try_fold(0, async |rows, _| Ok(rows + 1)).await?;
    ensure!(rows == UNDER_WAY, "{rows} rows in the report");
    let report = took();
    let phone = Phone::from_stored(OWN);
    let claimed = state
        .claim(&Claim {
            owner: &lease.owner,
            session: &lease.name,
            phone: &phone,
            contacts_only: false,
            urgent_only: false,
            affinity: Affinity { wait: Duration::ZERO, urgent: Duration::ZERO },
            after: 0,
            per_campaign: BATCH,
            max: BATCH,
            lease: LEASE,
        })
        .await?;
    ensure!(claimed.len() == BATCH as usize, "claimed {}", claimed.len());
    let claim = took();
    state.release(&claimed).await?;
    let now = state.now().await?;
    took();
    state.open_campaigns(PAGE).await?;
    state.sent_since(Timestamp(now.0) - DAY).await?;
    let first_page = took();
    state.backlog(now).await?;
    Ok([list, one, recipients, report, claim, first_page, took()])
}
