//! The simulated world: numbers, accounts, connections, messages and what is known about them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::mpsc::UnboundedSender;
use wacore_binary::{Jid, Node};

use crate::account::{Account, NumberSettings};
use crate::candidate::Candidate;
use crate::chat::HistoryChat;
use crate::device::DeviceId;
use crate::device::lid_of;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::ledger::LedgerEntry;
use crate::limits::AccountLimits;
use crate::media::File;
use crate::message::{Message, MessageKey, MessageStatus};
use crate::passkey::Passkey;
use crate::seed::Seed;
use crate::violations::Violation;

/// What a connection's task is told to do.
pub(crate) enum ConnectionCommand {
    Send(Node),
    /// Send this last stanza of the stream, and leave it to the client to close the connection.
    End(Node),
    /// Close the TCP connection without a word.
    Drop,
}

/// Connections of different runs on one data directory are numbered from different bases.
const RUN_SHIFT: u32 = 32;

pub(crate) struct ServerState {
    pub seed: Seed,
    pub numbers: BTreeMap<String, NumberSettings>,
    /// The passkeys of the numbers that need one to link a client.
    pub passkeys: BTreeMap<String, Passkey>,
    /// Which number a hidden id belongs to, for all that were ever told to a client.
    pub lids: HashMap<String, String>,
    pub accounts: BTreeMap<String, Account>,
    pub limits: BTreeMap<String, AccountLimits>,
    /// How to reach the task of each connection.
    pub connections: HashMap<u64, UnboundedSender<ConnectionCommand>>,
    /// Unpaired clients that show a QR or wait for a code.
    pub candidates: HashMap<u64, Candidate>,
    pub messages: Vec<Message>,
    pub by_key: HashMap<MessageKey, usize>,
    /// How many stanzas came under each message.
    pub copies: HashMap<MessageKey, u32>,
    /// Who has written to whom, sender first.
    pub chats: HashSet<(String, String)>,
    /// When somebody gave somebody else the latest token, giver first, in simulated Unix seconds.
    pub tokens: HashMap<(String, String), u64>,
    /// The chats that the phone of a number tells new clients of.
    pub histories: BTreeMap<String, Vec<HistoryChat>>,
    /// The parts of histories that clients were told to download, by number.
    pub files: HashMap<(String, usize), Arc<File>>,
    /// Receipts kept back until another one has gone to the same device.
    pub held: HashMap<DeviceId, Vec<Node>>,
    pub ledger: Vec<LedgerEntry>,
    /// The files of a data directory, if there is one.
    pub journal: Option<Journal>,
    /// Accounts that differ from their files.
    pub changed_accounts: BTreeSet<String>,
    pub violations: Vec<Violation>,
    pub faults: Faults,
    ids: StdRng,
    next_connection: u64,
}

impl ServerState {
    /// Returns an empty world. `run` counts the starts on one data directory: ids must not come
    /// again.
    pub fn new(seed: Seed, run: u64) -> Self {
        Self {
            seed,
            numbers: BTreeMap::new(),
            passkeys: BTreeMap::new(),
            lids: HashMap::new(),
            accounts: BTreeMap::new(),
            limits: BTreeMap::new(),
            connections: HashMap::new(),
            candidates: HashMap::new(),
            messages: Vec::new(),
            by_key: HashMap::new(),
            copies: HashMap::new(),
            chats: HashSet::new(),
            tokens: HashMap::new(),
            histories: BTreeMap::new(),
            files: HashMap::new(),
            held: HashMap::new(),
            ledger: Vec::new(),
            journal: None,
            changed_accounts: BTreeSet::new(),
            violations: Vec::new(),
            faults: Faults::new(seed),
            ids: seed.rng(&format!("ids {run}")),
            next_connection: (run << RUN_SHIFT) + 1,
        }
    }

    pub fn settings(&self, number: &str) -> NumberSettings {
        let set = self.numbers.get(number).copied();
        set.unwrap_or_else(|| NumberSettings::default_for(number))
    }

    /// Returns the hidden id of a number, which from now on can be resolved back.
    pub fn lid(&mut self, number: &str) -> String {
        let lid = lid_of(self.seed, number);
        if !self.lids.contains_key(&lid) {
            self.lids.insert(lid.clone(), number.to_owned());
            if let Some(journal) = &mut self.journal {
                journal.lid(number);
            }
        }
        lid
    }

    /// Returns the device an address stands for, be it by number or by hidden id.
    pub fn resolve(&self, jid: &Jid) -> Option<DeviceId> {
        let number = if jid.is_lid() {
            self.lids.get(jid.user.as_str())?.clone()
        } else if jid.is_pn() {
            jid.user.to_string()
        } else {
            return None;
        };
        Some(DeviceId { number, device: jid.device })
    }

    /// Returns the account of a number, made if new; none if the number is not on WhatsApp.
    pub fn account(&mut self, number: &str, now_s: u64) -> anyhow::Result<Option<&mut Account>> {
        if !self.settings(number).registered {
            return Ok(None);
        }
        if !self.accounts.contains_key(number) {
            let account = Account::new(self.seed, number, now_s)?;
            self.lids.insert(account.lid.clone(), number.to_owned());
            self.accounts.insert(number.to_owned(), account);
        }
        Ok(self.account_mut(number))
    }

    /// Returns an account to be changed, which its file will follow.
    pub fn account_mut(&mut self, number: &str) -> Option<&mut Account> {
        let account = self.accounts.get_mut(number)?;
        if self.journal.is_some() && !self.changed_accounts.contains(number) {
            self.changed_accounts.insert(number.to_owned());
        }
        Some(account)
    }

    pub fn companion(&mut self, id: &DeviceId) -> Option<&mut crate::account::Companion> {
        self.account_mut(&id.number)?.companions.get_mut(&id.device)
    }

    pub fn next_connection(&mut self) -> u64 {
        let id = self.next_connection;
        self.next_connection += 1;
        id
    }

    /// Returns an id for a stanza of the server, or with another prefix for a phone's message.
    pub fn fresh_id(&mut self, prefix: &str) -> String {
        format!("{prefix}{:016X}", self.ids.random::<u64>())
    }

    /// Sends on a connection, if it is still there.
    pub fn send(&self, connection: u64, node: Node) {
        if let Some(connection) = self.connections.get(&connection) {
            // A closed channel means the connection is going away.
            let _ = connection.send(ConnectionCommand::Send(node));
        }
    }

    /// Ends the stream of a connection with this stanza, if it is still there.
    pub fn end(&self, connection: u64, last: Node) {
        if let Some(connection) = self.connections.get(&connection) {
            let _ = connection.send(ConnectionCommand::End(last));
        }
    }

    pub fn drop_connection(&self, connection: u64) {
        if let Some(connection) = self.connections.get(&connection) {
            let _ = connection.send(ConnectionCommand::Drop);
        }
    }

    pub fn message(&mut self, key: &MessageKey) -> Option<&mut Message> {
        self.by_key.get(key).and_then(|&index| self.messages.get_mut(index))
    }

    pub fn record_message(&mut self, message: Message) {
        if let Some(journal) = &mut self.journal {
            journal.message(&message);
        }
        self.restore_message(message);
    }

    /// Takes in a message, or what has become of it, without noting it down.
    pub fn restore_message(&mut self, message: Message) {
        let key = (message.from.clone(), message.to.clone(), message.id.clone());
        self.chats.insert((message.from.clone(), message.to.clone()));
        if let Some(known) = self.message(&key) {
            *known = message;
            return;
        }
        self.by_key.insert(key, self.messages.len());
        self.messages.push(message);
    }

    pub fn log(&mut self, mut entry: LedgerEntry) {
        entry.seq = self.ledger.len() as u64 + 1;
        if let Some(journal) = &mut self.journal {
            journal.entry(&entry);
        }
        self.ledger.push(entry);
    }

    /// Counts a stanza that came under a message id, and tells the count.
    pub fn count_copy(&mut self, key: &MessageKey) -> u32 {
        let count = self.copies.entry(key.clone()).or_insert(0);
        *count += 1;
        let count = *count;
        self.change_message(key, |message| message.copies = count);
        count
    }

    /// Returns whether the server's limits let `from` write to `to` now with this token, if it is
    /// one. A new chat counts as used.
    pub fn may_write(&mut self, from: &str, to: &str, token: Option<&[u8]>, now_s: u64) -> bool {
        if token.is_some_and(|token| self.token_holds(to, from, token, now_s)) {
            return true;
        }
        let Some(limits) = self.limits.get_mut(from) else { return true };
        let wrote_to_us = self.chats.contains(&(to.to_owned(), from.to_owned()));
        let known = wrote_to_us || self.chats.contains(&(from.to_owned(), to.to_owned()));
        let is_locked = limits.reachout_until.is_some_and(|until| until > now_s);
        if is_locked || limits.token_required && wrote_to_us {
            return false;
        }
        match limits.new_chats {
            Some(cap) if !known => {
                let allowed = limits.new_chats_used < cap;
                limits.new_chats_used += u32::from(allowed);
                allowed
            }
            _ => true,
        }
    }

    /// Raises a message's status; receipts may come twice or out of order.
    pub fn raise(&mut self, key: &MessageKey, status: MessageStatus) {
        self.change_message(key, |message| message.status = message.status.max(status));
    }

    fn change_message(&mut self, key: &MessageKey, change: impl FnOnce(&mut Message)) {
        let Some(&index) = self.by_key.get(key) else { return };
        change(&mut self.messages[index]);
        if let Some(journal) = &mut self.journal {
            journal.message(&self.messages[index]);
        }
    }
}
