//! What the simulator tells of its accounts, messages and ledger, and of what clients did wrong.

use serde::Serialize;

use crate::core::Core;
use crate::ledger::LedgerEntry;
use crate::message::{Message, MessageFilter};
use crate::stanza;
use crate::state::ServerState;
use crate::violations::{ViolatedRule, Violation};

/// An account, as the control API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountInfo {
    /// Its number, digits only.
    pub phone: String,
    /// Its hidden id.
    pub lid: String,
    /// Whether its phone can be reached now.
    pub online: bool,
    /// Its linked clients.
    pub devices: Vec<DeviceInfo>,
}

/// A linked client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// The number of the device; the phone itself is 0 and not listed.
    pub device: u16,
    /// What it calls itself.
    pub platform: String,
    /// Whether it is connected now.
    pub connected: bool,
    /// How many one-time keys the server has of it.
    pub prekeys: usize,
    /// How many stanzas it has not acknowledged.
    pub unacknowledged: usize,
}

impl Core {
    pub(crate) fn account_infos(&self) -> Vec<AccountInfo> {
        let now_ms = self.clock.now_ms();
        self.state()
            .accounts
            .values()
            .map(|account| AccountInfo {
                phone: account.number.clone(),
                lid: account.lid.clone(),
                online: account.offline_until.is_none_or(|until| until <= now_ms),
                devices: account
                    .companions
                    .iter()
                    .map(|(&device, companion)| DeviceInfo {
                        device,
                        platform: companion.platform.clone(),
                        connected: companion.connection.is_some(),
                        prekeys: companion.one_time.len(),
                        unacknowledged: companion.outbox.len(),
                    })
                    .collect(),
            })
            .collect()
    }

    /// Returns the recorded violations, and what is overdue to be acknowledged right now.
    pub(crate) fn all_violations(&self) -> Vec<Violation> {
        let (now_ns, now_ms) = (self.clock.wire_ns(), self.clock.now_ms());
        let state = self.state();
        let mut all = state.violations.clone();
        for account in state.accounts.values() {
            for (device, companion) in &account.companions {
                let Some(connection) = companion.connection else { continue };
                all.extend(companion.outbox.overdue(connection, now_ns).map(|node| Violation {
                    at: now_ms,
                    device: format!("{}:{device}", account.number),
                    stanza: format!(
                        "{} {}",
                        node.tag,
                        stanza::attr(node, "id").unwrap_or_default()
                    ),
                    rule: ViolatedRule::Unacked,
                    detail: "not acknowledged within 15 s".to_owned(),
                }));
            }
        }
        all
    }
}

impl ServerState {
    pub(crate) fn filtered(&self, filter: &MessageFilter) -> Vec<Message> {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        self.messages
            .iter()
            .filter(|message| same(&filter.to, &message.to) && same(&filter.from, &message.from))
            .cloned()
            .collect()
    }

    /// Returns at most `limit` entries after the one with this number.
    pub(crate) fn ledger_after(&self, after: u64, limit: usize) -> Vec<LedgerEntry> {
        let start = usize::try_from(after).unwrap_or(usize::MAX);
        self.ledger.iter().skip(start).take(limit).cloned().collect()
    }
}
