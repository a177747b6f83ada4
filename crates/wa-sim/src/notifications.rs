//! What the server tells clients about the people they write with: another identity, other devices.

use std::collections::BTreeSet;

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, SERVER_JID};

use crate::core::Core;
use crate::device::DeviceId;
use crate::device::PRIMARY;
use crate::state::ServerState;

/// When a client is asked for more one-time keys. Each new session with it takes one.
const FEW_PREKEYS: usize = 5;

/// What happened to somebody's devices.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DeviceChange {
    /// Linked, with this key index.
    Added(u32),
    Removed,
}

impl Core {
    /// Tells everybody who wrote with a number that its keys are new.
    pub(crate) fn announce_identity(&self, number: &str) {
        self.announce(number, "encrypt", &NodeBuilder::new("identity").build());
    }

    /// Tells everybody who wrote with a number that it has one device more or less.
    pub(crate) fn announce_device(&self, number: &str, device: u16, change: DeviceChange) {
        let mut state = self.state();
        let seed = state.seed;
        let lid = state.lid(number);
        let Some(account) = state.accounts.get(number) else { return };
        let by_number = account.devices().map(|device| Jid::pn_device(number, device));
        let by_lid = account.devices().map(|device| Jid::lid_device(lid.as_str(), device));
        let hashes = (device_hash(by_number), device_hash(by_lid));
        let (Ok(device_hash), Ok(device_lid_hash)) = hashes else { return };
        let mut keys = NodeBuilder::new("key-index-list").attr("ts", account.devices_changed);
        let mut entry = NodeBuilder::new("device")
            .attr("jid", Jid::pn_device(number, device))
            .attr("lid", Jid::lid_device(lid.as_str(), device));
        let tag = match change {
            DeviceChange::Added(key_index) => {
                let Ok(signed) = account.key_index_list(seed) else { return };
                keys = keys.bytes(signed);
                entry = entry.attr("key-index", key_index);
                "add"
            }
            DeviceChange::Removed => "remove",
        };
        drop(state);
        let change = NodeBuilder::new(tag)
            .attr("device_hash", device_hash)
            .attr("device_lid_hash", device_lid_hash)
            .children([entry.build(), keys.build()])
            .build();
        self.announce(number, "devices", &change);
    }

    /// Asks a client for more one-time keys, once it has as few as this left.
    pub(crate) fn ask_for_prekeys(&self, client: &DeviceId) {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let left = state.companion(client).map(|companion| companion.one_time.len());
        if left != Some(FEW_PREKEYS) {
            return;
        }
        let node = NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("id", state.fresh_id(""))
            .attr("type", "encrypt")
            .attr("t", now_s)
            .children([NodeBuilder::new("count").attr("value", FEW_PREKEYS).build()])
            .build();
        drop(state);
        self.deliver(client, node);
    }

    fn announce(&self, number: &str, kind: &'static str, child: &Node) {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let lid = state.lid(number);
        let concerned = clients_of(&state, number);
        let notifications: Vec<(DeviceId, Node)> = concerned
            .into_iter()
            .map(|client| {
                let node = NodeBuilder::new("notification")
                    .attr("from", Jid::pn_device(number, PRIMARY))
                    .attr("lid", Jid::lid(lid.as_str()))
                    .attr("id", state.fresh_id(""))
                    .attr("type", kind)
                    .attr("t", now_s)
                    .children([child.clone()])
                    .build();
                (client, node)
            })
            .collect();
        drop(state);
        for (client, node) in notifications {
            self.deliver(&client, node);
        }
    }
}

/// Returns what a client compares its own list of these devices with.
fn device_hash(devices: impl Iterator<Item = Jid>) -> anyhow::Result<String> {
    MessageUtils::participant_list_hash(&devices.collect::<Vec<_>>())
}

/// Returns the linked clients of all who have written with a number, and of its own account.
fn clients_of(state: &ServerState, number: &str) -> Vec<DeviceId> {
    let mut people: BTreeSet<&str> = [number].into();
    for (from, to) in &state.chats {
        if from == number {
            people.insert(to);
        } else if to == number {
            people.insert(from);
        }
    }
    people
        .into_iter()
        .filter_map(|number| state.accounts.get(number))
        .flat_map(|account| {
            account.clients().map(|device| DeviceId { number: account.number.clone(), device })
        })
        .collect()
}
