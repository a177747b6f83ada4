//! Settings: each is a flag and an environment variable of the same meaning, secrets excepted
//! (see [`secrets`](crate::secrets)).
//!
//! clap reads them as text; [`Options::check`] turns them into [`Settings`] and reports every
//! fault at once, so that nobody mends one only to meet the next.

mod check;

use crate::access::peer::TrustedProxies;
use crate::logging::LogFormat;
use crate::origins::Origins;
use crate::session_key::SessionKey;
use crate::store::state::Affinity;
use crate::timeouts::Timeouts;
use clap::Args;
use kabari_domain::Quotas;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the API is, for those who serve it and those who call it.
#[derive(Debug, Clone, Args)]
pub struct ApiAddress {
    /// Address the API listens on. Anything but loopback needs API_KEY.
    #[arg(long, env = "API_HOST", default_value = "127.0.0.1", help_heading = "API")]
    pub api_host: String,
    /// Port the API listens on; 0 takes any free one.
    #[arg(long, env = "API_PORT", default_value = "8001", help_heading = "API")]
    pub api_port: String,
}

/// Where kabari's own database is, for those who serve from it and those who look after it.
#[derive(Debug, Clone, Args)]
pub struct StateAddress {
    /// Directory for the WhatsApp session and, without databases of your own, kabari's.
    #[arg(long, env = "DATA_DIR", default_value = "data", help_heading = "Data")]
    pub data_dir: PathBuf,
}

/// The settings as they were typed.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where the API listens.
    #[command(flatten)]
    pub api: ApiAddress,
    /// Origins whose web pages may call the API, separated by commas. Without it: those on this
    /// machine.
    #[arg(long, env = "CORS_ORIGINS", default_value = "", help_heading = "API")]
    pub cors_origins: String,
    /// Addresses of reverse proxies, separated by commas, whose X-Forwarded-For and
    /// X-Forwarded-Proto count. Without it: those on this machine.
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", help_heading = "API")]
    pub trusted_proxies: String,

    /// Where kabari's own database is.
    #[command(flatten)]
    pub state: StateAddress,
    /// Host of the billing database (MySQL or MariaDB). Without it: SQLite below DATA_DIR.
    #[arg(long, env = "DB_HOST", help_heading = "Data")]
    pub db_host: Option<String>,
    /// Fill the embedded billing database with sample customers and notices: 0 or 1.
    #[arg(long, env = "SAMPLE_DATA", default_value = "0", help_heading = "Data")]
    pub sample_data: String,
    /// Port of the billing database.
    #[arg(long, env = "DB_PORT", default_value = "3306", help_heading = "Data")]
    pub db_port: String,
    /// Name of the billing database.
    #[arg(long, env = "DB_DATABASE", default_value = "pembayaran", help_heading = "Data")]
    pub db_database: String,
    /// User of the billing database; may be allowed to SELECT only.
    #[arg(long, env = "DB_USERNAME", default_value = "root", help_heading = "Data")]
    pub db_username: String,

    /// Address of a WhatsApp gateway with the :3001 contract. Without it: the embedded client.
    #[arg(long, env = "WA_GATEWAY_URL", help_heading = "WhatsApp")]
    pub wa_gateway_url: Option<String>,
    /// Port of `kabari gateway`.
    #[arg(long, env = "WA_GATEWAY_PORT", default_value = "3001", help_heading = "WhatsApp")]
    pub wa_gateway_port: String,
    /// WhatsApp's WebSocket, if not the real one.
    #[arg(long, env = "WA_WEBSOCKET_URL", help_heading = "WhatsApp")]
    pub wa_websocket_url: Option<String>,

    /// Shortest time between two messages of one number, in milliseconds.
    #[arg(long, env = "SEND_DELAY_MS", default_value = "2000", help_heading = "Sending")]
    pub send_delay_ms: String,
    /// Up to this much is added to the delay at random, in milliseconds.
    #[arg(long, env = "SEND_JITTER_MS", default_value = "1000", help_heading = "Sending")]
    pub send_jitter_ms: String,
    /// Page where customers can follow an outage; its address goes into every notice.
    #[arg(long, env = "STATUS_PAGE_URL", help_heading = "Sending")]
    pub status_page_url: Option<String>,
    /// When nothing is sent, local time, as 22:00-05:00. `urgent` sends go out all the same.
    #[arg(long, env = "QUIET_HOURS", help_heading = "Sending")]
    pub quiet_hours: Option<String>,
    /// Time zone of QUIET_HOURS and of the day that DAILY_CAP counts.
    #[arg(long, env = "TIMEZONE", default_value = "Asia/Jakarta", help_heading = "Sending")]
    pub timezone: String,
    /// Most messages one number sends in a day; 0 means no limit.
    #[arg(long, env = "DAILY_CAP", default_value = "0", help_heading = "Sending")]
    pub daily_cap: String,
    /// Let a newly linked number begin with few messages a day: 0 (off) or 1.
    #[arg(long, env = "WARM_UP", default_value = "0", help_heading = "Sending")]
    pub warm_up: String,
    /// Delete texts, names and numbers of campaigns that ended this many days ago, and keep their
    /// counts; 0 means never.
    #[arg(long, env = "RETENTION_DAYS", default_value = "400", help_heading = "Data")]
    pub retention_days: String,
    /// Refuse the same send to the same audience within this many seconds; 0 means never.
    #[arg(long, env = "DUPLICATE_GUARD_SECONDS", default_value = "0", help_heading = "Sending")]
    pub duplicate_guard_seconds: String,

    /// How long a number may be away before others write to its contacts, in seconds.
    #[arg(long, env = "AFFINITY_WAIT", default_value = "600", help_heading = "Sending")]
    pub affinity_wait: String,
    /// The same for urgent sends, in seconds.
    #[arg(long, env = "AFFINITY_WAIT_URGENT", default_value = "60", help_heading = "Sending")]
    pub affinity_wait_urgent: String,
    /// Session that WA_GATEWAY_URL leads to, or that `kabari gateway` serves.
    #[arg(long, env = "WA_SESSION", default_value = "default", help_heading = "WhatsApp")]
    pub wa_session: String,

    /// What the phone lists under its linked devices: "Google Chrome" and, in brackets, this name.
    #[arg(long, env = "WA_DEVICE_NAME", default_value = "Windows", help_heading = "WhatsApp")]
    pub wa_device_name: String,

    /// How log lines look.
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_enum,
        default_value = "human",
        help_heading = "Monitoring"
    )]
    pub log_format: LogFormat,
    /// Address at which `kabari worker` and `kabari gateway` answer /livez, /readyz and /metrics, as
    /// 127.0.0.1:9100. Anything but loopback needs API_KEY. `kabari serve` has them in its API.
    #[arg(long, env = "METRICS_ADDRESS", help_heading = "Monitoring")]
    pub metrics_address: Option<String>,
    /// OpenTelemetry collector that spans are sent to (OTLP over HTTP), as http://127.0.0.1:4318.
    /// Without it: nowhere.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", help_heading = "Monitoring")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// The same with the path at the end, for spans alone.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", help_heading = "Monitoring")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,

    /// Only tests change these.
    #[command(flatten)]
    pub timeouts: Timeouts,
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where `kabari gateway` listens.
    pub gateway_port: u16,
    /// What callers must show.
    pub api_key: Option<String>,
    /// What programs must show that speak another gateway's dialect.
    pub compat_key: Option<String>,
    /// Whose web pages may call the API.
    pub origins: Origins,
    /// The reverse proxies that are believed where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// Directory of the session and the embedded databases.
    pub data_dir: PathBuf,
    /// The ISP's own database.
    pub billing: BillingDatabase,
    /// kabari's database; `None` is SQLite below `data_dir`.
    pub state_database_url: Option<String>,
    /// What WhatsApp sessions are stored with; `None` is the key file in `data_dir`.
    pub session_key: Option<SessionKey>,
    /// A gateway to use instead of the embedded client.
    pub gateway_url: Option<String>,
    /// The key to show there.
    pub gateway_key: Option<String>,
    /// WhatsApp's WebSocket, if not the real one.
    pub websocket_url: Option<String>,
    /// What the phone lists under its linked devices.
    pub device_name: String,
    /// How fast messages go out.
    pub pace: Pace,
    /// Goes into every notice.
    pub status_page_url: Option<String>,
    /// Limits on every number.
    pub quotas: Quotas,
    /// How long a number may be away before others write to its contacts.
    pub affinity: Affinity,
    /// The session that a remote gateway leads to, or that `kabari gateway` serves.
    pub session: String,
    /// How long the same send is refused.
    pub duplicate_guard: Duration,
    /// How long campaigns that have ended keep texts, names and numbers; `None` is for ever.
    pub retention: Option<Duration>,
    /// Where a worker and a gateway answer monitoring; `None` is nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// Where spans are sent to; `None` is nowhere.
    pub trace_collector: Option<String>,
    /// How long to wait for what may never come.
    pub timeouts: Timeouts,
}

/// Where the ISP's customers and notices are.
#[derive(Debug, Clone)]
pub enum BillingDatabase {
    /// MySQL or MariaDB.
    MySql {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// Database name.
        database: String,
        /// User; SELECT is enough.
        username: String,
        /// Its password.
        password: String,
    },
    /// SQLite, below the data directory; made if it is not there.
    Embedded {
        /// With sample customers and notices.
        sample: bool,
    },
}

/// The pace of one number across all campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Shortest time between two messages.
    pub delay: Duration,
    /// Up to this much more, at random.
    pub jitter: Duration,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct SettingError {
    /// The variable's name.
    pub name: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}
