//! `kabari backup` and `kabari restore`.

use super::{settings, state_in_use};
use crate::app;
use crate::backup::{BackupReader, BackupWriter, Header, Line};
use crate::clock::Clock;
use crate::config::{BillingDatabase, Options, Settings};
use crate::data_dir::DataDir;
use crate::secrets;
use crate::session_key::SessionKey;
use crate::store::state::Restored;
use crate::store::{Billing, BillingTarget, StateStore, billing};
use crate::whatsapp_session;
use anyhow::{Context, bail, ensure};
use clap::{Args, Command};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variable with what a backup is encrypted with.
const PASSPHRASE: &str = "BACKUP_PASSPHRASE";

/// What the help of both commands says.
pub const HELP: &str = "With BACKUP_PASSPHRASE in the environment or in .env, or in the file that\n\
BACKUP_PASSPHRASE_FILE names, the backup is encrypted. Without, whoever has it can write as your\n\
numbers. Keep the passphrase elsewhere: without it nobody can read the backup.";

/// What to know after a restore.
const AFTER: &str = "\
Stop the old kabari for good before you start this one. Where both run, WhatsApp lets the one be
connected that connects last; the other says `replaced` and sends nothing until somebody restarts
its number. To shut a copy out that you cannot stop: unlink the device on the phone, and link anew.
What was asked for after the backup is not in it, nor are the Idempotency-Keys of those requests:
a caller's repeat is a new send.";

/// Where to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; nothing may be there.
    file: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// Where from.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The file to read.
    file: PathBuf,
    /// Go on where the backup stopped: kabari had ended before it was made, and has not run since.
    /// Without this, what was still to be sent is `uncertain`.
    #[arg(long)]
    nothing_sent_since: bool,
    #[command(flatten)]
    options: Options,
}

impl BackupArgs {
    pub fn options(&self) -> &Options {
        &self.options
    }
}

impl RestoreArgs {
    pub fn options(&self) -> &Options {
        &self.options
    }
}

/// Writes everything into a file, while `kabari serve` goes on.
pub async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let passphrase = passphrase()?;
    let settings = settings(args.options)?;
    let key = whatsapp_session::known_key(&settings)?;
    let state = state_in_use(&settings).await?;
    state.check_session_key(&key).await?;
    let header = Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: StateStore::SCHEMA,
        made_at: Clock::System.now().to_rfc3339(),
        session_key: key.to_hex(),
        settings: variables(),
    };
    let mut writer = BackupWriter::create(&args.file, passphrase.as_deref(), header)?;
    let mut rows = 0;
    let mut snapshot = state.snapshot().await?;
    while let Some(part) = snapshot.next().await? {
        rows += part.rows.len();
        writer.write(&Line::State(part))?;
    }
    if let Some(billing) = embedded_billing(&settings)?
        && let Some(embedded) = billing.embedded()
    {
        let mut snapshot = embedded.snapshot().await?;
        while let Some(part) = snapshot.next().await? {
            rows += part.rows.len();
            writer.write(&Line::Billing(part))?;
        }
    }
    writer.finish()?;
    let how = match passphrase {
        Some(_) => "encrypted",
        None => "not encrypted: whoever has it can write as your numbers",
    };
    println!("{}: {rows} rows, {how}", args.file.display());
    Ok(())
}

/// Brings a backup back into a new DATA_DIR, and a new STATE_DATABASE_URL where that is set.
pub async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let passphrase = passphrase()?;
    let settings = settings(args.options)?;
    // Once to its end before anything is written: its checksum stands there.
    let open = || BackupReader::open(&args.file, passphrase.as_deref());
    let (mut reader, header) = open()?;
    while reader.next()?.is_some() {}
    ensure!(
        header.schema <= StateStore::SCHEMA,
        "this backup is from kabari {}, which is newer than this one: install that version or a newer one",
        header.version
    );
    let _data_dir = DataDir::open(&settings.data_dir)?;
    let key = key_to_keep(&settings, &header)?;
    let (reader, _) = open()?;
    let restored = write_rows(&settings, reader, header.schema, args.nothing_sent_since, || {
        key.map_or(Ok(()), |key| key.keep_in(&settings.data_dir))
    })
    .await?;
    // Steps that the schema has taken since.
    app::open_state(&settings, Clock::System).await?;
    tell(&header, &restored);
    Ok(())
}

/// Writes the rows of a backup where they belong. `before_commit` runs once all are written.
async fn write_rows(
    settings: &Settings,
    mut reader: BackupReader,
    schema: i64,
    nothing_sent_since: bool,
    before_commit: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Restored> {
    let target = app::state_target(settings);
    let state = StateStore::open_at(target, Clock::System, schema).await?;
    let mut state = state.restore(nothing_sent_since).await?;
    let path = app::embedded_billing(&settings.data_dir);
    let here = matches!(settings.billing, BillingDatabase::Embedded { .. });
    if here {
        billing::create(&path).await?;
    }
    let billing = Billing::connect(BillingTarget::Sqlite { path })?;
    let mut customers = match billing.embedded().filter(|_| here) {
        Some(embedded) => Some(embedded.restore().await?),
        None => None,
    };
    while let Some(line) = reader.next()? {
        match (line, &mut customers) {
            (Line::State(part), _) => state.write(part).await?,
            (Line::Billing(part), Some(customers)) => customers.write(&part).await?,
            // With DB_HOST customers are the provider's.
            (Line::Billing(_), None) => {}
            (Line::Header(_) | Line::End(_), _) => bail!("the backup has two headers or ends"),
        }
    }
    before_commit()?;
    if let Some(customers) = customers {
        customers.commit().await?;
    }
    Ok(state.commit().await?)
}

fn tell(header: &Header, restored: &Restored) {
    let Restored { campaigns, deliveries, uncertain } = restored;
    println!("restored what was there at {}:", header.made_at);
    println!("  {campaigns} campaigns, {deliveries} deliveries");
    if *uncertain > 0 {
        println!(
            "  {uncertain} of them were still to be sent, and may have been since: they are `uncertain`,\n  \
             and none goes out unless somebody says so"
        );
    }
    println!("its settings, without secrets; set them here:");
    for (name, value) in &header.settings {
        println!("  {name}={value}");
    }
    println!("{AFTER}");
}

fn passphrase() -> anyhow::Result<Option<String>> {
    let read = secrets::read(PASSPHRASE, &secrets::of_process);
    let passphrase = read.map_err(|problem| anyhow::anyhow!("{PASSPHRASE} {problem}"))?;
    ensure!(passphrase.as_deref() != Some(""), "the file that {PASSPHRASE}_FILE names is empty");
    Ok(passphrase)
}

/// Returns the embedded billing database of these settings, if they have one and it is there.
fn embedded_billing(settings: &Settings) -> anyhow::Result<Option<Billing>> {
    let is_embedded = matches!(settings.billing, BillingDatabase::Embedded { .. });
    let is_there = is_embedded && app::embedded_billing(&settings.data_dir).exists();
    is_there.then(|| app::open_billing(settings)).transpose()
}

/// Returns the session key of the backup, if this data directory is to have it.
fn key_to_keep(settings: &Settings, header: &Header) -> anyhow::Result<Option<SessionKey>> {
    let key: SessionKey = header.session_key.parse().context("the backup is damaged")?;
    match (&settings.session_key, SessionKey::find(&settings.data_dir)?) {
        (Some(set), _) => {
            ensure!(
                *set == key,
                "SESSION_KEY is not that of the backup: set it to that one, or to none"
            );
            Ok(None)
        }
        (None, Some(found)) => {
            ensure!(
                found == key,
                "DATA_DIR has another session.key already: restore into a new DATA_DIR"
            );
            Ok(None)
        }
        (None, None) => Ok(Some(key)),
    }
}

/// Returns the settings that are variables. Secrets are no settings with a flag, and so not among
/// them.
fn variables() -> BTreeMap<String, String> {
    let command = Options::augment_args(Command::new("kabari"));
    let names = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    let set = names.filter_map(|name| Some((name, std::env::var(name).ok()?)));
    set.map(|(name, value)| (name.to_owned(), without_login(value))).collect()
}

/// Returns an address without the name and password that may stand in it.
fn without_login(value: String) -> String {
    let address = value.split_once("://");
    match address.and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_login_and_nothing_else_changes() {
        let shown = |value: &str| without_login(value.to_owned());
        assert_eq!(shown("https://sari:rahasia@gw.example:3001"), "https://gw.example:3001");
        for value in ["https://gw.example:3001/a", "2000", "sari@example", ""] {
            assert_eq!(shown(value), value);
        }
    }
}
