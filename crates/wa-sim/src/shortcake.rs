//! Linking an account that wants its passkey: what the server and the phone do. Clients call the
//! exchange "shortcake".
//!
//! The server asks for an assertion. The client sends it with a key of its own and a commitment to
//! a nonce; the phone answers with a key and a nonce; the client reveals its nonce, and both sides
//! show the same code. When the client confirms, it sends its keys and a new secret, encrypted for
//! the phone; when the phone's user has compared the code, the phone vouches for the client.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use buffa::{Enumeration, Message};
use ring::digest::{SHA256, digest};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp as wa;

use crate::connection::ClientConnection;
use crate::core::Core;
use crate::faults::{Action, Facts, Stanza};
use crate::pairing::{PairError, PairingOutcome};
use crate::passkey::{base64_url, request_options};
use crate::passkey_exchange::{
    Exchange, Shortcake, Stage, handoff_proof, open_prologue, open_request,
};
use crate::phone::raw;
use crate::stanza;
use crate::state::ServerState;
use crate::violations::ViolatedRule;

/// How long an account's passkey may take, in milliseconds.
const LIFETIME_MS: u64 = 600_000;
/// How long the phone takes to answer. Clients note what they have sent only when the server has
/// taken it, and rely on the phone to be slower than that.
const PHONE_ANSWERS_AFTER: Duration = Duration::from_millis(300);
/// Why the server does not go on.
enum Refusal {
    /// What the user brought does not hold, or comes late or twice: no fault of the client.
    User(u16, &'static str),
    /// No client should send this.
    Client(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Client(error)
    }
}

const WRONG: Refusal = Refusal::User(401, "not-authorized");
const REPEATED: Refusal = Refusal::User(409, "conflict");
const LATE: Refusal = Refusal::User(410, "gone");

impl ClientConnection {
    /// Handles the client's side of linking with a passkey; `None` if the request is about
    /// something else.
    pub(crate) fn passkey_step(&self, node: &Node) -> Option<Vec<Node>> {
        let child = node.children()?.first()?;
        let answered = match child.tag.as_ref() {
            "ref" => self.passkey_reference(),
            "passkey_request_options" => self.passkey_options(),
            "passkey_prologue" => self.passkey_prologue(child).map(|()| None),
            "companion_nonce" => self.companion_nonce(child).map(|()| None),
            "encrypted_pairing_request" => self.pairing_request(child).map(|()| None),
            _ => return None,
        };
        Some(vec![match answered {
            Ok(child) => stanza::result(node, child),
            Err(Refusal::User(code, text)) => stanza::error(node, code, text),
            Err(Refusal::Client(error)) => {
                self.violation(
                    node,
                    ViolatedRule::Unexpected,
                    format!("linking by passkey: {error:#}"),
                );
                stanza::error(node, 400, "bad-request")
            }
        }])
    }

    fn passkey_reference(&self) -> Result<Option<Node>, Refusal> {
        let mut state = self.core.state();
        let reference = state.fresh_id("2@");
        asked(&mut state, self.id)?.reference = Some(reference.clone());
        Ok(Some(NodeBuilder::new("ref").bytes(reference.into_bytes()).build()))
    }

    fn passkey_options(&self) -> Result<Option<Node>, Refusal> {
        let mut state = self.core.state();
        let options = asked(&mut state, self.id)?.options.to_string().into_bytes();
        Ok(Some(NodeBuilder::new("passkey_request_options").bytes(options).build()))
    }

    fn passkey_prologue(&self, prologue: &Node) -> Result<(), Refusal> {
        let child = |tag: &'static str| prologue.get_optional_child(tag).and_then(stanza::bytes);
        let credential = child("credential_id").context("no credential_id")?;
        let assertion = child("webauthn_assertion").context("no webauthn_assertion")?;
        let payload = child("prologue_payload").context("no prologue_payload")?;
        let proof = child("pairing_handoff_proof");

        let now_ms = self.core.clock.now_ms();
        let mut state = self.core.state();
        let seed = state.seed;
        let id = state.fresh_id("");
        let passkey = {
            let number = asked(&mut state, self.id)?.number.clone();
            state.passkeys.get(&number).cloned().context("the account has no passkey any more")?
        };
        let shortcake = asked(&mut state, self.id)?;
        if !matches!(shortcake.stage, Stage::Asked) {
            return Err(REPEATED);
        }
        if now_ms >= shortcake.expires_at {
            return Err(LATE);
        }
        if let Err(error) = passkey.verify(credential, assertion, &shortcake.challenge) {
            tracing::info!("a passkey is refused: {error:#}");
            return Err(WRONG);
        }
        let (identity, commitment) = open_prologue(payload)?;
        let parsed = wa::CompanionEphemeralIdentity::decode_from_slice(identity.as_slice())
            .context("the companion's identity is malformed")?;
        let theirs = parsed.public_key.filter(|key| key.len() == 32).context("no public key")?;
        let device_type = parsed.device_type.context("no device type")?.to_i32();
        let used = shortcake.reference.take();
        if used.is_none() || parsed.r#ref != used {
            return Err(anyhow::anyhow!("the reference is not the one that was given").into());
        }
        let proved = match proof {
            None => false,
            Some(proof) if proof == handoff_proof(&shortcake.secret, payload)? => true,
            Some(_) => return Err(anyhow::anyhow!("the handoff proof does not hold").into()),
        };
        let ours = KeyPair::generate(&mut seed.rng(&format!("passkey exchange {id}")));
        let nonce = seed.bytes(&format!("passkey nonce {id}"));
        let answer = wa::PrimaryEphemeralIdentity {
            public_key: Some(ours.public_key.public_key_bytes().to_vec()),
            nonce: Some(nonce.to_vec()),
        }
        .encode_to_vec();
        let theirs = raw(&theirs);
        let exchange = Exchange { identity, commitment, theirs, device_type, ours, nonce, proved };
        shortcake.reference = used;
        shortcake.stage = Stage::Committed(Box::new(exchange));
        drop(state);
        let child = NodeBuilder::new("primary_ephemeral_identity").bytes(answer).build();
        let answer = notification(&id, "crsc_continuation", now_ms / 1000, child);
        let (core, connection) = (Arc::clone(&self.core), self.id);
        tokio::spawn(async move {
            tokio::time::sleep(PHONE_ANSWERS_AFTER).await;
            core.state().send(connection, answer);
        });
        Ok(())
    }

    fn companion_nonce(&self, nonce: &Node) -> Result<(), Refusal> {
        let nonce = stanza::bytes(nonce).context("no nonce")?;
        let mut state = self.core.state();
        let shortcake = asked(&mut state, self.id)?;
        let Stage::Committed(exchange) = &shortcake.stage else {
            return Err(anyhow::anyhow!("a nonce that the phone does not wait for").into());
        };
        let opened = [exchange.identity.as_slice(), nonce].concat();
        if digest(&SHA256, &opened).as_ref() != exchange.commitment {
            return Err(anyhow::anyhow!("the nonce is not the one committed to").into());
        }
        let reference = shortcake.reference.as_deref().unwrap_or_default();
        let key = exchange.key(reference)?;
        let stage = Stage::Revealed {
            code: exchange.code(nonce),
            key,
            compared: exchange.proved,
            new_secret: None,
        };
        shortcake.stage = stage;
        drop(state);
        self.core.notify();
        Ok(())
    }

    fn pairing_request(&self, sealed: &Node) -> Result<(), Refusal> {
        let sealed = stanza::bytes(sealed).context("no encrypted request")?;
        let mut state = self.core.state();
        let candidate = state.candidates.get(&self.id).context("this client is linked already")?;
        let (noise_key, identity) = candidate.keys();
        let shortcake = asked(&mut state, self.id)?;
        let old_secret = shortcake.secret;
        let Stage::Revealed { key, new_secret, .. } = &mut shortcake.stage else {
            return Err(anyhow::anyhow!("a request that the phone does not wait for").into());
        };
        let request = open_request(sealed, key)?;
        let is = |bytes: &Option<Vec<u8>>, key: [u8; 32]| bytes.as_deref() == Some(&key[..]);
        let keys = is(&request.companion_public_key, noise_key)
            && is(&request.companion_identity_key, identity);
        if !keys {
            return Err(anyhow::anyhow!("the keys are not those of this client").into());
        }
        let secret = request.adv_secret.filter(|secret| secret.len() == 32);
        let secret = raw(&secret.context("no secret of 32 bytes")?);
        if secret == old_secret {
            return Err(anyhow::anyhow!("the secret was not renewed").into());
        }
        *new_secret = Some(secret);
        drop(state);
        let (core, connection) = (Arc::clone(&self.core), self.id);
        tokio::spawn(async move {
            tokio::time::sleep(PHONE_ANSWERS_AFTER).await;
            core.finish_passkey(connection);
        });
        Ok(())
    }
}

impl Core {
    /// Takes a client on with the phone of `number`: vouches for it, or has the server ask for the
    /// account's passkey first.
    pub(crate) fn take_on(
        &self,
        connection: u64,
        number: &str,
        secret: &[u8; 32],
    ) -> Result<PairingOutcome, PairError> {
        if self.state().passkeys.contains_key(number) {
            self.ask_for_passkey(connection, number, secret)
        } else {
            self.vouch(connection, number, secret).map(PairingOutcome::Linked)
        }
    }

    fn ask_for_passkey(
        &self,
        connection: u64,
        number: &str,
        secret: &[u8; 32],
    ) -> Result<PairingOutcome, PairError> {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let to = Some(number);
        let facts = Facts { stanza: Stanza::PasskeyRequest, from: None, to, id: None };
        let fault = state.faults.strike(facts);
        let lifetime_ms = match fault {
            Some(Action::Expire { ms }) => ms,
            _ => LIFETIME_MS,
        };
        let stanzas = match fault {
            Some(Action::Swallow) => 0,
            Some(Action::Duplicate { copies }) => copies + 1,
            _ => 1,
        };
        let mut challenge = fresh_challenge(&mut state);
        for nth in 0..stanzas {
            if nth > 0 {
                challenge = fresh_challenge(&mut state);
            }
            let options = request_options(&challenge, lifetime_ms).to_string().into_bytes();
            let child = NodeBuilder::new("passkey_request_options").bytes(options).build();
            let id = state.fresh_id("");
            let asking = notification(&id, "passkey_prologue_request", now_ms / 1000, child);
            state.send(connection, asking);
        }
        let candidate = state.candidates.get_mut(&connection).ok_or(PairError::Unknown("QR"))?;
        candidate.shortcake = Some(Shortcake {
            number: number.to_owned(),
            secret: *secret,
            options: request_options(&challenge, lifetime_ms),
            challenge,
            expires_at: now_ms + lifetime_ms,
            reference: None,
            stage: Stage::Asked,
        });
        drop(state);
        self.notify();
        Ok(PairingOutcome::PasskeyAsked { expires_at: now_ms + lifetime_ms })
    }

    /// Compares the code that a client shows with the one on the phone of `number`. If it is
    /// another, the phone refuses the client.
    pub(crate) fn compare_code(&self, number: &str, shown: &str) -> Result<(), PairError> {
        let same = |text: &str| text.replace('-', "").to_uppercase();
        let mut state = self.state();
        let (connection, shortcake) = state
            .candidates
            .iter_mut()
            .filter_map(|(&id, candidate)| Some((id, candidate.shortcake.as_mut()?)))
            .filter(|(_, shortcake)| shortcake.number == number)
            .max_by_key(|(id, _)| *id)
            .ok_or(PairError::NothingToCompare)?;
        let Stage::Revealed { code, compared, .. } = &mut shortcake.stage else {
            return Err(PairError::NothingToCompare);
        };
        if same(code) != same(shown) {
            if let Some(candidate) = state.candidates.get_mut(&connection) {
                candidate.shortcake = None;
            }
            return Err(PairError::OtherCode);
        }
        *compared = true;
        drop(state);
        self.finish_passkey(connection);
        Ok(())
    }

    /// The phone vouches for a client once both sides have confirmed.
    fn finish_passkey(&self, connection: u64) {
        let mut state = self.state();
        let Some(candidate) = state.candidates.get_mut(&connection) else { return };
        let confirmed = candidate.shortcake.as_ref().and_then(|shortcake| match shortcake.stage {
            Stage::Revealed { compared: true, new_secret: Some(secret), .. } => {
                Some((shortcake.number.clone(), secret))
            }
            _ => None,
        });
        let Some((number, secret)) = confirmed else { return };
        candidate.shortcake = None;
        drop(state);
        if let Err(error) = self.vouch(connection, &number, &secret) {
            tracing::warn!("linking by passkey: {error}");
        }
        self.notify();
    }
}

fn asked(state: &mut ServerState, connection: u64) -> Result<&mut Shortcake, Refusal> {
    let candidate = state.candidates.get_mut(&connection);
    candidate.and_then(|candidate| candidate.shortcake.as_mut()).ok_or(LATE)
}

fn fresh_challenge(state: &mut ServerState) -> String {
    let id = state.fresh_id("");
    base64_url(&state.seed.bytes(&format!("passkey challenge {id}")))
}

fn notification(id: &str, kind: &'static str, now_s: u64, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", SERVER_JID)
        .attr("id", id)
        .attr("type", kind)
        .attr("t", now_s)
        .children([child])
        .build()
}
