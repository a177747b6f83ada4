//! The id of a request: in the answer's header, in log lines, and in the campaign it makes.

use std::fmt::Write;
use tracing::Instrument;

/// The header that has it.
pub const HEADER: &str = "x-request-id";
/// The longest id that a caller may give.
const MAX_CHARS: usize = 64;
const RANDOM_BYTES: usize = 8;

tokio::task_local! {
    static CURRENT: String;
}

/// Returns the caller's id if it is well formed, or else one that is made here.
pub fn id(given: Option<&[u8]>) -> String {
    let allowed = |c: &u8| c.is_ascii_alphanumeric() || b"-_.".contains(c);
    let given = given.filter(|id| (1..=MAX_CHARS).contains(&id.len()) && id.iter().all(allowed));
    match given.and_then(|id| std::str::from_utf8(id).ok()) {
        Some(id) => id.to_owned(),
        None => {
            let bytes: [u8; RANDOM_BYTES] = rand::random();
            bytes.iter().fold(String::new(), |mut id, byte| {
                write!(id, "{byte:02x}").expect("a String takes any text");
                id
            })
        }
    }
}

/// Does what a request asks for, under its id.
pub async fn under<T>(id: String, request: impl Future<Output = T>) -> T {
    let span = tracing::info_span!("request", request_id = id);
    CURRENT.scope(id, request).instrument(span).await
}

/// Returns the id of the request that is being served.
pub fn request_id() -> Option<String> {
    CURRENT.try_with(String::clone).ok()
}

/// Spawns a task that goes on under the id of this request when its caller has gone away.
pub fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    match request_id() {
        Some(id) => tokio::spawn(CURRENT.scope(id, task).in_current_span()),
        None => tokio::spawn(task),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_if_it_is_well_formed() {
        assert_eq!(id(Some(b"cron-2026.11_25")), "cron-2026.11_25");
        let long = [b'a'; MAX_CHARS + 1];
        for other in [b"".as_slice(), b"two words", b"line\nbreak", "é".as_bytes(), &long] {
            let made = id(Some(other));
            assert!(made.len() == 2 * RANDOM_BYTES && made.as_bytes() != other, "{made}");
        }
        assert_ne!(id(None), id(None));
    }

    #[tokio::test]
    async fn a_task_goes_on_under_the_id_of_its_request() {
        assert_eq!(request_id(), None);
        let seen = under("abc".to_owned(), async { spawn(async { request_id() }).await });
        assert_eq!(seen.await.unwrap().as_deref(), Some("abc"));
    }
}
