//! Clients that are not linked yet.

use wacore_libsignal::protocol::KeyPair;

use crate::device::DeviceId;
use crate::passkey_exchange::Shortcake;
use crate::phone::PublicPreKey;

/// An unpaired client.
pub(crate) struct Candidate {
    pub refs: Vec<String>,
    pub noise_key: [u8; 32],
    pub registration: ClientRegistration,
    pub link_code: Option<LinkCode>,
    /// The passkey that the server has asked it for.
    pub shortcake: Option<Shortcake>,
    /// What it becomes once it has signed its device identity.
    pub offered: Option<Offer>,
}

/// What a client says about itself when it registers.
#[derive(Clone)]
pub(crate) struct ClientRegistration {
    pub id: u32,
    pub identity: [u8; 32],
    pub signed_prekey: PublicPreKey,
    pub signature: Vec<u8>,
    pub platform: String,
}

impl Candidate {
    /// Returns its keys for the connection and for its identity.
    pub fn keys(&self) -> ([u8; 32], [u8; 32]) {
        (self.noise_key, self.registration.identity)
    }
}

pub(crate) struct Offer {
    pub iq: String,
    pub device: DeviceId,
    pub key_index: u32,
}

/// A client that waits for its code to be typed into a phone.
pub(crate) struct LinkCode {
    pub number: String,
    /// The client's ephemeral key, sealed with the code.
    pub wrapped: Vec<u8>,
    pub reference: Vec<u8>,
    /// Once the code was typed: the phone's ephemeral key, and the client's.
    pub exchange: Option<(KeyPair, [u8; 32])>,
}
