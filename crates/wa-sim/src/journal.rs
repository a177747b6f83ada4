//! The files of a data directory that are appended to as things happen.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::ledger::LedgerEntry;
use crate::message::Message;

pub(crate) const LEDGER: &str = "ledger.jsonl";
pub(crate) const MESSAGES: &str = "messages.jsonl";
pub(crate) const LIDS: &str = "lids.jsonl";
pub(crate) const TOKENS: &str = "tokens.jsonl";

/// The files that are appended to.
pub(crate) struct Journal {
    ledger: File,
    messages: File,
    lids: File,
    tokens: File,
}

impl Journal {
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let open = |name: &str| {
            let path = directory.join(name);
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .with_context(|| format!("cannot write {}", path.display()))
        };
        Ok(Self {
            ledger: open(LEDGER)?,
            messages: open(MESSAGES)?,
            lids: open(LIDS)?,
            tokens: open(TOKENS)?,
        })
    }

    pub fn entry(&mut self, entry: &LedgerEntry) {
        append(&mut self.ledger, entry);
    }

    pub fn message(&mut self, message: &Message) {
        append(&mut self.messages, message);
    }

    pub fn lid(&mut self, number: &str) {
        append(&mut self.lids, &number);
    }

    pub fn token(&mut self, giver: &str, holder: &str, given_at: u64) {
        append(&mut self.tokens, &(giver, holder, given_at));
    }
}

fn append(file: &mut File, value: &impl Serialize) {
    let line = serde_json::to_string(value).map(|line| line + "\n");
    let written =
        line.map_err(std::io::Error::from).and_then(|line| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        tracing::error!(
            "the data directory cannot be written, and this run will not be whole in it: {error}"
        );
    }
}
