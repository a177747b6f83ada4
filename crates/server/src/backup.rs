//! A backup: one file with the whole state and the session key, encrypted where there is a
//! passphrase.
//!
//! It is lines of JSON: a header, the pieces of the state, and at the end how many lines there
//! were. Encrypted, the lines are in chunks, each bound to its place by its nonce, and the last one
//! says that it is the last.

use crate::private;
use anyhow::{Context, bail, ensure};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The only format so far.
const FORMAT: u32 = 1;
/// What an encrypted file begins with.
const MAGIC: &[u8; 16] = b"kabari backup 1\n";
const SALT_BYTES: usize = 16;
/// The part of a nonce that a whole file shares; the rest counts its chunks.
const PREFIX_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Plain bytes in a chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// What the cipher adds to a chunk.
const TAG_BYTES: usize = 16;
/// What guessing a passphrase costs: 64 MiB, three passes.
const MEMORY_KIBIBYTES: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// What a backup says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Header {
    /// The format of the file.
    format: u32,
    /// The kabari that made it.
    pub version: String,
    /// Its schema; a backup is restored by a kabari of the same.
    pub schema: usize,
    /// When, RFC 3339.
    pub made_at: String,
    /// What WhatsApp sessions are stored with.
    pub session_key: String,
    /// The settings of the one that made it, secrets excepted.
    pub settings: BTreeMap<String, String>,
}

impl Header {
    /// The header of a backup that is made now.
    pub fn new(
        schema: usize,
        made_at: String,
        session_key: String,
        settings: BTreeMap<String, String>,
    ) -> Header {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Header { format: FORMAT, version, schema, made_at, session_key, settings }
    }
}

/// The end of a backup.
#[derive(Serialize, Deserialize)]
struct End {
    lines: u64,
}

/// Turns a passphrase into the cipher of one file.
struct Seal {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX_BYTES],
    chunk: u64,
}

impl Seal {
    fn new(
        passphrase: &str,
        salt: &[u8; SALT_BYTES],
        prefix: [u8; PREFIX_BYTES],
    ) -> anyhow::Result<Seal> {
        let params = Params::new(MEMORY_KIBIBYTES, PASSES, 1, Some(KEY_BYTES));
        let params = params.map_err(|error| anyhow::anyhow!("Argon2: {error}"))?;
        let mut key = [0; KEY_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, &mut key)
            .map_err(|error| anyhow::anyhow!("the passphrase cannot be used: {error}"))?;
        Ok(Seal { cipher: XChaCha20Poly1305::new(&key.into()), prefix, chunk: 0 })
    }

    fn next_nonce(&mut self) -> XNonce {
        let mut nonce = [0; PREFIX_BYTES + 8];
        nonce[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        nonce[PREFIX_BYTES..].copy_from_slice(&self.chunk.to_be_bytes());
        self.chunk += 1;
        XNonce::from(nonce)
    }

    fn seal(&mut self, plain: &[u8], last: bool) -> Vec<u8> {
        let payload = Payload { msg: plain, aad: &[u8::from(last)] };
        let nonce = self.next_nonce();
        self.cipher.encrypt(&nonce, payload).expect("a chunk is far shorter than the cipher allows")
    }

    fn open(&mut self, sealed: &[u8], last: bool) -> Option<Vec<u8>> {
        let payload = Payload { msg: sealed, aad: &[u8::from(last)] };
        let nonce = self.next_nonce();
        self.cipher.decrypt(&nonce, payload).ok()
    }
}

/// Writes a backup. The file has its name only when it is whole.
pub struct BackupWriter {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
    seal: Option<Seal>,
    buffer: Vec<u8>,
    lines: u64,
}

impl BackupWriter {
    /// Begins a backup at this path, where nothing may be.
    pub fn create(
        path: &Path,
        passphrase: Option<&str>,
        header: &Header,
    ) -> anyhow::Result<BackupWriter> {
        let shown = path.display();
        ensure!(!path.exists(), "{shown} exists already: name another file");
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let mut file = private::file()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&unfinished)
            .with_context(|| format!("cannot write {}", unfinished.display()))?;
        let seal = match passphrase {
            Some(passphrase) => {
                let (salt, prefix): ([u8; SALT_BYTES], [u8; PREFIX_BYTES]) =
                    (rand::random(), rand::random());
                file.write_all(&[MAGIC.as_slice(), &salt, &prefix].concat())?;
                Some(Seal::new(passphrase, &salt, prefix)?)
            }
            None => None,
        };
        let path = path.to_owned();
        let mut writer = BackupWriter { path, unfinished, file, seal, buffer: vec![], lines: 0 };
        writer.line(header)?;
        Ok(writer)
    }

    /// Writes one line.
    pub fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.push(b'\n');
        self.lines += 1;
        while self.buffer.len() > CHUNK_BYTES {
            let rest = self.buffer.split_off(CHUNK_BYTES);
            let chunk = std::mem::replace(&mut self.buffer, rest);
            self.chunk(&chunk, false)?;
        }
        Ok(())
    }

    /// Ends the backup, and gives it its name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.line(&End { lines: self.lines })?;
        let chunk = std::mem::take(&mut self.buffer);
        self.chunk(&chunk, true)?;
        self.file.sync_all()?;
        std::fs::rename(&self.unfinished, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        private::sync_directory(directory.unwrap_or(Path::new(".")))?;
        Ok(())
    }

    fn chunk(&mut self, plain: &[u8], last: bool) -> std::io::Result<()> {
        match &mut self.seal {
            None => self.file.write_all(plain),
            Some(seal) => self.file.write_all(&seal.seal(plain, last)),
        }
    }
}

/// Reads a backup.
pub struct BackupReader {
    file: BufReader<File>,
    seal: Option<Seal>,
    /// What was read from the file and not given out yet.
    buffer: Vec<u8>,
    lines: u64,
    at_end: bool,
    /// A sealed chunk that is only opened once it is known whether another follows.
    ahead: Vec<u8>,
}

impl BackupReader {
    /// Opens a backup, and reads its header.
    pub fn open(path: &Path, passphrase: Option<&str>) -> anyhow::Result<(BackupReader, Header)> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let mut file = BufReader::new(file);
        let start = read_up_to(&mut file, MAGIC.len())?;
        let mut reader = BackupReader {
            file,
            seal: None,
            buffer: vec![],
            lines: 0,
            at_end: false,
            ahead: vec![],
        };
        if start == MAGIC {
            let passphrase = passphrase.with_context(|| {
                format!("{shown} is encrypted: set BACKUP_PASSPHRASE, or BACKUP_PASSPHRASE_FILE")
            })?;
            let (mut salt, mut prefix) = ([0; SALT_BYTES], [0; PREFIX_BYTES]);
            reader.file.read_exact(&mut salt)?;
            reader.file.read_exact(&mut prefix)?;
            reader.seal = Some(Seal::new(passphrase, &salt, prefix)?);
            reader.ahead = read_up_to(&mut reader.file, CHUNK_BYTES + TAG_BYTES)?;
        } else {
            reader.buffer = start;
        }
        let line = reader.raw_line()?.with_context(|| format!("{shown} is empty"))?;
        let header: Header =
            serde_json::from_slice(&line).with_context(|| format!("{shown} is no backup"))?;
        ensure!(
            header.format == FORMAT,
            "{shown} was made by a newer kabari: restore it with that"
        );
        Ok((reader, header))
    }

    /// Returns the next piece, or `None` at the end, which must be there.
    pub fn piece<T: for<'de> Deserialize<'de>>(&mut self) -> anyhow::Result<Option<T>> {
        const DAMAGED: &str = "the backup is damaged, or its end is missing; take another one";
        let line = self.raw_line()?.context(DAMAGED)?;
        match serde_json::from_slice::<End>(&line) {
            Ok(end) if end.lines == self.lines - 1 && self.raw_line()?.is_none() => Ok(None),
            Ok(_) => bail!(DAMAGED),
            Err(_) => Ok(Some(serde_json::from_slice(&line).context(DAMAGED)?)),
        }
    }

    fn raw_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut looked = 0;
        loop {
            if let Some(at) = self.buffer[looked..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(looked + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.lines += 1;
                return Ok(Some(line));
            }
            looked = self.buffer.len();
            if self.at_end {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        let Some(seal) = &mut self.seal else {
            let more = read_up_to(&mut self.file, CHUNK_BYTES)?;
            self.at_end = more.is_empty();
            self.buffer.extend(more);
            return Ok(());
        };
        let next = read_up_to(&mut self.file, CHUNK_BYTES + TAG_BYTES)?;
        let sealed = std::mem::replace(&mut self.ahead, next);
        self.at_end = self.ahead.is_empty();
        let plain = seal.open(&sealed, self.at_end);
        self.buffer.extend(plain.context("the passphrase is wrong, or the backup is damaged")?);
        Ok(())
    }
}

/// Reads this many bytes, or fewer at the end.
fn read_up_to(file: &mut impl Read, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(bytes);
    file.take(bytes as u64).read_to_end(&mut read)?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const SECRET: &str = "6281234567801";

    fn write(path: &Path, passphrase: Option<&str>, lines: usize) {
        let header = Header::new(8, String::new(), SECRET.to_owned(), BTreeMap::new());
        let mut writer = BackupWriter::create(path, passphrase, &header).unwrap();
        for number in 0..lines {
            writer.line(&format!("{SECRET} {number}")).unwrap();
        }
        writer.finish().unwrap();
    }

    fn read(path: &Path, passphrase: Option<&str>) -> anyhow::Result<usize> {
        let (mut reader, header) = BackupReader::open(path, passphrase)?;
        assert_eq!(header.session_key, SECRET);
        let mut lines = 0;
        while let Some(line) = reader.piece::<String>()? {
            assert_eq!(line, format!("{SECRET} {lines}"));
            lines += 1;
        }
        Ok(lines)
    }

    #[test]
    fn reads_what_it_writes_with_and_without_a_passphrase() {
        let directory = TempDir::new().unwrap();
        for (number, passphrase) in [None, Some("rahasia")].into_iter().enumerate() {
            // Some of one chunk, and some of several.
            for lines in [0, 3, 20_000] {
                let path = directory.path().join(format!("{number}-{lines}"));
                write(&path, passphrase, lines);
                assert_eq!(read(&path, passphrase).unwrap(), lines);
                let bytes = std::fs::read(&path).unwrap();
                let shows = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
                assert_eq!(shows, passphrase.is_none());
            }
        }
    }

    #[test]
    fn a_wrong_passphrase_a_change_and_a_missing_end_are_noticed() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("backup");
        for passphrase in [None, Some("rahasia")] {
            let _ = std::fs::remove_file(&path);
            write(&path, passphrase, 20_000);
            let whole = std::fs::read(&path).unwrap();
            for cut in [1, 100, whole.len() / 2] {
                std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
                assert!(read(&path, passphrase).is_err(), "{cut} bytes are missing");
            }
            std::fs::write(&path, &whole).unwrap();
        }
        assert!(read(&path, Some("rahasia")).is_ok());
        assert!(read(&path, Some("Rahasia")).is_err());
        assert!(read(&path, None).unwrap_err().to_string().contains("BACKUP_PASSPHRASE"));
        let mut changed = std::fs::read(&path).unwrap();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert!(read(&path, Some("rahasia")).is_err());
    }
}
