//! JSON as Python's `json` module reads it, with its words and positions for what is wrong:
//! clients of the replaced system look at both.

use serde_json::{Map, Number, Value};

/// Deeper nesting than any request needs; it bounds the recursion.
const MAX_DEPTH: usize = 100;

const INVALID_UNICODE: &str = "Invalid \\uXXXX escape";

/// Why a text is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON.
    Invalid {
        /// What was expected.
        message: &'static str,
        /// Where, in characters from the start.
        offset: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

/// Reads a whole text. Integers beyond 64 bits become the nearest one there is: no row has such
/// an id, so they are valid and match nothing.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let mut parser = Parser { bytes: text.as_bytes(), at: 0, depth: 0 };
    parser.skip_whitespace();
    let value = parser.value()?;
    parser.skip_whitespace();
    if parser.at < parser.bytes.len() {
        return Err(parser.invalid("Extra data", parser.at));
    }
    Ok(value)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            _ => self.number(),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, JsonError>,
    ) -> Result<Value, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        let mut object = Map::new();
        self.at += 1;
        self.skip_whitespace();
        if self.accept(b'}') {
            return Ok(Value::Object(object));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(
                    self.invalid("Expecting property name enclosed in double quotes", self.at)
                );
            }
            let key = self.string()?;
            self.skip_whitespace();
            if !self.accept(b':') {
                return Err(self.invalid("Expecting ':' delimiter", self.at));
            }
            self.skip_whitespace();
            object.insert(key, self.value()?);
            self.skip_whitespace();
            if self.accept(b'}') {
                return Ok(Value::Object(object));
            }
            if !self.accept(b',') {
                return Err(self.invalid("Expecting ',' delimiter", self.at));
            }
            self.skip_whitespace();
        }
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        let mut array = Vec::new();
        self.at += 1;
        self.skip_whitespace();
        if self.accept(b']') {
            return Ok(Value::Array(array));
        }
        loop {
            array.push(self.value()?);
            self.skip_whitespace();
            if self.accept(b']') {
                return Ok(Value::Array(array));
            }
            if !self.accept(b',') {
                return Err(self.invalid("Expecting ',' delimiter", self.at));
            }
            self.skip_whitespace();
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.invalid("Expecting value", self.at));
        }
        self.at += word.len();
        Ok(value)
    }

    /// A number ends where it stops being one: `01` is a `0` and something after it.
    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let mut end = start + usize::from(self.peek() == Some(b'-'));
        let digits = match self.bytes.get(end) {
            Some(b'0') => 1,
            Some(b'1'..=b'9') => self.digits_at(end),
            _ => return Err(self.invalid("Expecting value", start)),
        };
        end += digits;
        let mut is_integer = true;
        if self.bytes.get(end) == Some(&b'.') && self.digits_at(end + 1) > 0 {
            end += 1 + self.digits_at(end + 1);
            is_integer = false;
        }
        if let Some(b'e' | b'E') = self.bytes.get(end) {
            let sign = usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = self.digits_at(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
                is_integer = false;
            }
        }
        self.at = end;
        let text = String::from_utf8_lossy(&self.bytes[start..end]);
        let negative = text.starts_with('-');
        if is_integer {
            let nearest = if negative { i64::MIN } else { i64::MAX };
            return Ok(text.parse().unwrap_or(nearest).into());
        }
        let nearest = if negative { f64::MIN } else { f64::MAX };
        let number = text.parse().ok().and_then(Number::from_f64);
        Ok(Value::Number(number.or_else(|| Number::from_f64(nearest)).unwrap_or(0.into())))
    }

    fn digits_at(&self, start: usize) -> usize {
        self.bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn string(&mut self) -> Result<String, JsonError> {
        const UNTERMINATED: &str = "Unterminated string starting at";
        let start = self.at;
        let mut text = Vec::new();
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.invalid(UNTERMINATED, start)),
                Some(b'"') => break self.at += 1,
                Some(b'\\') => {
                    let Some(&escape) = self.bytes.get(self.at + 1) else {
                        return Err(self.invalid(UNTERMINATED, start));
                    };
                    let simple = match escape {
                        b'"' | b'\\' | b'/' => escape,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => {
                            let character = self.unicode_escape()?;
                            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                            continue;
                        }
                        _ => return Err(self.invalid("Invalid \\escape", self.at)),
                    };
                    text.push(simple);
                    self.at += 2;
                }
                Some(0..=0x1f) => {
                    return Err(self.invalid("Invalid control character at", self.at));
                }
                Some(byte) => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        // The input is UTF-8 and was cut at ASCII characters only, so nothing is lost here.
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// `\uXXXX`, or two of them for one character. Half a pair alone is refused: it is no text
    /// that could be sent.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let mut units = vec![self.unicode_unit()?];
        let is_first_half = (0xD800..0xDC00).contains(&units[0]);
        if is_first_half && self.bytes[self.at..].starts_with(b"\\u") {
            units.push(self.unicode_unit()?);
        }
        match char::decode_utf16(units).next() {
            Some(Ok(character)) => Ok(character),
            _ => Err(self.invalid(INVALID_UNICODE, start + 1)),
        }
    }

    /// The number in one `\uXXXX`.
    fn unicode_unit(&mut self) -> Result<u16, JsonError> {
        let unit = self.hex_at(self.at + 2);
        let unit = unit.ok_or_else(|| self.invalid(INVALID_UNICODE, self.at + 1))?;
        self.at += 6;
        Ok(unit)
    }

    fn hex_at(&self, start: usize) -> Option<u16> {
        let digits = std::str::from_utf8(self.bytes.get(start..start + 4)?).ok()?;
        // A closing quote must follow somewhere: four digits at the very end are cut off too.
        self.bytes.get(start + 4)?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
        u16::from_str_radix(digits, 16).ok()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn invalid(&self, message: &'static str, at: usize) -> JsonError {
        let is_start_of_character = |byte: &&u8| **byte & 0xC0 != 0x80;
        JsonError::Invalid {
            message,
            offset: self.bytes[..at].iter().filter(is_start_of_character).count(),
        }
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
        assert_eq!(parse("99999999999999999999999"), Ok(json!(i64::MAX)));
        assert_eq!(parse("-99999999999999999999999"), Ok(json!(i64::MIN)));
        assert_eq!(parse("1e999"), Ok(json!(f64::MAX)));
        assert_eq!(parse(r#"{"a": 1, "a": 2}"#), Ok(json!({"a": 2})));
    }

    #[test]
    fn deep_nesting_is_refused_before_it_costs_stack() {
        assert_eq!(parse(&"[".repeat(1_000_000)), Err(JsonError::TooDeep));
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        assert_eq!(error(r#""\ud83d""#).0, "Invalid \\uXXXX escape");
        assert_eq!(error(r#""\ude80x""#).0, "Invalid \\uXXXX escape");
        assert_eq!(error(r#""\ud83d\u0041""#).0, "Invalid \\uXXXX escape");
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_on_almost_json(text in r#"[\[\]{}:,"\\ué0-9eE.+\-tn ]{0,40}"#) {
            let _ = parse(&text);
        }

        /// But for `-0`, which is the integer 0 to Python and a fraction to serde_json.
        #[test]
        fn agrees_with_serde_json(text in r#"(\{"[a-zé]{0,3}": )?\[?((-?[1-9][0-9]{0,11}|0[0-9]{0,3})(\.[0-9]{1,3})?|"(\\n|\\u00e9|é|x)*"|true|null)(, [0-9])?\]?\}?"#) {
            match serde_json::from_str::<Value>(&text) {
                Ok(value) => prop_assert_eq!(parse(&text), Ok(value)),
                Err(_) => prop_assert!(parse(&text).is_err()),
            }
        }
    }
}
