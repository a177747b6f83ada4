//! Linking a client to an account: by a QR that the phone scans, or by a code typed into it.

use std::sync::{Arc, Mutex};

use buffa::Message;
use serde::Serialize;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};
use wacore_libsignal::crypto::hmac_sha256;
use wacore_libsignal::protocol::PublicKey;
use waproto::whatsapp as wa;

use crate::account::Companion;
use crate::candidate::{Candidate, ClientRegistration, Offer};
use crate::connection::{ClientConnection, Flow, failure, stream_error};
use crate::core::Core;
use crate::device::DeviceId;
use crate::device::pn;
use crate::device_identity;
use crate::noise::Peer;
use crate::notifications::DeviceChange;
use crate::outbox::Outbox;
use crate::phone::{Phone, PublicPreKey, raw};
use crate::violations::ViolatedRule;

/// How many QR codes a client gets to show, one after the other.
const REFS: usize = 6;
/// How long the server waits after a pairing before it asks the client to log in, in
/// milliseconds. At once made clients reconnect twice.
const RESTART_AFTER_MS: u64 = 60;
/// Where some clients let their QR's fields begin: after the `#` of a link.
const LINK_END: char = '#';

/// A client that has been linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// The number it is linked to.
    pub phone: String,
    /// The number of the device; the phone itself is 0.
    pub device: u16,
    /// Its full address.
    pub jid: String,
}

/// What has come of a scan or of a typed code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PairingOutcome {
    /// The client is linked.
    Linked(Linked),
    /// Links a client that has signed its device identity. It has to log in now.
    PasskeyAsked {
        /// Until when it may answer, in simulated Unix milliseconds.
        expires_at: u64,
    },
}

/// Why a phone could not link a client.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The QR or code belongs to no client that is connected now.
    #[error("no connected client shows this {0}; take the newest one it shows")]
    Unknown(&'static str),
    /// What was scanned is not a QR of WhatsApp.
    #[error(
        "this is not a WhatsApp QR: expected ref,noise,identity,secret[,platform], optionally after a link and #"
    )]
    Malformed,
    /// The number is not on WhatsApp, so it has no phone.
    #[error("{0} is not on WhatsApp; register it with PUT /control/numbers/{0}")]
    NotRegistered(String),
    /// The number has no passkey to answer with.
    #[error("{0} has no passkey; give it one with PUT /control/numbers/{0} {{\"passkey\": true}}")]
    NoPasskey(String),
    /// No client has got as far as showing a code for this number.
    #[error(
        "the phone shows no code to compare yet; send the passkey's answer to the client first"
    )]
    NothingToCompare,
    /// The phone shows another code than the client.
    #[error("the phone shows another code, and has refused the client; scan again")]
    OtherCode,
    /// The phone and the client did not come to terms.
    #[error("pairing failed: {0}")]
    Failed(String),
}

impl ClientConnection {
    /// Gives an unpaired client references for its QR codes.
    pub(crate) fn offer_pairing(&mut self, peer: &Peer) -> Flow {
        let Some(registration) =
            peer.payload.device_pairing_data.as_option().and_then(registration)
        else {
            self.send(failure(400, None, None));
            return Flow::End;
        };
        let mut state = self.core.state();
        let refs: Vec<String> = (0..REFS).map(|_| state.fresh_id("2@")).collect();
        let nodes: Vec<Node> = refs
            .iter()
            .map(|text| NodeBuilder::new("ref").bytes(text.as_bytes()).build())
            .collect();
        let id = state.fresh_id("");
        let candidate = Candidate {
            refs,
            noise_key: peer.static_key,
            registration,
            link_code: None,
            shortcake: None,
            offered: None,
        };
        state.candidates.insert(self.id, candidate);
        let pair_device = NodeBuilder::new("pair-device").children(nodes).build();
        state.send(self.id, server_iq(&id, pair_device));
        Flow::Continue
    }

    /// Links a client that has signed its device identity. It has to log in now.
    pub(crate) fn finish_pairing(&mut self, node: &Node) {
        let core = &self.core;
        let mut state = core.state();
        let Some(mut candidate) = state.candidates.remove(&self.id) else { return };
        let id = node.attrs().optional_string("id").unwrap_or_default().into_owned();
        let Some(offer) = candidate.offered.take().filter(|offer| offer.iq == id) else {
            state.candidates.insert(self.id, candidate);
            return;
        };
        let signed = node
            .get_optional_child_by_tag(&["pair-device-sign", "device-identity"])
            .and_then(crate::stanza::bytes)
            .unwrap_or_default();
        let signer = state
            .accounts
            .get(&offer.device.number)
            .map(|account| account.lock_phone().identity_public())
            .unwrap_or_default();
        let Some(device_identity) =
            device_identity::countersigned(signed, &candidate.registration.identity, &signer)
        else {
            drop(state);
            self.violation(node, ViolatedRule::BadSignature, "device identity of a new companion");
            return;
        };
        let registration = candidate.registration;
        let now_s = core.clock.now_s();
        if let Some(account) = state.account_mut(&offer.device.number) {
            account.devices_changed = now_s;
            account.companions.insert(
                offer.device.device,
                Companion {
                    noise_key: candidate.noise_key,
                    identity: registration.identity,
                    registration_id: registration.id,
                    signed_prekey: registration.signed_prekey,
                    signature: registration.signature,
                    one_time: Default::default(),
                    uploaded: Default::default(),
                    key_index: offer.key_index,
                    device_identity,
                    platform: registration.platform,
                    key_shared: false,
                    outbox: Outbox::default(),
                    connection: None,
                    active: false,
                    simulated: None,
                },
            );
        }
        drop(state);
        let added = DeviceChange::Added(offer.key_index);
        core.announce_device(&offer.device.number, offer.device.device, added);
        let core = Arc::clone(core);
        let connection = self.id;
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(RESTART_AFTER_MS)).await;
            core.state().end(connection, stream_error(Some(515), None));
        });
    }
}

impl Core {
    /// Scans a QR with the phone of `number`. Returns once the client has been told, or asked for
    /// the passkey; it is linked when it shows up among the account's devices.
    pub(crate) fn scan(&self, qr: &str, number: &str) -> Result<PairingOutcome, PairError> {
        let body = qr.rsplit(LINK_END).next().unwrap_or(qr).trim();
        let fields: Vec<&str> = body.split(',').collect();
        let [reference, noise, identity, secret, ..] = fields.as_slice() else {
            return Err(PairError::Malformed);
        };
        let key = |field: &str| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD
                .decode(field)
                .ok()
                .filter(|bytes| bytes.len() == 32)
                .map(|bytes| raw(&bytes))
                .ok_or(PairError::Malformed)
        };
        let (noise, identity, secret) = (key(noise)?, key(identity)?, key(secret)?);
        let connection = self
            .state()
            .candidates
            .iter()
            .find(|(_, candidate)| {
                candidate.refs.iter().any(|known| known == reference)
                    && candidate.noise_key == noise
                    && candidate.registration.identity == identity
            })
            .map(|(&connection, _)| connection)
            .ok_or(PairError::Unknown("QR"))?;
        self.take_on(connection, number, &secret)
    }

    /// Vouches for a client with the secret that it and the phone of `number` share.
    pub(crate) fn vouch(
        &self,
        connection: u64,
        number: &str,
        secret: &[u8; 32],
    ) -> Result<Linked, PairError> {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let seed = state.seed;
        let iq = state.fresh_id("");
        let identity = state
            .candidates
            .get(&connection)
            .map(|candidate| candidate.registration.identity)
            .ok_or(PairError::Unknown("QR"))?;
        let account = state
            .account(number, now_s)
            .map_err(|error| PairError::Failed(error.to_string()))?
            .ok_or_else(|| PairError::NotRegistered(number.to_owned()))?;
        let (device, key_index) = (account.next_device, account.next_key_index);
        account.next_device += 1;
        account.next_key_index += 1;
        let lid = account.lid.clone();

        let signed_identity =
            device_identity::signed_by_account(account, seed, key_index, &identity, now_s)
                .map_err(|error| PairError::Failed(error.to_string()))?
                .encode_to_vec();
        let container = wa::ADVSignedDeviceIdentityHMAC {
            hmac: Some(hmac_sha256(secret, &signed_identity).to_vec()),
            details: Some(signed_identity),
            ..Default::default()
        }
        .encode_to_vec();

        let jid = pn(number, device);
        let success = NodeBuilder::new("pair-success")
            .children([
                NodeBuilder::new("device-identity").bytes(container).build(),
                // Without a name clients sync everything again at every login.
                NodeBuilder::new("biz").attr("name", number).build(),
                NodeBuilder::new("device")
                    .attr("jid", &jid)
                    .attr("lid", wacore_binary::Jid::lid_device(lid, device))
                    .build(),
                NodeBuilder::new("platform").attr("name", "android").build(),
            ])
            .build();
        let id = DeviceId { number: number.to_owned(), device };
        if let Some(candidate) = state.candidates.get_mut(&connection) {
            candidate.offered = Some(Offer { iq: iq.clone(), device: id, key_index });
        }
        state.send(connection, server_iq(&iq, success));
        Ok(Linked { phone: number.to_owned(), device, jid: jid.to_string() })
    }

    /// Links a simulated device to a phone: one more that messages have to be encrypted for.
    pub(crate) fn add_device(&self, number: &str) -> anyhow::Result<Option<u16>> {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let seed = state.seed;
        let Some(account) = state.account(number, now_s)? else { return Ok(None) };
        let (device, key_index) = (account.next_device, account.next_key_index);
        account.next_device += 1;
        account.next_key_index += 1;
        let mut phone = Phone::new(seed, &format!("{number} device {device}"), 0)?;
        let identity = phone.identity_public();
        let mut signed =
            device_identity::signed_by_account(account, seed, key_index, &identity, now_s)?;
        device_identity::sign(&mut signed, &mut phone)?;
        let keys = phone.publish(false)?;
        account.devices_changed = now_s;
        account.companions.insert(
            device,
            Companion {
                noise_key: [0; 32],
                identity,
                registration_id: keys.registration_id,
                signed_prekey: keys.signed_prekey,
                signature: keys.signature,
                one_time: Default::default(),
                uploaded: Default::default(),
                key_index,
                device_identity: signed.encode_to_vec(),
                platform: "simulated".to_owned(),
                key_shared: true,
                outbox: Outbox::default(),
                connection: None,
                active: false,
                simulated: Some(Arc::new(Mutex::new(phone))),
            },
        );
        drop(state);
        self.announce_device(number, device, DeviceChange::Added(key_index));
        self.notify();
        Ok(Some(device))
    }

    /// Unlinks a device from its phone: it is logged out at once or when it comes back.
    pub(crate) fn unlink(&self, id: &DeviceId) -> bool {
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let Some(account) = state.account_mut(&id.number) else { return false };
        let Some(companion) = account.companions.remove(&id.device) else { return false };
        account.devices_changed = now_s;
        if let Some(connection) = companion.connection {
            state.end(connection, stream_error(Some(401), Some("device_removed")));
        }
        drop(state);
        self.announce_device(&id.number, id.device, DeviceChange::Removed);
        self.notify();
        true
    }
}

fn server_iq(id: &str, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("type", "set")
        .attr("id", id)
        .attr("xmlns", "md")
        .children([child])
        .build()
}

fn registration(
    data: &wa::client_payload::DevicePairingRegistrationData,
) -> Option<ClientRegistration> {
    let key = |bytes: &Option<Vec<u8>>| bytes.as_deref().filter(|bytes| bytes.len() == 32).map(raw);
    let number = |bytes: &Option<Vec<u8>>| {
        bytes.as_deref().map(|bytes| bytes.iter().fold(0u32, |n, &b| (n << 8) | u32::from(b)))
    };
    let platform = data
        .device_props
        .as_deref()
        .and_then(|bytes| wa::DeviceProps::decode_from_slice(bytes).ok())
        .and_then(|props| props.os)
        .unwrap_or_default();
    let registration = ClientRegistration {
        id: number(&data.e_regid)?,
        identity: key(&data.e_ident)?,
        signed_prekey: PublicPreKey { id: number(&data.e_skey_id)?, key: key(&data.e_skey_val)? },
        signature: data.e_skey_sig.clone()?,
        platform,
    };
    let signer = PublicKey::from_djb_public_key_bytes(&registration.identity).ok()?;
    let signed = PublicKey::from_djb_public_key_bytes(&registration.signed_prekey.key).ok()?;
    signer.verify_signature(&signed.serialize(), &registration.signature).then_some(registration)
}
