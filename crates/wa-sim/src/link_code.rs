//! Linking by code: the client shows eight characters, and the user types them into the phone.

use anyhow::{Context, ensure};
use wacore::crypto::hkdf_sha256;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};

use crate::candidate::LinkCode;
use crate::connection::ClientConnection;
use crate::core::Core;
use crate::pairing::{Linked, PairError};
use crate::phone::raw;
use crate::stanza;
use crate::state::ServerState;
use crate::violations::ViolatedRule;

/// The wrapped bundle: salt, nonce, then the sealed keys.
const SALT: usize = 32;
const NONCE: usize = 12;
/// The sealed keys: the companion's identity, the phone's, and 32 random bytes.
const BUNDLE: usize = 96;

impl ClientConnection {
    /// Handles `<link_code_companion_reg>`: the client's side of linking by code.
    pub(crate) fn link_code(&mut self, node: &Node, registration: &Node) {
        let done = match stanza::attr(registration, "stage").as_deref() {
            Some("companion_hello") => self.companion_hello(node, registration),
            Some("companion_finish") => self.companion_finish(node, registration),
            other => Err(anyhow::anyhow!("unknown stage {other:?}")),
        };
        if let Err(error) = done {
            self.violation(node, ViolatedRule::Unexpected, format!("linking by code: {error:#}"));
            self.send(stanza::error(node, 400, "bad-request"));
        }
    }

    fn companion_hello(&self, node: &Node, registration: &Node) -> anyhow::Result<()> {
        let jid = stanza::jid(registration, "jid").context("no jid")?;
        let wrapped = registration
            .get_optional_child("link_code_pairing_wrapped_companion_ephemeral_pub")
            .and_then(stanza::bytes)
            .context("no wrapped ephemeral key")?
            .to_vec();
        let mut state = self.core.state();
        let reference = state.fresh_id("").into_bytes();
        let candidate =
            state.candidates.get_mut(&self.id).context("this client is linked already")?;
        candidate.link_code = Some(LinkCode {
            number: jid.user.to_string(),
            wrapped,
            reference: reference.clone(),
            exchange: None,
        });
        let reference = NodeBuilder::new("link_code_pairing_ref").bytes(reference).build();
        let answer = NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "companion_hello")
            .children([reference])
            .build();
        state.send(self.id, stanza::result(node, [answer]));
        Ok(())
    }

    fn companion_finish(&self, node: &Node, registration: &Node) -> anyhow::Result<()> {
        let sealed = registration
            .get_optional_child("link_code_pairing_wrapped_key_bundle")
            .and_then(stanza::bytes)
            .context("no key bundle")?;
        let identity = registration
            .get_optional_child("companion_identity_public")
            .and_then(stanza::bytes)
            .map(raw)
            .context("no companion identity")?;
        let mut state = self.core.state();
        let candidate =
            state.candidates.get_mut(&self.id).context("this client is linked already")?;
        let code = candidate.link_code.take().context("no code was asked for")?;
        let (ephemeral, theirs) = code.exchange.context("the code was not typed in yet")?;
        let account = state.accounts.get(&code.number).context("no such account")?;
        let phone = account.phone();
        drop(state);
        let secret = {
            let phone = crate::account::lock(&phone);
            open_bundle(sealed, &ephemeral, &theirs, &identity, phone.identity().private_key())?
        };
        self.send(stanza::result(node, []));
        // The phone's own word follows the answer, or the server's question for the passkey.
        self.core.take_on(self.id, &code.number, &secret)?;
        Ok(())
    }
}

impl Core {
    /// Types a code into the phone of `number`.
    pub(crate) fn type_code(&self, code: &str, number: &str) -> Result<(), PairError> {
        let code: String = code.chars().filter(|c| *c != '-').collect::<String>().to_uppercase();
        let now_s = self.clock.now_s();
        let mut state = self.state();
        let seed = state.seed;
        let account = state
            .account(number, now_s)
            .map_err(|error| PairError::Failed(error.to_string()))?
            .ok_or_else(|| PairError::NotRegistered(number.to_owned()))?;
        let identity = account.lock_phone().identity_public();
        let id = state.fresh_id("");
        let (connection, link) = state
            .candidates
            .iter_mut()
            .filter_map(|(&id, candidate)| Some((id, candidate.link_code.as_mut()?)))
            .filter(|(_, link)| link.number == number)
            .max_by_key(|(id, _)| *id)
            .ok_or(PairError::Unknown("code"))?;
        let failed = |error: wacore::pair_code::PairCodeError| PairError::Failed(error.to_string());
        // With a wrong code this gives a wrong key, which shows when the bundle does not open.
        let theirs =
            PairCodeUtils::decrypt_primary_ephemeral_pub(&link.wrapped, &code).map_err(failed)?;
        let ephemeral = KeyPair::generate(&mut seed.rng(&format!("link code {id}")));
        let ours = raw(ephemeral.public_key.public_key_bytes());
        let wrapped = PairCodeUtils::encrypt_ephemeral_pub(&ours, &code);
        link.exchange = Some((ephemeral, theirs));
        let children = [
            ("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped.to_vec()),
            ("primary_identity_pub", identity.to_vec()),
            ("link_code_pairing_ref", link.reference.clone()),
        ]
        .map(|(tag, bytes)| NodeBuilder::new(tag).bytes(bytes).build());
        let registration = NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "primary_hello")
            .children(children)
            .build();
        let notification = NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("id", id)
            .attr("type", "link_code_companion_reg")
            .attr("t", now_s)
            .children([registration])
            .build();
        state.send(connection, notification);
        Ok(())
    }
}

impl ServerState {
    /// Returns the device of `number` that was linked last, once there is one newer than `after`.
    pub fn newest_device(&self, number: &str, after: u16) -> Option<Linked> {
        let device = *self.accounts.get(number)?.companions.keys().next_back()?;
        (device > after).then(|| Linked {
            phone: number.to_owned(),
            device,
            jid: crate::device::pn(number, device).to_string(),
        })
    }
}

/// Opens the client's key bundle, and derives the secret both sides now share.
fn open_bundle(
    sealed: &[u8],
    ephemeral: &KeyPair,
    theirs: &[u8; 32],
    identity: &[u8; 32],
    own_identity: &wacore_libsignal::protocol::PrivateKey,
) -> anyhow::Result<[u8; 32]> {
    ensure!(sealed.len() > SALT + NONCE, "the key bundle is too short");
    let shared = ephemeral
        .private_key
        .calculate_agreement(&PublicKey::from_djb_public_key_bytes(theirs)?)?;
    let (salt, rest) = sealed.split_at(SALT);
    let (nonce, ciphertext) = rest.split_at(NONCE);
    let key = hkdf_sha256(&shared, 32, Some(salt), b"link_code_pairing_key_bundle_encryption_key")
        .map_err(|_| anyhow::anyhow!("no key for the bundle"))?;
    let mut bundle = Vec::with_capacity(BUNDLE);
    aes_256_gcm_decrypt(&raw(&key), nonce.try_into()?, b"", ciphertext, &mut bundle)
        .map_err(|_| anyhow::anyhow!("the key bundle does not open: a wrong code was typed"))?;
    ensure!(bundle.len() == BUNDLE && bundle[..32] == identity[..], "the key bundle is malformed");
    let identities =
        own_identity.calculate_agreement(&PublicKey::from_djb_public_key_bytes(identity)?)?;
    let secret = [&shared[..], &identities[..], &bundle[64..]].concat();
    let adv =
        hkdf_sha256(&secret, 32, None, b"adv_secret").map_err(|_| anyhow::anyhow!("no secret"))?;
    Ok(raw(&adv))
}
