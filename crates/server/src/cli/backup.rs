//! `kabari backup` and `kabari restore`.

use super::settings;
use crate::app;
use crate::backup::{BackupReader, BackupWriter, Header};
use crate::clock::Clock;
use crate::config::{Options, Settings};
use crate::data_dir::DataDir;
use crate::secrets;
use crate::session_key::SessionKey;
use crate::store::StateStore;
use crate::store::state::Piece;
use anyhow::{Context, ensure};
use clap::{Args, Command};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the help of both commands says.
pub const HELP: &str = "With BACKUP_PASSPHRASE in the environment or in .env, or in the file that\n\
BACKUP_PASSPHRASE_FILE names, the file is encrypted. Without, whoever has it can write as your\n\
numbers: keep it as safe as DATA_DIR. The billing database is not in it.";

/// What to know after a restore.
const AFTER: &str = "Stop the old kabari for good before you start this one. WhatsApp lets one of the two be \
     connected: the one that connects last, while the other says `replaced` and waits. \
     A database on a server knows them apart only if both use the same one.\n\
     Sends that were asked for after the backup are not in it, and neither are their \
     Idempotency-Keys: a caller's repeat would be a new send.";

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
    /// Go on where the backup stopped: kabari was stopped before it was made, and has not run since.
    /// Without it, what was still to be sent is `uncertain`.
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
    let key = match &settings.session_key {
        Some(key) => Some(key.clone()),
        None => SessionKey::find(&settings.data_dir)?,
    };
    let key =
        key.context("there is no session key in DATA_DIR: set it to that of `kabari serve`")?;
    let target = app::state_target(&settings);
    let (state, behind) = StateStore::inspect(target, Clock::System).await?;
    ensure!(
        behind == 0,
        "the state database is that of an earlier version: start `kabari serve` once"
    );
    let made_at = Clock::System.now().to_rfc3339();
    let header = Header::new(StateStore::SCHEMA_VERSION, made_at, key.to_hex(), set_settings());
    let mut writer = BackupWriter::create(&args.file, passphrase.as_deref(), &header)?;
    let mut pieces = 0u64;
    state
        .snapshot(|piece| {
            pieces += 1;
            writer.line(&piece)
        })
        .await?;
    writer.finish()?;
    let kind = if passphrase.is_some() { "encrypted" } else { "not encrypted: keep it safe" };
    println!("{}: {pieces} rows, {kind}", args.file.display());
    Ok(())
}

/// Writes a backup into a new DATA_DIR, and STATE_DATABASE_URL where that is set.
pub async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let passphrase = passphrase()?;
    let settings = settings(args.options)?;
    let (mut reader, header) = BackupReader::open(&args.file, passphrase.as_deref())?;
    ensure!(
        header.schema == StateStore::SCHEMA_VERSION,
        "this backup was made by kabari {} with another schema: restore it with that version, then start this one on it",
        header.version
    );
    let _data_dir = DataDir::open(&settings.data_dir)?;
    keep_key(&settings, &header.session_key)?;
    let state = app::open_state(&settings, Clock::System).await?;
    let restored = state.restore(|| reader.piece::<Piece>(), args.nothing_sent_since).await;
    let restored = restored.context("nothing was restored: restore into an empty database")?;
    println!("restored what was there at {}:", header.made_at);
    println!("  {} campaigns, {} deliveries", restored.campaigns, restored.deliveries);
    if restored.uncertain > 0 {
        println!(
            "  {} of them were still to be sent, and may have been since: they are `uncertain`, and nothing of them goes out by itself",
            restored.uncertain
        );
    }
    println!("settings then, secrets excepted:");
    for (name, value) in &header.settings {
        println!("  {name}={value}");
    }
    println!("{AFTER}");
    Ok(())
}

fn passphrase() -> anyhow::Result<Option<String>> {
    const NAME: &str = "BACKUP_PASSPHRASE";
    secrets::read(NAME, &secrets::of_process).map_err(|problem| anyhow::anyhow!("{NAME} {problem}"))
}

/// The session key is where this kabari looks for it, before there is anything to read with it.
fn keep_key(settings: &Settings, hex: &str) -> anyhow::Result<()> {
    let key: SessionKey = hex.parse().context("the backup is damaged")?;
    let known = match &settings.session_key {
        Some(key) => Some(key.clone()),
        None => SessionKey::find(&settings.data_dir)?,
    };
    match known {
        Some(known) if known == key => Ok(()),
        Some(_) if settings.session_key.is_some() => anyhow::bail!(
            "SESSION_KEY is not that of the backup: set it to the key that you have kept"
        ),
        Some(_) => {
            anyhow::bail!("DATA_DIR has a session.key of its own: restore into an empty directory")
        }
        None => key.keep(&settings.data_dir),
    }
}

/// The settings that are in the environment; secrets are no flags, and so not among them.
fn set_settings() -> BTreeMap<String, String> {
    let command = Options::augment_args(Command::new("kabari"));
    let names = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect()
}
