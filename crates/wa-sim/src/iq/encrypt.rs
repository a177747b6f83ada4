//! Namespace `encrypt`: prekeys go up, bundles come down.

use wacore::prekeys::compute_key_bundle_digest;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::PublicKey;

use crate::account::Companion;
use crate::connection::ClientConnection;
use crate::device::DeviceId;
use crate::device::PRIMARY;
use crate::faults::Action;
use crate::phone::{PublicPreKey, PublishedKeys, raw};
use crate::stanza;
use crate::state::ServerState;
use crate::violations::ViolatedRule;

/// The key type of Curve25519, in every bundle.
pub(crate) const KEY_TYPE: u8 = 5;
/// Not on WhatsApp, or no such device.
const NOT_ACCEPTABLE: u16 = 406;

impl ClientConnection {
    pub(super) fn encrypt(&mut self, node: &Node, action: Option<&Action>) -> Node {
        if let Some(request) = node.get_optional_child("key") {
            return self.bundles(node, request, action != Some(&Action::NoOneTimeKey));
        }
        let Some(device) = self.device.clone() else {
            return stanza::error(node, 401, "not-authorized");
        };
        if node.get_optional_child("count").is_some() {
            let count = self.core.state().companion(&device).map_or(0, |c| c.one_time.len());
            return stanza::result(node, [NodeBuilder::new("count").attr("value", count).build()]);
        }
        if node.get_optional_child("digest").is_some() {
            return match self.core.state().companion(&device) {
                Some(companion) => stanza::result(node, [digest(companion)]),
                None => stanza::error(node, 404, "item-not-found"),
            };
        }
        if let Some(rotate) = node.get_optional_child("rotate") {
            return self.rotate(node, rotate, &device);
        }
        if node.get_optional_child("list").is_some() {
            return self.upload(node, &device);
        }
        self.violation(node, ViolatedRule::Unexpected, "unknown request about keys");
        stanza::error(node, 400, "bad-request")
    }

    /// Returns other devices' keys. Each bundle takes away a one-time key of its device.
    fn bundles(&mut self, node: &Node, request: &Node, one_time: bool) -> Node {
        let jids: Vec<Jid> = request
            .get_children_by_tag("user")
            .filter_map(|user| stanza::jid(user, "jid"))
            .collect();
        let now_s = self.core.clock.now_s();
        let mut state = self.core.state();
        let found: Vec<(Jid, Option<Node>)> = jids
            .into_iter()
            .map(|jid| {
                let keys = published(&mut state, &jid, one_time, now_s);
                let node = keys.map(|(keys, identity)| user(&jid, &keys, identity));
                (jid, node)
            })
            .collect();
        let clients: Vec<DeviceId> = found
            .iter()
            .filter_map(|(jid, _)| state.resolve(jid))
            .filter(|id| id.device != PRIMARY)
            .collect();
        drop(state);
        clients.iter().for_each(|client| self.core.ask_for_prekeys(client));
        if found.iter().all(|(_, node)| node.is_none()) {
            return stanza::error(node, NOT_ACCEPTABLE, "not-acceptable");
        }
        let users = found.into_iter().map(|(jid, node)| {
            node.unwrap_or_else(|| {
                let error = NodeBuilder::new("error").attr("code", NOT_ACCEPTABLE).build();
                NodeBuilder::new("user").attr("jid", jid).children([error]).build()
            })
        });
        stanza::result(node, [NodeBuilder::new("list").children(users).build()])
    }

    fn upload(&mut self, node: &Node, device: &DeviceId) -> Node {
        let identity = node.get_optional_child("identity").and_then(stanza::bytes).map(raw);
        let skey = node.get_optional_child("skey").and_then(signed_prekey);
        let keys: Option<Vec<PublicPreKey>> = node
            .get_optional_child("list")
            .and_then(Node::children)
            .map(|keys| keys.iter().filter_map(prekey).collect());
        let (Some(identity), Some((skey, signature)), Some(keys)) = (identity, skey, keys) else {
            self.violation(
                node,
                ViolatedRule::Unexpected,
                "a key upload needs identity, skey and list",
            );
            return stanza::error(node, 400, "bad-request");
        };
        if !signed_by(&identity, &skey, &signature) {
            self.violation(node, ViolatedRule::BadSignature, "signed prekey of an upload");
            return stanza::error(node, 400, "bad-request");
        }
        let mut repeated = Vec::new();
        let mut state = self.core.state();
        if let Some(companion) = state.companion(device) {
            companion.identity = identity;
            companion.signed_prekey = skey;
            companion.signature = signature;
            for key in keys {
                if companion.uploaded.insert(key.id) {
                    companion.one_time.push_back(key);
                } else if companion
                    .one_time
                    .iter()
                    .any(|known| known.id == key.id && known.key != key.key)
                {
                    repeated.push(key.id);
                }
            }
        }
        drop(state);
        for id in repeated {
            self.violation(
                node,
                ViolatedRule::RepeatedPrekey,
                format!("prekey {id} with another key"),
            );
        }
        if let Err(error) = self.core.welcome(device) {
            tracing::error!("the phone could not tell the new client what it needs: {error:#}");
        }
        stanza::result(node, [])
    }

    fn rotate(&mut self, node: &Node, rotate: &Node, device: &DeviceId) -> Node {
        let mut state = self.core.state();
        let Some(companion) = state.companion(device) else {
            return stanza::error(node, 404, "item-not-found");
        };
        match rotate.get_optional_child("skey").and_then(signed_prekey) {
            Some((key, signature)) if signed_by(&companion.identity, &key, &signature) => {
                companion.signed_prekey = key;
                companion.signature = signature;
                stanza::result(node, [])
            }
            _ => {
                drop(state);
                self.violation(node, ViolatedRule::BadSignature, "rotated signed prekey");
                stanza::error(node, 400, "bad-request")
            }
        }
    }
}

/// Returns the keys of one device and, for a companion, the account's word for it.
fn published(
    state: &mut ServerState,
    jid: &Jid,
    one_time: bool,
    now_s: u64,
) -> Option<(PublishedKeys, Option<Vec<u8>>)> {
    let id = state.resolve(jid)?;
    let account = state.account(&id.number, now_s).ok().flatten()?;
    if id.device == PRIMARY {
        let keys = account.lock_phone().publish(one_time).ok()?;
        return Some((keys, None));
    }
    let companion = account.companions.get_mut(&id.device)?;
    Some((companion.publish(one_time), Some(companion.device_identity.clone())))
}

fn user(jid: &Jid, keys: &PublishedKeys, device_identity: Option<Vec<u8>>) -> Node {
    let mut children = vec![
        NodeBuilder::new("registration").bytes(keys.registration_id.to_be_bytes()).build(),
        NodeBuilder::new("type").bytes([KEY_TYPE]).build(),
        NodeBuilder::new("identity").bytes(keys.identity).build(),
        skey_node(&keys.signed_prekey, &keys.signature),
    ];
    children.extend(keys.one_time.as_ref().map(|key| key_node("key", key, None)));
    children.extend(
        device_identity.map(|bytes| NodeBuilder::new("device-identity").bytes(bytes).build()),
    );
    NodeBuilder::new("user").attr("jid", jid).children(children).build()
}

fn digest(companion: &Companion) -> Node {
    let publics: Vec<&[u8]> = companion.one_time.iter().map(|key| key.key.as_slice()).collect();
    let hash = compute_key_bundle_digest(
        &companion.identity,
        &companion.signed_prekey.key,
        &companion.signature,
        &publics,
    );
    let ids =
        companion.one_time.iter().map(|key| NodeBuilder::new("id").bytes(id_bytes(key.id)).build());
    NodeBuilder::new("digest")
        .children([
            NodeBuilder::new("registration").bytes(companion.registration_id.to_be_bytes()).build(),
            NodeBuilder::new("type").bytes([KEY_TYPE]).build(),
            NodeBuilder::new("identity").bytes(companion.identity).build(),
            skey_node(&companion.signed_prekey, &companion.signature),
            NodeBuilder::new("list").children(ids).build(),
            NodeBuilder::new("hash").bytes(hash).build(),
        ])
        .build()
}

pub(crate) fn skey_node(key: &PublicPreKey, signature: &[u8]) -> Node {
    key_node("skey", key, Some(signature))
}

pub(crate) fn key_node(tag: &'static str, key: &PublicPreKey, signature: Option<&[u8]>) -> Node {
    let mut children = vec![
        NodeBuilder::new("id").bytes(id_bytes(key.id)).build(),
        NodeBuilder::new("value").bytes(key.key).build(),
    ];
    children.extend(signature.map(|bytes| NodeBuilder::new("signature").bytes(bytes).build()));
    NodeBuilder::new(tag).children(children).build()
}

/// Returns a key id in its three bytes.
fn id_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
}

fn prekey(node: &Node) -> Option<PublicPreKey> {
    let id = node.get_optional_child("id").and_then(stanza::uint)?;
    let key = node.get_optional_child("value").and_then(stanza::bytes)?;
    (key.len() == 32).then(|| PublicPreKey { id, key: raw(key) })
}

fn signed_prekey(node: &Node) -> Option<(PublicPreKey, Vec<u8>)> {
    let signature = node.get_optional_child("signature").and_then(stanza::bytes)?;
    Some((prekey(node)?, signature.to_vec()))
}

fn signed_by(identity: &[u8; 32], key: &PublicPreKey, signature: &[u8]) -> bool {
    let (Ok(signer), Ok(signed)) = (
        PublicKey::from_djb_public_key_bytes(identity),
        PublicKey::from_djb_public_key_bytes(&key.key),
    ) else {
        return false;
    };
    signer.verify_signature(&signed.serialize(), signature)
}
