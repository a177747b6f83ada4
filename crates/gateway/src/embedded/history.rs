//! The history that the phone sends after it was linked: who has written, and the tokens that
//! WhatsApp wants with messages to them. Nothing else of it is kept.
//!
//! Nothing waits for it. It comes in parts; the library downloads each, stores the tokens, and
//! hands it over here.

use super::Shared;
use super::storage::{ReceivedToken, Storage};
use crate::Event;
use kabari_domain::{Phone, Timestamp};
use std::sync::Arc;
use whatsapp_rust::prelude::wa::{self, message::HistorySyncType};
use whatsapp_rust::types::events::LazyHistorySync;
use whatsapp_rust::wacore::history_sync::HistorySyncError;
use whatsapp_rust::{Client, Jid};

/// The most people that one event names.
const PEOPLE_PER_EVENT: usize = 500;
/// The progress of a history that is there as a whole, in percent.
const COMPLETE: u32 = 100;

/// What is kept of a chat with somebody who has written.
struct HistoryChat {
    id: Jid,
    /// The other person's number, if the chat tells it.
    number: Option<Jid>,
    /// When that person wrote last, as far as the history goes.
    wrote_at: Timestamp,
    /// The token that person has given us, and when, in Unix seconds.
    token: Option<(Vec<u8>, i64)>,
}

impl Shared {
    /// Takes in a part of the history, beside everything else.
    pub(super) fn history(self: &Arc<Self>, part: &LazyHistorySync, storage: &Arc<Storage>) {
        let Some(progress) = progress(part) else { return };
        let Some(client) = self.client() else { return };
        let (shared, part, storage) = (self.clone(), part.clone(), storage.clone());
        tokio::spawn(async move {
            // One part in memory at a time, however many come at once.
            let _turn = shared.history_turn.lock().await;
            match tokio::task::spawn_blocking(move || read(&part)).await {
                Ok(Ok(chats)) => {
                    tracing::info!(chats = chats.len(), progress, "the phone told of its chats");
                    shared.take_in(&client, &storage, chats).await;
                    // As in `acked_late`.
                    let _ = shared.events.send(Event::HistoryProgress { percent: progress });
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a part of the phone's history cannot be read: who is named only there counts as a stranger");
                }
                // A panic in it was reported where it happened.
                Err(_) => {}
            }
        });
    }

    async fn take_in(&self, client: &Client, storage: &Storage, chats: Vec<HistoryChat>) {
        let (mut people, mut tokens) = (Vec::with_capacity(chats.len()), vec![]);
        let mut unnamed = 0;
        for chat in chats {
            let known = match client.get_lid_pn_entry(&chat.id).await {
                Ok(known) => known,
                Err(error) => {
                    tracing::warn!(%error, "cannot look up whose chat it is");
                    None
                }
            };
            // The library stores the tokens of a part before it learns from it who is who, and
            // looks for them by hidden id from then on.
            if let (Some((token, given_at)), Some(known), true) =
                (chat.token, &known, chat.id.is_pn())
            {
                tokens.push(ReceivedToken { lid: known.lid.to_string(), token, given_at });
            }
            let number = chat.number.map(|jid| jid.user.to_string());
            match number.or(known.map(|known| known.phone_number.to_string())) {
                Some(number) => people.push((Phone::from_stored(number), chat.wrote_at)),
                None => unnamed += 1,
            }
        }
        if unnamed > 0 {
            tracing::info!(unnamed, "WhatsApp does not tell the numbers of some chats");
        }
        if let Err(error) = storage.receive_tokens(tokens).await {
            tracing::warn!(%error, "tokens from the history are lost");
        }
        for people in people.chunks(PEOPLE_PER_EVENT) {
            // As in `acked_late`.
            let _ = self.events.send(Event::WroteBefore { people: people.to_vec() });
        }
    }
}

/// Returns how much of the history is there with this part, in percent; `None` for a part without
/// chats. What comes first is complete by itself, but more follows.
fn progress(part: &LazyHistorySync) -> Option<u8> {
    let is = |kind: HistorySyncType| part.sync_type() == kind as i32;
    let told = part.progress().unwrap_or(0).min(COMPLETE);
    let progress = if is(HistorySyncType::RECENT) || is(HistorySyncType::FULL) {
        told
    } else if is(HistorySyncType::INITIAL_BOOTSTRAP) {
        told.min(COMPLETE - 1)
    } else {
        return None;
    };
    u8::try_from(progress).ok()
}

fn read(part: &LazyHistorySync) -> Result<Vec<HistoryChat>, HistorySyncError> {
    let mut conversations = part.stream();
    let mut chats = vec![];
    while let Some(conversation) = conversations.next_conversation()? {
        chats.extend(chat(&conversation));
    }
    Ok(chats)
}

/// Returns what is kept of a conversation; nothing if it is not with one person, who has written to
/// us or given us a token, which only happens when one writes.
fn chat(conversation: &wa::Conversation) -> Option<HistoryChat> {
    let id: Jid = conversation.id.parse().ok()?;
    let number = if id.is_pn() {
        Some(id.clone())
    } else if id.is_lid() {
        conversation.pn_jid.as_deref().and_then(|jid| jid.parse().ok()).filter(Jid::is_pn)
    } else {
        return None;
    };
    let wrote_at = conversation
        .messages
        .iter()
        .filter_map(|message| message.message.as_option())
        .filter(|message| is_written_by_them(message))
        .filter_map(|message| message.message_timestamp)
        .max();
    let given_at = conversation.tc_token_timestamp.filter(|_| conversation.tc_token.is_some());
    let token = conversation.tc_token.clone().zip(given_at.and_then(|at| i64::try_from(at).ok()));
    let wrote_at = i64::try_from(wrote_at.max(given_at)?).ok()?;
    Some(HistoryChat { id, number, wrote_at: Timestamp(wrote_at.saturating_mul(1000)), token })
}

/// Returns whether the other person wrote this message. Notices, such as the one about encryption
/// that every chat begins with, have no content.
fn is_written_by_them(message: &wa::WebMessageInfo) -> bool {
    let is_from_me = message.key.as_option().and_then(|key| key.from_me).unwrap_or_default();
    !is_from_me && message.message.is_set()
}

#[cfg(test)]
mod tests {
    use super::*;
    use whatsapp_rust::prelude::{MessageBuilderExt as _, MessageField};

    const NUMBER: &str = "6281234567801@s.whatsapp.net";
    const HIDDEN: &str = "123456789012345@lid";

    fn message(from_me: bool, content: Option<&str>, at: u64) -> wa::HistorySyncMsg {
        wa::HistorySyncMsg {
            message: MessageField::some(wa::WebMessageInfo {
                key: MessageField::some(wa::MessageKey {
                    from_me: Some(from_me),
                    ..Default::default()
                }),
                message: content.map(wa::Message::text).into(),
                message_timestamp: Some(at),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn conversation(id: &str, messages: Vec<wa::HistorySyncMsg>) -> wa::Conversation {
        wa::Conversation { id: id.into(), messages, ..Default::default() }
    }

    #[test]
    fn keeps_when_the_other_person_wrote_last() {
        let messages = vec![
            message(false, Some("a"), 5),
            message(false, Some("b"), 9),
            message(true, Some("c"), 20),
        ];
        let chat = chat(&conversation(NUMBER, messages)).unwrap();
        assert_eq!(chat.wrote_at, Timestamp(9_000));
        assert_eq!(chat.number.unwrap().user, "6281234567801");
    }

    #[test]
    fn leaves_out_chats_in_which_the_other_person_has_not_written() {
        let notice = || message(false, None, 5);
        let own = || message(true, Some("x"), 5);
        assert!(chat(&conversation(NUMBER, vec![notice(), own()])).is_none());
        let group = vec![message(false, Some("x"), 5)];
        assert!(chat(&conversation("120363000000000001@g.us", group)).is_none());
    }

    #[test]
    fn a_token_is_as_good_as_a_message() {
        let with_token = wa::Conversation {
            tc_token: Some(vec![1, 2, 3]),
            tc_token_timestamp: Some(7),
            pn_jid: Some(NUMBER.into()),
            ..conversation(HIDDEN, vec![])
        };
        let chat = chat(&with_token).unwrap();
        assert_eq!((chat.wrote_at, chat.token), (Timestamp(7_000), Some((vec![1, 2, 3], 7))));
        assert_eq!(chat.number.unwrap().user, "6281234567801");
    }
}
