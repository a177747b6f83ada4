//! Passwords: what they have to be like, and how they are stored.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// The shortest password, in characters.
pub const MIN_PASSWORD: usize = 10;
/// The longest password, in bytes: a longer one would only be slow to hash.
pub const MAX_PASSWORD_BYTES: usize = 256;

/// What hashing a password takes: memory in KiB, passes and lanes. OWASP's first choice.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many passwords are hashed at once: each takes memory and a core.
const HASHES_AT_ONCE: usize = 2;
/// How many more may wait for that.
const MAX_WAITING: usize = 30;

static HASHING: Semaphore = Semaphore::const_new(HASHES_AT_ONCE);
static WAITING: Semaphore = Semaphore::const_new(HASHES_AT_ONCE + MAX_WAITING);

/// What is checked where there is no such user, so that it takes as long.
static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| hashed(&super::token::random_token()));

/// Why a password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusablePassword {
    /// Too short.
    #[error("a password needs at least {MIN_PASSWORD} characters")]
    TooShort,
    /// Too long.
    #[error("a password has at most {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// It is the user's name.
    #[error("the password is the name of the user; choose another one")]
    IsName,
}

/// Too many passwords are being checked; trying again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked; try again")]
pub struct Overloaded;

/// Checks whether a user may have this password.
pub fn check(password: &str, user: &str) -> Result<(), UnusablePassword> {
    if password.len() > MAX_PASSWORD_BYTES {
        Err(UnusablePassword::TooLong)
    } else if password.chars().count() < MIN_PASSWORD {
        Err(UnusablePassword::TooShort)
    } else if password.eq_ignore_ascii_case(user) {
        Err(UnusablePassword::IsName)
    } else {
        Ok(())
    }
}

/// Returns the hash of a password, by Argon2id in the PHC format.
pub async fn hash(password: String) -> Result<String, Overloaded> {
    bounded(move || hashed(&password)).await
}

/// Returns whether a password is the one that was hashed. Without a hash it is not, which takes as
/// long to find.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool, Overloaded> {
    bounded(move || {
        // Made at the first check, whoever it is about.
        let nobodys_hash = &*NOBODYS_HASH;
        let matches = verified(&password, hash.as_ref().unwrap_or(nobodys_hash));
        matches && hash.is_some()
    })
    .await
}

/// Runs something slow in a thread of its own, a few at once.
async fn bounded<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Overloaded> {
    let _place = WAITING.try_acquire().map_err(|_| Overloaded)?;
    let turn = HASHING.acquire().await.expect("the semaphore is never closed");
    // The turn ends with the work: who asked may go away before.
    let working = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    Ok(working.await.expect("hashing does not panic"))
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hashed(password: &str) -> String {
    let hash = argon2().hash_password(password.as_bytes());
    hash.expect("a password of any length can be hashed").to_string()
}

fn verified(password: &str, hash: &str) -> bool {
    password.len() <= MAX_PASSWORD_BYTES
        && PasswordHash::new(hash)
            .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_ten_characters_and_is_not_the_name() {
        assert_eq!(check("sembilan.", "budi"), Err(UnusablePassword::TooShort));
        assert_eq!(check("Teknisi-malam", "teknisi-malam"), Err(UnusablePassword::IsName));
        assert_eq!(check(&"x".repeat(257), "budi"), Err(UnusablePassword::TooLong));
        assert_eq!(check("kuda baterai", "budi"), Ok(()));
    }

    #[tokio::test]
    async fn only_the_hashed_password_is_verified() {
        let hash = hash("kuda baterai".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verify = async |password: &str, hash: Option<&str>| {
            super::verify(password.to_owned(), hash.map(str::to_owned)).await.unwrap()
        };
        assert!(verify("kuda baterai", Some(&hash)).await);
        assert!(!verify("kuda baterai ", Some(&hash)).await);
        assert!(!verify("kuda baterai", None).await);
        assert!(!verify("kuda baterai", Some("damaged")).await);
    }
}
