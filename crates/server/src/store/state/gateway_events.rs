//! What WhatsApp has said to the session of a `kabari gateway`, kept for those who follow it: what
//! came while nobody did, or while the gateway was down, is told when somebody asks.

use super::super::error::StoreError;
use super::super::lists::{insertable, placeholders};
use super::super::row::{Value, params};
use super::StateStore;
use kabari_domain::Timestamp;
use std::str::FromStr;
use std::time::Duration;

/// How long an event is kept: a receipt that is older than this changes no report any more.
pub const EVENT_LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How many events are kept of a session at most.
pub const MOST_EVENTS: i64 = 1_000_000;
/// Events per statement.
const CHUNK: usize = 200;

/// An event that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// Where it stands.
    pub place: EventPlace,
    /// What it says, JSON.
    pub event: String,
}

/// Where an event stands: its number, and when it was kept, which tells logs apart that count from
/// one each. Written `NUMBER.MILLISECONDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    id: i64,
    told_at: Timestamp,
}

impl std::fmt::Display for EventPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.id, self.told_at.0)
    }
}

impl FromStr for EventPlace {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<EventPlace, Self::Err> {
        let (id, told_at) = text.split_once('.').unwrap_or((text, ""));
        Ok(EventPlace { id: id.parse()?, told_at: Timestamp(told_at.parse()?) })
    }
}

impl StateStore {
    /// Keeps these events of a session, in order, and forgets those whose time is over.
    pub async fn keep_events(&self, session: &str, events: &[String]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let now = self.now().await?;
        self.db()
            .retry(|| async {
                let mut tx = self.db().begin().await?;
                let mut newest = 0;
                for chunk in insertable(events, CHUNK) {
                    let rows = vec![format!("({})", placeholders(3)); chunk.len()].join(", ");
                    let sql = format!(
                        "INSERT INTO gateway_events (session, event, told_at) VALUES {rows}"
                    );
                    let values: Vec<Value> = chunk
                        .iter()
                        .flat_map(|event| params![session, event.as_str(), now.0])
                        .collect();
                    newest = tx.execute(&sql, values).await?.last_id;
                }
                let forget = "DELETE FROM gateway_events WHERE session = ? AND";
                for (bound, oldest) in
                    [("told_at <= ?", (now - EVENT_LIFETIME).0), ("id <= ?", newest - MOST_EVENTS)]
                {
                    tx.execute(&format!("{forget} {bound}"), params![session, oldest]).await?;
                }
                tx.commit().await
            })
            .await
    }

    /// Returns the events of a session that follow this one, `limit` at most; without one, or
    /// where it is not of this log or forgotten, from the oldest that is kept.
    pub async fn events_after(
        &self,
        session: &str,
        place: Option<EventPlace>,
        limit: u32,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        let after = match place {
            Some(EventPlace { id, told_at }) => {
                let sql = "SELECT id FROM gateway_events \
                           WHERE session = ? AND id = ? AND told_at = ?";
                let known = self.db().row(sql, params![session, id, told_at.0]).await?;
                known.map_or(0, |_| id)
            }
            None => 0,
        };
        let sql = "SELECT id, event, told_at FROM gateway_events \
                   WHERE session = ? AND id > ? ORDER BY id LIMIT ?";
        let rows = self.db().rows(sql, params![session, after, i64::from(limit)]).await?;
        rows.iter()
            .map(|row| {
                let told_at = row.get("told_at")?;
                let place = EventPlace { id: row.get("id")?, told_at };
                Ok(KeptEvent { place, event: row.get("event")? })
            })
            .collect()
    }

    /// Returns what was heard last of the events that the gateway of this session keeps.
    pub async fn heard(&self, session: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT heard FROM sessions WHERE name = ?";
        let row = self.db().row(sql, params![session]).await?;
        row.map_or(Ok(None), |row| row.get("heard"))
    }

    /// Records that everything that the gateway of this session told up to here is written down.
    pub async fn note_heard(&self, session: &str, heard: &str) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET heard = ? WHERE name = ?";
        self.db().retry(|| self.db().execute(sql, params![heard, session])).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = EventPlace { id: 7, told_at: Timestamp(1_769_043_600_000) };
        assert_eq!(place.to_string().parse(), Ok(place));
        for nonsense in ["", "7", "7.", ".7", "x.y", "7.8.9", "-"] {
            assert!(nonsense.parse::<EventPlace>().is_err(), "{nonsense}");
        }
    }
}
