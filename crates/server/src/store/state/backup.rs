//! The state as a backup has it, and what becomes of it where it is restored.

use super::super::error::StoreError;
use super::super::snapshot::{Cell, DAMAGED, Restore, Snapshot, Table, TablePart};
use super::StateStore;
use super::migrations::SCHEMA;
use kabari_domain::{DeliveryEvent, DeliveryState, LinkState, Progress, Timestamp, wording};
use kabari_gateway::embedded::RATCHETS;

/// How much further every epoch is after a restore: further than any node can have come since the
/// backup. A node of then that still runs on the restored database writes nothing any more.
const EPOCHS: i64 = 1_000_000;

/// What a backup has.
const TABLES: [Table; 15] = [
    all_of("campaigns", &["id"]),
    all_of("deliveries", &["id"]),
    all_of("idempotency_keys", &["idempotency_key"]),
    all_of("fingerprints", &["fingerprint"]),
    all_of("numbers", &["phone"]),
    all_of("contacts", &["sender", "phone"]),
    all_of("senders", &["phone"]),
    all_of("sessions", &["name"]),
    all_of("session_entries", &["session", "collection", "name"]),
    all_of("gateway_messages", &["message_id"]),
    all_of("gateway_events", &["id"]),
    all_of("users", &["name"]),
    all_of("api_keys", &["name"]),
    all_of("audit", &["id"]),
    all_of("drafts", &["id"]),
];

const fn all_of(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, columns: "*", key }
}

/// What was restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    pub campaigns: u64,
    pub deliveries: u64,
    /// The deliveries of which nobody knows whether they have gone out since the backup.
    pub uncertain: u64,
}

/// Writes a backup into this database.
pub struct StateRestore<'s> {
    rows: Restore<'s>,
    nothing_sent_since: bool,
    restored: Restored,
}

impl StateStore {
    /// The version of the schema that this program makes.
    pub const SCHEMA: i64 = SCHEMA;

    /// Begins to read everything that a backup has, as it is now.
    pub async fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        Snapshot::begin(self.db(), &TABLES).await
    }

    /// Begins to restore a backup.
    ///
    /// Whoever sent when it was made may have gone on since: what was open becomes uncertain,
    /// unless `nothing_sent_since`. No node holds anything afterwards.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] if there is anything in this database.
    pub async fn restore(&self, nothing_sent_since: bool) -> Result<StateRestore<'_>, StoreError> {
        let rows = Restore::begin(self.db(), &TABLES).await?;
        Ok(StateRestore { rows, nothing_sent_since, restored: Restored::default() })
    }
}

impl StateRestore<'_> {
    /// Writes some rows of a backup.
    pub async fn write(&mut self, mut part: TablePart) -> Result<(), StoreError> {
        match part.table.as_str() {
            "campaigns" => self.restored.campaigns += part.rows.len() as u64,
            "deliveries" => {
                self.restored.deliveries += part.rows.len() as u64;
                if !self.nothing_sent_since {
                    self.restored.uncertain += leave_to_a_person(&mut part)?;
                }
                take_from_nodes(&mut part)?;
            }
            "sessions" => {
                take_from_nodes(&mut part)?;
                connect_by_themselves(&mut part)?;
            }
            "session_entries" => {
                // Their keys may have been used since.
                let [collection] = places(&part, ["collection"])?;
                part.rows.retain(|row| {
                    !RATCHETS.iter().any(|name| row[collection] == Cell::Text((*name).to_owned()))
                });
            }
            _ => {}
        }
        self.rows.write(&part).await
    }

    /// Keeps what was written.
    pub async fn commit(self) -> Result<Restored, StoreError> {
        self.rows.commit().await?;
        Ok(self.restored)
    }
}

/// Makes every open delivery uncertain. Returns how many there were.
fn leave_to_a_person(part: &mut TablePart) -> Result<u64, StoreError> {
    let [state, attempts, unanswered, error] =
        places(part, ["state", "attempts", "unanswered", "error"])?;
    let mut open = 0;
    for row in &mut part.rows {
        let before = Progress {
            state: DeliveryState::from_name(text(&row[state])?).ok_or(DAMAGED)?,
            attempts: count(&row[attempts])?,
            unanswered: count(&row[unanswered])?,
            due_at: Timestamp(0),
        };
        let Ok(after) = before.after(DeliveryEvent::FromBackup) else { continue };
        row[state] = Cell::Text(after.state.as_str().to_owned());
        row[attempts] = Cell::Integer(after.attempts.into());
        row[unanswered] = Cell::Integer(after.unanswered.into());
        row[error] = Cell::Text(wording::UNCERTAIN_SINCE_BACKUP.to_owned());
        open += 1;
    }
    Ok(open)
}

/// Takes rows from whoever held them.
fn take_from_nodes(part: &mut TablePart) -> Result<(), StoreError> {
    let [owner, lease, epoch] = places(part, ["owner", "lease_until", "epoch"])?;
    for row in &mut part.rows {
        row[owner] = Cell::Null;
        row[lease] = Cell::Integer(0);
        let Cell::Integer(epoch) = &mut row[epoch] else { return Err(DAMAGED) };
        *epoch += EPOCHS;
    }
    Ok(())
}

/// Lets sessions that were opened elsewhere connect here.
fn connect_by_themselves(part: &mut TablePart) -> Result<(), StoreError> {
    let [link] = places(part, ["link"])?;
    for row in &mut part.rows {
        if text(&row[link])? == LinkState::Replaced.as_str() {
            row[link] = Cell::Text(LinkState::Starting.as_str().to_owned());
        }
    }
    Ok(())
}

/// Returns where these columns are in each row.
fn places<const N: usize>(part: &TablePart, names: [&str; N]) -> Result<[usize; N], StoreError> {
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        *place = part.columns.iter().position(|column| column == name).ok_or(DAMAGED)?;
    }
    match part.rows.iter().all(|row| row.len() == part.columns.len()) {
        true => Ok(places),
        false => Err(DAMAGED),
    }
}

fn text(cell: &Cell) -> Result<&str, StoreError> {
    match cell {
        Cell::Text(text) => Ok(text),
        _ => Err(DAMAGED),
    }
}

fn count(cell: &Cell) -> Result<u32, StoreError> {
    match cell {
        Cell::Integer(number) => u32::try_from(*number).map_err(|_| DAMAGED),
        _ => Err(DAMAGED),
    }
}

#[cfg(test)]
mod tests {
    use super::super::migrations::STEPS;
    use super::*;

    /// What means nothing elsewhere or later: logins of browsers, what nodes ask of each other,
    /// and who does what for all.
    const LEFT_OUT: [&str; 3] = ["logins", "session_requests", "node_tasks"];

    #[test]
    fn every_table_is_kept_or_left_out_on_purpose() {
        let made = STEPS.iter().flat_map(|(_, sqlite, _)| sqlite.split("CREATE TABLE ").skip(1));
        let mut made: Vec<_> = made.filter_map(|rest| rest.split_whitespace().next()).collect();
        let mut known: Vec<_> = TABLES.iter().map(|table| table.name).chain(LEFT_OUT).collect();
        made.sort_unstable();
        known.sort_unstable();
        assert_eq!(made, known);
    }
}
