//! The data directory: what survives a restart of the simulator.
//!
//! `ledger.jsonl`, `messages.jsonl`, `lids.jsonl` and `tokens.jsonl` are appended to as things
//! happen, so that not even a kill loses a line. `accounts/*.json` and `simulator.json` are written before a client or
//! a caller of the control API is told of what has changed them, and a moment later where nobody
//! is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::account::{Account, NumberSettings, SavedAccount, lock};
use crate::chat::HistoryChat;
use crate::journal::{Journal, LEDGER, LIDS, MESSAGES, TOKENS};
use crate::ledger::{CopyOutcome, LedgerEntry};
use crate::limits::AccountLimits;
use crate::message::Message;
use crate::passkey::Passkey;
use crate::seed::Seed;
use crate::state::ServerState;

const ACCOUNTS: &str = "accounts";
const SIMULATOR: &str = "simulator.json";

/// What is no account's.
#[derive(Default, Serialize, Deserialize)]
struct SavedState {
    seed: u64,
    /// How often the simulator was started on this directory.
    run: u64,
    turned_ms: u64,
    numbers: BTreeMap<String, NumberSettings>,
    #[serde(default)]
    passkeys: BTreeMap<String, Passkey>,
    limits: BTreeMap<String, AccountLimits>,
    #[serde(default)]
    histories: BTreeMap<String, Vec<HistoryChat>>,
}

/// A data directory in use.
pub(crate) struct DataDirectory {
    directory: PathBuf,
    run: u64,
    /// Held while writing: who finds nothing to write must not go on before it is on the disk.
    writing: Mutex<()>,
}

impl DataDirectory {
    /// Opens or makes a directory, and tells the state it holds. The seed of an existing directory
    /// overrides `seed`: its keys derive from it.
    pub fn open(directory: &Path, seed: u64) -> anyhow::Result<(Self, ServerState, Duration)> {
        fs::create_dir_all(directory.join(ACCOUNTS))
            .with_context(|| format!("cannot make the data directory {}", directory.display()))?;
        let path = directory.join(SIMULATOR);
        let mut world =
            if path.exists() { read(&path)? } else { SavedState { seed, ..SavedState::default() } };
        if world.seed != seed {
            tracing::warn!(
                kept = world.seed,
                "the data directory was made with another seed, which is kept"
            );
        }
        world.run += 1;
        let seed = Seed(world.seed);
        let mut state = ServerState::new(seed, world.run);
        state.numbers = world.numbers.clone();
        state.passkeys = world.passkeys.clone();
        state.limits = world.limits.clone();
        for (number, chats) in &world.histories {
            state.restore_history(number, chats.clone());
        }
        for (giver, holder, given_at) in lines(&directory.join(TOKENS))? {
            state.note_token(giver, holder, given_at);
        }
        for file in fs::read_dir(directory.join(ACCOUNTS))? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let saved: SavedAccount = read(&path)?;
                let number = saved.number.clone();
                let account = Account::restore(saved, seed, world.run)
                    .with_context(|| format!("{} does not hold a sound account", path.display()))?;
                state.lids.insert(account.lid.clone(), number.clone());
                state.accounts.insert(number, account);
            }
        }
        for number in lines::<String>(&directory.join(LIDS))? {
            state.lid(&number);
        }
        for message in lines::<Message>(&directory.join(MESSAGES))? {
            state.restore_message(message);
        }
        for entry in lines::<LedgerEntry>(&directory.join(LEDGER))? {
            restore_entry(&mut state, entry);
        }
        state.journal = Some(Journal::open(directory)?);
        let data =
            Self { directory: directory.to_owned(), run: world.run, writing: Mutex::default() };
        write(&data.directory.join(SIMULATOR), &world)?;
        Ok((data, state, Duration::from_millis(world.turned_ms)))
    }

    /// Writes the accounts that differ from their files.
    pub fn write_accounts(&self, state: &Mutex<ServerState>) -> anyhow::Result<()> {
        let _writing = lock(&self.writing);
        let mut state = lock(state);
        let changed = std::mem::take(&mut state.changed_accounts);
        let accounts = changed
            .iter()
            .filter_map(|number| state.accounts.get(number))
            .map(Account::save)
            .collect::<anyhow::Result<Vec<_>>>()?;
        drop(state);
        for account in accounts {
            let name = format!("{}.json", account.number);
            write(&self.directory.join(ACCOUNTS).join(name), &account)?;
        }
        Ok(())
    }

    /// Writes the accounts, and what is no account's.
    pub fn write_all(&self, state: &Mutex<ServerState>, turned: Duration) -> anyhow::Result<()> {
        self.write_accounts(state)?;
        let _writing = lock(&self.writing);
        let state = lock(state);
        let world = SavedState {
            seed: state.seed.0,
            run: self.run,
            turned_ms: u64::try_from(turned.as_millis()).unwrap_or(u64::MAX),
            numbers: state.numbers.clone(),
            passkeys: state.passkeys.clone(),
            limits: state.limits.clone(),
            histories: state.histories.clone(),
        };
        drop(state);
        write(&self.directory.join(SIMULATOR), &world)
    }
}

fn restore_entry(state: &mut ServerState, entry: LedgerEntry) {
    let key = (entry.from.clone(), entry.to.clone(), entry.id.clone());
    let copies = state.copies.entry(key).or_default();
    *copies = (*copies).max(entry.copy);
    if entry.outcome == CopyOutcome::Decrypted
        && let Some(account) = state.accounts.get_mut(&entry.owner)
    {
        account.shows(entry.device, &entry.from, &entry.id);
    }
    state.ledger.push(entry);
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!("{} is damaged; remove it, or start with another --data", path.display())
    })
}

/// Replaces a file as a whole, so that a kill leaves the old one or the new one.
fn write(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(value)?)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the values of a file of JSON lines. A last line that was cut off by a kill is left out.
fn lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let reader = BufReader::new(File::open(path)?);
    let mut values = Vec::new();
    for line in reader.lines() {
        match serde_json::from_str(&line?) {
            Ok(value) => values.push(value),
            Err(error) => {
                tracing::warn!("{} has a line that cannot be read: {error}", path.display())
            }
        }
    }
    Ok(values)
}
