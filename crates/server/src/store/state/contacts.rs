//! Who has a chat with which of our numbers: a number keeps its contacts, and WhatsApp's limit for
//! new chats spares those who wrote.

use super::super::batch::Statement;
use super::super::engine::Engine;
use super::super::error::StoreError;
use super::super::lists::{insertable, one_of};
use super::super::row::{Value, params};
use super::StateStore;
use super::bulk_transitions::state_list;
use kabari_domain::{DeliveryState, Phone, Timestamp};
use std::collections::HashSet;

/// People per statement.
const CHUNK: usize = 500;

/// Numbers without their text: a hundred thousand are a few MiB.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PhoneSet(HashSet<u64>);

impl PhoneSet {
    /// Returns whether the number is in the set.
    pub fn contains(&self, phone: &Phone) -> bool {
        phone.digits().parse().is_ok_and(|digits| self.0.contains(&digits))
    }
}

impl StateStore {
    /// Records that people wrote to a number of ours, each at this time or before.
    pub async fn wrote(
        &self,
        sender: &Phone,
        people: &[(Phone, Timestamp)],
    ) -> Result<(), StoreError> {
        for chunk in insertable(people, CHUNK) {
            let sql = format!(
                "INSERT INTO contacts (sender, phone, wrote_at) VALUES {}{}",
                vec!["(?, ?, ?)"; chunk.len()].join(", "),
                self.db().engine().or_raise("sender, phone", "wrote_at")
            );
            let row =
                |(phone, at): &(Phone, Timestamp)| params![sender.digits(), phone.digits(), at.0];
            let values: Vec<Value> = chunk.iter().flat_map(row).collect();
            self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
        }
        self.there_is_work();
        Ok(())
    }

    /// Makes somebody a stranger to the number of this session, until they write again: for
    /// WhatsApp they are one.
    pub async fn forget_contact(&self, session: &str, phone: &Phone) -> Result<(), StoreError> {
        let sql = "DELETE FROM contacts WHERE phone = ? \
                   AND sender = (SELECT phone FROM sessions WHERE name = ?)";
        let values = params![phone.digits(), session];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }

    /// Returns whether something open of the campaign is for somebody who wrote to this number.
    pub async fn has_open_contacts(
        &self,
        campaign: i64,
        sender: &Phone,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT 1 AS found FROM contacts k JOIN deliveries d ON d.phone = k.phone \
             AND d.state IN ({}) AND d.campaign_id = ? \
             WHERE k.sender = ? AND k.wrote_at > 0 LIMIT 1",
            state_list(&DeliveryState::OPEN)
        );
        let values = params![campaign, sender.digits()];
        Ok(self.db().row(&sql, values).await?.is_some())
    }

    /// Returns how many recipients of a campaign have written to one of the numbers that may send
    /// it: those of these sessions, or of all if there are none.
    pub async fn warm_recipients(
        &self,
        campaign: i64,
        sessions: &[String],
    ) -> Result<u64, StoreError> {
        let (among, names) = among(sessions);
        let sql = format!(
            "SELECT COUNT(*) AS warm FROM deliveries d WHERE d.campaign_id = ? \
             AND d.state <> 'skipped' AND EXISTS (SELECT 1 FROM contacts k \
             JOIN sessions s ON s.phone = k.sender{among} \
             WHERE k.phone = d.phone AND k.wrote_at > 0)"
        );
        let mut values = params![campaign];
        values.extend(names);
        let row = self.db().row(&sql, values).await?;
        row.map_or(Ok(0), |row| row.get("warm"))
    }

    /// Returns everybody who has written to a number of these sessions, or of all if there are
    /// none.
    pub async fn warm_numbers(&self, sessions: &[String]) -> Result<PhoneSet, StoreError> {
        let (among, names) = among(sessions);
        let sql = format!(
            "SELECT DISTINCT k.phone FROM contacts k \
             JOIN sessions s ON s.phone = k.sender{among} WHERE k.wrote_at > 0"
        );
        let mut phones = HashSet::new();
        for row in self.db().rows(&sql, names).await? {
            phones.extend(row.get::<String>("phone")?.parse::<u64>());
        }
        Ok(PhoneSet(phones))
    }

    /// Returns those of these numbers who have written to one of ours.
    pub async fn warm_among(&self, phones: &[Phone]) -> Result<PhoneSet, StoreError> {
        if phones.is_empty() {
            return Ok(PhoneSet::default());
        }
        let (among, values) = one_of("k.phone", phones.iter().map(Phone::digits));
        let sql = format!(
            "SELECT DISTINCT k.phone FROM contacts k JOIN sessions s ON s.phone = k.sender \
             WHERE k.wrote_at > 0 AND {among}"
        );
        let rows = self.db().rows(&sql, values).await?;
        let mut found = HashSet::new();
        for row in rows {
            found.extend(row.get::<String>("phone")?.parse::<u64>());
        }
        Ok(PhoneSet(found))
    }

    /// Returns how many people have written to a number of ours.
    pub async fn contact_count(&self, sender: &Phone) -> Result<u32, StoreError> {
        let sql = "SELECT COUNT(*) AS people FROM contacts WHERE sender = ? AND wrote_at > 0";
        let row = self.db().row(sql, params![sender.digits()]).await?;
        row.map_or(Ok(0), |row| row.get("people"))
    }
}

/// Ends a join with sessions `s`: only those of these names, unless there are none.
fn among(sessions: &[String]) -> (String, Vec<Value>) {
    if sessions.is_empty() {
        return (String::new(), vec![]);
    }
    let (among, names) = one_of("s.name", sessions.iter().map(String::as_str));
    (format!(" AND {among}"), names)
}

/// Records that the recipients of these messages have a chat with the numbers that the messages
/// came from.
pub(super) fn chats_opened(
    engine: Engine,
    scope: &str,
    values: &[Value],
    at: Timestamp,
) -> Statement {
    let sql = format!(
        "INSERT INTO contacts (sender, phone, wrote_at, sent_at) \
         SELECT sender, phone, 0, ? FROM deliveries \
         WHERE {scope} AND sender IS NOT NULL AND phone IS NOT NULL{}",
        engine.or_update("sender, phone", &["sent_at"])
    );
    let mut all = params![at.0];
    all.extend(values.iter().cloned());
    Statement::new(sql, all)
}
