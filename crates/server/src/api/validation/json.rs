//! JSON bodies: serde_json reads them. Where it refuses one, [`Locator`] finds what Python's `json`
//! module would have said, and of which position: clients of the replaced system look at both.

use serde_json::Value;

/// The deepest nesting that serde_json reads.
const MAX_DEPTH: usize = 127;

const INVALID_UNICODE: &str = "Invalid \\uXXXX escape";
const UNTERMINATED: &str = "Unterminated string starting at";

/// Why a text cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum JsonError {
    /// It is not JSON.
    Invalid {
        /// What was expected.
        message: &'static str,
        /// Where, in characters from the start.
        offset: usize,
    },
    /// It is nested deeper than [`MAX_DEPTH`], or has a number beyond the largest float.
    Unreadable,
}

/// Reads a whole text. Integers beyond 64 bits become floats.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    serde_json::from_str(text).map_err(|_| locate(text))
}

/// Returns what is wrong with a text that serde_json has refused.
fn locate(text: &str) -> JsonError {
    let mut locator = Locator { bytes: text.as_bytes(), at: 0, depth: 0 };
    match locator.document() {
        Ok(()) => JsonError::Unreadable,
        Err(error) => error,
    }
}

type Found = Result<(), JsonError>;

/// Goes through a text until it finds a fault.
struct Locator<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl Locator<'_> {
    fn document(&mut self) -> Found {
        self.skip_whitespace();
        self.value()?;
        self.skip_whitespace();
        if self.at < self.bytes.len() { self.invalid("Extra data", self.at) } else { Ok(()) }
    }

    fn value(&mut self) -> Found {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.list(b'}', Self::member),
            Some(b'[') => self.list(b']', Self::value),
            _ => match ["null", "true", "false"].iter().find(|word| self.is_at(word)) {
                Some(word) => {
                    self.at += word.len();
                    Ok(())
                }
                None => self.number(),
            },
        }
    }

    fn list(&mut self, end: u8, item: fn(&mut Self) -> Found) -> Found {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::Unreadable);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_whitespace();
        if !self.accept(end) {
            loop {
                item(self)?;
                self.skip_whitespace();
                if self.accept(end) {
                    break;
                }
                self.expect(b',', "Expecting ',' delimiter")?;
                self.skip_whitespace();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn member(&mut self) -> Found {
        if self.peek() != Some(b'"') {
            return self.invalid("Expecting property name enclosed in double quotes", self.at);
        }
        self.string()?;
        self.skip_whitespace();
        self.expect(b':', "Expecting ':' delimiter")?;
        self.skip_whitespace();
        self.value()
    }

    /// Skips a number. It ends where it stops being one: `01` is a `0` and something after it.
    fn number(&mut self) -> Found {
        let sign = usize::from(self.peek() == Some(b'-'));
        let mut end = self.at + sign;
        end += match self.bytes.get(end) {
            Some(b'0') => 1,
            Some(b'1'..=b'9') => self.digits(end),
            _ => return self.invalid("Expecting value", self.at),
        };
        if self.bytes.get(end) == Some(&b'.') && self.digits(end + 1) > 0 {
            end += 1 + self.digits(end + 1);
        }
        if let Some(b'e' | b'E') = self.bytes.get(end) {
            let sign = usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = self.digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        self.at = end;
        Ok(())
    }

    /// Returns how many digits there are from `start` on.
    fn digits(&self, start: usize) -> usize {
        self.bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn string(&mut self) -> Found {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.invalid(UNTERMINATED, start),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => match self.bytes.get(self.at + 1) {
                    None => return self.invalid(UNTERMINATED, start),
                    Some(b'u') => self.unicode_escape()?,
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                    Some(_) => return self.invalid("Invalid \\escape", self.at),
                },
                Some(0..=0x1f) => return self.invalid("Invalid control character at", self.at),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Skips `\uXXXX`, or two of them for one character. Half a pair alone is refused: it is no
    /// text that could be sent.
    fn unicode_escape(&mut self) -> Found {
        let start = self.at;
        let mut units = vec![self.unicode_unit()?];
        let is_first_half = (0xD800..0xDC00).contains(&units[0]);
        if is_first_half && self.is_at("\\u") {
            units.push(self.unicode_unit()?);
        }
        if String::from_utf16(&units).is_ok() {
            Ok(())
        } else {
            self.invalid(INVALID_UNICODE, start + 1)
        }
    }

    /// Returns the number in one `\uXXXX`. A closing quote must follow somewhere: four digits at
    /// the very end of the text are cut off too.
    fn unicode_unit(&mut self) -> Result<u16, JsonError> {
        let digits = self.bytes.get(self.at + 2..self.at + 6);
        let digits = digits.filter(|_| self.bytes.len() > self.at + 6);
        let unit = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u16::from_str_radix(digits, 16).ok());
        match unit {
            Some(unit) => {
                self.at += 6;
                Ok(unit)
            }
            None => Err(self.fault(INVALID_UNICODE, self.at + 1)),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is_at(&self, text: &str) -> bool {
        self.bytes[self.at..].starts_with(text.as_bytes())
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, message: &'static str) -> Found {
        if self.accept(byte) { Ok(()) } else { self.invalid(message, self.at) }
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn invalid(&self, message: &'static str, at: usize) -> Found {
        Err(self.fault(message, at))
    }

    fn fault(&self, message: &'static str, at: usize) -> JsonError {
        let is_start_of_character = |byte: &&u8| **byte & 0xC0 != 0x80;
        let offset = self.bytes[..at].iter().filter(is_start_of_character).count();
        JsonError::Invalid { message, offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn error(text: &str) -> (&'static str, usize) {
        match parse(text) {
            Err(JsonError::Invalid { message, offset }) => (message, offset),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn says_what_is_wrong_and_where_as_python_does() {
        // Each line was checked against CPython 3.11.
        for (text, message, offset) in [
            ("", "Expecting value", 0),
            ("  ", "Expecting value", 2),
            ("{", "Expecting property name enclosed in double quotes", 1),
            ("{notice_id:1}", "Expecting property name enclosed in double quotes", 1),
            ("{'a': 1}", "Expecting property name enclosed in double quotes", 1),
            ("{\"a\" 1}", "Expecting ':' delimiter", 5),
            ("{\"a\": }", "Expecting value", 6),
            ("{\"a\": 1", "Expecting ',' delimiter", 7),
            ("{\"a\": 1,}", "Expecting property name enclosed in double quotes", 8),
            ("{\"é\": 1 \"b\": 2}", "Expecting ',' delimiter", 8),
            ("[", "Expecting value", 1),
            ("[1,]", "Expecting value", 3),
            ("[1 2]", "Expecting ',' delimiter", 3),
            ("{} {}", "Extra data", 3),
            ("01", "Extra data", 1),
            ("1.", "Extra data", 1),
            ("-", "Expecting value", 0),
            ("nul", "Expecting value", 0),
            ("{\"a\": tru}", "Expecting value", 6),
            ("{\"a\": \"b", "Unterminated string starting at", 6),
            ("\"a\\", "Unterminated string starting at", 0),
            ("\"a\nb\"", "Invalid control character at", 2),
            ("\"a\\xb\"", "Invalid \\escape", 2),
            ("\"\\u12\"", "Invalid \\uXXXX escape", 2),
            ("\"\\u12g4\"", "Invalid \\uXXXX escape", 2),
            ("\"\\ud83d\\ude8", "Invalid \\uXXXX escape", 8),
            ("\"\\u1234", "Invalid \\uXXXX escape", 2),
        ] {
            assert_eq!(error(text), (message, offset), "{text}");
        }
    }

    #[test]
    fn reads_values() {
        assert_eq!(
            parse(" {\"a\": [1, -2.5e1, true, null, \"x\\u00e9\\ud83d\\ude80\\n\"], \"a b\": {}} "),
            Ok(json!({"a": [1, -25.0, true, null, "xé🚀\n"], "a b": {}}))
        );
        assert_eq!(parse("99999999999999999999999"), Ok(json!(1e23)));
        assert_eq!(parse("1e999"), Err(JsonError::Unreadable));
        assert_eq!(parse(r#"{"a": 1, "a": 2}"#), Ok(json!({"a": 2})));
    }

    #[test]
    fn deep_nesting_is_refused_before_it_costs_stack() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(JsonError::Unreadable));
        assert_eq!(parse(&"[".repeat(1_000_000)), Err(JsonError::Unreadable));
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        assert_eq!(error(r#""\ud83d""#).0, "Invalid \\uXXXX escape");
        assert_eq!(error(r#""\ude80x""#).0, "Invalid \\uXXXX escape");
        assert_eq!(error(r#""\ud83d\u0041""#).0, "Invalid \\uXXXX escape");
    }

    proptest! {
        #[test]
        fn every_refused_text_has_a_fault_with_a_position(
            text in r#"([\[\]{}:,"\\é0-9.\- ]|\\u|null|tru|"a"|1E1){0,20}"#
        ) {
            let found = matches!(locate(&text), JsonError::Invalid { .. });
            prop_assert_eq!(found, serde_json::from_str::<Value>(&text).is_err());
        }

        #[test]
        fn the_locator_ends_for_any_text(text in ".*") {
            let _ = locate(&text);
        }
    }
}
