//! Everything random comes from one seed, so that a run can be repeated.

use rand::SeedableRng;
use rand::rngs::StdRng;
use wacore_libsignal::crypto::hmac_sha256;

/// The root of all keys and ids of a simulator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(pub u64);

impl Seed {
    /// Returns 32 bytes that depend on the seed and the label only.
    pub fn bytes(self, label: &str) -> [u8; 32] {
        hmac_sha256(&self.0.to_be_bytes(), label.as_bytes())
    }

    /// Returns a generator of its own for whatever the label names.
    pub fn rng(self, label: &str) -> StdRng {
        StdRng::from_seed(self.bytes(label))
    }
}
