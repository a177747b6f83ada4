//! Placeholders in message texts.

/// What the placeholders of one customer's message stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values<'a> {
    /// `{nama}` and `{name}`.
    pub name: &'a str,
    /// `{odp}`; empty if the customer has none.
    pub odp: &'a str,
    /// `{id}`, the customer's id.
    pub id: i64,
}

/// Fills in `{nama}`, `{name}`, `{odp}` and `{id}`.
pub fn render(template: &str, values: Values<'_>) -> String {
    let id = values.id.to_string();
    fill(template, |placeholder| match placeholder {
        "{nama}" | "{name}" => Some(values.name),
        "{odp}" => Some(values.odp),
        "{id}" => Some(&id),
        _ => None,
    })
}

/// Fills in the placeholders, such as `{name}`, that have a value.
///
/// One pass: values are data, so a name that looks like a placeholder stays a name. A placeholder
/// nobody knows, and a brace that opens none, stay as they are.
pub fn fill<'a>(template: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        let end = rest.find('}').map_or(rest.len(), |close| close + 1);
        match value(&rest[..end]) {
            Some(value) => {
                text.push_str(value);
                rest = &rest[end..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// Returns whether [`render`] would change anything in this text.
pub fn has_placeholders(template: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| template.contains(placeholder))
}

const PLACEHOLDERS: [&str; 4] = ["{nama}", "{name}", "{odp}", "{id}"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUDI: Values<'_> = Values { name: "Budi", odp: "ODP-1", id: 7 };

    #[test]
    fn fills_in_every_known_placeholder() {
        assert_eq!(render("{nama}/{name} di {odp} no. {id}", BUDI), "Budi/Budi di ODP-1 no. 7");
    }

    #[test]
    fn unknown_placeholders_are_kept() {
        for text in ["{Nama}", "{ nama }", "{", "}", "{{}", "{namaa", "{tanggal}", "$& {$1}", ""] {
            assert_eq!(render(text, BUDI), text);
        }
        assert_eq!(render("{{nama}}", BUDI), "{Budi}");
    }

    #[test]
    fn a_name_that_looks_like_a_placeholder_stays_a_name() {
        let values = Values { name: "A {nama} B {name} C $&", ..BUDI };
        assert_eq!(render("Halo {nama}!", values), "Halo A {nama} B {name} C $&!");
    }

    proptest! {
        #[test]
        fn text_without_placeholders_never_changes(text in "[^{]*") {
            prop_assert_eq!(render(&text, BUDI), text);
        }

        #[test]
        fn values_appear_verbatim(before in "[^{]*", name in ".*", after in "[^{]*") {
            let values = Values { name: &name, ..BUDI };
            let text = render(&format!("{before}{{nama}}{after}"), values);
            prop_assert_eq!(text, format!("{before}{name}{after}"));
        }

        #[test]
        fn only_texts_with_placeholders_change(
            before in "[a-z{} ]{0,12}",
            placeholder in "(\\{(nama|name|odp|id|x)\\})?",
            after in "[a-z{} ]{0,12}",
        ) {
            let text = format!("{before}{placeholder}{after}");
            let marked = Values { name: "*", odp: "*", id: 1 };
            prop_assert_eq!(render(&text, marked) != text, has_placeholders(&text));
        }
    }
}
