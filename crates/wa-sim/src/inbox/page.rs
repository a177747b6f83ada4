//! The inbox as HTML: the page, and the parts of it that change.

use super::chats::{self, Chat, ChatSummary};
use super::text::{Encoded, Escaped, Marked, Moment, Number, Rich, plain, put};
use super::{Parts, Place, Viewer, fault_panel};
use crate::account::Receipts;
use crate::connection::WEBSOCKET_PATH;
use crate::core::Core;
use crate::ledger::{CopyOutcome, LedgerEntry};
use crate::message::{Message, MessageStatus};
use crate::reports::AccountInfo;
use crate::state::ServerState;

/// More chats are found by searching.
const CHATS_SHOWN: usize = 200;
/// The latest messages of a chat; the rest is in the control API.
const MESSAGES_SHOWN: usize = 500;
/// How much of a message the list shows, in characters.
const PREVIEW: usize = 90;
/// Linked clients named at the foot of the list.
const CLIENTS_SHOWN: usize = 3;
/// Colours of faces.
const HUES: u32 = 8;

impl Place {
    fn chat(&self) -> Option<Chat> {
        let chat = Chat { phone: self.phone.clone(), with: self.with.clone() };
        (!chat.phone.is_empty() && !chat.with.is_empty()).then_some(chat)
    }

    pub fn faults_open(&self) -> bool {
        self.panel == "faults"
    }

    /// Returns the address of this place, escaped for an attribute.
    fn link(&self) -> String {
        let parts =
            [("phone", &self.phone), ("with", &self.with), ("q", &self.q), ("panel", &self.panel)];
        let query: Vec<String> = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", Encoded(value)))
            .collect();
        if query.is_empty() { "/".to_owned() } else { format!("/?{}", query.join("&amp;")) }
    }

    /// Returns the address of the same page with this chat on it.
    fn at(&self, chat: &Chat) -> String {
        Self { phone: chat.phone.clone(), with: chat.with.clone(), ..self.clone() }.link()
    }

    /// Returns the address of the same page without a chat.
    fn list(&self) -> String {
        Self { q: self.q.clone(), panel: self.panel.clone(), ..Self::default() }.link()
    }

    /// Returns the address of the same page with the fault panel opened or closed.
    pub fn other_panel(&self) -> String {
        let panel = if self.faults_open() { String::new() } else { "faults".to_owned() };
        Self { panel, ..self.clone() }.link()
    }
}

/// Returns the parts of the page that change by themselves.
pub(super) fn parts(core: &Core, place: &Place, viewer: &Viewer) -> Parts {
    let accounts = core.account_infos();
    let violations = core.all_violations().len();
    let state = core.state();
    let now = Moment::new(core.clock.now_ms(), viewer.utc_offset);
    let mut parts = Parts::from([
        ("chats", chat_list(&state, place, viewer, now)),
        ("world", world(&accounts, violations, now)),
        ("faults-on", badge(&state)),
    ]);
    if let Some(chat) = place.chat() {
        let account = accounts.iter().find(|account| account.phone == chat.phone);
        parts.insert("chat-head", chat_head(&state, place, &chat, account));
        parts.insert("log", log(&state, &chat, viewer, now));
    } else {
        parts.insert("hello", hello(viewer));
    }
    if place.faults_open() {
        parts.insert("switches", fault_panel::switches(&state.faults));
    }
    parts
}

/// Returns the whole page.
pub(super) fn whole(place: &Place, parts: &Parts) -> String {
    let part = |id| parts.get(id).map_or("", String::as_str);
    let chat = place.chat();
    let shows = match (&chat, place.faults_open()) {
        (_, true) => "faults",
        (Some(_), false) => "chat",
        (None, false) => "list",
    };
    let main = match &chat {
        Some(chat) => format!(
            include_str!("chat.html"),
            head = part("chat-head"),
            log = part("log"),
            from = Escaped(&chat.phone),
            to = Escaped(&chat.with),
            writer = Number(&chat.phone),
        ),
        None => format!(include_str!("hello.html"), hello = part("hello")),
    };
    format!(
        include_str!("page.html"),
        shows = shows,
        phone = Escaped(&place.phone),
        with = Escaped(&place.with),
        panel = Escaped(&place.panel),
        q = Escaped(&place.q),
        other_panel = place.other_panel(),
        pressed = place.faults_open(),
        faults_on = part("faults-on"),
        chats = part("chats"),
        world = part("world"),
        main = main,
        faults = if place.faults_open() {
            fault_panel::panel(place, chat.as_ref(), part("switches"))
        } else {
            String::new()
        },
    )
}

fn chat_list(state: &ServerState, place: &Place, viewer: &Viewer, now: Moment) -> String {
    let wanted = place.q.trim().to_lowercase();
    let all = chats::list(state, &wanted);
    let mut html = String::new();
    if all.is_empty() {
        let text = if wanted.is_empty() { "No messages yet" } else { "Nothing found" };
        return format!(r#"<p class="none">{text}</p>"#);
    }
    html.push_str("<ul>");
    for summary in all.iter().take(CHATS_SHOWN) {
        html.push_str(&chat_row(summary, place, &wanted, viewer, now));
    }
    html.push_str("</ul>");
    if all.len() > CHATS_SHOWN {
        let more = all.len() - CHATS_SHOWN;
        put(&mut html, format_args!(r#"<p class="none">{more} more; search to find them</p>"#));
    }
    html
}

fn chat_row(
    summary: &ChatSummary<'_>,
    place: &Place,
    wanted: &str,
    viewer: &Viewer,
    now: Moment,
) -> String {
    let Chat { phone, with } = &summary.chat;
    let here = summary.chat.has(&place.phone, &place.with);
    let preview = match (summary.lost, summary.message) {
        (Some(lost), _) => format!(r#"<span class="lost">{}</span>"#, fate(lost)),
        (None, Some(message)) => {
            let text = excerpt(&plain(&message.text), wanted);
            format!("{}{}", ticks(message.status), Marked { text: &text, wanted })
        }
        (None, None) => String::new(),
    };
    let unread = match summary.unread {
        0 => String::new(),
        n => format!(r#"<span class="unread" aria-label="{n} not read">{n}</span>"#),
    };
    format!(
        r#"<li><a id="to-{id}" class="row" href="{href}"{current}>{face}<span class="name">{name}</span><time>{time}</time><span class="preview">{preview}</span>{unread}</a></li>"#,
        id = Escaped(&format!("{phone}-{with}")),
        href = place.at(&summary.chat),
        current = if here { r#" aria-current="page""# } else { "" },
        face = face(phone),
        name = Number(phone),
        time = Moment::new(summary.at, viewer.utc_offset).short(now),
    )
}

/// Returns the line that a list shows of a text: where what is searched for is, else its start.
fn excerpt(text: &str, wanted: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let hit = line.to_lowercase().find(wanted).unwrap_or_default();
    let before = line.get(..hit).map_or(0, |head| head.chars().count());
    let skipped = if before > PREVIEW / 3 { before - PREVIEW / 4 } else { 0 };
    let cut: String = line.chars().skip(skipped).take(PREVIEW).collect();
    if skipped > 0 { format!("…{cut}") } else { cut }
}

fn face(number: &str) -> String {
    let hue = number.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte)) % HUES;
    let tail: String = number.chars().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
    format!(r#"<span class="face hue-{hue}" aria-hidden="true">{}</span>"#, Escaped(&tail))
}

fn ticks(status: MessageStatus) -> String {
    let (class, icon, about) = match status {
        MessageStatus::Sent => ("sent", "tick", "Sent: the server has it"),
        MessageStatus::Delivered => ("delivered", "ticks", "Delivered: the phone has it"),
        MessageStatus::Read => ("read", "ticks", "Read"),
    };
    format!(
        r##"<svg class="tick {class}" role="img" aria-label="{about}"><title>{about}</title><use href="#{icon}"/></svg>"##
    )
}

/// Returns what became of a message that did not arrive.
fn fate(entry: &LedgerEntry) -> String {
    match (entry.outcome, entry.error) {
        (CopyOutcome::Refused, Some(code)) => format!("Refused with error {code}"),
        (CopyOutcome::Refused, None) => "Refused".to_owned(),
        (CopyOutcome::Queued, _) => "Waits until the phone is back".to_owned(),
        (CopyOutcome::Undecryptable, _) => "Could not be decrypted".to_owned(),
        _ => "Lost on the way".to_owned(),
    }
}

/// Shows who is connected, what went wrong, and the simulated time.
fn world(accounts: &[AccountInfo], violations: usize, now: Moment) -> String {
    let mut html = String::from(r#"<div class="clients">"#);
    let clients: Vec<_> = accounts
        .iter()
        .flat_map(|account| account.devices.iter().map(move |device| (account, device)))
        .filter(|(_, device)| !device.platform.is_empty())
        .collect();
    for (account, device) in clients.iter().take(CLIENTS_SHOWN) {
        let (class, about) =
            if device.connected { ("on", "connected") } else { ("off", "not connected") };
        put(
            &mut html,
            format_args!(
                r#"<span class="client {class}" title="{about}">{}<span class="hidden">{about}</span></span>"#,
                Number(&account.phone)
            ),
        );
    }
    if clients.len() > CLIENTS_SHOWN {
        put(&mut html, format_args!("<span>+{}</span>", clients.len() - CLIENTS_SHOWN));
    }
    if violations > 0 {
        let s = if violations == 1 { "" } else { "s" };
        put(
            &mut html,
            format_args!(
                r#"<a class="violations" href="/control/violations">{violations} violation{s}</a>"#
            ),
        );
    }
    put(
        &mut html,
        format_args!(
            r#"</div><span class="now" title="The simulated time">{}</span>"#,
            now.clock()
        ),
    );
    html
}

fn badge(state: &ServerState) -> String {
    match state.faults.rules().len() {
        0 => String::new(),
        n => format!(r#"<span class="count" aria-label="{n} on">{n}</span>"#),
    }
}

fn chat_head(
    state: &ServerState,
    place: &Place,
    chat: &Chat,
    account: Option<&AccountInfo>,
) -> String {
    let settings = state.settings(&chat.phone);
    let online = account.is_none_or(|account| account.online);
    let standing = match (settings.registered, online) {
        (false, _) => "not on WhatsApp",
        (true, false) => "out of reach",
        (true, true) => "online",
    };
    let receipts = [
        (Receipts::Read, "read", "Reads everything"),
        (Receipts::Delivered, "delivered", "Receives, never reads"),
        (Receipts::None, "none", "Says nothing back"),
    ];
    let mut choices = String::new();
    for (value, name, about) in receipts {
        put(
            &mut choices,
            format_args!(
                r#"<button id="receipts-{name}" type="button" role="menuitemradio" aria-checked="{}" data-method="PUT" data-path="/control/numbers/{}" data-body='{{"receipts":"{name}"}}'>{about}</button>"#,
                settings.receipts == value,
                Escaped(&chat.phone),
            ),
        );
    }
    let other = Chat { phone: chat.with.clone(), with: chat.phone.clone() };
    format!(
        include_str!("chat_head.html"),
        back = place.list(),
        face = face(&chat.phone),
        name = Number(&chat.phone),
        standing_class = if settings.registered && online { "on" } else { "off" },
        standing = standing,
        with = Number(&chat.with),
        swap = place.at(&other),
        choices = choices,
        phone = Escaped(&chat.phone),
    )
}

fn log(state: &ServerState, chat: &Chat, viewer: &Viewer, now: Moment) -> String {
    let (messages, lost) = chats::conversation(state, chat);
    let mut html = String::new();
    let skipped = messages.len().saturating_sub(MESSAGES_SHOWN);
    if skipped > 0 {
        put(&mut html, format_args!(r#"<li class="day">{skipped} earlier messages</li>"#));
    }
    let mut day = None;
    let mut last_from = "";
    for message in messages.into_iter().skip(skipped) {
        let at = Moment::new(message.at, viewer.utc_offset);
        if day != Some(at.day()) {
            put(&mut html, format_args!(r#"<li class="day">{}</li>"#, at.date(now)));
            last_from = "";
        }
        day = Some(at.day());
        html.push_str(&bubble(message, chat, at, last_from != message.from));
        last_from = &message.from;
    }
    for entry in lost {
        put(
            &mut html,
            format_args!(
                r##"<li class="lost" id="lost-{id}"><svg aria-hidden="true"><use href="#alert"/></svg>{fate}<small>to {to}, {time}, id {id}</small></li>"##,
                fate = fate(entry),
                to = Number(&entry.to),
                time = Moment::new(chats::came(entry), viewer.utc_offset).clock(),
                id = Escaped(&entry.id),
            ),
        );
    }
    html
}

fn bubble(message: &Message, chat: &Chat, at: Moment, first: bool) -> String {
    let mine = message.from == chat.phone;
    let copies = match message.copies {
        0 | 1 => String::new(),
        n => format!(
            r#"<span class="copies" title="{n} stanzas came under this id; the phone shows one">&times;{n}</span>"#
        ),
    };
    format!(
        r#"<li id="m-{id}" class="bubble {side}{tail}"><p>{text}</p><span class="meta">{copies}<time>{time}</time>{ticks}</span></li>"#,
        id = Escaped(&message.id),
        side = if mine { "mine" } else { "theirs" },
        tail = if first { " tail" } else { "" },
        text = Rich(&message.text),
        time = at.clock(),
        ticks = ticks(message.status),
    )
}

fn hello(viewer: &Viewer) -> String {
    format!("ws://{}{WEBSOCKET_PATH}", Escaped(&viewer.host))
}
