//! The file `.env`: variables for the process, where they are not set already.

use std::{fs, io};

const PATH: &str = ".env";

/// Why the file cannot be used. Its lines hold secrets, so none of them is repeated.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It is there, but cannot be opened.
    #[error(".env cannot be read ({0}); check its owner and mode")]
    Unreadable(io::Error),
    /// A line is no variable.
    #[error(
        "line {0} of .env is not of the form NAME=value; put values with blanks, quotes or # in quotes"
    )]
    Line(usize),
}

/// Reads the file in the working directory, if there is one. A `$` stands for itself: a password
/// must not change because of the characters in it.
pub fn load() -> Result<(), EnvFileError> {
    let text = match fs::read_to_string(PATH) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(EnvFileError::Unreadable(error)),
    };
    let escaped = escape_dollars(&text);
    dotenvy::from_read(escaped.as_bytes()).map_err(|error| match error {
        dotenvy::Error::LineParse(part, _) => {
            let is_there = |line: &str| line.contains(part.lines().next().unwrap_or_default());
            EnvFileError::Line(escaped.lines().position(is_there).unwrap_or_default() + 1)
        }
        dotenvy::Error::Io(error) => EnvFileError::Unreadable(error),
        other => EnvFileError::Unreadable(io::Error::other(other)),
    })
}

/// Puts a backslash before every `$` in which dotenvy would see the start of a variable's name:
/// those that are neither escaped nor in single quotes nor in a comment.
fn escape_dollars(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let (mut quote, mut in_comment) = (None, false);
    let (mut after, mut after_backslash) = ('\n', false);
    for character in text.chars() {
        let is_escaped = std::mem::take(&mut after_backslash);
        match (character, quote) {
            ('\n', _) => in_comment = false,
            _ if in_comment || is_escaped => {}
            ('#', None) if after.is_whitespace() => in_comment = true,
            ('\\', None | Some('"')) => after_backslash = true,
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            ('$', None | Some('"')) => escaped.push('\\'),
            _ => {}
        }
        escaped.push(character);
        after = character;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> String {
        let escaped = escape_dollars(&format!("# it's $1\n{line} # don't\nOTHER=$x\n"));
        let mut read = dotenvy::from_read_iter(escaped.as_bytes());
        let (name, value) = read.next().unwrap().unwrap();
        assert_eq!(name, "DB_PASSWORD");
        assert_eq!(read.next().unwrap().unwrap().1, "$x", "{line}");
        value
    }

    #[test]
    fn a_dollar_stands_for_itself_however_it_is_written() {
        for line in [
            "DB_PASSWORD=a$b${HOME}c",
            "DB_PASSWORD=\"a$b${HOME}c\"",
            "DB_PASSWORD='a$b${HOME}c'",
            r"DB_PASSWORD=a\$b\${HOME}c",
            "export DB_PASSWORD = a$b${HOME}c",
        ] {
            assert_eq!(value(line), "a$b${HOME}c", "{line}");
        }
        assert_eq!(value("DB_PASSWORD=a#$b\"#$\"'$'"), "a#$b#$$");
        assert_eq!(value(r"DB_PASSWORD=\\$b"), r"\$b");
    }
}
