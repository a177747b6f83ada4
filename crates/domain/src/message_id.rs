//! WhatsApp message ids.

use std::fmt::Write;

/// How many random bytes an id is made of.
pub const RANDOM_BYTES: usize = 9;

/// The id under which one message goes over the wire, on the first try and on every repeat.
///
/// `3EB0` and 18 upper-case hexadecimal digits, the form WhatsApp Web itself uses. Phones drop a
/// message whose id they have seen: that is what makes a resend safe.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// Makes an id from these random bytes.
    pub fn from_random(bytes: [u8; RANDOM_BYTES]) -> Self {
        let mut id = String::with_capacity(4 + 2 * RANDOM_BYTES);
        id.push_str("3EB0");
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(id, "{byte:02X}");
        }
        MessageId(id)
    }

    /// Returns an id that was stored or came over the wire, as it is.
    pub fn from_stored(id: impl Into<String>) -> Self {
        MessageId(id.into())
    }

    /// Returns the id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_form_whatsapp_web_uses() {
        let id = MessageId::from_random([0, 1, 2, 0xAB, 0xCD, 0xEF, 0x10, 0xFF, 0x7F]);
        assert_eq!(id.as_str(), "3EB0000102ABCDEF10FF7F");
    }
}
