//! The fault panel: fault rules to switch on and off by hand.

use super::Place;
use super::chats::Chat;
use super::text::{Escaped, Number, put};
use crate::faults::{Action, FaultRule, Faults, Match, Stanza};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Rules people want most, in groups.
struct Group {
    name: &'static str,
    /// The field of a match that names the simulated phone, where there is one.
    phone_is: &'static str,
    presets: Vec<Preset>,
}

struct Preset {
    name: &'static str,
    about: &'static str,
    rule: FaultRule,
}

fn on(stanza: Stanza, name: &'static str, about: &'static str, action: Action) -> Preset {
    Preset { name, about, rule: FaultRule::on(stanza, action) }
}

fn groups() -> [Group; 5] {
    [messages(), recipients(), receipts(), account(), requests()]
}

fn messages() -> Group {
    let refused = |code| Action::AckError { code };
    let message = |name, about, action| on(Stanza::Message, name, about, action);
    Group {
        name: "Messages",
        phone_is: "to",
        presets: vec![
            message("Ack lost", "Delivered, but the server's ack is lost", Action::NoAck),
            message("Ack late", "Comes ten seconds later", Action::LateAck { ms: 10_000 }),
            message("463 limit", "May not write to strangers", refused(463)),
            message("429 too many", "Refused: too many messages", refused(429)),
            message("503 busy", "Refused: the server is busy", refused(503)),
            message("479 malformed", "Refused: not understood", refused(479)),
            message("Vanishes", "Never arrives, and nobody says so", Action::Swallow),
            message(
                "Slow",
                "Two to five seconds on the way",
                Action::Delay { ms: 2000, jitter_ms: 3000 },
            ),
            message(
                "Drop before ack",
                "Delivered, then the connection breaks",
                Action::DropBeforeAck,
            ),
            message(
                "Drop after ack",
                "Delivered and acked, then the connection breaks",
                Action::DropAfterAck,
            ),
        ],
    }
}

fn recipients() -> Group {
    let recipient = |name, about, action| on(Stanza::Message, name, about, action);
    Group {
        name: "Recipients",
        phone_is: "to",
        presets: vec![
            recipient("Offline", "Out of reach for a minute", Action::Offline { ms: MINUTE_MS }),
            recipient("New phone", "Has installed the app anew: other keys", Action::Reinstall),
            recipient("Asks again", "Asks for the message to be sent again", Action::AskRetry),
            recipient("One more device", "Has just linked a device", Action::AddDevice),
        ],
    }
}

fn receipts() -> Group {
    let receipt = |name, about, action| on(Stanza::Receipt, name, about, action);
    Group {
        name: "Receipts",
        phone_is: "from",
        presets: vec![
            receipt("Lost receipts", "Never reach the sender", Action::Swallow),
            receipt("Late receipts", "Come an hour later", Action::Hold { ms: HOUR_MS }),
            receipt("Receipts twice", "Every receipt comes twice", Action::Duplicate { copies: 1 }),
            receipt("Receipts reordered", "Overtaken by the next one", Action::Reorder),
        ],
    }
}

fn account() -> Group {
    let any = |name, about, action| Preset {
        name,
        about,
        rule: FaultRule { when: Match::default(), action, probability: 1.0, times: None },
    };
    let failure = |reason| Action::Failure { reason, code: None, expire: None };
    let ban = Action::Failure { reason: 402, code: Some(101), expire: Some(3600) };
    let conflict = |what: &str| Action::StreamError { code: None, conflict: Some(what.to_owned()) };
    let restart = Action::StreamError { code: Some(515), conflict: None };
    Group {
        name: "Account and connection",
        phone_is: "",
        presets: vec![
            any("Ban", "402: banned for an hour", ban),
            any("Logged out", "401: the link is gone", failure(401)),
            any("Unlinked", "The phone unlinks the client", Action::Revoke),
            any("Replaced", "Somebody else took the session over", conflict("replaced")),
            any("Restart", "Stream error 515: connect again", restart),
            any("Drop connection", "Breaks at the next stanza", Action::Drop),
            any("Silence", "The connection stays, nothing comes", Action::Silence),
            on(Stanza::Login, "Server down", "503 at login", failure(503)),
            on(Stanza::Connect, "Nobody answers", "New connections break", Action::Drop),
        ],
    }
}

fn requests() -> Group {
    let error = |code| Action::Error { code, text: String::new() };
    let keys = |name, about, action| on(Stanza::Prekeys, name, about, action);
    Group {
        name: "Requests",
        phone_is: "",
        presets: vec![
            on(Stanza::Usync, "Usync 429", "Who is on WhatsApp: asked too often", error(429)),
            keys("Keys 406", "The recipient has no keys", error(406)),
            keys("Keys 500", "The server cannot find keys", error(500)),
            keys("Keys used up", "No one-time key left", Action::NoOneTimeKey),
            on(Stanza::Iq, "No answers", "Other requests vanish", Action::Swallow),
            on(
                Stanza::PasskeyRequest,
                "Passkey not asked",
                "The request for it is lost",
                Action::Swallow,
            ),
            on(Stanza::Passkey, "Passkey refused", "Whatever the browser answers", error(401)),
        ],
    }
}

/// Returns the fault panel around its switches.
pub(super) fn panel(place: &Place, chat: Option<&Chat>, switches: &str) -> String {
    let only = chat.map_or_else(String::new, |chat| {
        format!(
            r#"<label class="only"><input type="checkbox" name="only" value="{}"> only {}</label>"#,
            Escaped(&chat.phone),
            Number(&chat.phone)
        )
    });
    format!(
        include_str!("fault_panel.html"),
        close = place.other_panel(),
        only = only,
        switches = switches
    )
}

/// Returns what is on, and what can be switched on.
pub(super) fn switches(faults: &Faults) -> String {
    let groups = groups();
    let active: Vec<(&FaultRule, u32)> = faults.struck().collect();
    let mut html = String::new();
    html.push_str(r#"<section class="active"><h3>On now</h3>"#);
    if active.is_empty() {
        html.push_str(r#"<p class="none">Nothing goes wrong</p>"#);
    } else {
        html.push_str("<ul>");
        for (index, (rule, struck)) in active.iter().enumerate() {
            html.push_str(&active_rule(&groups, index, rule, *struck));
        }
        html.push_str(
            r#"</ul><button id="clear" type="button" class="clear" data-method="PUT" data-path="/control/faults" data-body="[]">Clear all</button>"#,
        );
    }
    html.push_str("</section>");
    for group in &groups {
        put(&mut html, format_args!(r#"<section><h3>{}</h3><div class="presets">"#, group.name));
        for preset in &group.presets {
            let id = preset.name.replace(' ', "-").to_lowercase();
            let on = active.iter().any(|(rule, _)| same(rule, &preset.rule));
            put(
                &mut html,
                format_args!(
                    r#"<button id="fault-{id}" type="button" aria-pressed="{on}" title="{about}" data-add="{rule}" data-phone-is="{phone_is}">{name}<small>{about}</small></button>"#,
                    about = Escaped(preset.about),
                    rule = Escaped(&json(&preset.rule)),
                    phone_is = group.phone_is,
                    name = Escaped(preset.name),
                ),
            );
        }
        html.push_str("</div></section>");
    }
    html
}

fn active_rule(groups: &[Group], index: usize, rule: &FaultRule, struck: u32) -> String {
    let known =
        groups.iter().flat_map(|group| &group.presets).find(|preset| same(rule, &preset.rule));
    let action = serde_json::to_string(&rule.action).unwrap_or_default();
    let name = known.map_or(action, |preset| preset.name.to_owned());
    let stanza = rule.when.stanza.filter(|_| known.is_none());
    let stanza = stanza.and_then(|stanza| serde_json::to_value(stanza).ok());
    let chips = [
        stanza.as_ref().and_then(|name| name.as_str()).map(str::to_owned),
        rule.when.to.as_deref().map(|to| format!("to {}", Number(to))),
        rule.when.from.as_deref().map(|from| format!("from {}", Number(from))),
        rule.when.id.as_deref().map(|id| format!("id {}", Escaped(id))),
        rule.when.nth.map(|nth| format!("only no. {nth}")),
        rule.times.map(|times| format!("at most {times}&times;")),
        (rule.probability < 1.0).then(|| format!("{:.0} %", rule.probability * 100.0)),
        (struck > 0).then(|| format!("struck {struck}&times;")),
    ];
    let mut html = format!("<li><div><strong>{}</strong>", Escaped(&name));
    for chip in chips.into_iter().flatten() {
        put(&mut html, format_args!("<span>{chip}</span>"));
    }
    put(
        &mut html,
        format_args!(
            r##"</div><button id="off-{index}" type="button" class="icon" aria-label="Switch off {name}" data-remove="{rule}"><svg aria-hidden="true"><use href="#close"/></svg></button></li>"##,
            name = Escaped(&name),
            rule = Escaped(&json(rule)),
        ),
    );
    html
}

/// Returns whether two rules do the same to the same kind of stanza, however often and to whomever.
fn same(one: &FaultRule, other: &FaultRule) -> bool {
    one.when.stanza == other.when.stanza && one.action == other.action
}

/// Rules always serialize.
fn json(rule: &FaultRule) -> String {
    serde_json::to_string(rule).unwrap_or_default()
}
