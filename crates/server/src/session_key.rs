//! The key under which WhatsApp sessions are stored.

use crate::private;
use anyhow::Context;
use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::str::FromStr;

/// The file that has the key where no SESSION_KEY is set.
const FILE: &str = "session.key";
const BYTES: usize = 32;

/// The key under which WhatsApp sessions are stored: who has it and the database can write as the
/// numbers in it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey([u8; BYTES]);

/// Text that is not a session key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {} hexadecimal digits", 2 * BYTES)]
pub struct InvalidKey;

impl SessionKey {
    /// Makes a key at random.
    pub fn random() -> SessionKey {
        SessionKey(rand::random())
    }

    /// Returns the key in the data directory, if there is one.
    pub fn find(data_dir: &Path) -> anyhow::Result<Option<SessionKey>> {
        let path = data_dir.join(FILE);
        let shown = path.display();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        };
        let key = text.parse();
        key.map(Some).with_context(|| format!("{shown} is damaged: bring it back from a backup"))
    }

    /// Returns the key in the data directory, which must be there, and makes one if it has none.
    pub fn in_directory(data_dir: &Path) -> anyhow::Result<SessionKey> {
        if let Some(key) = SessionKey::find(data_dir)? {
            return Ok(key);
        }
        let key = SessionKey::random();
        key.keep_in(data_dir)?;
        Ok(key)
    }

    /// Makes it the key of this data directory.
    pub fn keep_in(&self, data_dir: &Path) -> anyhow::Result<()> {
        self.write(data_dir).with_context(|| {
            format!("cannot make {FILE} in {}: check its owner and mode", data_dir.display())
        })
    }

    /// Half a key would lock a session away for ever: it has its name only when it is whole.
    fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        let unfinished = data_dir.join(format!("{FILE}.new"));
        let mut options = private::file();
        let mut file = options.write(true).create(true).truncate(true).open(&unfinished)?;
        writeln!(file, "{}", self.to_hex())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, data_dir.join(FILE))?;
        private::sync_directory(data_dir)
    }

    /// Returns the key as it is set in SESSION_KEY.
    pub fn to_hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes any text");
            text
        })
    }

    pub(crate) fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl FromStr for SessionKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<SessionKey, InvalidKey> {
        let digits = text.trim().as_bytes();
        let mut key = [0; BYTES];
        if digits.len() != 2 * BYTES {
            return Err(InvalidKey);
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or(InvalidKey);
            let value = digit(0)? << 4 | digit(1)?;
            *byte = u8::try_from(value).map_err(|_| InvalidKey)?;
        }
        Ok(SessionKey(key))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private::Others;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let key = SessionKey::random();
        assert_eq!(key.to_hex().parse(), Ok(key.clone()));
        assert_eq!(format!(" {}\n", key.to_hex().to_uppercase()).parse(), Ok(key));
        for text in ["", "0123", &"g".repeat(64), &"ab".repeat(33), &"é".repeat(32)] {
            assert_eq!(text.parse::<SessionKey>(), Err(InvalidKey), "{text}");
        }
    }

    #[test]
    fn a_directory_keeps_its_key_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let key = SessionKey::in_directory(directory.path()).unwrap();
        assert_eq!(SessionKey::in_directory(directory.path()).unwrap(), key);
        let file = directory.path().join(FILE);
        assert_eq!(private::others(&file).unwrap(), Others::None);

        std::fs::write(&file, "half a key").unwrap();
        let error = SessionKey::in_directory(directory.path()).unwrap_err().to_string();
        assert!(error.contains("session.key"), "{error}");
    }

    #[test]
    fn does_not_show_itself() {
        let key = SessionKey::random();
        assert!(!format!("{key:?}").contains(&key.to_hex()));
    }
}
