//! What a phone tells a client it has just been linked to: with whom it has chats, what was
//! written there, and the tokens it was given.

use std::io::Write;
use std::sync::Arc;

use buffa::{Message as _, MessageField};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use crate::chat::{ChatToken, HistoryChat};
use crate::core::Core;
use crate::device::DeviceId;
use crate::device::lid_of;
use crate::faults::{Action, Facts, Stanza};
use crate::media::{self, File};
use crate::seed::Seed;
use crate::state::ServerState;

/// The most chats of one part.
const CHATS_PER_PART: usize = 5000;
const DAY_S: u64 = 24 * 3600;
/// How old a token is that holds, and one that does not any more.
const VALID_AGE_S: u64 = DAY_S;
const EXPIRED_AGE_S: u64 = 60 * DAY_S;

impl ServerState {
    /// Sets the chats that a number's phone tells of when it is linked.
    pub fn set_history(&mut self, number: &str, chats: Vec<HistoryChat>, now_s: u64) {
        for chat in &chats {
            let age = match chat.token {
                ChatToken::None => None,
                ChatToken::Valid => Some(VALID_AGE_S),
                ChatToken::Expired => Some(EXPIRED_AGE_S),
            };
            if let Some(age) = age {
                self.note_token(chat.with.clone(), number.to_owned(), now_s - age);
            }
        }
        self.restore_history(number, chats);
    }

    /// Does the same for chats whose tokens were noted before.
    pub fn restore_history(&mut self, number: &str, chats: Vec<HistoryChat>) {
        for chat in &chats {
            self.lid(&chat.with);
            let (from, to) = if chat.wrote {
                (chat.with.as_str(), number)
            } else {
                (number, chat.with.as_str())
            };
            self.chats.insert((from.to_owned(), to.to_owned()));
        }
        self.histories.insert(number.to_owned(), chats);
    }
}

impl Core {
    /// Tells a client of the phone's chats, part by part.
    pub(crate) fn send_history(self: &Arc<Self>, to: &DeviceId) -> anyhow::Result<()> {
        let chats = self.state().histories.get(&to.number).map_or(0, Vec::len);
        for part in 0..chats.div_ceil(CHATS_PER_PART) {
            let facts =
                Facts { stanza: Stanza::History, from: None, to: Some(&to.number), id: None };
            let action = self.state().faults.strike(facts);
            let times = match action {
                Some(Action::Swallow) => continue,
                Some(Action::Duplicate { copies }) => copies + 1,
                _ => 1,
            };
            let Some(Action::Delay { ms, jitter_ms }) = action else {
                for _ in 0..times {
                    self.send_part(to, part)?;
                }
                continue;
            };
            let until = self.clock.now_ms() + self.state().faults.jittered(ms, jitter_ms);
            let (core, to) = (Arc::clone(self), to.clone());
            tokio::spawn(async move {
                core.clock.sleep_until(until).await;
                if let Err(error) = core.send_part(&to, part) {
                    tracing::error!("could not send a part of the history: {error:#}");
                }
            });
        }
        Ok(())
    }

    fn send_part(&self, to: &DeviceId, index: usize) -> anyhow::Result<()> {
        let Some(part) = self.history_part(&to.number, index) else { return Ok(()) };
        let seed = self.state().seed;
        let file = Arc::new(part.file(seed)?);
        self.state().files.insert((to.number.clone(), index), Arc::clone(&file));
        let notification = wa::message::HistorySyncNotification {
            file_sha256: Some(file.plain_sha256.to_vec()),
            file_length: Some(file.plain_length),
            media_key: Some(file.key.to_vec()),
            file_enc_sha256: Some(file.sha256.to_vec()),
            direct_path: Some(media::direct_path(&to.number, index)),
            sync_type: Some(match part.is_recent() {
                true => wa::message::HistorySyncType::RECENT,
                false => wa::message::HistorySyncType::INITIAL_BOOTSTRAP,
            }),
            chunk_order: Some(u32::try_from(index + 1)?),
            progress: Some(part.progress),
            ..Default::default()
        };
        let message = wa::Message {
            protocol_message: MessageField::some(wa::message::ProtocolMessage {
                r#type: Some(wa::message::protocol_message::Type::HISTORY_SYNC_NOTIFICATION),
                history_sync_notification: MessageField::some(notification),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.tell_companion(to, &message)
    }

    /// Returns a part of what the phone of a number tells of its chats; none beyond the last one.
    fn history_part(&self, number: &str, index: usize) -> Option<Part> {
        let now_s = self.clock.now_s();
        let state = self.state();
        let all = state.histories.get(number)?;
        let chats = all.chunks(CHATS_PER_PART).nth(index)?;
        let done = index * CHATS_PER_PART + chats.len();
        let chats = chats
            .iter()
            .map(|chat| {
                let given_at = state.token_given(&chat.with, number);
                let token = given_at.map(|at| (state.token(&chat.with, number, at), at));
                (chat.clone(), token)
            })
            .collect();
        Some(Part {
            number: number.to_owned(),
            index,
            chats,
            now_s,
            progress: u32::try_from(done * 100 / all.len()).unwrap_or(100),
        })
    }
}

/// A chat, with its token and when that was given.
type ToldChat = (HistoryChat, Option<(Vec<u8>, u64)>);

/// A part of a history.
struct Part {
    number: String,
    index: usize,
    chats: Vec<ToldChat>,
    now_s: u64,
    /// How much of the history is told by the end of it, in percent.
    progress: u32,
}

impl Part {
    /// Returns whether it is one of those that end a history: all but the first of several.
    fn is_recent(&self) -> bool {
        self.index > 0 || self.progress == 100
    }

    /// Returns the part as the client downloads it.
    fn file(&self, seed: Seed) -> anyhow::Result<File> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&self.history(seed).encode_to_vec())?;
        let key = seed.bytes(&format!("history {} {}", self.number, self.index));
        File::encrypt(&zlib.finish()?, key)
    }

    fn history(&self, seed: Seed) -> wa::HistorySync {
        // Phones name some chats by number and others by hidden id.
        let is_by_lid = |index: usize| index.is_multiple_of(2);
        let chats = self.chats.iter().enumerate();
        let conversations = chats
            .clone()
            .map(|(index, told)| self.conversation(seed, told, is_by_lid(index)))
            .chain([self.group()]);
        let by_number = chats.filter(|(index, _)| !is_by_lid(*index)).map(|(_, told)| told);
        wa::HistorySync {
            sync_type: match self.is_recent() {
                true => wa::history_sync::HistorySyncType::RECENT,
                false => wa::history_sync::HistorySyncType::INITIAL_BOOTSTRAP,
            },
            conversations: conversations.collect(),
            progress: Some(self.progress),
            phone_number_to_lid_mappings: by_number
                .map(|(chat, _)| wa::PhoneNumberToLIDMapping {
                    pn_jid: Some(by_number_of(chat)),
                    lid_jid: Some(by_lid_of(seed, chat)),
                })
                .collect(),
            ..Default::default()
        }
    }

    fn conversation(&self, seed: Seed, told: &ToldChat, by_lid: bool) -> wa::Conversation {
        let (chat, token) = told;
        let number = by_number_of(chat);
        let id = if by_lid { by_lid_of(seed, chat) } else { number.clone() };
        wa::Conversation {
            messages: vec![self.security_notice(&id), self.message(&id, !chat.wrote)],
            pn_jid: by_lid.then_some(number),
            tc_token: token.as_ref().map(|(token, _)| token.clone()),
            tc_token_timestamp: token.as_ref().map(|(_, given_at)| *given_at),
            id,
            ..Default::default()
        }
    }

    /// Returns a group in which somebody wrote: no chat of one person with another.
    fn group(&self) -> wa::Conversation {
        let id = "120363000000000001@g.us".to_owned();
        wa::Conversation { messages: vec![self.message(&id, false)], id, ..Default::default() }
    }

    fn message(&self, chat: &str, from_me: bool) -> wa::HistorySyncMsg {
        let content = wa::Message {
            conversation: Some("Selamat pagi, internet saya mati.".to_owned()),
            ..Default::default()
        };
        let mut message = self.bare_message(chat, from_me);
        message.message = MessageField::some(content);
        wa::HistorySyncMsg { message: MessageField::some(message), ..Default::default() }
    }

    /// Returns the notice that every chat begins with. Nobody has written it.
    fn security_notice(&self, chat: &str) -> wa::HistorySyncMsg {
        let mut notice = self.bare_message(chat, false);
        notice.message_stub_type = Some(wa::web_message_info::StubType::E2E_ENCRYPTED);
        wa::HistorySyncMsg { message: MessageField::some(notice), ..Default::default() }
    }

    fn bare_message(&self, chat: &str, from_me: bool) -> wa::WebMessageInfo {
        wa::WebMessageInfo {
            key: MessageField::some(wa::MessageKey {
                remote_jid: Some(chat.to_owned()),
                from_me: Some(from_me),
                id: Some("3A00000000000001".to_owned()),
                ..Default::default()
            }),
            message_timestamp: Some(self.now_s - DAY_S),
            ..Default::default()
        }
    }
}

fn by_number_of(chat: &HistoryChat) -> String {
    Jid::pn(chat.with.as_str()).to_string()
}

fn by_lid_of(seed: Seed, chat: &HistoryChat) -> String {
    Jid::lid(lid_of(seed, &chat.with)).to_string()
}
