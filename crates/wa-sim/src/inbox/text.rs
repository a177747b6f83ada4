//! Texts, numbers and times as HTML.

use std::fmt::{self, Display, Formatter, Write};

/// Appends to a string, which cannot fail.
pub(super) fn put(html: &mut String, piece: fmt::Arguments<'_>) {
    let _ = html.write_fmt(piece);
}

/// Text in which nothing means anything to HTML.
pub(super) struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

/// A message as phones show it: `*bold*`, `_italic_`, `~struck~`, and addresses one can follow.
pub(super) struct Rich<'a>(pub &'a str);

impl Display for Rich<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut before: Option<char> = None;
        let mut rest = self.0;
        while let Some(c) = rest.chars().next() {
            let at_word = !before.is_some_and(char::is_alphanumeric);
            let taken = if let Some((tag, inner)) = styled(rest).filter(|_| at_word) {
                write!(f, "<{tag}>{}</{tag}>", Escaped(inner))?;
                inner.len() + 2 * c.len_utf8()
            } else if at_word && (rest.starts_with("https://") || rest.starts_with("http://")) {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let url = Escaped(rest[..end].trim_end_matches(['.', ',', ')', '!', '?']));
                write!(f, r#"<a href="{url}" rel="noreferrer" target="_blank">{url}</a>"#)?;
                url.0.len()
            } else {
                let taken = c.len_utf8();
                Escaped(&rest[..taken]).fmt(f)?;
                taken
            };
            before = rest[..taken].chars().next_back();
            rest = &rest[taken..];
        }
        Ok(())
    }
}

/// Returns the text of a message without the marks of its styles, as lists of chats show it.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at_word = !shown.ends_with(char::is_alphanumeric);
        let (part, taken) = match styled(rest).filter(|_| at_word) {
            Some((_, inner)) => (inner, inner.len() + 2 * c.len_utf8()),
            None => (&rest[..c.len_utf8()], c.len_utf8()),
        };
        shown.push_str(part);
        rest = &rest[taken..];
    }
    shown
}

/// Returns the tag and the inside, if this starts with a styled run of text.
fn styled(text: &str) -> Option<(&'static str, &str)> {
    let (mark, tag) = match text.as_bytes().first()? {
        b'*' => ('*', "strong"),
        b'_' => ('_', "em"),
        b'~' => ('~', "s"),
        _ => return None,
    };
    let line = text.lines().next()?;
    let inner = &line[1..1 + line[1..].find(mark)?];
    let after = line[inner.len() + 2..].chars().next();
    let tight = !inner.is_empty() && inner.trim() == inner;
    (tight && !after.is_some_and(char::is_alphanumeric)).then_some((tag, inner))
}

/// Text with what was searched for marked in it. `wanted` is in lower case.
pub(super) struct Marked<'a> {
    pub text: &'a str,
    pub wanted: &'a str,
}

impl Display for Marked<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lower = self.text.to_lowercase();
        // Lower case may have another length, as that of a Turkish dotted I.
        let found = lower
            .find(self.wanted)
            .map(|start| start..start + self.wanted.len())
            .filter(|_| !self.wanted.is_empty() && lower.len() == self.text.len());
        let Some(range) = found else { return Escaped(self.text).fmt(f) };
        let parts = (
            self.text.get(..range.start),
            self.text.get(range.clone()),
            self.text.get(range.end..),
        );
        let (Some(head), Some(hit), Some(tail)) = parts else { return Escaped(self.text).fmt(f) };
        write!(f, "{}<mark>{}</mark>{}", Escaped(head), Escaped(hit), Escaped(tail))
    }
}

/// A number in groups: `+62 812-9999-0000`.
pub(super) struct Number<'a>(pub &'a str);

impl Display for Number<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.len() > 5 && self.0.bytes().all(|byte| byte.is_ascii_digit());
        let Some((country, rest)) = self.0.split_at_checked(2).filter(|_| digits) else {
            return Escaped(self.0).fmt(f);
        };
        let (operator, rest) = rest.split_at(3);
        write!(f, "+{country} {operator}")?;
        for group in rest.as_bytes().chunks(4) {
            write!(f, "-{}", String::from_utf8_lossy(group))?;
        }
        Ok(())
    }
}

/// Text as part of a query string.
pub(super) struct Encoded<'a>(pub &'a str);

impl Display for Encoded<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => f.write_char(char::from(byte)),
            byte => write!(f, "%{byte:02X}"),
        })
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;

/// A moment on a viewer's wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    local_ms: i64,
}

impl Moment {
    /// Makes a moment from Unix milliseconds and minutes east of UTC.
    pub fn new(unix_ms: u64, utc_offset: i64) -> Self {
        let unix_ms = i64::try_from(unix_ms).unwrap_or(i64::MAX / 2);
        Self { local_ms: unix_ms.saturating_add(utc_offset * MINUTE_MS) }
    }

    /// Days since 1970.
    pub fn day(self) -> i64 {
        self.local_ms.div_euclid(DAY_MS)
    }

    /// Returns the time as `14:05`.
    pub fn clock(self) -> String {
        let minutes = self.local_ms.rem_euclid(DAY_MS) / MINUTE_MS;
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// Returns `Today`, `Yesterday` or `22 Nov 2026`.
    pub fn date(self, now: Self) -> String {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        match now.day() - self.day() {
            0 => return "Today".to_owned(),
            1 => return "Yesterday".to_owned(),
            _ => {}
        }
        // Years are counted from March, so that the leap day is a year's last.
        let shifted = self.day() + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = usize::try_from((from_march + 2) % 12).unwrap_or_default();
        let year = era * 400 + year_of_era + i64::from(month < 2);
        format!("{day} {} {year}", MONTHS[month])
    }

    /// Returns the time today, the date before.
    pub fn short(self, now: Self) -> String {
        if self.day() == now.day() { self.clock() } else { self.date(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_in_html() {
        let text = r#"<b>"x"</b> & 'y' https://a.id/?a="><script>"#;
        let html = Rich(text).to_string();
        assert!(html.starts_with("&lt;b&gt;&quot;x&quot;&lt;/b&gt; &amp; &#39;y&#39; <a href="));
        assert_eq!(html.matches('<').count(), 2, "the link alone: {html}");
        let marked = Marked { text: "a <b> c", wanted: "<b>" }.to_string();
        assert_eq!(marked, "a <mark>&lt;b&gt;</mark> c");
    }

    #[test]
    fn styles_are_those_phones_show() {
        let html = |text| Rich(text).to_string();
        assert_eq!(
            html("*Halo* _Budi_, ~lama~"),
            "<strong>Halo</strong> <em>Budi</em>, <s>lama</s>"
        );
        assert_eq!(plain("*Halo* _Budi_, ~lama~ 2*3*4"), "Halo Budi, lama 2*3*4");
        assert_eq!(html("2*3*4 * 5 * snake_case_name"), "2*3*4 * 5 * snake_case_name");
        assert_eq!(html("*<i>*"), "<strong>&lt;i&gt;</strong>");
        assert_eq!(html("*satu\ndua*"), "*satu\ndua*");
        assert_eq!(
            html("Lihat https://a.id/b."),
            r#"Lihat <a href="https://a.id/b" rel="noreferrer" target="_blank">https://a.id/b</a>."#
        );
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(Number("6281299990000").to_string(), "+62 812-9999-0000");
        assert_eq!(Number("628123").to_string(), "+62 812-3");
        assert_eq!(Number("<b>").to_string(), "&lt;b&gt;");
    }

    #[test]
    fn days_are_those_of_the_viewer() {
        let now = Moment::new(1_795_371_000_000, 0);
        assert_eq!((now.date(now), now.clock()), ("Today".to_owned(), "18:10".to_owned()));
        let date = |unix_s: u64, offset| Moment::new(unix_s * 1000, offset).date(now);
        assert_eq!(date(951_782_400, 0), "29 Feb 2000");
        assert_eq!(date(951_868_800, 0), "1 Mar 2000");
        assert_eq!(date(946_684_799, 0), "31 Dec 1999");
        assert_eq!(date(946_684_799, 7 * 60), "1 Jan 2000");
        assert_eq!(Moment::new(0, -60).clock(), "23:00");
    }
}
