//! An account: a number, its simulated phone, and the companions linked to it.

mod saved;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buffa::Message;
pub(crate) use saved::SavedAccount;
use serde::{Deserialize, Serialize};
use wacore_libsignal::protocol::{DeviceId, IdentityKey, PreKeyBundle, PublicKey};
use waproto::whatsapp as wa;

use crate::device::{PRIMARY, lid_of};
use crate::outbox::Outbox;
use crate::phone::{Phone, PublicPreKey, PublishedKeys};
use crate::seed::Seed;

/// What a signature over a list of key indexes starts with.
const KEY_INDEX_PREFIX: &[u8] = &[6, 2];

/// How much a recipient tells the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipts {
    /// The phone is switched off or its user never opens the chat, and nothing comes back.
    None,
    /// The message reached the phone: two ticks.
    Delivered,
    /// It was read: two blue ticks.
    #[default]
    Read,
}

/// What the simulated world knows of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberSettings {
    /// Whether the number is on WhatsApp.
    pub registered: bool,
    /// Which receipts its phone sends.
    pub receipts: Receipts,
}

impl NumberSettings {
    /// Returns what holds for a number nobody has set: registered unless it ends in 9, receipts
    /// `read`.
    pub fn default_for(number: &str) -> Self {
        Self { registered: !number.ends_with('9'), receipts: Receipts::Read }
    }
}

/// A linked device other than the phone: a real client outside of the simulator.
pub(crate) struct Companion {
    pub noise_key: [u8; 32],
    pub identity: [u8; 32],
    pub registration_id: u32,
    pub signed_prekey: PublicPreKey,
    pub signature: Vec<u8>,
    pub one_time: VecDeque<PublicPreKey>,
    /// Ids of all one-time keys ever uploaded: a second upload of one is a violation.
    pub uploaded: HashSet<u32>,
    pub key_index: u32,
    /// `ADVSignedDeviceIdentity`, with the companion's own signature.
    pub device_identity: Vec<u8>,
    pub platform: String,
    /// Whether the phone has shared its app-state key with it.
    pub key_shared: bool,
    /// What it has not acknowledged yet.
    pub outbox: Outbox,
    /// The connection it is logged in on.
    pub connection: Option<u64>,
    /// Whether it has asked for its queue (`passive`/`active`) on that connection.
    pub active: bool,
    /// The Signal state of a device that is no client but simulated, as the phone is.
    pub simulated: Option<Arc<Mutex<Phone>>>,
}

impl Companion {
    /// Returns the keys others need to write to this device. Each call uses up a one-time key.
    pub fn publish(&mut self, one_time: bool) -> PublishedKeys {
        if let Some(keys) =
            self.simulated.as_ref().and_then(|phone| lock(phone).publish(one_time).ok())
        {
            return keys;
        }
        PublishedKeys {
            registration_id: self.registration_id,
            identity: self.identity,
            signed_prekey: self.signed_prekey,
            signature: self.signature.clone(),
            one_time: if one_time { self.one_time.pop_front() } else { None },
        }
    }
}

pub(crate) struct Account {
    pub number: String,
    pub lid: String,
    /// The phone. Its crypto is slow, so it has a lock of its own, taken after the state's.
    phone: Arc<Mutex<Phone>>,
    /// How often the app was installed; each installation has keys of its own.
    pub installation: u32,
    pub companions: BTreeMap<u16, Companion>,
    pub next_device: u16,
    pub next_key_index: u32,
    /// Unix time in seconds of the last change of the device list.
    pub devices_changed: u64,
    /// Until when the phone is out of reach, in simulated milliseconds.
    pub offline_until: Option<u64>,
    /// The messages each device has shown, by sender and id: it drops a repeated one.
    shown: HashSet<(u16, String, String)>,
    /// Stanzas that wait for the phone to come back.
    pub waiting: VecDeque<crate::message::Arrival>,
}

impl Account {
    pub fn new(seed: Seed, number: &str, now_s: u64) -> anyhow::Result<Self> {
        Ok(Self {
            number: number.to_owned(),
            lid: lid_of(seed, number),
            phone: Arc::new(Mutex::new(Phone::new(seed, number, 0)?)),
            installation: 0,
            companions: BTreeMap::new(),
            next_device: 1,
            next_key_index: 1,
            devices_changed: now_s,
            offline_until: None,
            shown: HashSet::new(),
            waiting: VecDeque::new(),
        })
    }

    pub fn phone(&self) -> Arc<Mutex<Phone>> {
        Arc::clone(&self.phone)
    }

    pub fn lock_phone(&self) -> MutexGuard<'_, Phone> {
        lock(&self.phone)
    }

    /// Installs the app anew: new keys, no sessions, no companions' trust.
    pub fn reinstall(&mut self, seed: Seed) -> anyhow::Result<()> {
        self.installation += 1;
        self.phone = Arc::new(Mutex::new(Phone::new(seed, &self.number, self.installation)?));
        self.shown.clear();
        Ok(())
    }

    /// Returns whether a device shows this message, as it has not seen it before.
    pub fn shows(&mut self, device: u16, from: &str, id: &str) -> bool {
        self.shown.insert((device, from.to_owned(), id.to_owned()))
    }

    /// Returns the Signal state of a device, if it is simulated.
    pub fn simulated(&self, device: u16) -> Option<Arc<Mutex<Phone>>> {
        if device == PRIMARY {
            Some(self.phone())
        } else {
            self.companions.get(&device)?.simulated.clone()
        }
    }

    pub fn devices(&self) -> impl Iterator<Item = u16> {
        std::iter::once(PRIMARY).chain(self.companions.keys().copied())
    }

    /// Returns the devices that are clients at the other end of a connection.
    pub fn clients(&self) -> impl Iterator<Item = u16> {
        self.companions
            .iter()
            .filter(|(_, companion)| companion.simulated.is_none())
            .map(|(&id, _)| id)
    }

    /// Returns the signed list of valid key indexes that goes with a device list.
    pub fn key_index_list(&self, seed: Seed) -> anyhow::Result<Vec<u8>> {
        let details = wa::ADVKeyIndexList {
            raw_id: Some(self.raw_id(seed)),
            timestamp: Some(self.devices_changed),
            current_index: Some(self.next_key_index - 1),
            valid_indexes: std::iter::once(0)
                .chain(self.companions.values().map(|companion| companion.key_index))
                .collect(),
            ..Default::default()
        }
        .encode_to_vec();
        let mut phone = self.lock_phone();
        let signature = phone.sign(&[KEY_INDEX_PREFIX, &details].concat())?;
        Ok(wa::ADVSignedKeyIndexList {
            details: Some(details),
            account_signature: Some(signature),
            account_signature_key: Some(phone.identity_public().to_vec()),
        }
        .encode_to_vec())
    }

    /// Returns the number that names this installation in signed device lists.
    pub fn raw_id(&self, seed: Seed) -> u32 {
        let bytes = seed.bytes(&format!("raw id {} {}", self.number, self.installation));
        u32::from_be_bytes([bytes[0] & 0x7f, bytes[1], bytes[2], bytes[3]])
    }
}

/// Locks a mutex. If its holder panicked, the data is sound all the same: every change is one
/// assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns published keys into what the Signal library starts a session from.
pub(crate) fn bundle(device: u16, keys: &PublishedKeys) -> anyhow::Result<PreKeyBundle> {
    let one_time = match keys.one_time {
        Some(key) => Some((key.id.into(), PublicKey::from_djb_public_key_bytes(&key.key)?)),
        None => None,
    };
    Ok(PreKeyBundle::new(
        keys.registration_id,
        DeviceId::from(u32::from(device)),
        one_time,
        keys.signed_prekey.id.into(),
        PublicKey::from_djb_public_key_bytes(&keys.signed_prekey.key)?,
        keys.signature.clone(),
        IdentityKey::new(PublicKey::from_djb_public_key_bytes(&keys.identity)?),
    )?)
}
