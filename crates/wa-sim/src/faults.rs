//! Fault rules: which stanza goes wrong, and how.

use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::seed::Seed;

/// One rule. The first rule of the list that matches a stanza and can act on it does so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which stanzas the rule is about.
    #[serde(rename = "match", default)]
    pub when: Match,
    /// What happens to them.
    pub action: Action,
    /// How likely it happens, from 0 to 1. The dice fall the same for the same seed.
    #[serde(default = "always")]
    pub probability: f64,
    /// How often it happens at most; without it, as often as it matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

fn always() -> f64 {
    1.0
}

/// Which stanzas a rule is about. An absent field matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The kind of stanza.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stanza: Option<Stanza>,
    /// The number it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The number it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The stanza's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Limits the rule to the nth stanza that matches, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u32>,
}

/// The kinds of stanzas that rules tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stanza {
    /// A client opens a connection. It has no number yet.
    Connect,
    /// A linked client logs in.
    Login,
    /// A client sends a message.
    Message,
    /// A receipt of a simulated phone on its way to a client. `from` is the phone.
    Receipt,
    /// A client asks who is on WhatsApp, or for device lists.
    Usync,
    /// A client asks for the keys of devices. `to` is the first of them.
    Prekeys,
    /// A client asks for its reach-out or new-chat limits.
    AccountLimits,
    /// The server asks a client for the passkey of an account, whose number is `to`.
    PasskeyRequest,
    /// A client answers with a passkey.
    Passkey,
    /// Any other request of a client.
    Iq,
    /// The phone tells a client that was just linked of a part of its chats. `to` is its number.
    History,
    /// A client downloads a part of a history. `to` is its number.
    Media,
}

/// What can go wrong. Written as `"no_ack"`, or with its fields as `{"ack_error": {"code": 463}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Message: the server refuses it with this error, and delivers nothing.
    AckError {
        /// For example 463, 479, 400, 404, 429 or 503.
        code: u16,
    },
    /// Message: delivered, but the server's ack is lost.
    NoAck,
    /// Message: delivered, the ack comes after this many simulated milliseconds.
    LateAck {
        /// Milliseconds.
        ms: u64,
    },
    /// Message: delivered, then the connection breaks before the ack.
    DropBeforeAck,
    /// Message: delivered and acked, then the connection breaks.
    DropAfterAck,
    /// Message: the recipient's phone asks for it to be sent again.
    AskRetry,
    /// Message: the recipient has just installed the app anew, so its keys have changed.
    Reinstall,
    /// Message: the recipient has just linked one more device.
    AddDevice,
    /// Message: the recipient has just unlinked its latest device.
    RemoveDevice,
    /// Message: the recipient is out of reach for this many simulated milliseconds.
    Offline {
        /// Milliseconds.
        ms: u64,
    },
    /// Receipt, part of a history, or request for a passkey (each time with another challenge):
    /// comes this many times more.
    Duplicate {
        /// How many times more.
        copies: u32,
    },
    /// Receipt: kept back until the next receipt for the same client has gone.
    Reorder,
    /// Receipt: comes this many simulated milliseconds later.
    Hold {
        /// Milliseconds.
        ms: u64,
    },
    /// Request for a passkey: may be answered only for this many simulated milliseconds.
    Expire {
        /// Milliseconds.
        ms: u64,
    },
    /// Request or download: answered with this error, such as 429 for usync, 406 and 500 for
    /// prekeys, or 404 for a download.
    Error {
        /// The error code.
        code: u16,
        /// The error's text.
        #[serde(default)]
        text: String,
    },
    /// Prekeys: the one-time keys are used up.
    NoOneTimeKey,
    /// Download: one bit of the file is another.
    Corrupt,
    /// Anything but a connection: vanishes.
    Swallow,
    /// Anything but a connection or a login: handled later, by `ms` plus at most `jitter_ms` milliseconds
    /// of simulated time.
    Delay {
        /// Milliseconds.
        ms: u64,
        /// Milliseconds.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// What a client does: the server ends the login with `<failure>`.
    Failure {
        /// 401, 402, 403, 405, 406, 500 or 503.
        reason: u16,
        /// For 402, why the number is banned: 101 to 106.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// For 402, for how many seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expire: Option<u64>,
    },
    /// What a client does: the server ends the stream with `<stream:error>`.
    StreamError {
        /// For example 401, 503 or 515.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// `replaced` or `device_removed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conflict: Option<String>,
    },
    /// What a client does: the connection stays open, and nothing more comes over it.
    Silence,
    /// What a client does: the connection breaks before the stanza has any effect.
    Drop,
    /// Message, login or request: the phone unlinks this client.
    Revoke,
    /// Connection: a client that comes with IK has to fall back to XX.
    RefuseIk,
}

impl Action {
    /// Returns whether the action makes sense for this kind of stanza.
    fn applies_to(&self, stanza: Stanza) -> bool {
        use Stanza::{
            AccountLimits, Connect, History, Iq, Login, Media, Message, Passkey, PasskeyRequest,
            Prekeys, Receipt, Usync,
        };
        match self {
            Self::AckError { .. }
            | Self::NoAck
            | Self::LateAck { .. }
            | Self::DropBeforeAck
            | Self::DropAfterAck
            | Self::AskRetry
            | Self::Reinstall
            | Self::AddDevice
            | Self::RemoveDevice
            | Self::Offline { .. } => stanza == Message,
            Self::Duplicate { .. } => matches!(stanza, Receipt | History | PasskeyRequest),
            Self::Reorder | Self::Hold { .. } => stanza == Receipt,
            Self::Expire { .. } => stanza == PasskeyRequest,
            Self::Error { .. } => {
                matches!(stanza, Usync | Prekeys | AccountLimits | Passkey | Iq | Media)
            }
            Self::Corrupt => stanza == Media,
            Self::NoOneTimeKey => stanza == Prekeys,
            Self::Swallow => stanza != Connect,
            Self::Delay { .. } => !matches!(stanza, Connect | Login | PasskeyRequest),
            Self::Failure { .. } | Self::StreamError { .. } | Self::Revoke => {
                !matches!(stanza, Connect | Receipt | PasskeyRequest | History | Media)
            }
            Self::Silence | Self::Drop => {
                !matches!(stanza, Receipt | PasskeyRequest | History | Media)
            }
            Self::RefuseIk => stanza == Connect,
        }
    }
}

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub stanza: Stanza,
    pub from: Option<&'a str>,
    pub to: Option<&'a str>,
    pub id: Option<&'a str>,
}

struct Active {
    rule: FaultRule,
    matched: u32,
    fired: u32,
}

/// The rules in force, with how often each has matched and fired.
pub(crate) struct Faults {
    rules: Vec<Active>,
    seed: Seed,
    dice: StdRng,
}

impl Faults {
    pub fn new(seed: Seed) -> Self {
        Self { rules: Vec::new(), seed, dice: seed.rng("faults") }
    }

    /// Replaces all rules. Counters start anew, and so do the dice.
    pub fn set(&mut self, rules: Vec<FaultRule>) {
        self.rules = rules.into_iter().map(|rule| Active { rule, matched: 0, fired: 0 }).collect();
        self.dice = self.seed.rng("faults");
    }

    pub fn rules(&self) -> Vec<FaultRule> {
        self.rules.iter().map(|active| active.rule.clone()).collect()
    }

    /// Returns the rules, with how often each has struck.
    pub fn struck(&self) -> impl Iterator<Item = (&FaultRule, u32)> {
        self.rules.iter().map(|active| (&active.rule, active.fired))
    }

    /// Returns the action that strikes this stanza, if one does. The one place where faults are
    /// decided.
    pub fn strike(&mut self, facts: Facts<'_>) -> Option<Action> {
        for active in &mut self.rules {
            let rule = &active.rule;
            if !rule.action.applies_to(facts.stanza) || !matches(&rule.when, facts) {
                continue;
            }
            active.matched += 1;
            if rule.when.nth.is_some_and(|nth| nth != active.matched)
                || rule.times.is_some_and(|times| times <= active.fired)
            {
                continue;
            }
            if rule.probability < 1.0 && self.dice.random::<f64>() >= rule.probability {
                continue;
            }
            active.fired += 1;
            return Some(rule.action.clone());
        }
        None
    }

    /// Returns how long a delay lasts, in milliseconds.
    pub fn jittered(&mut self, ms: u64, jitter_ms: u64) -> u64 {
        if jitter_ms == 0 { ms } else { ms + self.dice.random_range(0..=jitter_ms) }
    }
}

fn matches(when: &Match, facts: Facts<'_>) -> bool {
    let same = |wanted: &Option<String>, is: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
    };
    when.stanza.is_none_or(|stanza| stanza == facts.stanza)
        && same(&when.to, facts.to)
        && same(&when.from, facts.from)
        && same(&when.id, facts.id)
}

impl FaultRule {
    /// Returns a rule that strikes every stanza of this kind.
    pub fn on(stanza: Stanza, action: Action) -> Self {
        let when = Match { stanza: Some(stanza), ..Match::default() };
        Self { when, action, probability: 1.0, times: None }
    }

    /// Limits the rule to stanzas for this number.
    pub fn to(mut self, number: impl Into<String>) -> Self {
        self.when.to = Some(number.into());
        self
    }

    /// Limits the rule to stanzas from this number.
    pub fn from(mut self, number: impl Into<String>) -> Self {
        self.when.from = Some(number.into());
        self
    }

    /// Limits the rule to the stanza with this id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.when.id = Some(id.into());
        self
    }

    /// Limits the rule to the nth stanza that matches, counted from 1.
    pub fn nth(mut self, nth: u32) -> Self {
        self.when.nth = Some(nth);
        self
    }

    /// Limits how often the rule strikes.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Sets how likely the rule strikes, from 0 to 1.
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(id: &str) -> Facts<'_> {
        Facts { stanza: Stanza::Message, from: Some("1"), to: Some("2"), id: Some(id) }
    }

    #[test]
    fn rules_read_as_documented() {
        let json = r#"[
            {"match": {"stanza": "message", "to": "2", "nth": 2}, "action": {"ack_error": {"code": 463}}},
            {"action": "no_ack", "probability": 0.5, "times": 3},
            {"match": {"stanza": "login"}, "action": {"failure": {"reason": 402, "code": 101, "expire": 60}}}
        ]"#;
        let rules: Vec<FaultRule> = serde_json::from_str(json).unwrap();
        let second = FaultRule::on(Stanza::Message, Action::AckError { code: 463 }).to("2").nth(2);
        assert_eq!(rules[0], second);
        assert_eq!((rules[1].probability, rules[1].times), (0.5, Some(3)));
        let again: Vec<FaultRule> =
            serde_json::from_str(&serde_json::to_string(&rules).unwrap()).unwrap();
        assert_eq!(again, rules);
    }

    #[test]
    fn the_first_rule_that_matches_strikes_as_often_as_it_may() {
        let mut faults = Faults::new(Seed(1));
        faults.set(vec![
            FaultRule::on(Stanza::Message, Action::NoAck).nth(2),
            FaultRule::on(Stanza::Receipt, Action::Reorder),
            FaultRule::on(Stanza::Message, Action::Swallow).times(2),
        ]);
        let struck: Vec<Option<Action>> =
            ["a", "b", "c", "d"].map(|id| faults.strike(facts(id))).into();
        let swallow = Some(Action::Swallow);
        assert_eq!(struck, [swallow.clone(), Some(Action::NoAck), swallow, None]);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let mut faults = Faults::new(Seed(seed));
            faults.set(vec![FaultRule::on(Stanza::Message, Action::NoAck).probability(0.5)]);
            (0..64).map(|_| faults.strike(facts("a")).is_some()).collect::<Vec<bool>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn an_action_never_strikes_a_stanza_it_makes_no_sense_for() {
        let mut faults = Faults::new(Seed(1));
        let rule = FaultRule {
            when: Match::default(),
            action: Action::Reorder,
            probability: 1.0,
            times: None,
        };
        faults.set(vec![rule]);
        assert_eq!(faults.strike(facts("a")), None);
    }
}
