//! One person: all that is known of them, and forgetting it.

use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::{Row, params};
use super::StateStore;
use super::bulk_transitions::move_all;
use super::deliveries::Delivery;
use super::sealed::Sealer;
use crate::session_key::SessionKey;
use kabari_domain::{DeliveryEvent, DeliveryState, Phone, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Rows that one statement names.
const CHUNK: usize = 500;

/// All that is stored about a person. Times are RFC 3339.
#[derive(Debug, Serialize)]
pub struct PersonData {
    phone: String,
    messages: Vec<MessageData>,
    contacts: Vec<ContactData>,
    registration: Option<RegistrationData>,
    /// What other processes have asked this gateway to send.
    gateway_messages: Vec<GatewayMessageData>,
    /// How many events that this gateway keeps name them.
    gateway_events: u64,
    /// How many entries of each WhatsApp session name them: keys, devices, sent messages.
    session_entries: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize)]
struct MessageData {
    campaign: i64,
    message_id: String,
    customer_id: Option<i64>,
    name: String,
    phone_as_typed: Option<String>,
    text: Option<String>,
    state: &'static str,
    error: Option<String>,
    from: Option<String>,
    sent_at: Option<String>,
    accepted_at: Option<String>,
    delivered_at: Option<String>,
    read_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct ContactData {
    of: String,
    wrote_at: Option<String>,
    written_to_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct RegistrationData {
    on_whatsapp: bool,
    address: Option<String>,
    checked_at: String,
}

#[derive(Debug, Serialize)]
struct GatewayMessageData {
    message_id: String,
    asked_at: String,
}

/// What became of the wish to forget a person.
#[derive(Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// Nothing was changed: messages to them are on their way, or wait for a person's decision, in
    /// these campaigns.
    UnderWay(Vec<i64>),
    /// Nothing was changed: it is the number of this session.
    OwnNumber(String),
    /// Nothing of them is left. How many rows of each table changed or went.
    Done(BTreeMap<String, u64>),
}

/// Entries of a session, as they are found.
type EntryName = (String, Vec<u8>);

impl StateStore {
    /// Returns all that is stored about this person.
    pub async fn person(&self, phone: &Phone, key: &SessionKey) -> Result<PersonData, StoreError> {
        let digits = phone.digits();
        let messages = self.messages_to(phone).await?;
        let rows = "SELECT sender, wrote_at, sent_at FROM contacts WHERE phone = ? ORDER BY sender";
        let rows = self.db().rows(rows, params![digits]).await?;
        let contacts = rows.iter().map(|row| {
            Ok(ContactData {
                of: row.get("sender")?,
                wrote_at: time(row, "wrote_at")?,
                written_to_at: time(row, "sent_at")?,
            })
        });
        let contacts = contacts.collect::<Result<_, StoreError>>()?;
        let row = "SELECT registered, jid, checked_at FROM numbers WHERE phone = ?";
        let row = self.db().row(row, params![digits]).await?;
        let registration = row.map(|row| {
            Ok::<_, StoreError>(RegistrationData {
                on_whatsapp: row.get("registered")?,
                address: row.get("jid")?,
                checked_at: row.get::<Timestamp>("checked_at")?.to_rfc3339(),
            })
        });
        let rows = "SELECT message_id, asked_at FROM gateway_messages WHERE phone = ?";
        let rows = self.db().rows(rows, params![digits]).await?;
        let gateway_messages = rows.iter().map(|row| {
            let asked_at = row.get::<Timestamp>("asked_at")?.to_rfc3339();
            Ok(GatewayMessageData { message_id: row.get("message_id")?, asked_at })
        });
        let gateway_messages = gateway_messages.collect::<Result<_, StoreError>>()?;
        let events = "SELECT COUNT(*) AS events FROM gateway_events WHERE event LIKE ?";
        let events = self.db().row(events, params![format!("%{digits}%")]).await?;
        let entries = self.session_entries_of(phone, key).await?;
        Ok(PersonData {
            phone: digits.to_owned(),
            messages,
            contacts,
            registration: registration.transpose()?,
            gateway_messages,
            gateway_events: events.map_or(Ok(0), |row| row.get("events"))?,
            session_entries: entries.into_iter().map(|(name, found)| (name, found.len())).collect(),
        })
    }

    /// Forgets this person, everywhere and at once. What waits to be sent to them is cancelled.
    /// Whoever holds a WhatsApp session that names them opens it anew, as its memory does too.
    pub async fn forget_person(
        &self,
        phone: &Phone,
        key: &SessionKey,
    ) -> Result<Forgotten, StoreError> {
        let own = "SELECT name FROM sessions WHERE phone = ?";
        if let Some(row) = self.db().row(own, params![phone.digits()]).await? {
            return Ok(Forgotten::OwnNumber(row.get("name")?));
        }
        let entries = self.session_entries_of(phone, key).await?;
        let skipped = self.skipped_as(phone).await?;
        let (forgotten, campaigns) =
            self.db().retry(|| self.try_forget(phone, &entries, &skipped)).await?;
        for campaign in campaigns {
            self.complete_if_done(campaign).await?;
        }
        Ok(forgotten)
    }

    async fn try_forget(
        &self,
        phone: &Phone,
        entries: &BTreeMap<String, Vec<EntryName>>,
        skipped: &[i64],
    ) -> Result<(Forgotten, BTreeSet<i64>), StoreError> {
        let digits = phone.digits();
        let mut tx = self.db().begin().await?;
        let now = self.now_in(&mut tx).await?;
        let values = params![digits];
        move_all(&mut tx, DeliveryEvent::Cancel, now, "phone = ?", &values).await?;
        let sql = format!(
            "SELECT id, campaign_id, state FROM deliveries WHERE phone = ?{}",
            tx.engine().lock_row()
        );
        let mut ids: Vec<i64> = skipped.to_vec();
        let mut under_way: BTreeSet<i64> = BTreeSet::new();
        for row in tx.rows(&sql, params![digits]).await? {
            let state: DeliveryState = row.get("state")?;
            // A message may be on its way, or a person's decision would send it.
            if state.is_open() || state == DeliveryState::Uncertain {
                under_way.insert(row.get("campaign_id")?);
            }
            ids.push(row.get("id")?);
        }
        if !under_way.is_empty() {
            tx.rollback().await?;
            return Ok((Forgotten::UnderWay(under_way.into_iter().collect()), BTreeSet::new()));
        }

        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = |table: &str, rows| *counts.entry(table.to_owned()).or_default() += rows;
        let mut campaigns: BTreeSet<i64> = BTreeSet::new();
        for chunk in ids.chunks(CHUNK) {
            let (among, values) = one_of("id", chunk.iter().copied());
            let of = format!("SELECT DISTINCT campaign_id FROM deliveries WHERE {among}");
            for row in tx.rows(&of, values.clone()).await? {
                campaigns.insert(row.get("campaign_id")?);
            }
            let sql = format!(
                "UPDATE deliveries SET customer_id = NULL, customer_name = '', phone_raw = NULL, \
                 phone = NULL, text = NULL, jid = NULL WHERE {among}"
            );
            count("deliveries", tx.execute(&sql, values).await?.rows);
        }
        let all: Vec<i64> = campaigns.iter().copied().collect();
        for chunk in all.chunks(CHUNK) {
            let (among, values) = one_of("id", chunk.iter().copied());
            // The request may name them; a text for one person alone may too.
            let sql = format!("UPDATE campaigns SET request = '{{}}' WHERE {among}");
            count("campaigns", tx.execute(&sql, values.clone()).await?.rows);
            let sql = format!(
                "UPDATE campaigns SET subject = '', template = '' WHERE total = 1 AND {among}"
            );
            tx.execute(&sql, values).await?;
        }
        for table in ["numbers", "contacts", "gateway_messages"] {
            let sql = format!("DELETE FROM {table} WHERE phone = ?");
            count(table, tx.execute(&sql, params![digits]).await?.rows);
        }
        let sql = "DELETE FROM gateway_events WHERE event LIKE ?";
        let like = params![format!("%{digits}%")];
        count("gateway_events", tx.execute(sql, like).await?.rows);
        for (session, found) in entries {
            // Whoever holds it has them in memory: its epoch is over, so it writes nothing more,
            // and the session is opened anew.
            let sql = "UPDATE sessions SET epoch = epoch + 1, lease_until = 0 WHERE name = ?";
            tx.execute(sql, params![session.as_str()]).await?;
            for (collection, name) in found {
                let sql = "DELETE FROM session_entries \
                           WHERE session = ? AND collection = ? AND name = ?";
                let values = params![session.as_str(), collection.as_str(), name.clone()];
                count("session_entries", tx.execute(sql, values).await?.rows);
            }
        }
        counts.retain(|_, rows| *rows > 0);
        tx.commit().await?;
        Ok((Forgotten::Done(counts), campaigns))
    }

    async fn messages_to(&self, phone: &Phone) -> Result<Vec<MessageData>, StoreError> {
        let mut messages = vec![];
        let skipped = self.skipped_as(phone).await?;
        let scopes = std::iter::once(("phone = ?".to_owned(), params![phone.digits()]))
            .chain(skipped.chunks(CHUNK).map(|chunk| one_of("id", chunk.iter().copied())));
        for (scope, values) in scopes {
            let sql = Delivery::select(&format!("WHERE {scope} ORDER BY id"));
            for row in self.db().rows(&sql, values).await? {
                let delivery = Delivery::read(&row)?;
                let template = match delivery.text {
                    Some(_) => None,
                    None => self.campaign(delivery.campaign_id).await?.map(|one| one.template),
                };
                let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
                messages.push(MessageData {
                    campaign: delivery.campaign_id,
                    message_id: delivery.message_id.as_str().to_owned(),
                    customer_id: delivery.customer_id,
                    name: delivery.customer_name,
                    phone_as_typed: delivery.phone_raw,
                    text: delivery.text.or(template),
                    state: delivery.progress.state.as_str(),
                    error: delivery.error,
                    from: delivery.sender.map(|sender| sender.digits().to_owned()),
                    sent_at: time(delivery.first_sent_at),
                    accepted_at: time(delivery.accepted_at),
                    delivered_at: time(delivery.delivered_at),
                    read_at: time(delivery.read_at),
                });
            }
        }
        Ok(messages)
    }

    /// Returns the deliveries that were skipped and have this number only as somebody typed it.
    async fn skipped_as(&self, phone: &Phone) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT id, phone_raw FROM deliveries WHERE state = 'skipped' \
                   AND phone IS NULL AND phone_raw IS NOT NULL AND id > ? ORDER BY id LIMIT ?";
        let mut found = vec![];
        let mut after = 0;
        loop {
            let rows = self.db().rows(sql, params![after, CHUNK as i64]).await?;
            for row in &rows {
                after = row.get("id")?;
                let typed: String = row.get("phone_raw")?;
                if Phone::parse(&typed).is_ok_and(|typed| typed == *phone) {
                    found.push(after);
                }
            }
            if rows.len() < CHUNK {
                return Ok(found);
            }
        }
    }

    /// Returns the entries of each session that name this person, by number or by the address that
    /// WhatsApp has given them.
    async fn session_entries_of(
        &self,
        phone: &Phone,
        key: &SessionKey,
    ) -> Result<BTreeMap<String, Vec<EntryName>>, StoreError> {
        let mut names = vec![phone.digits().to_owned()];
        let digits = phone.digits();
        let known = "SELECT jid FROM numbers WHERE phone = ? AND jid IS NOT NULL UNION \
                     SELECT jid FROM deliveries WHERE phone = ? AND jid IS NOT NULL";
        for row in self.db().rows(known, params![digits, digits]).await? {
            let jid: String = row.get("jid")?;
            names.extend(jid.split(['@', ':']).next().map(str::to_owned));
        }
        let mut found: BTreeMap<String, Vec<EntryName>> = BTreeMap::new();
        let sessions = "SELECT DISTINCT session FROM session_entries";
        for row in self.db().rows(sessions, vec![]).await? {
            let session: String = row.get("session")?;
            let sealer = Sealer::new(key, &session);
            let sql = "SELECT collection, name, value FROM session_entries WHERE session = ? \
                       AND collection <> 'device'";
            for row in self.db().rows(sql, params![session.as_str()]).await? {
                let collection: String = row.get("collection")?;
                let name: Vec<u8> = row.get("name")?;
                let value: Vec<u8> = row.get("value")?;
                let entry = sealer.open(&collection, &name, &value);
                let entry = entry.ok_or(StoreError::WrongSessionKey)?;
                let is_theirs = |text: &[u8]| names.iter().any(|name| names_user(text, name));
                if is_theirs(&entry.key) || is_theirs(&entry.value) {
                    found.entry(session.clone()).or_default().push((collection, name));
                }
            }
        }
        Ok(found)
    }
}

/// Returns whether the digits of this user stand in it, as a whole.
fn names_user(text: &[u8], user: &str) -> bool {
    let is_digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_digit);
    text.windows(user.len()).enumerate().any(|(at, window)| {
        window == user.as_bytes()
            && !is_digit(at.checked_sub(1).and_then(|before| text.get(before)))
            && !is_digit(text.get(at + user.len()))
    })
}

/// Returns a time, where there is one.
fn time(row: &Row, column: &str) -> Result<Option<String>, StoreError> {
    let time: Timestamp = row.get(column)?;
    Ok((time > Timestamp(0)).then(|| time.to_rfc3339()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_all_of_its_digits() {
        for text in
            ["6281234567801@s.whatsapp.net", "{\"pn\":\"6281234567801\"}", "a 6281234567801"]
        {
            assert!(names_user(text.as_bytes(), "6281234567801"), "{text}");
        }
        for text in ["62812345678011@lid", "16281234567801", "628123456780", ""] {
            assert!(!names_user(text.as_bytes(), "6281234567801"), "{text}");
        }
    }
}
