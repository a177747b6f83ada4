//! The settings' values, checked: every fault is found at once.

use super::{ApiAddress, BillingDatabase, Options, Pace, SettingError, Settings, StateAddress};
use crate::origins::{NoOrigin, Origins};
use crate::secrets::{self, Environment};
use crate::session_key::SessionKey;
use crate::store::StateTarget;
use crate::store::state::Affinity;
use chrono_tz::Tz;
use kabari_domain::Quotas;
use kabari_domain::session::is_session_name;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// A longer pause than this between two messages is a typing error.
const MAX_DELAY: Duration = Duration::from_secs(3600);
/// What RETENTION_DAYS counts.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A phone's list has room for no longer name of a device.
const MAX_DEVICE_NAME: usize = 50;
/// Where a collector takes spans (OTLP over HTTP).
const TRACES_PATH: &str = "/v1/traces";
/// A key shorter than this can be guessed.
const MIN_API_KEY_LENGTH: usize = 16;

impl ApiAddress {
    /// Returns the address to call and the key to show there, or everything that is wrong.
    pub fn check(self) -> Result<(SocketAddr, Option<String>), Vec<SettingError>> {
        let mut faults = SettingErrors::default();
        let address = self.read(&mut faults);
        let api_key = faults.secret("API_KEY", &secrets::of_process);
        match address {
            Some(address) if faults.0.is_empty() => Ok((address, api_key)),
            _ => Err(faults.0),
        }
    }

    fn read(&self, faults: &mut SettingErrors) -> Option<SocketAddr> {
        let host = match self.api_host.as_str() {
            "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
            host => faults.parse("API_HOST", host, "an IP address such as 127.0.0.1 or 0.0.0.0"),
        };
        let port = faults.parse("API_PORT", &self.api_port, "a port number");
        Some(SocketAddr::new(host?, port?))
    }
}

impl StateAddress {
    /// Returns the state database, or everything that is wrong.
    pub fn check(self) -> Result<StateTarget, Vec<SettingError>> {
        let mut faults = SettingErrors::default();
        let url = faults.state_database_url(&secrets::of_process);
        match faults.0.is_empty() {
            true => Ok(StateTarget::of(url.as_deref(), &self.data_dir)),
            false => Err(faults.0),
        }
    }
}

impl Options {
    /// Checks everything, and reports everything that is wrong.
    pub fn check(self) -> Result<Settings, Vec<SettingError>> {
        self.check_with(&secrets::of_process)
    }

    /// Does the same as [`check`](Options::check), with secrets from elsewhere than this process's
    /// environment.
    pub fn check_with(self, environment: Environment) -> Result<Settings, Vec<SettingError>> {
        let mut faults = SettingErrors::default();
        let api = self.api.read(&mut faults);
        let origins = faults.origins("CORS_ORIGINS", &self.cors_origins);
        let trusted_proxies = faults.parse(
            "TRUSTED_PROXIES",
            &self.trusted_proxies,
            "IP addresses such as 10.0.0.2, separated by commas",
        );
        let gateway_port = faults.parse("WA_GATEWAY_PORT", &self.wa_gateway_port, "a port number");
        let db_port = faults.parse("DB_PORT", &self.db_port, "a port number");
        let delay = faults.millis("SEND_DELAY_MS", &self.send_delay_ms);
        let jitter = faults.millis("SEND_JITTER_MS", &self.send_jitter_ms);
        let daily_cap =
            faults.parse("DAILY_CAP", &self.daily_cap, "a number of messages, or 0 for no limit");
        let sample_data = faults.switch("SAMPLE_DATA", &self.sample_data);
        let warm_up = faults.switch("WARM_UP", &self.warm_up);
        let duplicate_guard = faults.parse(
            "DUPLICATE_GUARD_SECONDS",
            &self.duplicate_guard_seconds,
            "a number of seconds, or 0 for never",
        );
        let retention_days: Option<u32> = faults.parse(
            "RETENTION_DAYS",
            &self.retention_days,
            "a number of days, or 0 for never",
        );
        let affinity_wait =
            faults.parse("AFFINITY_WAIT", &self.affinity_wait, "a number of seconds");
        let affinity_wait_urgent =
            faults.parse("AFFINITY_WAIT_URGENT", &self.affinity_wait_urgent, "a number of seconds");
        if !is_session_name(&self.wa_session) {
            faults.add("WA_SESSION", "should be lower case letters, digits, - and _".into());
        }
        let is_plain = |name: &str| !name.trim().is_empty() && !name.contains(char::is_control);
        if !is_plain(&self.wa_device_name) || self.wa_device_name.chars().count() > MAX_DEVICE_NAME
        {
            faults.add(
                "WA_DEVICE_NAME",
                format!("should be the name of a system, such as Windows, of at most {MAX_DEVICE_NAME} characters"),
            );
        }
        let timezone = faults.parse::<Tz>(
            "TIMEZONE",
            &self.timezone,
            "a time zone; Indonesia has Asia/Jakarta, Asia/Makassar and Asia/Jayapura",
        );
        let quiet_hours = non_empty(self.quiet_hours).and_then(|hours| {
            faults.parse("QUIET_HOURS", &hours, "two times of day such as 22:00-05:00")
        });
        let api_key = faults.secret("API_KEY", environment);
        if api_key.as_ref().is_some_and(|key| key.len() < MIN_API_KEY_LENGTH) {
            faults.add("API_KEY", format!("needs at least {MIN_API_KEY_LENGTH} characters; make one with: openssl rand -hex 16"));
        }
        if api_key.is_none() && api.is_some_and(|api| !api.ip().is_loopback()) {
            faults.add("API_HOST", format!("{} can be reached from other machines: set API_KEY first (openssl rand -hex 16), or listen on 127.0.0.1", self.api.api_host));
        }
        let compat_key = faults.secret("COMPAT_KEY", environment);
        if compat_key.as_ref().is_some_and(|key| key.len() < MIN_API_KEY_LENGTH) {
            faults.add("COMPAT_KEY", format!("needs at least {MIN_API_KEY_LENGTH} characters; make one with: openssl rand -hex 16"));
        }
        if compat_key.is_some() && compat_key == api_key {
            faults.add("COMPAT_KEY", "is the same as API_KEY: it shows up in other programs' logs, so make another with: openssl rand -hex 16".into());
        }
        let web = ["http://", "https://"];
        let gateway_url = faults.url("WA_GATEWAY_URL", self.wa_gateway_url, &web);
        let status_page_url = faults.url("STATUS_PAGE_URL", self.status_page_url, &web);
        let websocket_url =
            faults.url("WA_WEBSOCKET_URL", self.wa_websocket_url, &["ws://", "wss://"]);
        let metrics_address = non_empty(self.metrics_address).and_then(|address| {
            let expected = "an IP address with a port, such as 127.0.0.1:9100";
            faults.parse::<SocketAddr>("METRICS_ADDRESS", &address, expected)
        });
        if api_key.is_none() && metrics_address.is_some_and(|at| !at.ip().is_loopback()) {
            faults.add("METRICS_ADDRESS", "can be reached from other machines: set API_KEY first (openssl rand -hex 16), or take 127.0.0.1".into());
        }
        let collector =
            faults.url("OTEL_EXPORTER_OTLP_ENDPOINT", self.otel_exporter_otlp_endpoint, &web);
        let trace_collector = faults.url(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            self.otel_exporter_otlp_traces_endpoint,
            &web,
        );
        let trace_collector = trace_collector
            .or(collector.map(|base| format!("{}{TRACES_PATH}", base.trim_end_matches('/'))));
        let gateway_key = faults.secret("WA_GATEWAY_KEY", environment);
        let db_password = faults.secret("DB_PASSWORD", environment);
        let state_database_url = faults.state_database_url(environment);
        let session_key =
            faults.secret("SESSION_KEY", environment).and_then(|key| faults.session_key(&key));
        if state_database_url.is_some() && session_key.is_none() {
            faults.add("SESSION_KEY", "WhatsApp sessions in STATE_DATABASE_URL need a key, the same on every node: make one with `openssl rand -hex 32`, set it in the environment or .env, and keep a copy".into());
        }
        let billing = match non_empty(self.db_host) {
            None => BillingDatabase::Embedded { sample: sample_data.unwrap_or_default() },
            Some(host) => BillingDatabase::MySql {
                host,
                port: db_port.unwrap_or_default(),
                database: self.db_database,
                username: self.db_username,
                password: db_password.unwrap_or_default(),
            },
        };

        let settings = || {
            Some(Settings {
                api: api?,
                gateway_port: gateway_port?,
                api_key,
                compat_key,
                origins: origins?,
                trusted_proxies: trusted_proxies?,
                data_dir: self.state.data_dir,
                billing,
                state_database_url,
                session_key,
                gateway_url: gateway_url.map(|url| url.trim_end_matches('/').to_owned()),
                gateway_key,
                websocket_url,
                device_name: self.wa_device_name,
                pace: Pace { delay: delay?, jitter: jitter? },
                status_page_url,
                quotas: Quotas {
                    quiet_hours,
                    timezone: timezone?,
                    daily_cap: Some(daily_cap?).filter(|cap| *cap > 0),
                    warm_up: warm_up?,
                },
                affinity: Affinity {
                    wait: Duration::from_secs(affinity_wait?),
                    urgent: Duration::from_secs(affinity_wait_urgent?),
                },
                session: self.wa_session,
                duplicate_guard: Duration::from_secs(duplicate_guard?),
                retention: Some(retention_days?).filter(|days| *days > 0).map(|days| DAY * days),
                metrics_address,
                trace_collector,
                timeouts: self.timeouts,
            })
        };
        match settings() {
            Some(settings) if faults.0.is_empty() => Ok(settings),
            _ => Err(faults.0),
        }
    }
}

/// Returns the value unless it is empty: `.env` files are full of empty variables.
fn non_empty(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.trim().is_empty())
}

#[derive(Default)]
struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    fn add(&mut self, name: &'static str, problem: String) {
        self.0.push(SettingError { name, problem });
    }

    fn parse<T: FromStr>(&mut self, name: &'static str, text: &str, expected: &str) -> Option<T> {
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.add(name, format!("{text:?} should be {expected}"));
        }
        value
    }

    fn millis(&mut self, name: &'static str, text: &str) -> Option<Duration> {
        let millis = self.parse(name, text, "a number of milliseconds")?;
        let duration = Duration::from_millis(millis);
        if duration > MAX_DELAY {
            self.add(name, format!("{text} milliseconds is over an hour between two messages"));
        }
        Some(duration)
    }

    fn secret(&mut self, name: &'static str, environment: Environment) -> Option<String> {
        let secret = secrets::read(name, environment);
        secret.unwrap_or_else(|problem| {
            self.add(name, problem);
            None
        })
    }

    fn state_database_url(&mut self, environment: Environment) -> Option<String> {
        let url = self.secret("STATE_DATABASE_URL", environment);
        self.url("STATE_DATABASE_URL", url, &["mysql://", "mariadb://"])
    }

    fn origins(&mut self, name: &'static str, text: &str) -> Option<Origins> {
        let origins = text.parse();
        if let Err(NoOrigin(entry)) = &origins {
            self.add(name, format!("{entry:?} should be the origin of a web page, such as https://billing.example.net or http://192.168.1.10:8080, without a path"));
        }
        origins.ok()
    }

    /// Reads a session key; a faulty one is not repeated.
    fn session_key(&mut self, text: &str) -> Option<SessionKey> {
        text.parse()
            .inspect_err(|_| {
                let expected = "needs 64 hexadecimal digits: make one with `openssl rand -hex 32`";
                self.add("SESSION_KEY", expected.into());
            })
            .ok()
    }

    fn switch(&mut self, name: &'static str, text: &str) -> Option<bool> {
        match text.trim() {
            "1" | "true" | "on" => Some(true),
            "" | "0" | "false" | "off" => Some(false),
            other => {
                self.add(name, format!("{other:?} should be 1 or 0"));
                None
            }
        }
    }

    fn url(
        &mut self,
        name: &'static str,
        text: Option<String>,
        schemes: &[&str],
    ) -> Option<String> {
        let text = non_empty(text)?;
        if !schemes.iter().any(|scheme| text.starts_with(scheme) && text.len() > scheme.len()) {
            // The address itself may hold a password: it is not repeated.
            self.add(name, format!("should begin with {}", schemes.join(" or ")));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn check(args: &[&str]) -> Result<Settings, Vec<SettingError>> {
        check_with(args, &[])
    }

    fn check_with(args: &[&str], secrets: &[(&str, &str)]) -> Result<Settings, Vec<SettingError>> {
        let args = ["kabari"].iter().chain(args);
        let variable = |name: &str| {
            secrets.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        };
        Cli::try_parse_from(args).unwrap().options.check_with(&variable)
    }

    #[test]
    fn the_defaults_are_right() {
        let settings = check(&[]).unwrap();
        assert_eq!(settings.api.to_string(), "127.0.0.1:8001");
        assert_eq!(settings.pace.delay, Duration::from_secs(2));
        assert!(matches!(settings.billing, BillingDatabase::Embedded { sample: false }));
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let args = [
            "--api-port=eighty",
            "--cors-origins=http://localhost:3000,*",
            "--send-delay-ms=-1",
            "--wa-device-name= ",
            "--quiet-hours=late",
            "--timezone=Jakarta",
            "--wa-gateway-url=localhost:3001",
        ];
        let secrets = [("API_KEY", "short"), ("STATE_DATABASE_URL", "postgres://u:secret@h/d")];
        let faults = check_with(&args, &secrets).unwrap_err();
        let names: Vec<_> = faults.iter().map(|fault| fault.name).collect();
        let expected = [
            "API_PORT",
            "CORS_ORIGINS",
            "SEND_DELAY_MS",
            "WA_DEVICE_NAME",
            "TIMEZONE",
            "QUIET_HOURS",
            "API_KEY",
            "WA_GATEWAY_URL",
            "STATE_DATABASE_URL",
            "SESSION_KEY",
        ];
        assert_eq!(names, expected);
        assert!(!faults.iter().any(|fault| fault.to_string().contains("secret")));
    }

    #[test]
    fn spans_have_an_address_of_their_own_or_one_below_the_collectors() {
        let of_all = "--otel-exporter-otlp-endpoint=http://collector:4318/";
        let of_spans = "--otel-exporter-otlp-traces-endpoint=http://collector/spans";
        let address = |args: &[&str]| check(args).unwrap().trace_collector;
        assert_eq!(address(&[]), None);
        assert_eq!(address(&[of_all]).as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(address(&[of_all, of_spans]).as_deref(), Some("http://collector/spans"));
        assert!(check(&["--otel-exporter-otlp-endpoint=collector:4317"]).is_err());
    }

    #[test]
    fn a_shared_database_needs_a_session_key() {
        let faults = |key: Option<&str>| {
            let url = [("STATE_DATABASE_URL", "mysql://u:p@h/d")];
            let key = key.map(|key| ("SESSION_KEY", key));
            let secrets: Vec<_> = url.into_iter().chain(key).collect();
            let faults = check_with(&[], &secrets).err().unwrap_or_default();
            faults.iter().map(SettingError::to_string).collect::<Vec<_>>().join("\n")
        };
        assert!(faults(None).contains("openssl rand -hex 32"), "{}", faults(None));
        assert!(faults(Some("secret")).contains("64 hexadecimal digits"));
        assert!(!faults(Some("secret")).contains("secret"));
        assert_eq!(faults(Some(&"0f".repeat(32))), "");
    }

    #[test]
    fn the_compat_key_must_differ_from_the_api_key() {
        let with =
            |compat| check_with(&[], &[("API_KEY", "0123456789abcdef"), ("COMPAT_KEY", compat)]);
        for compat in ["short", "0123456789abcdef"] {
            let faults = with(compat).unwrap_err();
            assert_eq!(faults.iter().map(|f| f.name).collect::<Vec<_>>(), ["COMPAT_KEY"]);
        }
        assert!(with("fedcba9876543210").is_ok());
    }

    #[test]
    fn beyond_loopback_a_key_is_needed() {
        assert!(check(&["--api-host=0.0.0.0"]).is_err());
        assert!(check(&["--metrics-address=0.0.0.0:9100"]).is_err());
        let key = [("API_KEY", "0123456789abcdef")];
        assert!(check_with(&["--metrics-address=0.0.0.0:9100"], &key).is_ok());
        let with_key = |key| check_with(&["--api-host=0.0.0.0"], &[("API_KEY", key)]);
        assert!(with_key("short").is_err());
        assert!(with_key("0123456789abcdef").is_ok());
    }
}
