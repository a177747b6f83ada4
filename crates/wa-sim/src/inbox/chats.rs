//! What the inbox shows of the simulated world: who wrote with whom, and what did not arrive.

use std::collections::HashMap;

use crate::ledger::{CopyOutcome, LedgerEntry};
use crate::message::Message;
use crate::state::ServerState;

/// A chat on the screen of one of the two phones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chat {
    /// Whose screen this is.
    pub phone: String,
    /// Who it writes with.
    pub with: String,
}

impl Chat {
    /// Returns whether this is the same chat, on whichever screen.
    pub fn has(&self, phone: &str, with: &str) -> bool {
        (self.phone == phone && self.with == with) || (self.phone == with && self.with == phone)
    }
}

/// A chat in the list.
pub(super) struct ChatSummary<'a> {
    pub chat: Chat,
    /// The latest message, or the latest that has what is searched for.
    pub message: Option<&'a Message>,
    /// What happened to the latest message that did not arrive, if nothing came after it.
    pub lost: Option<&'a LedgerEntry>,
    /// When something last happened, in Unix milliseconds.
    pub at: u64,
    /// How many messages the phone has, but nobody read.
    pub unread: usize,
}

/// Messages that did not arrive, with the last thing that is known about each.
fn lost(state: &ServerState) -> impl Iterator<Item = &LedgerEntry> {
    let mut last: HashMap<(&str, &str, &str), &LedgerEntry> = HashMap::new();
    for entry in state.ledger.iter().filter(|entry| entry.owner == entry.to) {
        last.insert((&entry.from, &entry.to, &entry.id), entry);
    }
    last.into_values().filter(|entry| {
        let outcome = matches!(
            entry.outcome,
            CopyOutcome::Refused
                | CopyOutcome::Swallowed
                | CopyOutcome::Queued
                | CopyOutcome::Undecryptable
        );
        let key = (entry.from.clone(), entry.to.clone(), entry.id.clone());
        outcome && !state.by_key.contains_key(&key)
    })
}

/// Returns when a stanza came in, in Unix milliseconds.
pub(super) fn came(entry: &LedgerEntry) -> u64 {
    entry.wire_ns / 1_000_000
}

/// Returns all chats that have what is searched for, in lower case, those with news first.
pub(super) fn list<'a>(state: &'a ServerState, wanted: &str) -> Vec<ChatSummary<'a>> {
    let mut order: HashMap<(&str, &str), usize> = HashMap::new();
    let mut all: Vec<ChatSummary<'a>> = Vec::new();
    let mut at = |all: &mut Vec<ChatSummary<'a>>, from: &'a str, to: &'a str| {
        let pair = if from < to { (from, to) } else { (to, from) };
        *order.entry(pair).or_insert_with(|| {
            let chat = on_the_simulated_screen(state, from, to);
            all.push(ChatSummary { chat, message: None, lost: None, at: 0, unread: 0 });
            all.len() - 1
        })
    };
    for message in &state.messages {
        let index = at(&mut all, &message.from, &message.to);
        let summary = &mut all[index];
        let unread = message.to == summary.chat.phone && !is_read(message);
        summary.unread += usize::from(unread);
        summary.at = summary.at.max(message.at);
        if wanted.is_empty() || message.text.to_lowercase().contains(wanted) {
            summary.message = Some(message);
        }
    }
    for entry in lost(state) {
        let index = at(&mut all, &entry.from, &entry.to);
        let summary = &mut all[index];
        if summary.lost.is_none_or(|known| known.wire_ns < entry.wire_ns) {
            summary.lost = Some(entry);
            summary.at = summary.at.max(came(entry));
        }
    }
    for summary in &mut all {
        let latest = summary.message.map_or(0, |message| message.at);
        let found = !wanted.is_empty() && summary.message.is_some();
        summary.lost = summary.lost.filter(|entry| came(entry) > latest && !found);
    }
    if !wanted.is_empty() {
        let digits: String = wanted.chars().filter(char::is_ascii_digit).collect();
        let is_number = !digits.is_empty() && !wanted.contains(char::is_alphabetic);
        all.retain(|summary| {
            let Chat { phone, with } = &summary.chat;
            let named = is_number && (phone.contains(&digits) || with.contains(&digits));
            named || summary.message.is_some()
        });
    }
    all.sort_by(|one, other| {
        other.at.cmp(&one.at).then_with(|| one.chat.phone.cmp(&other.chat.phone))
    });
    all
}

fn is_read(message: &Message) -> bool {
    message.status == crate::message::MessageStatus::Read
}

/// Returns the chat on the screen of the simulated phone: clients have screens of their own.
fn on_the_simulated_screen(state: &ServerState, from: &str, to: &str) -> Chat {
    let client = |number| state.accounts.get(number).is_some_and(|a| a.clients().next().is_some());
    let (phone, with) = if client(to) && !client(from) { (from, to) } else { (to, from) };
    Chat { phone: phone.to_owned(), with: with.to_owned() }
}

/// Returns the messages of a chat, oldest first, and those that did not arrive.
pub(super) fn conversation<'a>(
    state: &'a ServerState,
    chat: &Chat,
) -> (Vec<&'a Message>, Vec<&'a LedgerEntry>) {
    let mut messages: Vec<&Message> =
        state.messages.iter().filter(|message| chat.has(&message.from, &message.to)).collect();
    messages.sort_by_key(|message| message.at);
    let mut lost: Vec<&LedgerEntry> =
        lost(state).filter(|entry| chat.has(&entry.from, &entry.to)).collect();
    lost.sort_by_key(|entry| entry.seq);
    (messages, lost)
}
