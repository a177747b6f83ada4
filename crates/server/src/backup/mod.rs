//! The file that `kabari backup` writes.
//!
//! Its first line names the format and its version. Below it are lines of JSON, one a
//! [`Line`]: a header, parts of tables, and at the end a checksum. With a passphrase all but the
//! first line is encrypted (see [`encryption`]).

mod encryption;

use crate::private;
use crate::store::TablePart;
use anyhow::{Context, bail, ensure};
use encryption::{Decryptor, Encryptor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What every backup begins with, in front of its version.
const NAME: &str = "kabari backup ";
/// The first line of one that is not encrypted.
const PLAIN: &str = "kabari backup 1\n";
/// The first line of one that is.
const ENCRYPTED: &str = "kabari backup 1, encrypted\n";
/// The longest first line of any version.
const LONGEST_FIRST_LINE: u64 = 64;
/// The longest line: a part with the longest values that a database keeps.
const LONGEST_LINE: u64 = 256 * 1024 * 1024;
const DAMAGED: &str = "the backup is damaged or incomplete: take another one";

/// A line of a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Header(Header),
    /// Rows of the state database.
    State(TablePart),
    /// Rows of the embedded billing database.
    Billing(TablePart),
    /// The last one.
    End(End),
}

/// What a backup says of itself.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The kabari that made it.
    pub version: String,
    /// The schema of the state that it has.
    pub schema: i64,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// What its WhatsApp sessions are stored with.
    pub session_key: String,
    /// Settings of the kabari that made it, without secrets.
    pub settings: BTreeMap<String, String>,
}

/// What shows that a backup is whole.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// SHA-256 of the lines before this one, in hexadecimal digits.
    sha256: String,
}

/// Writes a backup. Only when it is whole, the file has its name.
pub struct BackupWriter {
    path: PathBuf,
    unfinished: Unfinished,
    out: Output,
    checksum: Sha256,
}

enum Output {
    Plain(BufWriter<File>),
    Encrypted(Encryptor<BufWriter<File>>),
}

impl BackupWriter {
    /// Begins a backup at this path, where nothing may be.
    pub fn create(
        path: &Path,
        passphrase: Option<&str>,
        header: Header,
    ) -> anyhow::Result<BackupWriter> {
        ensure!(!path.exists(), "{} is there already: name another file", path.display());
        let unfinished = Unfinished::beside(path);
        let mut options = private::file();
        let file = options.write(true).create_new(true).open(&unfinished.0);
        let file = file.with_context(|| {
            format!("cannot write {}: name a directory that you may write in", path.display())
        })?;
        let mut file = BufWriter::new(file);
        let out = match passphrase {
            Some(passphrase) => {
                file.write_all(ENCRYPTED.as_bytes())?;
                Output::Encrypted(Encryptor::new(file, passphrase)?)
            }
            None => {
                file.write_all(PLAIN.as_bytes())?;
                Output::Plain(file)
            }
        };
        let path = path.to_owned();
        let mut writer = BackupWriter { path, unfinished, out, checksum: Sha256::new() };
        writer.write(&Line::Header(header))?;
        Ok(writer)
    }

    /// Writes one line.
    pub fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        self.checksum.update(&json);
        let written = match &mut self.out {
            Output::Plain(file) => file.write_all(&json),
            Output::Encrypted(encryptor) => encryptor.write_all(&json),
        };
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Ends the backup, and gives it its name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let sha256 = hex(self.checksum.clone());
        self.write(&Line::End(End { sha256 }))?;
        let file = match self.out {
            Output::Plain(file) => file,
            Output::Encrypted(encryptor) => encryptor.finish()?,
        };
        file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        std::fs::rename(&self.unfinished.0, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        private::sync_directory(directory.unwrap_or(Path::new(".")))?;
        Ok(())
    }
}

/// A file that is deleted unless it has got another name.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> Unfinished {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{:08x}.unfinished", rand::random::<u32>()));
        Unfinished(name.into())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It may have its own name by now.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reads a backup.
pub struct BackupReader {
    lines: Box<dyn BufRead + Send>,
    checksum: Sha256,
}

impl BackupReader {
    /// Opens a backup, and reads its header.
    pub fn open(path: &Path, passphrase: Option<&str>) -> anyhow::Result<(BackupReader, Header)> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let mut file = BufReader::new(file);
        let mut first = vec![];
        (&mut file).take(LONGEST_FIRST_LINE).read_until(b'\n', &mut first)?;
        let lines: Box<dyn BufRead + Send> = match str::from_utf8(&first) {
            Ok(PLAIN) => Box::new(file),
            Ok(ENCRYPTED) => {
                let passphrase = passphrase.with_context(|| {
                    format!("{shown} is encrypted: set BACKUP_PASSPHRASE or BACKUP_PASSPHRASE_FILE")
                })?;
                Box::new(BufReader::new(Decryptor::new(file, passphrase)?))
            }
            Ok(other) if other.starts_with(NAME) => {
                bail!("{shown} is from a newer kabari: restore it with that version")
            }
            _ => bail!("{shown} is no backup of kabari"),
        };
        let mut reader = BackupReader { lines, checksum: Sha256::new() };
        match reader.next()? {
            Some(Line::Header(header)) => Ok((reader, header)),
            _ => bail!(DAMAGED),
        }
    }

    /// Returns the next line, or `None` where the backup has ended as it should.
    pub fn next(&mut self) -> anyhow::Result<Option<Line>> {
        let mut json = vec![];
        (&mut self.lines).take(LONGEST_LINE).read_until(b'\n', &mut json)?;
        ensure!(json.ends_with(b"\n"), DAMAGED);
        // Its text is somebody's data, so nothing of it is shown.
        let line = serde_json::from_slice(&json).map_err(|_| anyhow::anyhow!(DAMAGED))?;
        let Line::End(End { sha256 }) = &line else {
            self.checksum.update(&json);
            return Ok(Some(line));
        };
        ensure!(*sha256 == hex(self.checksum.clone()), DAMAGED);
        ensure!(self.lines.fill_buf()?.is_empty(), DAMAGED);
        Ok(None)
    }
}

fn hex(checksum: Sha256) -> String {
    checksum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
