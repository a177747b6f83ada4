//! Lists in statements, of few lengths.
//!
//! A connection keeps the statements prepared that it used last. A list of another length is
//! another statement, and where a server has to close one for it, the next packet waits for the
//! acknowledgement of the close, which has no answer: up to 40 ms.

use super::row::Value;

/// So many rows are inserted by one statement, whatever their number.
const FEW_ROWS: usize = 16;

/// Returns `?, ?, ?`.
pub(super) fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Returns the condition that `column` is one of these, and its values. There must be one at least:
/// MariaDB takes no empty list.
pub(super) fn one_of<T: Into<Value>>(
    column: &str,
    values: impl IntoIterator<Item = T>,
) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = values.into_iter().map(Into::into).collect();
    fill_up(&mut values, 0);
    (format!("{column} IN ({})", placeholders(values.len())), values)
}

/// Repeats the last value, which changes nothing for `IN`, until there are a power of two of them,
/// and at least this many.
pub(super) fn fill_up(values: &mut Vec<Value>, least: usize) {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().max(least).next_power_of_two(), last);
    }
}

/// Splits rows to insert: `most` of them at a time, and what is left in powers of two until it is
/// few.
pub(super) fn insertable<T>(mut rows: &[T], most: usize) -> Vec<&[T]> {
    let mut parts = Vec::new();
    while !rows.is_empty() {
        let count = match rows.len() {
            many if many >= most => most,
            few if few <= FEW_ROWS => few,
            // The largest power of two that is not greater.
            some => 1 << some.ilog2(),
        };
        let (part, rest) = rows.split_at(count);
        parts.push(part);
        rows = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lists_of_any_length_make_few_statements() {
        let statements: BTreeSet<_> = (1..=500_i64).map(|count| one_of("id", 0..count).0).collect();
        assert_eq!(statements.len(), 10);
        let (condition, values) = one_of("id", [5_i64, 7, 9]);
        assert_eq!(condition, "id IN (?, ?, ?, ?)");
        assert_eq!(values, [5_i64, 7, 9, 9].map(Value::from));
    }

    #[test]
    fn rows_are_inserted_in_order_by_few_statements() {
        let rows: Vec<usize> = (0..1000).collect();
        let mut lengths = BTreeSet::new();
        for count in 0..=rows.len() {
            let parts = insertable(&rows[..count], 200);
            assert_eq!(parts.concat(), rows[..count]);
            lengths.extend(parts.iter().map(|part| part.len()));
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>()[FEW_ROWS..], [32, 64, 128, 200]);
    }
}
