//! Reading integers and booleans of fields that the replaced system did not have: only what the
//! documentation says they are.

use super::ValueError;
use serde_json::Value;

/// Returns the integer of a JSON number; `5.0` is one.
pub fn integer(value: &Value) -> Result<i64, ValueError> {
    let Value::Number(number) = value else {
        return Err(ValueError::new("int_type", "Input should be a valid integer"));
    };
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Ok(integer),
        (None, Some(float)) if float.fract() != 0.0 => Err(ValueError::new(
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
        )),
        // Floats between the two bounds fit; 2^63 itself is the first that does not.
        (None, Some(float)) if (i64::MIN as f64..i64::MAX as f64).contains(&float) => {
            Ok(float as i64)
        }
        _ => Err(too_large()),
    }
}

/// Returns the integer of a text of digits, as queries have them.
pub fn integer_text(text: &str) -> Result<i64, ValueError> {
    text.parse().map_err(|_| {
        ValueError::new(
            "int_parsing",
            "Input should be a valid integer of 64 bits, unable to parse string as an integer",
        )
    })
}

/// Returns `true` or `false`.
pub fn boolean(value: &Value) -> Result<bool, ValueError> {
    value.as_bool().ok_or_else(|| ValueError::new("bool_type", "Input should be a valid boolean"))
}

fn too_large() -> ValueError {
    ValueError::new("int_parsing_size", "Input should be an integer of at most 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_numbers_without_a_fraction_are_integers() {
        for (value, expected) in [
            (json!(5), Ok(5)),
            (json!(-5.0), Ok(-5)),
            (json!(i64::MAX), Ok(i64::MAX)),
            (json!(i64::MIN as f64), Ok(i64::MIN)),
            (json!(i64::MAX as u64 + 1), Err("int_parsing_size")),
            (json!(1e30), Err("int_parsing_size")),
            (json!(0.5), Err("int_from_float")),
            (json!("5"), Err("int_type")),
            (json!(true), Err("int_type")),
            (json!(null), Err("int_type")),
        ] {
            assert_eq!(integer(&value).map_err(|fault| fault.kind), expected, "{value}");
        }
    }

    #[test]
    fn only_digits_are_integers_in_a_query() {
        for (text, expected) in [
            ("5", Ok(5)),
            ("-5", Ok(-5)),
            ("5.0", Err("int_parsing")),
            (" 5", Err("int_parsing")),
            ("9223372036854775808", Err("int_parsing")),
            ("", Err("int_parsing")),
        ] {
            assert_eq!(integer_text(text).map_err(|fault| fault.kind), expected, "{text}");
        }
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!(boolean(&json!(true)).ok(), Some(true));
        assert_eq!(boolean(&json!(false)).ok(), Some(false));
        for value in [json!(0), json!("true"), json!(null), json!([])] {
            assert_eq!(boolean(&value).map_err(|fault| fault.kind), Err("bool_type"), "{value}");
        }
    }
}
