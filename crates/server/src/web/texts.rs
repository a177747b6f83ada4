//! The words of the pages, in both languages: `texts/id.ftl` and `texts/en.ftl`, in Fluent's
//! syntax. A test compares them with each other and with the keys that the pages use.

use super::language::Language;
use chrono::{Datelike, NaiveDateTime};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use std::sync::LazyLock;
use unic_langid::LanguageIdentifier;

const INDONESIAN: &str = include_str!("texts/id.ftl");
const ENGLISH: &str = include_str!("texts/en.ftl");

/// The words of one language.
pub struct Texts {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

/// Returns a text in the visitor's language, with its values filled in:
/// `text!(visitor, "campaign-total", count = 214)`.
macro_rules! text {
    ($visitor:expr, $key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $visitor.texts().format($key, &[$((stringify!($name), fluent_bundle::FluentValue::from($value))),*])
    };
}
pub(super) use text;

impl Texts {
    /// The words of a language.
    pub fn of(language: Language) -> &'static Texts {
        static ALL: LazyLock<[Texts; 2]> = LazyLock::new(|| {
            [Texts::read(Language::Indonesian, INDONESIAN), Texts::read(Language::English, ENGLISH)]
        });
        match language {
            Language::Indonesian => &ALL[0],
            Language::English => &ALL[1],
        }
    }

    fn read(language: Language, source: &str) -> Texts {
        let resource = FluentResource::try_new(source.to_owned());
        let resource = resource.unwrap_or_else(|(readable, faults)| {
            tracing::error!(language = language.code(), ?faults, "faults in the catalogue");
            readable
        });
        let name: LanguageIdentifier = language.code().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![name]);
        // Marks around values are for languages that are written in both directions.
        bundle.set_use_isolating(false);
        bundle.set_formatter(Some(match language {
            Language::Indonesian => |value, _| grouped(value, "."),
            Language::English => |value, _| grouped(value, ","),
        }));
        bundle.add_resource_overriding(resource);
        Texts { language, bundle }
    }

    /// Returns the text of a key; [`text!`] calls it.
    pub fn format(&self, key: &str, values: &[(&'static str, FluentValue<'_>)]) -> String {
        let pattern = self.bundle.get_message(key).and_then(|message| message.value());
        let Some(pattern) = pattern else {
            tracing::error!(key, language = self.language.code(), "a text is missing");
            return key.to_owned();
        };
        let args: FluentArgs<'_> = values.iter().cloned().collect();
        let mut faults = vec![];
        let text = self.bundle.format_pattern(pattern, Some(&args), &mut faults).into_owned();
        if !faults.is_empty() {
            tracing::error!(key, ?faults, "a text lacks values");
        }
        text
    }

    /// Returns a number with its thousands apart.
    pub fn number(&self, number: u64) -> String {
        self.format("number", &[("number", FluentValue::from(number))])
    }

    /// Returns a local time with its day.
    pub fn moment(&self, time: NaiveDateTime) -> String {
        let months = self.format("months", &[]);
        let month = months.split(' ').nth(time.month0() as usize).unwrap_or_default();
        let clock = match self.language {
            Language::Indonesian => time.format("%H.%M"),
            Language::English => time.format("%H:%M"),
        };
        format!("{} {month} {}, {clock}", time.day(), time.year())
    }
}

/// Writes a number with its thousands apart.
fn grouped(value: &FluentValue<'_>, separator: &str) -> Option<String> {
    let FluentValue::Number(number) = value else { return None };
    let written = number.as_string();
    let (whole, fraction) = match written.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (&*written, None),
    };
    let digits = whole.trim_start_matches('-');
    let mut text = if whole.starts_with('-') { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push_str(separator);
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push_str(if separator == "." { "," } else { "." });
        text.push_str(fraction);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn keys(source: &str) -> BTreeSet<String> {
        let lines = source.lines().filter(|line| !line.starts_with([' ', '#', '}', '[', '*']));
        lines
            .filter_map(|line| line.split_once('='))
            .map(|(key, _)| key.trim().to_owned())
            .collect()
    }

    /// The keys that `text!` names below a directory, except in this file.
    fn used(directory: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.append(&mut used(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("web/texts.rs")
            {
                let source = std::fs::read_to_string(&path).unwrap();
                let uses = source.split("text!(").skip(1);
                found.extend(uses.filter_map(|rest| rest.split('"').nth(1)).map(str::to_owned));
            }
        }
        found
    }

    #[test]
    fn both_catalogues_have_the_same_texts() {
        assert_eq!(keys(INDONESIAN), keys(ENGLISH));
    }

    #[test]
    fn every_text_is_there_and_every_one_is_used() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
        let used = used(&sources);
        let own = ["number", "months"].map(str::to_owned);
        let known: BTreeSet<_> =
            keys(INDONESIAN).into_iter().filter(|key| !own.contains(key)).collect();
        assert_eq!(used, known);
    }

    #[test]
    fn catalogues_have_no_faults() {
        for source in [INDONESIAN, ENGLISH] {
            assert!(FluentResource::try_new(source.to_owned()).is_ok());
        }
    }

    #[test]
    fn numbers_are_written_as_each_language_writes_them() {
        assert_eq!(Texts::of(Language::Indonesian).number(1_234_567), "1.234.567");
        assert_eq!(Texts::of(Language::English).number(214), "214");
        assert_eq!(Texts::of(Language::English).number(100_000), "100,000");
    }

    #[test]
    fn times_are_written_as_each_language_writes_them() {
        let time =
            chrono::NaiveDate::from_ymd_opt(2026, 8, 5).unwrap().and_hms_opt(21, 4, 0).unwrap();
        assert_eq!(Texts::of(Language::Indonesian).moment(time), "5 Agu 2026, 21.04");
        assert_eq!(Texts::of(Language::English).moment(time), "5 Aug 2026, 21:04");
    }
}
