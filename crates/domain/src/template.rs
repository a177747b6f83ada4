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
///
/// One pass: values are data, so a name that looks like a placeholder stays a name. A placeholder
/// nobody knows, and a brace that opens none, stay as they are.
pub fn render(template: &str, values: Values<'_>) -> String {
    let mut text = String::with_capacity(template.len() + values.name.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, from_brace) = rest.split_at(open);
        text.push_str(before);
        match placeholder_at(from_brace) {
            Some(("{id}", after)) => {
                text.push_str(&values.id.to_string());
                rest = after;
            }
            Some(("{odp}", after)) => {
                text.push_str(values.odp);
                rest = after;
            }
            Some((_, after)) => {
                text.push_str(values.name);
                rest = after;
            }
            None => {
                text.push('{');
                rest = &from_brace[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// Whether [`render`] would change anything in this text.
pub fn has_placeholders(template: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| template.contains(placeholder))
}

const PLACEHOLDERS: [&str; 4] = ["{nama}", "{name}", "{odp}", "{id}"];

fn placeholder_at(text: &str) -> Option<(&'static str, &str)> {
    PLACEHOLDERS.iter().find_map(|name| text.strip_prefix(name).map(|after| (*name, after)))
}

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
    fn leaves_what_it_does_not_know() {
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
        fn unchanged_exactly_when_there_is_no_placeholder(
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
