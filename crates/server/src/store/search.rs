//! Finding people by what somebody types: part of a name, or of a number however it is written.

use super::row::Value;

/// Characters that people write between the digits of a number.
const SEPARATORS: [&str; 5] = [" ", "-", ".", "(", ")"];

/// The fewest digits that are taken for part of a number.
const MIN_DIGITS: usize = 3;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    name: String,
    /// Digits without the country code and the zero in front.
    number: Option<String>,
}

impl Search {
    /// Reads what somebody typed; `None` if it is blank.
    pub fn of(typed: &str) -> Option<Search> {
        let typed = typed.trim();
        if typed.is_empty() {
            return None;
        }
        let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
        let is_number = typed.chars().all(|c| c.is_ascii_digit() || " -.()+".contains(c));
        let number = digits.strip_prefix("62").or(digits.strip_prefix('0')).unwrap_or(&digits);
        Some(Search {
            name: typed.to_lowercase(),
            number: (is_number && number.len() >= MIN_DIGITS).then(|| number.to_owned()),
        })
    }

    /// Returns a condition, with its values: the name has what was typed in it, or one of the
    /// numbers has.
    pub fn condition(&self, name: &str, numbers: &[&str]) -> (String, Vec<Value>) {
        let mut condition = format!("(LOWER({name}) LIKE ? ESCAPE '!'");
        let mut values = vec![Value::from(pattern(&self.name))];
        if let Some(number) = &self.number {
            for column in numbers {
                let digits = SEPARATORS.iter().fold((*column).to_owned(), |column, separator| {
                    format!("REPLACE({column}, '{separator}', '')")
                });
                condition.push_str(&format!(" OR {digits} LIKE ? ESCAPE '!'"));
                values.push(Value::from(pattern(number)));
            }
        }
        condition.push(')');
        (condition, values)
    }
}

fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(typed: &str) -> Option<String> {
        Search::of(typed).and_then(|search| search.number)
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for typed in ["0812-3456", "+62 812 3456", "62812.3456", "(0812) 3456"] {
            assert_eq!(number(typed).as_deref(), Some("8123456"), "{typed}");
        }
        for typed in ["12", "Budi", "Budi 0812", "ODP-001", ""] {
            assert_eq!(number(typed), None, "{typed}");
        }
        assert_eq!(Search::of("  "), None);
    }

    #[test]
    fn what_is_typed_is_no_pattern() {
        assert_eq!(pattern("50%_!"), "%50!%!_!!%");
    }
}
