//! An account as it is kept in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::{Account, Companion, lock};
use crate::base64_bytes::{decode, decode_key, encode};
use crate::outbox::Outbox;
use crate::phone::{Phone, PublicPreKey, SavedPhone};
use crate::seed::Seed;

/// All of an account but the messages it has shown, which the ledger tells.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedAccount {
    pub number: String,
    lid: String,
    phone: SavedPhone,
    installation: u32,
    next_device: u16,
    next_key_index: u32,
    devices_changed: u64,
    companions: BTreeMap<u16, SavedCompanion>,
}

#[derive(Serialize, Deserialize)]
struct SavedCompanion {
    noise_key: String,
    identity: String,
    registration_id: u32,
    signed_prekey: (u32, String),
    signature: String,
    one_time: Vec<(u32, String)>,
    uploaded: BTreeSet<u32>,
    key_index: u32,
    device_identity: String,
    platform: String,
    key_shared: bool,
    outbox: Vec<String>,
    simulated: Option<SavedPhone>,
}

impl Account {
    pub fn save(&self) -> anyhow::Result<SavedAccount> {
        let companions = self
            .companions
            .iter()
            .map(|(&device, companion)| Ok((device, companion.save()?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(SavedAccount {
            number: self.number.clone(),
            lid: self.lid.clone(),
            phone: self.lock_phone().save()?,
            installation: self.installation,
            next_device: self.next_device,
            next_key_index: self.next_key_index,
            devices_changed: self.devices_changed,
            companions,
        })
    }

    /// Brings an account back. `run` counts the simulator's starts, so that no two draw the same
    /// random numbers.
    pub fn restore(saved: SavedAccount, seed: Seed, run: u64) -> anyhow::Result<Self> {
        let label = |device: u16| format!("phone {} {device} in run {run}", saved.number);
        let mut companions = BTreeMap::new();
        for (&device, companion) in &saved.companions {
            companions.insert(device, companion.restore(seed, &label(device))?);
        }
        Ok(Self {
            phone: Arc::new(Mutex::new(Phone::restore(&saved.phone, seed, &label(0))?)),
            number: saved.number,
            lid: saved.lid,
            installation: saved.installation,
            companions,
            next_device: saved.next_device,
            next_key_index: saved.next_key_index,
            devices_changed: saved.devices_changed,
            offline_until: None,
            shown: Default::default(),
            waiting: Default::default(),
        })
    }
}

impl Companion {
    fn save(&self) -> anyhow::Result<SavedCompanion> {
        let key = |key: &PublicPreKey| (key.id, encode(&key.key));
        Ok(SavedCompanion {
            noise_key: encode(&self.noise_key),
            identity: encode(&self.identity),
            registration_id: self.registration_id,
            signed_prekey: key(&self.signed_prekey),
            signature: encode(&self.signature),
            one_time: self.one_time.iter().map(key).collect(),
            uploaded: self.uploaded.iter().copied().collect(),
            key_index: self.key_index,
            device_identity: encode(&self.device_identity),
            platform: self.platform.clone(),
            key_shared: self.key_shared,
            outbox: self.outbox.save()?,
            simulated: match &self.simulated {
                Some(phone) => Some(lock(phone).save()?),
                None => None,
            },
        })
    }
}

impl SavedCompanion {
    fn restore(&self, seed: Seed, label: &str) -> anyhow::Result<Companion> {
        let key =
            |(id, key): &(u32, String)| anyhow::Ok(PublicPreKey { id: *id, key: decode_key(key)? });
        Ok(Companion {
            noise_key: decode_key(&self.noise_key)?,
            identity: decode_key(&self.identity)?,
            registration_id: self.registration_id,
            signed_prekey: key(&self.signed_prekey)?,
            signature: decode(&self.signature)?,
            one_time: self.one_time.iter().map(key).collect::<anyhow::Result<_>>()?,
            uploaded: self.uploaded.iter().copied().collect(),
            key_index: self.key_index,
            device_identity: decode(&self.device_identity)?,
            platform: self.platform.clone(),
            key_shared: self.key_shared,
            outbox: Outbox::restore(&self.outbox)?,
            connection: None,
            active: false,
            simulated: match &self.simulated {
                Some(phone) => Some(Arc::new(Mutex::new(Phone::restore(phone, seed, label)?))),
                None => None,
            },
        })
    }
}
