//! Namespace `w:mex`: queries in JSON. Two tell an account how much it may still reach out.

use serde_json::{Value, json};
use wacore::iq::mex_operations::{fetch_new_chat_message_capping_info, fetch_reachout_timelock};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::connection::ClientConnection;
use crate::limits::AccountLimits;
use crate::stanza;

impl ClientConnection {
    pub(super) fn mex(&mut self, node: &Node) -> Node {
        let query = node
            .get_optional_child("query")
            .and_then(|query| stanza::attr(query, "query_id"))
            .unwrap_or_default();
        let now_s = self.core.clock.now_s();
        let limits = self
            .number()
            .and_then(|number| self.core.state().limits.get(number).cloned())
            .unwrap_or_default();
        let answer = match query.as_str() {
            fetch_reachout_timelock::DOC_ID => timelock(&limits, now_s),
            fetch_new_chat_message_capping_info::DOC_ID => capping(&limits, now_s),
            _ => json!({ "data": {} }),
        };
        stanza::result(node, [NodeBuilder::new("result").bytes(answer.to_string()).build()])
    }
}

fn timelock(limits: &AccountLimits, now_s: u64) -> Value {
    let until = limits.reachout_until.filter(|&until| until > now_s);
    json!({ "data": { "xwa2_fetch_account_reachout_timelock": {
        "is_active": until.is_some(),
        "time_enforcement_ends": until.unwrap_or_default().to_string(),
        "enforcement_type": if until.is_some() { "WEB_COMPANION_ONLY" } else { "DEFAULT" },
    }}})
}

fn capping(limits: &AccountLimits, now_s: u64) -> Value {
    let status = match limits.new_chats {
        Some(cap) if limits.new_chats_used >= cap => "CAPPED",
        _ => "NONE",
    };
    json!({ "data": { "xwa2_message_capping_info": {
        "capping_status": status,
        "total_quota": limits.new_chats.unwrap_or_default().to_string(),
        "used_quota": limits.new_chats_used.to_string(),
        "server_sent_timestamp": now_s,
    }}})
}
