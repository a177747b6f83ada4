//! What WhatsApp sessions need besides their rows: the key they are stored with, and those of an
//! earlier kabari, which had them in files.

use crate::config::Settings;
use crate::session_key::SessionKey;
use crate::store::state::SessionKind;
use crate::store::{SessionLease, StateStore, read_legacy_session};
use anyhow::Context;
use kabari_gateway::embedded::LegacySession;
use std::path::Path;
use std::time::Duration;

/// Where an earlier kabari kept its session, below DATA_DIR.
const LEGACY_DIRECTORY: &str = "whatsapp";
const LEGACY_FILE: &str = "session.db";
/// What becomes of the directory once the session has been taken over.
const IMPORTED_DIRECTORY: &str = "whatsapp.imported";
/// How long taking a session over may last.
const IMPORT_LEASE: Duration = Duration::from_secs(60);

/// Returns the key of these settings. The data directory must be there.
pub fn key(settings: &Settings) -> anyhow::Result<SessionKey> {
    match &settings.session_key {
        Some(key) => Ok(key.clone()),
        None => SessionKey::in_directory(&settings.data_dir),
    }
}

/// Returns the key of these settings, which must be there already: one that is made now would fit
/// nothing that is stored.
pub fn known_key(settings: &Settings) -> anyhow::Result<SessionKey> {
    let key = match &settings.session_key {
        Some(key) => Some(key.clone()),
        None => SessionKey::find(&settings.data_dir)?,
    };
    key.context("there is no session key: set DATA_DIR or SESSION_KEY as for `kabari serve`")
}

/// Moves the session of an earlier kabari into the state database, under the first of these names
/// that is free. The directory gets its new name only when the session is stored: whatever is
/// interrupted here is done again at the next start.
pub async fn take_over(
    data_dir: &Path,
    state: &StateStore,
    key: &SessionKey,
    node: &str,
    names: &[&str],
) -> anyhow::Result<()> {
    let directory = data_dir.join(LEGACY_DIRECTORY);
    let file = directory.join(LEGACY_FILE);
    if !file.exists() {
        return Ok(());
    }
    if let Some(legacy) = read_legacy_session(&file).await? {
        let name = store(state, key, node, names, legacy).await?;
        tracing::info!(session = name, "took over the WhatsApp session in {}", file.display());
    }
    let imported = data_dir.join(IMPORTED_DIRECTORY);
    std::fs::rename(&directory, &imported)
        .with_context(|| format!("cannot rename {} to {}", directory.display(), imported.display()))
}

/// Returns the name under which it is stored.
async fn store<'n>(
    state: &StateStore,
    key: &SessionKey,
    node: &str,
    names: &[&'n str],
    legacy: LegacySession,
) -> anyhow::Result<&'n str> {
    let mut free: Option<(&str, SessionLease)> = None;
    for &name in names {
        state.create_session(name, SessionKind::Embedded).await?;
        let held = state.hold_session(name, SessionKind::Embedded, node, IMPORT_LEASE).await?;
        let Some(lease) = held else { continue };
        let store = state.session_store(&lease, key).await?;
        if legacy.is_in(&*store).await? {
            state.release_session(&lease).await?;
            return Ok(name);
        }
        if free.is_none() && !state.has_session_entries(name).await? {
            free = Some((name, lease));
        } else {
            state.release_session(&lease).await?;
        }
    }
    let (name, lease) = free.with_context(|| {
        format!("the sessions {names:?} have other numbers already: delete one of them, or move DATA_DIR/{LEGACY_DIRECTORY} away")
    })?;
    legacy.write_to(state.session_store(&lease, key).await?).await?;
    state.release_session(&lease).await?;
    Ok(name)
}
