//! Which numbers are on WhatsApp, as far as we have asked.

use super::super::error::StoreError;
use super::super::lists::{insertable, one_of};
use super::super::row::params;
use super::StateStore;
use kabari_domain::{Phone, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// How long a number found on WhatsApp counts as there.
pub const REGISTERED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a number not found counts as absent: people install WhatsApp.
pub const NOT_REGISTERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Numbers per statement.
const CHUNK: usize = 500;

/// What WhatsApp said about a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNumber {
    /// Whether it has an account.
    pub registered: bool,
    /// The account's address, if it has one.
    pub jid: Option<String>,
    pub checked_at: Timestamp,
}

impl StateStore {
    /// Returns what is known and still fresh, in the order of `phones`.
    pub async fn known_numbers(
        &self,
        phones: &[Phone],
    ) -> Result<Vec<Option<KnownNumber>>, StoreError> {
        let now = self.now().await?;
        let mut known = HashMap::new();
        for chunk in phones.chunks(CHUNK) {
            let (among, values) = one_of("phone", chunk.iter().map(Phone::digits));
            let sql =
                format!("SELECT phone, registered, jid, checked_at FROM numbers WHERE {among}");
            for row in self.db().rows(&sql, values).await? {
                let registration = KnownNumber {
                    registered: row.get("registered")?,
                    jid: row.get("jid")?,
                    checked_at: row.get("checked_at")?,
                };
                let fresh_for =
                    if registration.registered { REGISTERED_FOR } else { NOT_REGISTERED_FOR };
                if now.since(registration.checked_at) < fresh_for {
                    known.insert(row.get::<String>("phone")?, registration);
                }
            }
        }
        Ok(phones.iter().map(|phone| known.get(phone.digits()).cloned()).collect())
    }

    /// Keeps what WhatsApp has just said: the number, whether it is registered, and its address.
    pub async fn remember_numbers(
        &self,
        answers: &[(Phone, bool, Option<String>)],
    ) -> Result<(), StoreError> {
        let now = self.now().await?;
        // In one order everywhere, so that two nodes cannot wait for each other's rows.
        let mut answers: Vec<_> = answers.iter().collect();
        answers.sort_by_key(|(phone, ..)| phone.digits());
        answers.dedup_by_key(|(phone, ..)| phone.digits());
        for chunk in insertable(&answers, CHUNK) {
            let sql = format!(
                "INSERT INTO numbers (phone, registered, jid, checked_at) VALUES {}{}",
                vec!["(?, ?, ?, ?)"; chunk.len()].join(", "),
                self.db().engine().or_update("phone", &["registered", "jid", "checked_at"]),
            );
            let values: Vec<_> = chunk
                .iter()
                .flat_map(|(phone, registered, jid)| {
                    params![phone.digits(), i64::from(*registered), jid.clone(), now.0]
                })
                .collect();
            self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
        }
        Ok(())
    }

    /// Forgets what is known about a number: a send has shown it to be wrong.
    pub async fn forget_number(&self, phone: &Phone) -> Result<(), StoreError> {
        let sql = "DELETE FROM numbers WHERE phone = ?";
        self.db().retry(|| self.db().execute(sql, params![phone.digits()])).await?;
        Ok(())
    }
}
