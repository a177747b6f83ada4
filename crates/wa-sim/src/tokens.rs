//! Trusted-contact tokens: given by a person to those who may write to them.
//!
//! A phone gives one when its user writes, and when it is given one by somebody its user has
//! written to. A new one is due in every bucket of seven days; it holds for that bucket and the
//! three after it.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::connection::ClientConnection;
use crate::core::Core;
use crate::device::DeviceId;
use crate::device::{PRIMARY, pn};
use crate::stanza;
use crate::state::ServerState;

/// The length of a bucket, in seconds.
const BUCKET_S: u64 = 7 * 24 * 3600;
/// For how many buckets a token holds, the one it was given in included.
const BUCKETS: u64 = 4;
/// The only kind of token there is.
const TRUSTED_CONTACT: &str = "trusted_contact";

impl ServerState {
    /// Returns when `giver` gave `holder` the latest token, in simulated Unix seconds.
    pub fn token_given(&self, giver: &str, holder: &str) -> Option<u64> {
        self.tokens.get(&(giver.to_owned(), holder.to_owned())).copied()
    }

    /// Returns what the token says that was given at this time.
    pub fn token(&self, giver: &str, holder: &str, given_at: u64) -> Vec<u8> {
        self.seed.bytes(&format!("token of {giver} for {holder} at {given_at}")).to_vec()
    }

    /// Notes a token that `giver` has given.
    pub fn note_token(&mut self, giver: String, holder: String, given_at: u64) {
        if let Some(journal) = &mut self.journal {
            journal.token(&giver, &holder, given_at);
        }
        self.tokens.insert((giver, holder), given_at);
    }

    /// Returns whether this is the token that `giver` gave `holder`, and it holds.
    pub fn token_holds(&self, giver: &str, holder: &str, token: &[u8], now_s: u64) -> bool {
        self.token_given(giver, holder).is_some_and(|given_at| {
            let age = (now_s / BUCKET_S).saturating_sub(given_at / BUCKET_S);
            age < BUCKETS && self.token(giver, holder, given_at) == token
        })
    }
}

impl Core {
    /// `giver` gives `holder` a token, whose clients are told, unless there is one of this bucket.
    pub(crate) fn give_token(&self, giver: &str, holder: &str) {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let given = state.token_given(giver, holder);
        if given.is_some_and(|given_at| given_at / BUCKET_S == now_s / BUCKET_S) {
            return;
        }
        state.note_token(giver.to_owned(), holder.to_owned(), now_s);
        let token = NodeBuilder::new("token")
            .attr("type", TRUSTED_CONTACT)
            .attr("t", now_s)
            .bytes(state.token(giver, holder, now_s))
            .build();
        let tokens = NodeBuilder::new("tokens").children([token]).build();
        let lid = state.lid(giver);
        let clients: Vec<DeviceId> = state
            .accounts
            .get(holder)
            .into_iter()
            .flat_map(|account| account.clients())
            .map(|device| DeviceId { number: holder.to_owned(), device })
            .collect();
        let notices: Vec<(DeviceId, Node)> = clients
            .into_iter()
            .map(|client| {
                let node = NodeBuilder::new("notification")
                    .attr("from", pn(giver, PRIMARY))
                    .attr("sender_lid", Jid::lid(lid.as_str()))
                    .attr("id", state.fresh_id(""))
                    .attr("type", "privacy_token")
                    .attr("t", now_s)
                    .children([tokens.clone()])
                    .build();
                (client, node)
            })
            .collect();
        drop(state);
        for (client, node) in notices {
            self.deliver(&client, node);
        }
    }
}

impl ClientConnection {
    /// The client gives tokens. Whoever has written to it gives one back.
    pub(crate) fn set_tokens(&self, tokens: &Node) {
        let Some(own) = self.number().map(str::to_owned) else { return };
        let now_s = self.core.clock.now_s();
        let mut state = self.core.state();
        let mut known = Vec::new();
        for token in tokens.get_children_by_tag("token") {
            let given_to = stanza::jid(token, "jid").and_then(|jid| state.resolve(&jid));
            let Some(number) = given_to.map(|device| device.number) else { continue };
            state.note_token(own.clone(), number.clone(), now_s);
            if state.chats.contains(&(number.clone(), own.clone())) {
                known.push(number);
            }
        }
        drop(state);
        for number in known {
            self.core.give_token(&number, &own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn a_token_holds_for_four_buckets_and_for_its_holder() {
        let mut state = ServerState::new(Seed(1), 0);
        let given_at = 10 * BUCKET_S + 5;
        state.note_token("1".to_owned(), "2".to_owned(), given_at);
        let token = state.token("1", "2", given_at);
        assert!(state.token_holds("1", "2", &token, given_at));
        assert!(state.token_holds("1", "2", &token, 14 * BUCKET_S - 1));
        assert!(!state.token_holds("1", "2", &token, 14 * BUCKET_S));
        assert!(!state.token_holds("2", "1", &token, given_at));
        assert!(!state.token_holds("1", "2", &state.token("1", "3", given_at), given_at));
    }
}
