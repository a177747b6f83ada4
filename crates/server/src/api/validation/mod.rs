//! Bodies, queries and path segments, with the errors of the replaced system's framework (FastAPI
//! with pydantic 2). Fields that it had are read as leniently as it did ([`coerce`]), ours are what
//! the documentation says they are ([`strict`]).

mod change;
mod coerce;
mod extract;
mod json;
mod strict;

pub use extract::{Body, PathText, Query};

use super::error::{ApiError, FieldError};
use kabari_domain::Timestamp;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// From this size on a number of seconds would be a time after the year 2600: it is milliseconds.
const MILLISECONDS_FROM: f64 = 20_000_000_000.0;

/// The end of the year 9999, beyond which RFC 3339 has no times.
pub const LAST_MILLISECOND: f64 = 253_402_300_799_999.0;

/// The most faults that are reported of one request: each repeats what came, and a list can hold
/// hundreds of thousands of them.
const MAX_ERRORS: usize = 100;

impl FieldError {
    /// Returns an error in `source` as a whole, or in the part of it that `place` leads to.
    fn new(source: &str, place: &[Value], fault: ValueError, input: Value) -> FieldError {
        let mut loc = vec![json!(source)];
        loc.extend_from_slice(place);
        FieldError { kind: fault.kind.into(), loc, msg: fault.msg, input, ctx: fault.ctx }
    }

    /// Returns the error of a secret in a body that cannot be used. The secret is not repeated.
    pub fn in_secret(name: &str, msg: Cow<'static, str>) -> FieldError {
        FieldError::new("body", &[json!(name)], ValueError::new("value_error", msg), Value::Null)
    }

    /// Returns the error of a header whose value cannot be used.
    pub fn in_header(name: &str, kind: &'static str, msg: &'static str, input: &str) -> FieldError {
        FieldError::new("header", &[json!(name)], ValueError::new(kind, msg), json!(input))
    }
}

/// What is wrong with one value, wherever it stands.
#[derive(Debug)]
struct ValueError {
    kind: &'static str,
    msg: Cow<'static, str>,
    ctx: Option<Value>,
}

impl ValueError {
    fn new(kind: &'static str, msg: impl Into<Cow<'static, str>>) -> ValueError {
        ValueError { kind, msg: msg.into(), ctx: None }
    }

    fn missing() -> ValueError {
        ValueError::new("missing", "Field required")
    }
}

/// A request's body or query that can be read from its fields.
///
/// A field that is wrong is noted in [`Fields`] and read as its default, so that all faults (up to
/// [`MAX_ERRORS`]) are reported at once; a value read with faults is never used.
pub trait FromFields: Sized {
    /// Reads the fields in the order in which faults are to be reported.
    fn read(fields: &mut Fields) -> Self;
}

/// The fields of one body or query, and what was found wrong with them.
pub struct Fields {
    source: &'static str,
    values: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    fn new(source: &'static str, values: Map<String, Value>) -> Fields {
        Fields { source, values, errors: Vec::new() }
    }

    /// Reads everything, and returns it with the fields that it was read from, or says everything
    /// that is wrong.
    fn read<T: FromFields>(mut self) -> Result<(T, Map<String, Value>), ApiError> {
        let value = T::read(&mut self);
        match self.errors.is_empty() {
            true => Ok((value, self.values)),
            false => Err(ApiError::Invalid(self.errors)),
        }
    }

    /// Returns an integer of the replaced system; absent and null are the same.
    pub fn integer(&mut self, name: &str) -> Option<i64> {
        let value = self.present(name)?;
        let read = coerce::integer(&value);
        self.note(&[json!(name)], read, value)
    }

    /// Returns an integer from `min` to `max`; absent and null are the same.
    pub fn integer_within(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let value = self.present(name)?;
        let integer = match &value {
            Value::String(text) if self.source == "query" => strict::integer_text(text),
            value => strict::integer(value),
        };
        let read = integer.and_then(|integer| within(integer, min, max));
        self.note(&[json!(name)], read, value)
    }

    /// Returns a truth value; absent and null are the same.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.present(name)?;
        let read = strict::boolean(&value);
        self.note(&[json!(name)], read, value)
    }

    /// Returns a truth value of the replaced system; absent and null are the same.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.present(name)?;
        let read = coerce::boolean(&value);
        self.note(&[json!(name)], read, value)
    }

    /// Returns a list of integers of the replaced system; absent and null are the same, an empty
    /// list is not.
    pub fn integers(&mut self, name: &str) -> Option<Vec<i64>> {
        let value = self.values.get(name).filter(|value| !value.is_null())?;
        // It can be long: neither copied, nor anything made for an item that is no fault.
        let Value::Array(items) = value else {
            let fault = ValueError::new("list_type", "Input should be a valid list");
            return self.note(&[json!(name)], Err(fault), value.clone());
        };
        let mut integers = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            match coerce::integer(item) {
                Ok(integer) => integers.push(integer),
                Err(fault) => {
                    let place = [json!(name), json!(place)];
                    self.errors.push(FieldError::new(self.source, &place, fault, item.clone()));
                    if self.errors.len() == MAX_ERRORS {
                        break;
                    }
                }
            }
        }
        Some(integers)
    }

    /// Returns a text of at most `max` characters; absent and null are the same.
    pub fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let value = self.present(name)?;
        let read = text_within(&value, 0, max);
        self.note(&[json!(name)], read, value)
    }

    /// Returns an integer that must be there.
    pub fn required_integer(&mut self, name: &str) -> i64 {
        let place = [json!(name)];
        let Some(value) = self.required(name) else { return 0 };
        let read = strict::integer(&value);
        self.note(&place, read, value).unwrap_or_default()
    }

    /// Returns a text of `min` to `max` characters that must be there.
    pub fn required_text(&mut self, name: &str, min: usize, max: usize) -> String {
        let place = [json!(name)];
        let Some(value) = self.required(name) else { return String::new() };
        let read = text_within(&value, min, max);
        self.note(&place, read, value).unwrap_or_default()
    }

    /// Reads one of a few words that must be there; the first is the default of a faulty field.
    pub fn required_choice<T: Copy>(&mut self, name: &str, choices: &[(&'static str, T)]) -> T {
        let word = self.required_text(name, 0, usize::MAX);
        let found = choices.iter().find(|(choice, _)| *choice == word);
        if found.is_none() && self.errors.iter().all(|error| error.loc.last() != Some(&json!(name)))
        {
            let words: Vec<_> = choices.iter().map(|(choice, _)| format!("'{choice}'")).collect();
            let fault =
                ValueError::new("literal_error", format!("Input should be {}", words.join(" or ")));
            self.errors.push(FieldError::new(self.source, &[json!(name)], fault, json!(word)));
        }
        found.unwrap_or(&choices[0]).1
    }

    /// Returns a secret that must be there, read by who knows what it is; what is wrong with it is
    /// told in their words.
    pub fn secret<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, Cow<'static, str>>,
    ) -> Option<T> {
        match read(self.values.get(name).unwrap_or(&Value::Null)) {
            Ok(value) => Some(value),
            Err(msg) => {
                self.errors.push(FieldError::in_secret(name, msg));
                None
            }
        }
    }

    /// Returns a point in time: RFC 3339 with its offset from UTC, or seconds (or milliseconds)
    /// since 1970; absent and null are the same.
    pub fn time(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.present(name)?;
        let read = time(&value);
        self.note(&[json!(name)], read, value)
    }

    fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.values.get(name).cloned();
        if value.is_none() {
            let whole = if self.source == "body" { json!(self.values) } else { Value::Null };
            let fault = ValueError::missing();
            self.errors.push(FieldError::new(self.source, &[json!(name)], fault, whole));
        }
        value
    }

    fn present(&self, name: &str) -> Option<Value> {
        self.values.get(name).filter(|value| !value.is_null()).cloned()
    }

    fn note<T>(&mut self, place: &[Value], read: Result<T, ValueError>, input: Value) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(fault) => {
                self.errors.push(FieldError::new(self.source, place, fault, input));
                None
            }
        }
    }
}

/// Returns the integer in a path segment.
pub fn path_integer(name: &str, segment: &str) -> Result<i64, ApiError> {
    let input = json!(segment);
    coerce::integer(&input).map_err(|fault| {
        ApiError::Invalid(vec![FieldError::new("path", &[json!(name)], fault, input)])
    })
}

fn within(integer: i64, min: i64, max: i64) -> Result<i64, ValueError> {
    let (kind, bound, limit, words) = if integer < min {
        ("greater_than_equal", "ge", min, "greater")
    } else if integer > max {
        ("less_than_equal", "le", max, "less")
    } else {
        return Ok(integer);
    };
    let msg = format!("Input should be {words} than or equal to {limit}");
    Err(ValueError { ctx: Some(json!({ bound: limit })), ..ValueError::new(kind, msg) })
}

fn text_within(value: &Value, min: usize, max: usize) -> Result<String, ValueError> {
    let Value::String(text) = value else {
        return Err(ValueError::new("string_type", "Input should be a valid string"));
    };
    let length = text.chars().count();
    let (kind, bound, msg) = if length < min {
        (
            "string_too_short",
            "min_length",
            format!("String should have at least {min} {}", characters(min)),
        )
    } else if length > max {
        (
            "string_too_long",
            "max_length",
            format!("String should have at most {max} {}", characters(max)),
        )
    } else {
        return Ok(text.clone());
    };
    let limit = if kind == "string_too_short" { min } else { max };
    Err(ValueError { ctx: Some(json!({ bound: limit })), ..ValueError::new(kind, msg) })
}

fn characters(count: usize) -> &'static str {
    if count == 1 { "character" } else { "characters" }
}

fn time(value: &Value) -> Result<Timestamp, ValueError> {
    let time = match value {
        Value::String(text) => chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Timestamp(time.timestamp_millis())),
        Value::Number(number) => number.as_f64().and_then(since_1970),
        _ => None,
    };
    time.ok_or_else(|| {
        ValueError::new(
            "datetime_parsing",
            "Input should be a time with its offset from UTC, like 2026-01-10T08:05:00+07:00, \
             or seconds since 1970",
        )
    })
}

fn since_1970(number: f64) -> Option<Timestamp> {
    match number {
        0.0..MILLISECONDS_FROM => Some(Timestamp(number as i64 * 1000)),
        MILLISECONDS_FROM..=LAST_MILLISECOND => Some(Timestamp(number as i64)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
