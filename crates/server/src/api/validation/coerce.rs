//! Reading integers and booleans the lenient way pydantic does: `"5"`, `5.0` and `true` are 5.

use super::ValueError;
use serde_json::Value;

/// Digits beyond this are not even looked at.
const MAX_DIGITS: usize = 4300;

/// Returns the integer this value stands for.
pub fn integer(value: &Value) -> Result<i64, ValueError> {
    match value {
        Value::Bool(truth) => Ok(i64::from(*truth)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Ok(integer),
            None => from_float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Value::String(text) => from_text(text),
        _ => Err(ValueError::new("int_type", "Input should be a valid integer")),
    }
}

/// Reads a float without a fraction. One that does not fit 64 bits, such as a very long integer,
/// becomes the nearest integer that does: no row has such an id, so it matches nothing.
fn from_float(float: f64) -> Result<i64, ValueError> {
    if float.fract() != 0.0 {
        return Err(ValueError::new(
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
        ));
    }
    Ok(float as i64)
}

/// Reads an optional sign, digits with single underscores between them, and a fraction of zeros.
/// What does not fit 64 bits becomes the nearest integer that does.
fn from_text(text: &str) -> Result<i64, ValueError> {
    if text.len() > MAX_DIGITS {
        return Err(too_long());
    }
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let whole = match unsigned.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            whole
        }
        Some(_) => return Err(unparsable()),
        None => unsigned,
    };
    let groups_are_digits = whole
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    if !groups_are_digits {
        return Err(unparsable());
    }
    let digits = whole.replace('_', "");
    let magnitude = digits.parse::<i64>();
    Ok(match (negative, magnitude) {
        (false, Ok(value)) => value,
        (true, Ok(value)) => -value,
        (false, Err(_)) => i64::MAX,
        (true, Err(_)) => i64::MIN,
    })
}

fn unparsable() -> ValueError {
    ValueError::new(
        "int_parsing",
        "Input should be a valid integer, unable to parse string as an integer",
    )
}

fn too_long() -> ValueError {
    ValueError::new(
        "int_parsing_size",
        "Unable to parse input string as an integer, exceeded maximum size",
    )
}

/// Returns the truth value this stands for.
pub fn boolean(value: &Value) -> Result<bool, ValueError> {
    let text = match value {
        Value::Bool(truth) => return Ok(*truth),
        Value::String(text) => text.to_ascii_lowercase(),
        Value::Number(number) if number.as_f64() == Some(0.0) => return Ok(false),
        Value::Number(number) if number.as_f64() == Some(1.0) => return Ok(true),
        Value::Number(number) if number.is_f64() => return Err(not_boolean()),
        Value::Number(number) => number.to_string(),
        _ => return Err(not_boolean()),
    };
    match text.as_str() {
        "1" | "on" | "t" | "true" | "y" | "yes" => Ok(true),
        "0" | "off" | "f" | "false" | "n" | "no" => Ok(false),
        _ => Err(ValueError::new(
            "bool_parsing",
            "Input should be a valid boolean, unable to interpret input",
        )),
    }
}

fn not_boolean() -> ValueError {
    ValueError::new("bool_type", "Input should be a valid boolean")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // The expectations below are pydantic 2's.
    #[test]
    fn integers() {
        for (value, expected) in [
            (json!(5), Ok(5)),
            (json!(5.0), Ok(5)),
            (json!(true), Ok(1)),
            (json!("5"), Ok(5)),
            (json!(" 5 "), Ok(5)),
            (json!("+5"), Ok(5)),
            (json!("-5"), Ok(-5)),
            (json!("007"), Ok(7)),
            (json!("5.0"), Ok(5)),
            (json!("1_000"), Ok(1000)),
            (json!("9223372036854775808"), Ok(i64::MAX)),
            (json!("5."), Err("int_parsing")),
            (json!("5.5"), Err("int_parsing")),
            (json!("1__0"), Err("int_parsing")),
            (json!("_1"), Err("int_parsing")),
            (json!("1_"), Err("int_parsing")),
            (json!(""), Err("int_parsing")),
            (json!("+-5"), Err("int_parsing")),
            (json!("- 5"), Err("int_parsing")),
            (json!("1e3"), Err("int_parsing")),
            (json!("0x10"), Err("int_parsing")),
            (json!("abc"), Err("int_parsing")),
            (json!("9".repeat(5000)), Err("int_parsing_size")),
            (json!(4.5), Err("int_from_float")),
            (json!(1e30), Ok(i64::MAX)),
            (json!(-1e30), Ok(i64::MIN)),
            (json!(null), Err("int_type")),
            (json!([1]), Err("int_type")),
            (json!({}), Err("int_type")),
        ] {
            assert_eq!(integer(&value).map_err(|fault| fault.kind), expected, "{value}");
        }
    }

    #[test]
    fn booleans() {
        for (value, expected) in [
            (json!(true), Ok(true)),
            (json!("YES"), Ok(true)),
            (json!("Off"), Ok(false)),
            (json!("t"), Ok(true)),
            (json!("0"), Ok(false)),
            (json!(1), Ok(true)),
            (json!(0.0), Ok(false)),
            (json!("maybe"), Err("bool_parsing")),
            (json!(""), Err("bool_parsing")),
            (json!(" true"), Err("bool_parsing")),
            (json!(2), Err("bool_parsing")),
            (json!(1.5), Err("bool_type")),
            (json!(null), Err("bool_type")),
            (json!([]), Err("bool_type")),
        ] {
            assert_eq!(boolean(&value).map_err(|fault| fault.kind), expected, "{value}");
        }
    }
}
