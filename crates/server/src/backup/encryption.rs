//! Encryption of a backup: chunks, each bound to its place by its nonce, the last one marked, so
//! that none can be changed, moved or left out. The key comes from a passphrase.
//!
//! A salt and the first part of all nonces; then for each chunk whether it is the last (one byte),
//! its length (four bytes), and what the cipher made of it.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::io::{self, Error, ErrorKind, Read, Write};

const SALT_BYTES: usize = 16;
/// The part of a nonce that all chunks of a file share; their number is the rest.
const PREFIX_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Plain bytes in a chunk, at most.
const CHUNK_BYTES: usize = 64 * 1024;
/// What the cipher adds to a chunk.
const TAG_BYTES: usize = 16;
/// What a guess of the passphrase takes: memory in KiB, passes and lanes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;

const WRONG_PASSPHRASE: &str =
    "BACKUP_PASSPHRASE is not that of this backup, or the backup is damaged where it begins";
const DAMAGED: &str = "the backup is damaged: take another one";

/// The cipher of one file, and how far it has come.
struct ChunkCipher {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX_BYTES],
    chunk: u64,
}

impl ChunkCipher {
    fn new(
        passphrase: &str,
        salt: &[u8; SALT_BYTES],
        prefix: [u8; PREFIX_BYTES],
    ) -> io::Result<ChunkCipher> {
        let failed = |error: argon2::Error| Error::other(format!("Argon2 fails: {error}"));
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(KEY_BYTES)).map_err(failed)?;
        let mut key = [0; KEY_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, &mut key)
            .map_err(failed)?;
        Ok(ChunkCipher { cipher: XChaCha20Poly1305::new(&key.into()), prefix, chunk: 0 })
    }

    fn next_nonce(&mut self) -> XNonce {
        let mut nonce = [0; PREFIX_BYTES + size_of::<u64>()];
        nonce[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        nonce[PREFIX_BYTES..].copy_from_slice(&self.chunk.to_be_bytes());
        self.chunk += 1;
        XNonce::from(nonce)
    }

    fn encrypt(&mut self, plain: &[u8], last: bool) -> Vec<u8> {
        let nonce = self.next_nonce();
        let payload = Payload { msg: plain, aad: &[u8::from(last)] };
        self.cipher.encrypt(&nonce, payload).expect("a chunk is far shorter than the cipher allows")
    }

    fn decrypt(&mut self, sealed: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let wrong = if self.chunk == 0 { WRONG_PASSPHRASE } else { DAMAGED };
        let nonce = self.next_nonce();
        let payload = Payload { msg: sealed, aad: &[u8::from(last)] };
        self.cipher.decrypt(&nonce, payload).map_err(|_| Error::new(ErrorKind::InvalidData, wrong))
    }
}

/// Encrypts what is written into it.
pub struct Encryptor<W> {
    out: W,
    cipher: ChunkCipher,
    plain: Vec<u8>,
}

impl<W: Write> Encryptor<W> {
    pub fn new(mut out: W, passphrase: &str) -> io::Result<Encryptor<W>> {
        let salt: [u8; SALT_BYTES] = rand::random();
        let prefix: [u8; PREFIX_BYTES] = rand::random();
        out.write_all(&salt)?;
        out.write_all(&prefix)?;
        let mut cipher = ChunkCipher::new(passphrase, &salt, prefix)?;
        // By itself, so that a wrong passphrase is told apart from damage further on.
        write_chunk(&mut out, &mut cipher, &[], false)?;
        Ok(Encryptor { out, cipher, plain: Vec::with_capacity(CHUNK_BYTES) })
    }

    /// Writes the last chunk. Returns what it was written into.
    pub fn finish(mut self) -> io::Result<W> {
        write_chunk(&mut self.out, &mut self.cipher, &self.plain, true)?;
        Ok(self.out)
    }
}

fn write_chunk(
    out: &mut impl Write,
    cipher: &mut ChunkCipher,
    plain: &[u8],
    last: bool,
) -> io::Result<()> {
    let sealed = cipher.encrypt(plain, last);
    let length = u32::try_from(sealed.len()).expect("a chunk is short");
    out.write_all(&[u8::from(last)])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(&sealed)
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.plain.len() == CHUNK_BYTES {
            self.flush()?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.plain.len());
        self.plain.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        write_chunk(&mut self.out, &mut self.cipher, &self.plain, false)?;
        self.plain.clear();
        Ok(())
    }
}

/// Decrypts what is read from it.
pub struct Decryptor<R> {
    sealed: R,
    cipher: ChunkCipher,
    plain: io::Cursor<Vec<u8>>,
    at_end: bool,
}

impl<R: Read> Decryptor<R> {
    pub fn new(mut sealed: R, passphrase: &str) -> io::Result<Decryptor<R>> {
        let (mut salt, mut prefix) = ([0; SALT_BYTES], [0; PREFIX_BYTES]);
        sealed.read_exact(&mut salt).map_err(incomplete)?;
        sealed.read_exact(&mut prefix).map_err(incomplete)?;
        let cipher = ChunkCipher::new(passphrase, &salt, prefix)?;
        let plain = io::Cursor::default();
        let mut decryptor = Decryptor { sealed, cipher, plain, at_end: false };
        decryptor.next_chunk()?;
        Ok(decryptor)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let (mut last, mut length) = ([0; 1], [0; size_of::<u32>()]);
        self.sealed.read_exact(&mut last).map_err(incomplete)?;
        self.sealed.read_exact(&mut length).map_err(incomplete)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > CHUNK_BYTES + TAG_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, DAMAGED));
        }
        let mut sealed = vec![0; length];
        self.sealed.read_exact(&mut sealed).map_err(incomplete)?;
        self.at_end = last != [0];
        self.plain = io::Cursor::new(self.cipher.decrypt(&sealed, self.at_end)?);
        if self.at_end && self.sealed.read(&mut [0])? > 0 {
            return Err(Error::new(ErrorKind::InvalidData, DAMAGED));
        }
        Ok(())
    }
}

/// A file that ends too early is a damaged one.
fn incomplete(error: Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::new(ErrorKind::InvalidData, DAMAGED),
        _ => error,
    }
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.plain.read(buffer)?;
            if read > 0 || self.at_end || buffer.is_empty() {
                return Ok(read);
            }
            self.next_chunk()?;
        }
    }
}
