//! The responder's side of WhatsApp's Noise handshake: XX, IK and XXfallback.

use anyhow::{Context, bail, ensure};
use buffa::{Message, MessageField};
use wacore_binary::consts::{
    NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER,
};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{NoiseCipher, NoiseHandshake};
use waproto::whatsapp as wa;
use waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate::Details};

use crate::phone::raw;
use crate::seed::Seed;

/// Serial of the root: clients demand that the intermediate names issuer 0.
const ROOT_SERIAL: u32 = 0;
const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;
/// Validity of both certificates in Unix seconds: 2023 to 2049, so that no run of a test meets
/// an end.
const NOT_BEFORE: u64 = 1_700_000_000;
const NOT_AFTER: u64 = 2_500_000_000;

/// The server's long-lived Noise key and the certificates that vouch for it.
pub(crate) struct ServerIdentity {
    key: KeyPair,
    certificates: Vec<u8>,
    /// The public key that the chain ends in.
    root: [u8; 32],
    seed: Seed,
}

impl ServerIdentity {
    /// Makes the key and signs a chain root -> intermediate -> leaf under a root of our own.
    pub fn new(seed: Seed) -> anyhow::Result<Self> {
        let root = KeyPair::generate(&mut seed.rng("noise root"));
        let intermediate = KeyPair::generate(&mut seed.rng("noise intermediate"));
        let key = KeyPair::generate(&mut seed.rng("noise static"));
        let chain = wa::CertChain {
            intermediate: certificate(
                seed,
                INTERMEDIATE_SERIAL,
                ROOT_SERIAL,
                &intermediate,
                &root,
            )?,
            leaf: certificate(seed, LEAF_SERIAL, INTERMEDIATE_SERIAL, &key, &intermediate)?,
        };
        let root = raw(root.public_key.public_key_bytes());
        Ok(Self { key, certificates: chain.encode_to_vec(), root, seed })
    }

    /// Returns the public key under which the certificates are signed.
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// Returns a responder for one connection. `connection` makes its ephemeral key differ from
    /// others.
    pub fn responder(&self, connection: u64) -> Responder<'_> {
        Responder {
            server: self,
            ephemeral: KeyPair::generate(&mut self.seed.rng(&format!("ephemeral {connection}"))),
        }
    }
}

fn certificate(
    seed: Seed,
    serial: u32,
    issuer_serial: u32,
    subject: &KeyPair,
    issuer: &KeyPair,
) -> anyhow::Result<MessageField<NoiseCertificate>> {
    let details = Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(subject.public_key.public_key_bytes().to_vec()),
        not_before: Some(NOT_BEFORE),
        not_after: Some(NOT_AFTER),
    }
    .encode_to_vec();
    let signature = issuer
        .private_key
        .calculate_signature(&details, &mut seed.rng(&format!("certificate {serial}")))?;
    Ok(MessageField::some(NoiseCertificate {
        details: Some(details),
        signature: Some(signature.to_vec()),
    }))
}

/// The ciphers of an established connection, from the server's side.
pub(crate) struct Transport {
    incoming: NoiseCipher,
    outgoing: NoiseCipher,
    received: u32,
    sent: u32,
}

impl Transport {
    fn new(noise: NoiseHandshake) -> anyhow::Result<Self> {
        // `finish` names the ciphers as the initiator sees them.
        let (incoming, outgoing) = noise.finish()?;
        Ok(Self { incoming, outgoing, received: 0, sent: 0 })
    }

    pub fn decrypt(&mut self, frame: &mut bytes::BytesMut) -> anyhow::Result<()> {
        self.incoming.decrypt_in_place_with_counter(self.received, frame)?;
        self.received += 1;
        Ok(())
    }

    pub fn encrypt(&mut self, plaintext: &[u8]) -> anyhow::Result<Vec<u8>> {
        let frame = self.outgoing.encrypt_with_counter(self.sent, plaintext)?;
        self.sent += 1;
        Ok(frame)
    }
}

/// Who is at the other end, as its handshake proved.
pub(crate) struct Peer {
    pub static_key: [u8; 32],
    pub payload: wa::ClientPayload,
}

/// What to do after the client's first message.
pub(crate) enum Hello {
    /// IK: the handshake is over with this answer.
    Done { answer: Vec<u8>, peer: Box<Peer>, transport: Transport },
    /// XX or XXfallback: the client finishes with one more message.
    Continue { answer: Vec<u8>, finish: Box<Finish> },
}

pub(crate) struct Responder<'a> {
    server: &'a ServerIdentity,
    ephemeral: KeyPair,
}

impl Responder<'_> {
    /// Answers the client's hello. `refuse_ik` makes a client that comes with IK fall back.
    pub fn hello(self, message: &[u8], refuse_ik: bool) -> anyhow::Result<Hello> {
        let hello = wa::HandshakeMessage::decode_from_slice(message)?
            .client_hello
            .into_option()
            .context("the first handshake message holds no client hello")?;
        let ephemeral = key(hello.ephemeral, "client ephemeral")?;
        match (hello.r#static, hello.payload) {
            (Some(client_static), Some(payload)) => {
                if !refuse_ik && let Ok(done) = self.accept_ik(&ephemeral, &client_static, &payload)
                {
                    return Ok(done);
                }
                self.start_xx(NOISE_PATTERN_XXFALLBACK, &ephemeral)
            }
            (None, None) => self.start_xx(NOISE_PATTERN_XX, &ephemeral),
            _ => bail!("a client hello needs both static and payload (IK), or neither (XX)"),
        }
    }

    fn accept_ik(
        &self,
        ephemeral: &[u8; 32],
        client_static: &[u8],
        payload: &[u8],
    ) -> anyhow::Result<Hello> {
        let own = self.server.key.private_key.serialize();
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
        noise.authenticate(self.server.key.public_key.public_key_bytes());
        noise.authenticate(ephemeral);
        noise.mix_shared_secret(own, ephemeral)?;
        let client_static = key(Some(noise.decrypt(client_static)?), "client static")?;
        noise.mix_shared_secret(own, &client_static)?;
        let payload = noise.decrypt(payload)?;

        noise.authenticate(self.ephemeral.public_key.public_key_bytes());
        noise.mix_shared_secret(self.ephemeral.private_key.serialize(), ephemeral)?;
        noise.mix_shared_secret(self.ephemeral.private_key.serialize(), &client_static)?;
        let certificates = noise.encrypt(&self.server.certificates)?;
        let answer = self.server_hello(None, certificates);
        let peer = Box::new(peer(client_static, &payload)?);
        Ok(Hello::Done { answer, peer, transport: Transport::new(noise)? })
    }

    fn start_xx(self, pattern: &str, ephemeral: &[u8; 32]) -> anyhow::Result<Hello> {
        let mut noise = NoiseHandshake::new(pattern, &WA_CONN_HEADER)?;
        noise.authenticate(ephemeral);
        noise.authenticate(self.ephemeral.public_key.public_key_bytes());
        noise.mix_shared_secret(self.ephemeral.private_key.serialize(), ephemeral)?;
        let server_static = noise.encrypt(self.server.key.public_key.public_key_bytes())?;
        noise.mix_shared_secret(self.server.key.private_key.serialize(), ephemeral)?;
        let certificates = noise.encrypt(&self.server.certificates)?;
        let answer = self.server_hello(Some(server_static), certificates);
        let finish = Box::new(Finish { noise, ephemeral: self.ephemeral });
        Ok(Hello::Continue { answer, finish })
    }

    fn server_hello(&self, server_static: Option<Vec<u8>>, payload: Vec<u8>) -> Vec<u8> {
        wa::HandshakeMessage {
            server_hello: MessageField::some(wa::handshake_message::ServerHello {
                ephemeral: Some(self.ephemeral.public_key.public_key_bytes().to_vec()),
                r#static: server_static,
                payload: Some(payload),
                ..Default::default()
            }),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

/// An XX handshake that waits for the client's last message.
pub(crate) struct Finish {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

impl Finish {
    pub fn finish(mut self, message: &[u8]) -> anyhow::Result<(Box<Peer>, Transport)> {
        let finish = wa::HandshakeMessage::decode_from_slice(message)?
            .client_finish
            .into_option()
            .context("the second handshake message holds no client finish")?;
        let encrypted_static = finish.r#static.context("client finish without static")?;
        let encrypted_payload = finish.payload.context("client finish without payload")?;
        let client_static = key(Some(self.noise.decrypt(&encrypted_static)?), "client static")?;
        self.noise.mix_shared_secret(self.ephemeral.private_key.serialize(), &client_static)?;
        let payload = self.noise.decrypt(&encrypted_payload)?;
        Ok((Box::new(peer(client_static, &payload)?), Transport::new(self.noise)?))
    }
}

fn peer(static_key: [u8; 32], payload: &[u8]) -> anyhow::Result<Peer> {
    let payload = wa::ClientPayload::decode_from_slice(payload).context("client payload")?;
    Ok(Peer { static_key, payload })
}

fn key(bytes: Option<Vec<u8>>, what: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = bytes.with_context(|| format!("{what} key is missing"))?;
    ensure!(bytes.len() == 32, "{what} key has {} bytes instead of 32", bytes.len());
    let mut key = [0; 32];
    key.copy_from_slice(&bytes);
    Ok(key)
}
