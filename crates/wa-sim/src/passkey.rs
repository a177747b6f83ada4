//! The passkey of an account (WebAuthn, ES256): the simulated authenticator that signs with it, and
//! what the server checks of its answer.

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base64_bytes;
use crate::seed::Seed;

/// The site that passkeys of WhatsApp are for, and its only page that may ask for them.
const RELYING_PARTY: &str = "whatsapp.com";
const ORIGIN: &str = "https://web.whatsapp.com";
const ASSERTION_TYPE: &str = "webauthn.get";
const CREDENTIAL_TYPE: &str = "public-key";

/// The authenticator data of an assertion: the hash of the relying party, flags, a counter.
const RP_HASH_LENGTH: usize = 32;
const AUTHENTICATOR_DATA_LENGTH: usize = RP_HASH_LENGTH + 1 + 4;
const USER_PRESENT: u8 = 1 << 0;
const USER_VERIFIED: u8 = 1 << 2;

/// A passkey. Its key does not derive from the seed: no assertion is the same twice anyway.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Passkey {
    /// Base64url, as browsers write it.
    credential_id: String,
    user_handle: String,
    /// PKCS#8, in base64.
    key: String,
}

/// What `navigator.credentials.get` answers, as its `toJSON` writes it.
#[derive(Deserialize)]
struct Assertion {
    id: String,
    #[serde(rename = "rawId")]
    raw_id: String,
    #[serde(rename = "type")]
    kind: String,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// Returns the options with which the server asks for a passkey.
pub(crate) fn request_options(challenge: &str, timeout_ms: u64) -> Value {
    json!({
        "challenge": challenge,
        "timeout": timeout_ms,
        "rpId": RELYING_PARTY,
        "allowCredentials": [],
        "userVerification": "required",
        "extensions": { "uvm": true },
    })
}

/// Returns bytes as base64url without padding.
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    BASE64_URL.encode(bytes)
}

impl Passkey {
    /// Makes the passkey of a number.
    pub fn new(seed: Seed, number: &str) -> anyhow::Result<Self> {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())
            .map_err(|_| anyhow::anyhow!("no key for a passkey"))?;
        Ok(Self {
            credential_id: base64_url(&seed.bytes(&format!("passkey {number}"))),
            user_handle: base64_url(&seed.bytes(&format!("passkey user {number}"))[..16]),
            key: base64_bytes::encode(key.as_ref()),
        })
    }

    /// Returns the passkey as the DevTools of browsers import it (`WebAuthn.addCredential`).
    pub fn credential(&self) -> Value {
        let base64 = |text: &str| {
            BASE64_URL.decode(text).map(|bytes| base64_bytes::encode(&bytes)).unwrap_or_default()
        };
        json!({
            "credentialId": base64(&self.credential_id),
            "isResidentCredential": true,
            "rpId": RELYING_PARTY,
            "privateKey": self.key,
            "userHandle": base64(&self.user_handle),
            "signCount": 0,
        })
    }

    fn key_pair(&self) -> anyhow::Result<EcdsaKeyPair> {
        let key = base64_bytes::decode(&self.key)?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key, &SystemRandom::new())
            .map_err(|error| anyhow::anyhow!("a saved passkey cannot be read: {error}"))
    }

    /// Answers a request as a browser on WhatsApp's page does, once its user has agreed.
    pub fn assert(&self, options: &Value) -> anyhow::Result<Value> {
        let challenge = options["challenge"].as_str().context("the options have no challenge")?;
        ensure!(
            options["rpId"] == RELYING_PARTY,
            "this passkey is for {RELYING_PARTY}: pass the options on as they came"
        );
        let client_data = json!({
            "type": ASSERTION_TYPE,
            "challenge": challenge,
            "origin": ORIGIN,
            "crossOrigin": false,
        })
        .to_string();
        let mut data = digest(&SHA256, RELYING_PARTY.as_bytes()).as_ref().to_vec();
        data.push(USER_PRESENT | USER_VERIFIED);
        data.extend(0u32.to_be_bytes());
        let signed = signed_bytes(&data, client_data.as_bytes());
        let signature = self
            .key_pair()?
            .sign(&SystemRandom::new(), &signed)
            .map_err(|_| anyhow::anyhow!("the passkey does not sign"))?;
        Ok(json!({
            "id": self.credential_id,
            "rawId": self.credential_id,
            "type": CREDENTIAL_TYPE,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64_url(client_data.as_bytes()),
                "authenticatorData": base64_url(&data),
                "signature": base64_url(signature.as_ref()),
                "userHandle": self.user_handle,
            },
        }))
    }

    /// Checks an assertion that a client has sent, with the id it names beside it.
    pub fn verify(&self, credential: &[u8], json: &[u8], challenge: &str) -> anyhow::Result<()> {
        let assertion: Assertion = serde_json::from_slice(json).context("not an assertion")?;
        let response = &assertion.response;
        ensure!(assertion.kind == CREDENTIAL_TYPE, "not a {CREDENTIAL_TYPE}");
        ensure!(
            assertion.id == self.credential_id
                && assertion.raw_id == self.credential_id
                && base64_url(credential) == self.credential_id,
            "another credential"
        );
        ensure!(
            response.user_handle.as_ref().is_none_or(|user| *user == self.user_handle),
            "another user"
        );
        let bytes = |text: &str, what: &'static str| {
            BASE64_URL.decode(text).with_context(|| format!("{what} is not base64url"))
        };
        let client_json = bytes(&response.client_data, "clientDataJSON")?;
        let client: ClientData =
            serde_json::from_slice(&client_json).context("clientDataJSON is not JSON")?;
        ensure!(client.kind == ASSERTION_TYPE, "not a {ASSERTION_TYPE}");
        ensure!(client.challenge == challenge, "another challenge");
        ensure!(client.origin == ORIGIN && !client.cross_origin, "another origin");

        let data = bytes(&response.authenticator_data, "authenticatorData")?;
        ensure!(data.len() >= AUTHENTICATOR_DATA_LENGTH, "authenticatorData is cut off");
        let (party, rest) = data.split_at(RP_HASH_LENGTH);
        ensure!(
            party == digest(&SHA256, RELYING_PARTY.as_bytes()).as_ref(),
            "another relying party"
        );
        let needed = USER_PRESENT | USER_VERIFIED;
        ensure!(rest[0] & needed == needed, "nobody has agreed");
        let signature = bytes(&response.signature, "signature")?;
        let key_pair = self.key_pair()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key_pair.public_key().as_ref())
            .verify(&signed_bytes(&data, &client_json), &signature)
            .map_err(|_| anyhow::anyhow!("the signature does not hold"))
    }
}

/// Returns what an authenticator signs.
fn signed_bytes(authenticator_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [authenticator_data, digest(&SHA256, client_data).as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "Y2hhbGxlbmdl";

    fn passkey() -> Passkey {
        Passkey::new(Seed(1), "6281299990000").unwrap()
    }

    /// Why the server refuses an assertion that was changed on its way; nothing if it does not.
    fn refusal(passkey: &Passkey, change: impl FnOnce(&mut Value)) -> String {
        let mut assertion = passkey.assert(&request_options(CHALLENGE, 60_000)).unwrap();
        let credential = BASE64_URL.decode(assertion["rawId"].as_str().unwrap()).unwrap();
        change(&mut assertion);
        let verified = passkey.verify(&credential, assertion.to_string().as_bytes(), CHALLENGE);
        verified.err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn with_client_data(assertion: &mut Value, field: &str, value: Value) {
        let text = assertion["response"]["clientDataJSON"].as_str().unwrap();
        let mut client: Value = serde_json::from_slice(&BASE64_URL.decode(text).unwrap()).unwrap();
        client[field] = value;
        assertion["response"]["clientDataJSON"] = base64_url(client.to_string().as_bytes()).into();
    }

    fn with_authenticator_data(assertion: &mut Value, change: impl FnOnce(&mut Vec<u8>)) {
        let text = assertion["response"]["authenticatorData"].as_str().unwrap();
        let mut data = BASE64_URL.decode(text).unwrap();
        change(&mut data);
        assertion["response"]["authenticatorData"] = base64_url(&data).into();
    }

    #[test]
    fn an_assertion_holds_only_as_it_was_signed() {
        let passkey = passkey();
        assert_eq!(refusal(&passkey, |_| {}), "");
        let changed = |field: &'static str, value: Value| {
            refusal(&passkey, move |assertion| with_client_data(assertion, field, value))
        };
        assert_eq!(changed("origin", json!("https://example.net")), "another origin");
        assert_eq!(changed("crossOrigin", json!(true)), "another origin");
        assert_eq!(changed("challenge", json!("b3RoZXI")), "another challenge");
        assert_eq!(changed("type", json!("webauthn.create")), "not a webauthn.get");
        assert_eq!(changed("extra", json!(1)), "the signature does not hold");
        let data = |change: fn(&mut Vec<u8>)| {
            refusal(&passkey, move |assertion| with_authenticator_data(assertion, change))
        };
        assert_eq!(data(|data| data[0] ^= 1), "another relying party");
        assert_eq!(data(|data| data[RP_HASH_LENGTH] = USER_PRESENT), "nobody has agreed");
        assert_eq!(data(|data| data.truncate(30)), "authenticatorData is cut off");
        assert_eq!(data(|data| data.push(0)), "the signature does not hold");
        assert_eq!(refusal(&passkey, |a| a["id"] = "b3RoZXI".into()), "another credential");
        assert_eq!(refusal(&passkey, |a| a["type"] = "password".into()), "not a public-key");
        let user = |a: &mut Value| a["response"]["userHandle"] = "b3RoZXI".into();
        assert_eq!(refusal(&passkey, user), "another user");
    }

    #[test]
    fn a_passkey_of_somebody_else_is_no_proof() {
        let (ours, theirs) = (passkey(), Passkey { key: passkey().key, ..passkey() });
        let signed = theirs.assert(&request_options(CHALLENGE, 60_000)).unwrap();
        let credential = BASE64_URL.decode(signed["rawId"].as_str().unwrap()).unwrap();
        let verified = ours.verify(&credential, signed.to_string().as_bytes(), CHALLENGE);
        assert_eq!(verified.unwrap_err().to_string(), "the signature does not hold");
        let foreign = json!({ "challenge": CHALLENGE, "rpId": "example.net" });
        assert!(ours.assert(&foreign).is_err());
    }
}
