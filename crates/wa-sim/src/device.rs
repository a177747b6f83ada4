//! The devices of accounts, and the addresses they go by.

use serde::{Deserialize, Serialize};
use wacore_binary::Jid;
use wacore_libsignal::protocol::{DeviceId as SignalDeviceId, ProtocolAddress};

use crate::seed::Seed;

/// The device number of the phone itself.
pub(crate) const PRIMARY: u16 = 0;

/// A device of an account: its number and which of its devices.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct DeviceId {
    pub number: String,
    pub device: u16,
}

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.device)
    }
}

/// Returns the hidden id of a number: 15 digits that do not give the number away.
pub(crate) fn lid_of(seed: Seed, number: &str) -> String {
    let bytes = seed.bytes(&format!("lid {number}"));
    let value =
        u64::from_be_bytes([0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]);
    format!("{}", 100_000_000_000_000 + value % 900_000_000_000_000)
}

/// Returns the name of a device in a phone's Signal store: one per device, by whichever id it came.
pub(crate) fn address(number: &str, device: u16) -> ProtocolAddress {
    ProtocolAddress::new(number, SignalDeviceId::from(u32::from(device)))
}

/// Returns the address of a device, by its number.
pub(crate) fn pn(number: &str, device: u16) -> Jid {
    Jid::pn_device(number, device)
}
