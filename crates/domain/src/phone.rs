//! Phone numbers: the one normalizer.

use std::fmt;

/// A phone number that exists by the numbering rules of its country, as E.164 digits without `+`:
/// `6281234567801`.
///
/// `Debug` masks it, so that a number cannot slip into a log by accident; there is no `Display`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(String);

/// The text holds no phone number, or one that cannot exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number that can exist: write it like 0812..., +62812... or +65...")]
pub struct InvalidPhone;

/// Longer input is no phone number, whatever it is.
const MAX_INPUT_BYTES: usize = 64;

impl Phone {
    /// Reads a number as somebody typed it. Without a country code it is Indonesian; `62...`,
    /// `0062...` and `62 0...` are read as `+62...`. A remark after the number, as in
    /// `0812... (istri)`, is dropped if it holds no digits.
    pub fn parse(input: &str) -> Result<Phone, InvalidPhone> {
        let typed = strip_remark(input.trim())?;
        let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
        let international = if typed.starts_with('+') {
            digits
        } else if let Some(rest) = digits.strip_prefix("00") {
            rest.to_owned()
        } else if digits.starts_with("62") {
            digits
        } else {
            format!("62{}", digits.strip_prefix('0').unwrap_or(&digits))
        };
        // The trunk zero that people keep when they put the country code in front.
        let international = match international.strip_prefix("620") {
            Some(national) => format!("62{national}"),
            None => international,
        };
        Self::from_e164(&international)
    }

    /// Reads a number that is already E.164 digits, with or without `+`, of any country.
    pub fn from_e164(digits: &str) -> Result<Phone, InvalidPhone> {
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPhone);
        }
        let number = phonenumber::parse(None, format!("+{digits}")).map_err(|_| InvalidPhone)?;
        if !phonenumber::is_valid(&number) {
            return Err(InvalidPhone);
        }
        let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
        Ok(Phone(e164.trim_start_matches('+').to_owned()))
    }

    /// Returns a number that was normalized before it was stored.
    pub fn from_stored(digits: impl Into<String>) -> Phone {
        Phone(digits.into())
    }

    /// Returns the E.164 digits, without `+`.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Returns country, prefix and the last two digits, for logs and shared screens: `62812****01`.
    pub fn masked(&self) -> String {
        let (head, tail) = (5.min(self.0.len()), self.0.len().saturating_sub(2));
        if head >= tail {
            return "****".into();
        }
        format!("{}****{}", &self.0[..head], &self.0[tail..])
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({})", self.masked())
    }
}

/// Cuts off what follows the number. Two numbers in one field, or digits in the remark, make it a
/// guess which number is meant: that is refused.
fn strip_remark(input: &str) -> Result<&str, InvalidPhone> {
    if input.len() > MAX_INPUT_BYTES || input.contains([',', ';', '/']) {
        return Err(InvalidPhone);
    }
    let Some(letter) = input.find(char::is_alphabetic) else { return Ok(input) };
    let (number, remark) = input.split_at(letter);
    if remark.chars().any(|c| c.is_ascii_digit()) {
        return Err(InvalidPhone);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(input: &str) -> Option<String> {
        Phone::parse(input).ok().map(|phone| phone.digits().to_owned())
    }

    #[test]
    fn reads_indonesian_numbers_however_they_are_typed() {
        for input in [
            "081234567801",
            "81234567801",
            "6281234567801",
            "+62 812-3456-7801",
            "62 0812-3456-7801",
            "+62 0812 3456 7801",
            "006281234567801",
            "0062 0812 3456 7801",
            " 0812.3456.7801 ",
            "(0812) 3456 7801",
            "081234567801 (istri)",
        ] {
            assert_eq!(parsed(input).as_deref(), Some("6281234567801"), "{input}");
        }
        assert_eq!(parsed("(021) 555-1238").as_deref(), Some("62215551238"));
        assert_eq!(parsed("0815000000027").as_deref(), Some("62815000000027"));
    }

    #[test]
    fn keeps_a_foreign_number_in_its_country() {
        assert_eq!(parsed("+65 9123 4568").as_deref(), Some("6591234568"));
        assert_eq!(parsed("+1 (415) 555-0125").as_deref(), Some("14155550125"));
        assert_eq!(parsed("006591234568").as_deref(), Some("6591234568"));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for input in [
            "",
            "0",
            "62",
            "0812",
            "0812345",
            "08123456",
            "1234567",
            "9123456780",
            "0812345678901234567",
            "tidak ada",
            "081234567831,081234567832",
            "081234567831 / 081234567832",
            "081234567831 081234567832",
            "081234567801 wa 081234567802",
            "0215551238 ext 5",
            "+",
            "++62",
            "٠٨١٢٣٤٥٦٧٨٠١",
        ] {
            assert_eq!(parsed(input), None, "{input}");
        }
    }

    #[test]
    fn debug_never_shows_the_whole_number() {
        let phone = Phone::parse("081234567801").unwrap();
        assert_eq!(format!("{phone:?}"), "Phone(62812****01)");
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(input in "[+0-9 ()-]{0,24}") {
            if let Ok(phone) = Phone::parse(&input) {
                prop_assert_eq!(Phone::parse(&format!("+{}", phone.digits())), Ok(phone.clone()));
                prop_assert_eq!(Phone::from_e164(phone.digits()), Ok(phone));
            }
        }

        #[test]
        fn never_panics(input in ".*") {
            let _ = Phone::parse(&input);
        }
    }
}
