//! A linked client logs in, asks for what it missed, and gets the key its app state needs.

use std::sync::Arc;

use buffa::MessageField;
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;

use crate::account::{bundle, lock};
use crate::connection::{ClientConnection, Flow, failure, stream_error};
use crate::core::Core;
use crate::device::DeviceId;
use crate::device::{PRIMARY, address, pn};
use crate::faults::{Facts, Stanza};
use crate::noise::Peer;

/// Refused: this device is not linked (any more).
const LOGGED_OUT: u16 = 401;

impl ClientConnection {
    pub(crate) fn log_in(&mut self, peer: &Peer) -> Flow {
        let number = peer.payload.username.unwrap_or_default().to_string();
        let device = u16::try_from(peer.payload.device.unwrap_or_default()).unwrap_or_default();
        let facts = Facts { stanza: Stanza::Login, from: Some(&number), to: None, id: None };
        let id = DeviceId { number: number.clone(), device };
        if let Some(action) = self.strike(facts) {
            self.device = Some(id.clone());
            if let Some(flow) = self.break_off(&action) {
                return flow;
            }
        }
        let now_s = self.core.clock.now_s();
        let mut state = self.core.state();
        let known = state.companion(&id).filter(|companion| companion.noise_key == peer.static_key);
        let Some(companion) = known else {
            state.send(self.id, failure(LOGGED_OUT, None, None));
            return Flow::End;
        };
        companion.active = false;
        let replaced = companion.connection.replace(self.id);
        if let Some(replaced) = replaced {
            state.end(replaced, stream_error(None, Some("replaced")));
        }
        let lid = state.lid(&number);
        let success = NodeBuilder::new("success")
            .attr("t", now_s)
            .attr("lid", Jid::lid_device(lid, device))
            .attr("creation", now_s)
            .attr("companion_enc_static", "")
            .build();
        state.send(self.id, success);
        drop(state);
        self.device = Some(id);
        self.core.notify();
        Flow::Continue
    }

    /// Sends a client that is ready what waited for it, and from now on whatever comes.
    pub(crate) fn activate(&self) {
        let Some(device) = &self.device else { return };
        let now = self.core.clock.wire_ns();
        let mut state = self.core.state();
        let Some(companion) = state.companion(device) else { return };
        companion.active = true;
        let waiting = companion.outbox.resend(self.id, now);
        let count = waiting.len();
        let preview = NodeBuilder::new("offline_preview")
            .attr("count", count)
            .attr("message", count)
            .attr("receipt", 0)
            .attr("notification", 0)
            .attr("appdata", 0)
            .build();
        // All under one lock, so that nothing newer gets in between.
        if count > 0 {
            state.send(self.id, ib(preview));
        }
        waiting.into_iter().for_each(|node| state.send(self.id, node));
        state.send(self.id, ib(NodeBuilder::new("offline").attr("count", count).build()));
    }
}

fn ib(child: Node) -> Node {
    NodeBuilder::new("ib").attr("from", wacore_binary::SERVER_JID).children([child]).build()
}

impl Core {
    /// Gives a new companion the key to the account's app state, and tells it of the chats there
    /// are.
    pub(crate) fn welcome(self: &Arc<Self>, to: &DeviceId) -> anyhow::Result<()> {
        let mut state = self.state();
        let Some(companion) = state.companion(to) else { return Ok(()) };
        if companion.key_shared {
            return Ok(());
        }
        companion.key_shared = true;
        drop(state);
        self.share_app_state_key(to)?;
        // A long history takes a while to pack, and the client waits for an answer.
        let (core, to) = (Arc::clone(self), to.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = core.send_history(&to) {
                tracing::error!("could not send the history: {error:#}");
            }
            core.notify();
        });
        Ok(())
    }

    fn share_app_state_key(&self, to: &DeviceId) -> anyhow::Result<()> {
        let now_ms = self.clock.now_ms();
        let state = self.state();
        let seed = state.seed;
        let Some(account) = state.accounts.get(&to.number) else { return Ok(()) };
        let raw_id = account.raw_id(seed);
        drop(state);
        let key = wa::message::AppStateSyncKey {
            key_id: MessageField::some(wa::message::AppStateSyncKeyId {
                key_id: Some(vec![0, 0, 0, 0, 0, 1]),
            }),
            key_data: MessageField::some(wa::message::AppStateSyncKeyData {
                key_data: Some(seed.bytes(&format!("app state {}", to.number)).to_vec()),
                fingerprint: MessageField::some(wa::message::AppStateSyncKeyFingerprint {
                    raw_id: Some(raw_id),
                    current_index: Some(u32::from(to.device)),
                    device_indexes: vec![0, u32::from(to.device)],
                }),
                timestamp: Some(i64::try_from(now_ms).unwrap_or(i64::MAX)),
            }),
        };
        let message = wa::Message {
            protocol_message: MessageField::some(wa::message::ProtocolMessage {
                r#type: Some(wa::message::protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
                app_state_sync_key_share: MessageField::some(wa::message::AppStateSyncKeyShare {
                    keys: vec![key],
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.tell_companion(to, &message)
    }

    /// Tells one of the phone's companions something that nobody else is to know.
    pub(crate) fn tell_companion(
        &self,
        to: &DeviceId,
        message: &wa::Message,
    ) -> anyhow::Result<()> {
        let now_s = self.clock.now_s();
        let to_address = address(&to.number, to.device);
        let mut state = self.state();
        let id = state.fresh_id("3A");
        let Some(account) = state.account_mut(&to.number) else { return Ok(()) };
        let phone = account.phone();
        let needs_keys = !lock(&phone).has_session(&to_address);
        let keys = match state.companion(to) {
            Some(companion) if needs_keys => Some(companion.publish(true)),
            Some(_) => None,
            None => return Ok(()),
        };
        drop(state);
        let plaintext = MessageUtils::encode_and_pad(message);
        let ciphertext = {
            let mut phone = lock(&phone);
            if let Some(keys) = keys {
                phone.start_session(&to_address, &bundle(to.device, &keys)?)?;
            }
            phone.encrypt(&to_address, &plaintext)?
        };
        let enc = NodeBuilder::new("enc")
            .attr("v", 2)
            .attr("type", ciphertext.kind)
            .bytes(ciphertext.bytes)
            .build();
        let node = NodeBuilder::new("message")
            .attr("from", pn(&to.number, PRIMARY))
            .attr("id", id)
            .attr("type", "text")
            .attr("category", "peer")
            .attr("t", now_s)
            .children([enc])
            .build();
        self.deliver(to, node);
        Ok(())
    }
}
