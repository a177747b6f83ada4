//! A message as the customer sees it: in a bubble, with WhatsApp's own marks for bold, italic and
//! struck-out words.

use maud::{Markup, html};

/// A message in a chat.
pub fn bubble(text: &str) -> Markup {
    html! {
        div.chat { p.bubble { (formatted(text)) } }
    }
}

/// A stretch of text and the mark around it.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Plain(&'t str),
    Marked(char, &'t str),
}

fn formatted(text: &str) -> Markup {
    html! {
        @for piece in pieces(text) {
            @match piece {
                Piece::Plain(text) => (text),
                Piece::Marked('*', text) => strong { (formatted(text)) },
                Piece::Marked('_', text) => em { (formatted(text)) },
                Piece::Marked(_, text) => s { (formatted(text)) },
            }
        }
    }
}

/// Splits a text at the first pairs of marks in it.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = vec![];
    let mut plain_from = 0;
    let mut at = 0;
    while let Some(mark) = text[at..].chars().next() {
        match closing(text, at, mark) {
            Some(end) => {
                pieces.push(Piece::Plain(&text[plain_from..at]));
                pieces.push(Piece::Marked(mark, &text[at + 1..end]));
                at = end + 1;
                plain_from = at;
            }
            None => at += mark.len_utf8(),
        }
    }
    pieces.push(Piece::Plain(&text[plain_from..]));
    pieces
}

/// Returns where the mark at a place is closed: in the same line, with words against both marks
/// and none against their outer sides.
fn closing(text: &str, at: usize, mark: char) -> Option<usize> {
    if !matches!(mark, '*' | '_' | '~') || text[..at].ends_with(char::is_alphanumeric) {
        return None;
    }
    let inside = &text[at + 1..];
    let line = &inside[..inside.find('\n').unwrap_or(inside.len())];
    if line.starts_with(|c: char| c.is_whitespace() || c == mark) {
        return None;
    }
    let is_closing = |end: &usize| {
        let (before, after) = (&line[..*end], &line[end + 1..]);
        !before.is_empty()
            && !before.ends_with(char::is_whitespace)
            && !after.starts_with(char::is_alphanumeric)
    };
    line.match_indices(mark).map(|(end, _)| end).find(is_closing).map(|end| at + 1 + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        formatted(text).0
    }

    #[test]
    fn marks_become_what_the_phone_shows() {
        assert_eq!(shown("🚨 *GANGGUAN* 🚨"), "🚨 <strong>GANGGUAN</strong> 🚨");
        assert_eq!(shown("_otomatis_\n~lama~"), "<em>otomatis</em>\n<s>lama</s>");
        assert_eq!(shown("*a _b_*"), "<strong>a <em>b</em></strong>");
        assert_eq!(shown("*Mulai:* 10*2"), "<strong>Mulai:</strong> 10*2");
    }

    #[test]
    fn marks_without_words_against_them_stay() {
        for text in ["2 * 3 * 4", "a*b*c", "*", "**", "* a*", "*a\nb*", "snake_case_name"] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn nothing_in_a_message_is_markup() {
        assert_eq!(shown("*<b>*"), "<strong>&lt;b&gt;</strong>");
    }
}
