//! Sessions: the WhatsApp numbers, and which node holds which of them.
//!
//! Whoever holds a session is the only one to connect with it and to send from it. A lease says
//! who does; its epoch rises with every change of hands, and every write in the session's name
//! shows it, so that a node that was away longer than its lease can change nothing any more.

use super::super::error::StoreError;
use super::super::row::{Row, Stored, Value, params, record, stored_by_name};
use super::super::transaction::Transaction;
use super::{LONGEST_LEASE, StateStore};
use crate::crash_point::crash_point;
use kabari_domain::{LinkState, Phone, Readiness, Timestamp, Usage};
use kabari_gateway::PasskeyStep;
use std::time::Duration;

/// Sessions per statement.
const CHUNK: usize = 200;

/// How a session reaches WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// By a client in the process of the node that holds it.
    Embedded,
    /// By a gateway in another process; only nodes that are told its address can hold it.
    Remote,
}

impl SessionKind {
    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            SessionKind::Embedded => "embedded",
            SessionKind::Remote => "remote",
        }
    }

    fn from_name(name: &str) -> Option<SessionKind> {
        [SessionKind::Embedded, SessionKind::Remote].into_iter().find(|k| k.as_str() == name)
    }
}

record! {
from "sessions";
/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub name: String,
    /// How it reaches WhatsApp.
    pub kind: SessionKind,
    /// The number it is linked to, or was linked to last.
    pub phone: Option<Phone>,
    /// The state of the link as its holder saw it last.
    pub link: LinkState,
    /// What the QR code to scan says, while there is one.
    pub qr: Option<String>,
    /// What is to be done next where WhatsApp wants a passkey.
    pub passkey: Option<PasskeyStep>,
    /// What is wrong with the link, for people.
    pub last_error: Option<String>,
    /// Whether the operator paused it.
    pub paused: bool,
    /// Its own pace, instead of the settings'.
    pub delay: Option<Duration> = "delay_ms",
    /// The random part of its own pace.
    pub jitter: Option<Duration> = "jitter_ms",
    /// Its own daily cap, instead of the settings'.
    pub daily_cap: Option<u32>,
    /// The node that holds it, or held it last.
    pub owner: Option<String>,
    /// Rises with every change of hands.
    pub epoch: i64,
    /// Until when its owner holds it.
    pub lease_until: Timestamp,
    /// Nothing goes out from it before.
    pub next_slot_at: Timestamp,
    /// When its number was linked; the warm-up counts from there.
    pub linked_at: Option<Timestamp>,
    /// The day `sent_today` counts; see [`Quotas::day`](kabari_domain::Quotas::day).
    pub day: i64,
    /// Messages that went to the wire that day.
    pub sent_today: u32,
    /// Until when WhatsApp takes nothing from the number for people who never wrote to it.
    pub reach_out_until: Timestamp,
    /// Since when it can send nothing, quiet hours aside.
    pub waiting_since: Option<Timestamp>,
    /// How much the phone has told of the chats from before it was linked, in percent; `None`
    /// while it has told nothing.
    pub history: Option<u8>,
}
}

stored_by_name!(SessionKind);

/// A step of a later version counts as one that this version cannot show.
impl Stored for Option<PasskeyStep> {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        let stored: Option<String> = row.get(column)?;
        Ok(stored.and_then(|step| serde_json::from_str(&step).ok()))
    }
}

impl Stored for LinkState {
    const COLUMNS: Option<&'static str> = Some("link, link_until");

    fn read(row: &Row, _: &str) -> Result<LinkState, StoreError> {
        let until = row.get("link_until")?;
        row.parse("link", |name| LinkState::from_name(name, until))
    }
}

impl Session {
    /// Returns whether its owner may still use it.
    pub fn is_held(&self, now: Timestamp) -> bool {
        let runs = self.lease_until > now && self.lease_until <= now + LONGEST_LEASE;
        self.owner.is_some() && runs
    }

    /// Returns whether a phone is linked, as far as is known.
    pub fn is_linked(&self) -> bool {
        self.phone.is_some() && !self.link.is_unlinked()
    }

    /// Returns what the number has sent.
    pub fn usage(&self) -> Usage {
        Usage {
            linked_at: self.linked_at.unwrap_or_default(),
            day: self.day,
            sent_today: self.sent_today,
            daily_cap: self.daily_cap,
        }
    }

    /// Returns what decides whether it may send.
    pub fn readiness(&self, now: Timestamp) -> Readiness {
        Readiness {
            link: (self.is_held(now) || self.link.is_unlinked()).then_some(self.link),
            paused: self.paused,
            usage: self.usage(),
            reach_out_until: self.reach_out_until,
        }
    }
}

/// A session that is ours for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLease {
    pub name: String,
    pub owner: String,
    /// To show with every write in its name.
    pub epoch: i64,
}

/// What an operator changes of a session; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionChange {
    pub paused: Option<bool>,
    /// Its own delay; `Some(None)` for the settings'.
    pub delay: Option<Option<Duration>>,
    /// Its own jitter; `Some(None)` for the settings'.
    pub jitter: Option<Option<Duration>>,
    /// Its own daily cap; `Some(None)` for the settings'.
    pub daily_cap: Option<Option<u32>>,
}

impl StateStore {
    /// Makes the session unless it is there. Returns whether it was made.
    pub async fn create_session(&self, name: &str, kind: SessionKind) -> Result<bool, StoreError> {
        let sql = "INSERT INTO sessions (name, kind, link) VALUES (?, ?, 'starting')";
        let insert = || self.db().execute(sql, params![name, kind.as_str()]);
        match self.db().retry(insert).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the session unless it is there, as one of this kind. One that another node holds
    /// stays as it is.
    pub async fn adopt_session(
        &self,
        name: &str,
        kind: SessionKind,
        node: &str,
    ) -> Result<(), StoreError> {
        if self.create_session(name, kind).await? {
            return Ok(());
        }
        let now = self.now().await?;
        let sql = "UPDATE sessions SET kind = ? WHERE name = ? AND kind <> ? \
                   AND (owner IS NULL OR owner = ? OR lease_until <= ?)";
        let values = params![kind.as_str(), name, kind.as_str(), node, now.0];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }

    /// Returns the session of this name.
    pub async fn session(&self, name: &str) -> Result<Option<Session>, StoreError> {
        let sql = Session::select("WHERE name = ?");
        self.db().row(&sql, params![name]).await?.map(|row| Session::read(&row)).transpose()
    }

    /// Returns the session of this name, and the time.
    pub async fn session_now(
        &self,
        name: &str,
    ) -> Result<Option<(Session, Timestamp)>, StoreError> {
        let (now, mut values) = self.now_column();
        let sql = format!("SELECT {}, {now} FROM sessions WHERE name = ?", Session::columns());
        values.push(name.into());
        let row = self.db().row(&sql, values).await?;
        row.map(|row| Ok((Session::read(&row)?, self.now_of(&row)?))).transpose()
    }

    /// Returns all sessions by name, and the time.
    pub async fn sessions_now(&self) -> Result<(Vec<Session>, Timestamp), StoreError> {
        let (now, values) = self.now_column();
        let sql = format!("SELECT {}, {now} FROM sessions ORDER BY name", Session::columns());
        let rows = self.db().rows(&sql, values).await?;
        let now = match rows.first() {
            Some(row) => self.now_of(row)?,
            None => self.now().await?,
        };
        let sessions = rows.iter().map(Session::read).collect::<Result<_, _>>()?;
        Ok((sessions, now))
    }

    /// Returns all sessions by name.
    pub async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        let rows = self.db().rows(&Session::select("ORDER BY name"), vec![]).await?;
        rows.iter().map(Session::read).collect()
    }

    /// Changes what the operator decides about a session. Returns whether it is there.
    pub async fn change_session(
        &self,
        name: &str,
        change: &SessionChange,
    ) -> Result<bool, StoreError> {
        let millis = |duration: Option<Duration>| duration.map(|d| d.as_millis() as i64);
        let mut set: Vec<(&str, Value)> = vec![];
        if let Some(paused) = change.paused {
            set.push(("paused", i64::from(paused).into()));
        }
        if let Some(delay) = change.delay {
            set.push(("delay_ms", millis(delay).into()));
        }
        if let Some(jitter) = change.jitter {
            set.push(("jitter_ms", millis(jitter).into()));
        }
        if let Some(cap) = change.daily_cap {
            set.push(("daily_cap", cap.map(i64::from).into()));
        }
        if !set.is_empty() {
            let columns: Vec<_> = set.iter().map(|(column, _)| format!("{column} = ?")).collect();
            let sql = format!("UPDATE sessions SET {} WHERE name = ?", columns.join(", "));
            let mut values: Vec<Value> = set.into_iter().map(|(_, value)| value).collect();
            values.push(name.into());
            self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
            self.there_is_work();
        }
        Ok(self.session(name).await?.is_some())
    }

    /// Deletes the session. Whoever holds it finds that it is gone. Returns whether it was there.
    pub async fn delete_session(&self, name: &str) -> Result<bool, StoreError> {
        self.db()
            .retry(|| async {
                let mut tx = self.db().begin().await?;
                for table in ["session_requests", "session_entries", "gateway_events"] {
                    let sql = format!("DELETE FROM {table} WHERE session = ?");
                    tx.execute(&sql, params![name]).await?;
                }
                let deleted =
                    tx.execute("DELETE FROM sessions WHERE name = ?", params![name]).await?;
                tx.commit().await?;
                Ok(deleted.rows > 0)
            })
            .await
    }

    /// Takes the session for this owner, or extends what it holds. `None`: another node has it,
    /// or it is not there.
    pub async fn hold_session(
        &self,
        name: &str,
        kind: SessionKind,
        owner: &str,
        duration: Duration,
    ) -> Result<Option<SessionLease>, StoreError> {
        self.db().retry(|| self.try_hold(name, kind, owner, duration)).await
    }

    async fn try_hold(
        &self,
        name: &str,
        kind: SessionKind,
        owner: &str,
        duration: Duration,
    ) -> Result<Option<SessionLease>, StoreError> {
        let mut tx = self.db().begin().await?;
        let now = self.now_in(&mut tx).await?;
        let select = Session::select(&format!("WHERE name = ?{}", tx.engine().lock_row()));
        let Some(row) = tx.row(&select, params![name]).await? else { return Ok(None) };
        let session = Session::read(&row)?;
        let ours = session.owner.as_deref() == Some(owner);
        if !ours && session.is_held(now) {
            return Ok(None);
        }
        // Each time anew: what this owner has left running under an older epoch is stale too.
        let epoch = session.epoch + 1;
        tx.execute(
            "UPDATE sessions SET kind = ?, owner = ?, epoch = ?, lease_until = ? WHERE name = ?",
            params![kind.as_str(), owner, epoch, (now + duration).0, name],
        )
        .await?;
        crash_point("session.written");
        tx.commit().await?;
        crash_point("session.committed");
        Ok(Some(SessionLease { name: name.to_owned(), owner: owner.to_owned(), epoch }))
    }

    /// Extends these leases. Returns the names of those that hold: one that has run out does too,
    /// as long as nobody else has taken the session.
    pub async fn renew_sessions(
        &self,
        leases: &[SessionLease],
        duration: Duration,
    ) -> Result<Vec<String>, StoreError> {
        let now = self.now().await?;
        let mut held = vec![];
        for chunk in leases.chunks(CHUNK) {
            let condition =
                vec!["(name = ? AND owner = ? AND epoch = ?)"; chunk.len()].join(" OR ");
            let which: Vec<Value> = chunk
                .iter()
                .flat_map(|lease| params![lease.name.as_str(), lease.owner.as_str(), lease.epoch])
                .collect();
            let sql = format!("UPDATE sessions SET lease_until = ? WHERE {condition}");
            let mut values = params![(now + duration).0];
            values.extend(which.iter().cloned());
            crash_point("renew");
            self.db().retry(|| self.db().execute(&sql, values.clone())).await?;
            let sql = format!("SELECT name FROM sessions WHERE lease_until > ? AND ({condition})");
            let mut values = params![now.0];
            values.extend(which);
            for row in self.db().rows(&sql, values).await? {
                held.push(row.get("name")?);
            }
        }
        Ok(held)
    }

    /// Lets go of the session, so that others need not wait for the lease to run out. From now on
    /// it counts as away.
    pub async fn release_session(&self, lease: &SessionLease) -> Result<(), StoreError> {
        let now = self.now().await?;
        let sql = "UPDATE sessions SET lease_until = ? WHERE name = ? AND owner = ? AND epoch = ?";
        let values = params![now.0, lease.name.as_str(), lease.owner.as_str(), lease.epoch];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }

    /// Writes since when the session can send nothing, or that it can.
    pub async fn session_waits(&self, lease: &SessionLease, waits: bool) -> Result<(), StoreError> {
        let now = self.now().await?;
        let since = waits.then_some(now.0);
        let sql = "UPDATE sessions SET waiting_since = CASE WHEN waiting_since IS NOT NULL AND ? = 1 \
                   THEN waiting_since ELSE ? END WHERE name = ? AND owner = ? AND epoch = ?";
        let values = params![
            i64::from(waits),
            since,
            lease.name.as_str(),
            lease.owner.as_str(),
            lease.epoch,
        ];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }

    /// Records that WhatsApp takes nothing from this session for strangers until then. Of two such
    /// times the later holds.
    pub async fn limit_reach_out(&self, session: &str, until: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET reach_out_until = ? WHERE name = ? AND reach_out_until < ?";
        let values = params![until.0, session, until.0];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }
}

/// Returns the session of this lease, if the lease is the newest; nobody else changes it until the
/// transaction ends.
pub(super) async fn lock(
    tx: &mut Transaction<'_>,
    lease: &SessionLease,
) -> Result<Option<Session>, StoreError> {
    let locked = tx.engine().lock_row();
    let sql = Session::select(&format!("WHERE name = ? AND owner = ? AND epoch = ?{locked}"));
    let values = params![lease.name.as_str(), lease.owner.as_str(), lease.epoch];
    tx.row(&sql, values).await?.map(|row| Session::read(&row)).transpose()
}
