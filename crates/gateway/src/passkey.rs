//! Linking an account that wants its passkey: what WhatsApp waits for, and a browser's answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The only page whose answers WhatsApp takes.
pub const WHATSAPP_ORIGIN: &str = "https://web.whatsapp.com";
/// An answer has some hundred bytes. What is longer than this is something else.
pub const MAX_ASSERTION_BYTES: usize = 16 * 1024;
const CREDENTIAL_TYPE: &str = "public-key";

/// What is to be done next to link an account that wants its passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum PasskeyStep {
    /// A browser that has the passkey answers, on WhatsApp's page.
    Answer {
        /// What to give to `navigator.credentials.get` as `publicKey`, in JSON.
        options: Value,
    },
    /// WhatsApp and the phone look at the answer.
    Check,
    /// A person compares this code with the one on the phone.
    Compare {
        /// Two groups of four characters.
        code: String,
    },
    /// The phone finishes the link.
    Finish,
}

impl PasskeyStep {
    /// Returns the name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            PasskeyStep::Answer { .. } => "answer",
            PasskeyStep::Check => "check",
            PasskeyStep::Compare { .. } => "compare",
            PasskeyStep::Finish => "finish",
        }
    }
}

/// A browser's answer to a request for a passkey (a WebAuthn assertion).
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    credential_id: Vec<u8>,
    client_data: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    user_handle: Option<Vec<u8>>,
}

/// Why something is no answer that could be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssertion {
    /// It is no JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// It is longer than any answer.
    #[error("longer than {MAX_ASSERTION_BYTES} bytes")]
    TooLarge,
    /// A field is missing, or not of the right kind.
    #[error("the field {0} is missing or wrong")]
    Field(&'static str),
    /// A field is not encoded as it must be.
    #[error("the field {0} is not base64url")]
    NotBase64(&'static str),
    /// It was made on another page.
    #[error("not made on {WHATSAPP_ORIGIN}")]
    OtherOrigin,
}

/// What a browser says that it has signed.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
}

impl Assertion {
    /// Reads what `toJSON` of the browser's answer gives.
    ///
    /// # Errors
    /// If it cannot be an answer for WhatsApp. Whether the signature holds only WhatsApp can tell.
    pub fn from_json(json: &Value) -> Result<Assertion, InvalidAssertion> {
        let fields = json.as_object().ok_or(InvalidAssertion::NotAnObject)?;
        if json.to_string().len() > MAX_ASSERTION_BYTES {
            return Err(InvalidAssertion::TooLarge);
        }
        if fields.get("type").and_then(Value::as_str) != Some(CREDENTIAL_TYPE) {
            return Err(InvalidAssertion::Field("type"));
        }
        let assertion = Assertion {
            credential_id: bytes(json, "/rawId", "rawId")?,
            client_data: bytes(json, "/response/clientDataJSON", "response.clientDataJSON")?,
            authenticator_data: bytes(
                json,
                "/response/authenticatorData",
                "response.authenticatorData",
            )?,
            signature: bytes(json, "/response/signature", "response.signature")?,
            user_handle: match json.pointer("/response/userHandle") {
                None | Some(Value::Null) => None,
                Some(_) => Some(bytes(json, "/response/userHandle", "response.userHandle")?),
            },
        };
        let client =
            assertion.client().ok_or(InvalidAssertion::Field("response.clientDataJSON"))?;
        if client.origin != WHATSAPP_ORIGIN {
            return Err(InvalidAssertion::OtherOrigin);
        }
        Ok(assertion)
    }

    /// Returns the answer as WhatsApp's own page sends it.
    pub fn to_json(&self) -> Value {
        let id = BASE64_URL.encode(&self.credential_id);
        json!({
            "id": id,
            "rawId": id,
            "type": CREDENTIAL_TYPE,
            "response": {
                "clientDataJSON": BASE64_URL.encode(&self.client_data),
                "authenticatorData": BASE64_URL.encode(&self.authenticator_data),
                "signature": BASE64_URL.encode(&self.signature),
                "userHandle": self.user_handle.as_ref().map(|user| BASE64_URL.encode(user)),
            },
        })
    }

    /// Returns the id of the passkey that signed.
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// Returns whether it answers a request with these options.
    pub fn answers(&self, options: &Value) -> bool {
        let unpadded = |challenge: &str| challenge.trim_end_matches('=').to_owned();
        let asked = options["challenge"].as_str().map(unpadded);
        asked.is_some() && self.client().map(|client| unpadded(&client.challenge)) == asked
    }

    fn client(&self) -> Option<ClientData> {
        let client: ClientData = serde_json::from_slice(&self.client_data).ok()?;
        (client.kind == "webauthn.get").then_some(client)
    }
}

/// Says nothing of what is in it: it proves who its owner is.
impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertion").finish_non_exhaustive()
    }
}

/// Returns the bytes of a field that must be there.
fn bytes(json: &Value, pointer: &str, name: &'static str) -> Result<Vec<u8>, InvalidAssertion> {
    let text = json.pointer(pointer).and_then(Value::as_str);
    let text = text.ok_or(InvalidAssertion::Field(name))?.trim_end_matches('=');
    let bytes = BASE64_URL.decode(text).map_err(|_| InvalidAssertion::NotBase64(name))?;
    if bytes.is_empty() { Err(InvalidAssertion::Field(name)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_data(origin: &str) -> String {
        let client =
            json!({ "type": "webauthn.get", "challenge": "Y2hhbGxlbmdl", "origin": origin });
        BASE64_URL.encode(client.to_string())
    }

    fn answer() -> Value {
        json!({
            "id": "aWQ",
            "rawId": "aWQ",
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": client_data(WHATSAPP_ORIGIN),
                "authenticatorData": "ZGF0YQ",
                "signature": "c2ln",
                "userHandle": null,
            },
        })
    }

    #[test]
    fn an_answer_is_passed_on_with_its_own_fields_only() {
        let assertion = Assertion::from_json(&answer()).unwrap();
        let mut expected = answer();
        let fields = expected.as_object_mut().unwrap();
        fields.remove("authenticatorAttachment");
        fields.remove("clientExtensionResults");
        assert_eq!(assertion.to_json(), expected);
        assert_eq!(assertion.credential_id(), b"id");
        assert_eq!(Assertion::from_json(&assertion.to_json()).unwrap(), assertion);
        assert!(assertion.answers(&json!({ "challenge": "Y2hhbGxlbmdl" })));
        assert!(!assertion.answers(&json!({ "challenge": "b3RoZXI" })));
        assert!(!assertion.answers(&json!({})));
    }

    #[test]
    fn invalid_answers_name_the_fault() {
        let refusal = |change: fn(&mut Value)| {
            let mut answer = answer();
            change(&mut answer);
            Assertion::from_json(&answer).unwrap_err()
        };
        assert_eq!(refusal(|a| *a = json!("text")), InvalidAssertion::NotAnObject);
        assert_eq!(refusal(|a| a["more"] = "x".repeat(20_000).into()), InvalidAssertion::TooLarge);
        assert_eq!(refusal(|a| a["type"] = "password".into()), InvalidAssertion::Field("type"));
        assert_eq!(refusal(|a| a["rawId"] = 5.into()), InvalidAssertion::Field("rawId"));
        assert_eq!(refusal(|a| a["rawId"] = "".into()), InvalidAssertion::Field("rawId"));
        assert_eq!(
            refusal(|a| a["response"]["signature"] = "a+b/".into()),
            InvalidAssertion::NotBase64("response.signature")
        );
        assert_eq!(
            refusal(|a| a["response"]["clientDataJSON"] = "e30".into()),
            InvalidAssertion::Field("response.clientDataJSON")
        );
        let elsewhere: fn(&mut Value) =
            |a| a["response"]["clientDataJSON"] = client_data("https://example.net").into();
        assert_eq!(refusal(elsewhere), InvalidAssertion::OtherOrigin);
    }
}
