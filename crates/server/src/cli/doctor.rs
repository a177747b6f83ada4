//! `kabari doctor`: looks at everything kabari needs, and says what to do. It changes nothing.

use super::settings;
use crate::app;
use crate::clock::Clock;
use crate::config::{BillingDatabase, Options, Settings};
use crate::disk;
use crate::private::{self, Others};
use crate::session_key::SessionKey;
use crate::store::{StateStore, StateTarget};
use crate::trace;
use kabari_domain::Timestamp;
use kabari_gateway::http;
use std::path::Path;
use std::time::Duration;

/// Clocks further apart than this confuse people who compare logs.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// How long a remote gateway may take.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(5);
const BYTES_PER_MEBIBYTE: u64 = 1024 * 1024;

/// Prints one line for each thing looked at. Fails if any of them keeps kabari from working.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let settings = settings(options)?;
    let mut report = Findings::default();
    report.good("settings", "all can be used");
    data_dir(&settings.data_dir, &mut report);
    billing(&settings, &mut report).await;
    state(&settings, &mut report).await;
    whatsapp(&settings, &mut report).await;
    monitoring(&settings, &mut report).await;
    anyhow::ensure!(report.faults == 0, "{} of the above must be mended first", report.faults);
    Ok(())
}

#[derive(Default)]
struct Findings {
    faults: u32,
}

impl Findings {
    fn good(&mut self, what: &str, found: &str) {
        println!("  ok    {what}: {found}");
    }

    fn note(&mut self, what: &str, found: &str) {
        println!("  note  {what}: {found}");
    }

    fn fault(&mut self, what: &str, found: &str) {
        self.faults += 1;
        println!("  FAULT {what}: {found}");
    }
}

fn data_dir(path: &Path, report: &mut Findings) {
    let what = format!("data directory {}", path.display());
    let Ok(others) = private::others(path) else {
        return report.note(&what, "not there yet; `kabari serve` makes it");
    };
    if others == Others::None {
        report.good(&what, "private");
    } else {
        report.fault(&what, "others can look into it; it holds the WhatsApp session: chmod 700 it");
    }
    let Some(free) = disk::free_bytes(path) else {
        return report.note("disk", "this system does not tell the free space");
    };
    let found = format!("{} MiB free", free / BYTES_PER_MEBIBYTE);
    if free < disk::LOW_BYTES {
        report.fault("disk", &format!("{found}; make room, or nothing can be recorded"));
    } else {
        report.good("disk", &found);
    }
}

async fn billing(settings: &Settings, report: &mut Findings) {
    if let BillingDatabase::Embedded { .. } = settings.billing
        && !app::embedded_billing(&settings.data_dir).exists()
    {
        return report.note(
            "billing database",
            "DB_HOST is not set, so `kabari serve` makes one of its own, below DATA_DIR",
        );
    }
    let checked = match app::open_billing(settings) {
        Ok(billing) => billing.check().await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match checked {
        Ok(()) => report.good("billing database", "reachable, all columns there"),
        Err(error) => report.fault("billing database", &error.to_string()),
    }
}

async fn state(settings: &Settings, report: &mut Findings) {
    let target = app::state_target(settings);
    if let StateTarget::Sqlite { path } = &target
        && !path.exists()
    {
        return report.note("state database", "not there yet; `kabari serve` makes it");
    }
    let state = match StateStore::inspect(target, Clock::System).await {
        Ok((state, 0)) => {
            report.good("state database", "reachable, schema up to date");
            session_key(settings, &state, report).await;
            state
        }
        Ok((state, _)) => {
            report.note("state database", "reachable; `kabari serve` brings its schema up to date");
            state
        }
        Err(error) => return report.fault("state database", &error.to_string()),
    };
    let Ok(theirs) = state.now().await else { return };
    let ours = Clock::System.now();
    let apart = if ours > theirs { ours.since(theirs) } else { theirs.since(ours) };
    let found = |theirs: Timestamp| format!("{} s from the database's ({theirs})", apart.as_secs());
    if apart > CLOCK_TOLERANCE {
        report.note("clock", &format!("{}; let both follow NTP", found(theirs)));
    } else {
        report.good("clock", "agrees with the database's");
    }
}

/// Checks the session key without making one: a new file would hide that the right one is missing.
async fn session_key(settings: &Settings, state: &StateStore, report: &mut Findings) {
    let key = match &settings.session_key {
        Some(key) => Ok(Some(key.clone())),
        None => SessionKey::find(&settings.data_dir),
    };
    match key {
        Ok(Some(key)) => match state.check_session_key(&key).await {
            Ok(()) => report.good("session key", "fits every WhatsApp session"),
            Err(error) => report.fault("session key", &error.to_string()),
        },
        Ok(None) => report.note("session key", "none yet; `kabari serve` makes one in DATA_DIR"),
        Err(error) => report.fault("session key", &format!("{error:#}")),
    }
}

async fn whatsapp(settings: &Settings, report: &mut Findings) {
    let Some(url) = &settings.gateway_url else {
        let found = "in the state database; `kabari status` shows whether it is connected";
        return report.note("WhatsApp session", found);
    };
    let answer = match http::client(url).timeout(GATEWAY_TIMEOUT).build() {
        Ok(client) => {
            let mut request = client.get(format!("{url}/status"));
            if let Some(key) = &settings.gateway_key {
                request = request.header("x-api-key", key);
            }
            request.send().await
        }
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) if answer.status().is_success() => report.good("gateway", "answers"),
        Ok(answer) if [401, 403].contains(&answer.status().as_u16()) => {
            report.fault("gateway", "refuses the key; set WA_GATEWAY_KEY to its API_KEY");
        }
        Ok(answer) => report.fault(
            "gateway",
            &format!("answers {} at /status; check WA_GATEWAY_URL", answer.status()),
        ),
        Err(_) => report.fault("gateway", "does not answer; start it, or check WA_GATEWAY_URL"),
    }
}

/// Says who can look on. kabari works without a collector, so none of its troubles is a fault.
async fn monitoring(settings: &Settings, report: &mut Findings) {
    if let Some(address) = settings.metrics_address {
        let found = format!("`kabari worker` and `kabari gateway` answer at http://{address}");
        report.note("monitoring", &found);
    }
    let Some(collector) = &settings.trace_collector else { return };
    match trace::check(collector).await {
        Ok(()) => report.good("trace collector", "takes spans"),
        Err(error) => report.note(
            "trace collector",
            &format!("takes no spans ({error:#}); check OTEL_EXPORTER_OTLP_ENDPOINT"),
        ),
    }
}
