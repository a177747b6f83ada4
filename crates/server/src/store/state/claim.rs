//! Claiming: which deliveries a session may send next, and taking them for it.

use super::super::engine::Engine;
use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::{Row, Stored, Value, params};
use super::super::transaction::Transaction;
use super::StateStore;
use super::bulk_transitions::{any_delivery, state_list};
use super::registrations::{NOT_REGISTERED_FOR, REGISTERED_FOR};
use super::session_links::UNLINKED;
use crate::crash_point::crash_point;
use crate::trace::Trail;
use kabari_domain::{DeliveryEvent, DeliveryState, MessageId, Phone, Progress, Timestamp};
use std::time::Duration;

/// The most numbers looked up ahead of their turn.
pub const LOOK_AHEAD: u32 = 100;

/// The index of a campaign's deliveries in one state, in the order in which they are due.
const BY_DUE_TIME: &str = "deliveries_due";

/// Separates the names of sessions in a campaign's row.
const NAME_SEPARATOR: char = ',';

/// A delivery that is ours for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedDelivery {
    pub id: i64,
    /// The campaign it belongs to.
    pub campaign_id: i64,
    /// Who leased it.
    pub owner: String,
    /// Rises with every lease: writes under an older one are refused.
    pub epoch: i64,
    /// Until when it is ours.
    pub lease_until: Timestamp,
    pub phone: Phone,
    pub text: String,
    /// The id it has on every attempt.
    pub message_id: MessageId,
    /// The address of the first attempt, which every later one keeps.
    pub jid: Option<String>,
    /// What leads back to the request that made its campaign.
    pub trail: Trail,
    /// Whether its campaign goes out in quiet hours too.
    pub urgent: bool,
    /// Whether a repeat goes out only because a person wants it: the gateway it went out through
    /// makes a second message of it.
    pub unrepeatable: bool,
    /// State, attempts and unanswered attempts at the lease.
    pub progress: Progress,
}

/// Who wants deliveries, and which.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The node that takes them.
    pub owner: &'a str,
    /// The session they go out from.
    pub session: &'a str,
    pub phone: &'a Phone,
    /// Only to people who wrote to the number: its limit for new chats lasts.
    pub contacts_only: bool,
    /// Only of urgent campaigns: it is night.
    pub urgent_only: bool,
    /// How long a number may be away before others write to its contacts.
    pub affinity: Affinity,
    /// The campaign served last; the next one has its turn.
    pub after: i64,
    /// The most of one campaign.
    pub per_campaign: u32,
    pub max: u32,
    /// For how long.
    pub lease: Duration,
}

/// How long a number may be away before others write to its contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affinity {
    /// For most campaigns.
    pub wait: Duration,
    /// For urgent ones.
    pub urgent: Duration,
}

/// A running campaign, as far as claiming needs it.
struct Running {
    id: i64,
    trail: Trail,
    urgent: bool,
    /// The sessions it names; none for all.
    sessions: Vec<String>,
}

impl StateStore {
    /// Takes deliveries that are due: of running campaigns, urgent ones first, then in turn.
    ///
    /// A session may send what no number has touched, and what only its own number may have
    /// sent. People who have a chat with another number are left to that one, unless it has been
    /// away for longer than the affinity lasts or the campaign does not name it.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Vec<LeasedDelivery>, StoreError> {
        self.db().retry(|| self.try_claim(claim)).await
    }

    async fn try_claim(&self, claim: &Claim<'_>) -> Result<Vec<LeasedDelivery>, StoreError> {
        let now = self.now().await?;
        let campaigns = self.campaigns_in_turn(claim, now).await?;
        if campaigns.is_empty() {
            return Ok(vec![]);
        }
        let _turn = self.0.claims.lock().await;
        let mut tx = self.db().begin().await?;
        let mut leased: Vec<LeasedDelivery> = vec![];
        for campaign in &campaigns {
            let mut quota = claim.per_campaign.min(claim.max - leased.len() as u32);
            // What has waited for an answer goes before what nobody has tried.
            for state in [DeliveryState::RetryWait, DeliveryState::Queued] {
                if quota == 0 {
                    break;
                }
                for row in due_rows(&mut tx, campaign, state, claim, now, quota).await? {
                    let progress: Progress = row.get("progress")?;
                    let Ok(progress) = progress.after(DeliveryEvent::Lease) else { continue };
                    quota -= 1;
                    leased.push(LeasedDelivery {
                        id: row.get("id")?,
                        campaign_id: campaign.id,
                        owner: claim.owner.to_owned(),
                        epoch: row.get::<i64>("epoch")? + 1,
                        lease_until: now + claim.lease,
                        phone: row.get("phone")?,
                        text: row.get::<Option<String>>("text")?.unwrap_or_default(),
                        message_id: row.get("message_id")?,
                        jid: row.get("jid")?,
                        trail: campaign.trail.clone(),
                        urgent: campaign.urgent,
                        unrepeatable: row.get("unrepeatable")?,
                        progress,
                    });
                }
            }
            if leased.len() >= claim.max as usize {
                break;
            }
        }
        if leased.is_empty() {
            // The rows that were looked at are locked: others would skip them.
            tx.rollback().await?;
            return Ok(leased);
        }
        let (among, ids) = one_of("id", leased.iter().map(|delivery| delivery.id));
        let mut values = params![claim.owner, (now + claim.lease).0];
        values.extend(ids);
        let sql = format!(
            "UPDATE deliveries SET state = 'leased', owner = ?, epoch = epoch + 1, \
             lease_until = ? WHERE {among}"
        );
        tx.execute(&sql, values).await?;
        crash_point("claim.written");
        tx.commit().await?;
        crash_point("claim.committed");
        Ok(leased)
    }

    /// Wakes the sessions of this process if anything is due.
    pub async fn announce_due(&self, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            format!("SELECT c.id FROM campaigns c WHERE {} LIMIT 1", has_due(self.db().engine()));
        if self.db().row(&sql, params![now.0, now.0, now.0]).await?.is_some() {
            self.there_is_work();
        }
        Ok(())
    }

    /// Returns the running campaigns with something due that this session may serve: urgent ones
    /// first, then the oldest after the one served last.
    async fn campaigns_in_turn(
        &self,
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Result<Vec<Running>, StoreError> {
        let sql = format!(
            "SELECT c.id, c.request_id, c.traceparent, c.urgent, c.sessions FROM campaigns c WHERE {} \
             ORDER BY c.urgent DESC, CASE WHEN c.id > ? THEN 0 ELSE 1 END, c.id",
            has_due(self.db().engine())
        );
        let values = params![now.0, now.0, now.0, claim.after];
        let mut campaigns = vec![];
        for row in self.db().rows(&sql, values).await? {
            let campaign = Running {
                id: row.get("id")?,
                trail: Trail {
                    request_id: row.get("request_id")?,
                    traceparent: row.get("traceparent")?,
                },
                urgent: row.get("urgent")?,
                sessions: row.get("sessions")?,
            };
            let named = campaign.sessions.is_empty()
                || campaign.sessions.iter().any(|name| name == claim.session);
            if named && (campaign.urgent || !claim.urgent_only) {
                campaigns.push(campaign);
            }
        }
        Ok(campaigns)
    }

    /// Returns the numbers of the next deliveries of this campaign that nobody has asked WhatsApp
    /// about lately: one question can tell about many.
    pub async fn unchecked_ahead(&self, campaign: i64) -> Result<Vec<Phone>, StoreError> {
        let now = self.now().await?;
        let by_due_time = self.db().engine().by_index(BY_DUE_TIME);
        let sql = format!(
            "SELECT d.phone FROM deliveries d{by_due_time} WHERE d.campaign_id = ? \
             AND d.state = 'queued' AND d.attempts = 0 AND NOT EXISTS \
             (SELECT 1 FROM numbers n WHERE n.phone = d.phone AND n.checked_at > \
             CASE WHEN n.registered = 1 THEN ? ELSE ? END) \
             ORDER BY d.due_at, d.id LIMIT ?"
        );
        let (there, absent) = ((now - REGISTERED_FOR).0, (now - NOT_REGISTERED_FOR).0);
        let values = params![campaign, there, absent, i64::from(LOOK_AHEAD)];
        let rows = self.db().rows(&sql, values).await?;
        rows.iter().map(|row| row.get("phone")).collect()
    }

    /// Returns the numbers that alone may send what is still open of a campaign, and whether
    /// there is anything that any number may send.
    pub async fn bound_numbers(&self, campaign: i64) -> Result<(Vec<Phone>, bool), StoreError> {
        let sql = format!(
            "SELECT DISTINCT sender FROM deliveries WHERE campaign_id = ? AND state IN ({})",
            state_list(&DeliveryState::OPEN)
        );
        let mut numbers = vec![];
        let mut free = false;
        for row in self.db().rows(&sql, params![campaign]).await? {
            match row.get("sender")? {
                Some(sender) => numbers.push(sender),
                None => free = true,
            }
        }
        Ok((numbers, free))
    }
}

/// Holds for a running campaign `c` with something due. Wants the time three times.
fn has_due(engine: Engine) -> String {
    let due = |state: &str| {
        let is_due = format!("d.campaign_id = c.id AND d.state = '{state}' AND d.due_at <= ?");
        format!("{} IS NOT NULL", any_delivery(engine, BY_DUE_TIME, &is_due))
    };
    format!(
        "c.status = 'running' AND (c.expires_at IS NULL OR c.expires_at > ?) AND ({} OR {})",
        due("queued"),
        due("retry_wait")
    )
}

/// Returns the deliveries of a campaign in one state that are due and that this session may send.
async fn due_rows(
    tx: &mut Transaction<'_>,
    campaign: &Running,
    state: DeliveryState,
    claim: &Claim<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Row>, StoreError> {
    let phone = claim.phone.digits();
    let mut values = params![campaign.id, state.as_str(), now.0, phone];
    let mut conditions = String::new();
    if claim.contacts_only {
        conditions.push_str(
            " AND EXISTS (SELECT 1 FROM contacts k WHERE k.sender = ? AND k.phone = d.phone \
             AND k.wrote_at > 0)",
        );
        values.push(phone.into());
    }
    let wait = if campaign.urgent { claim.affinity.urgent } else { claim.affinity.wait };
    let engine = tx.engine();
    let (elsewhere, more) = has_chat_elsewhere(engine, claim, &campaign.sessions, now - wait);
    conditions.push_str(&format!(
        " AND (d.sender IS NOT NULL OR NOT {elsewhere} OR EXISTS \
         (SELECT 1 FROM contacts k WHERE k.sender = ? AND k.phone = d.phone))"
    ));
    values.extend(more);
    values.push(phone.into());
    values.push(i64::from(limit).into());
    let sql = format!(
        "SELECT d.id, d.epoch, d.phone, d.message_id, d.jid, d.state, d.attempts, d.unanswered, \
         d.unrepeatable, d.due_at, COALESCE(d.text, (SELECT c.template FROM campaigns c WHERE c.id = d.campaign_id)) \
         AS text FROM deliveries d{} WHERE d.campaign_id = ? AND d.state = ? AND d.due_at <= ? \
         AND (d.sender IS NULL OR d.sender = ?){conditions} ORDER BY d.due_at, d.id LIMIT ?{}",
        engine.by_index(BY_DUE_TIME),
        engine.lock_rows()
    );
    tx.rows(&sql, values).await
}

/// Holds where the recipient has a chat with another number that was there after `since`. Few have
/// chats with several: to look at each session first is slow where there are many.
fn has_chat_elsewhere(
    engine: Engine,
    claim: &Claim<'_>,
    named: &[String],
    since: Timestamp,
) -> (String, Vec<Value>) {
    let mut values = params![claim.session, since.0, since.0];
    let mut among = String::new();
    if !named.is_empty() {
        let (condition, names) = one_of("s.name", named.iter().map(String::as_str));
        among = format!(" AND {condition}");
        values.extend(names);
    }
    let sql = format!(
        "EXISTS (SELECT 1 FROM contacts k {} sessions s ON s.phone = k.sender \
         WHERE k.phone = d.phone AND s.name <> ? AND s.link NOT IN {UNLINKED} \
         AND s.lease_until > ? AND (s.waiting_since IS NULL OR s.waiting_since > ?){among})",
        engine.join_in_order()
    );
    (sql, values)
}

/// The names in a campaign's row.
impl Stored for Vec<String> {
    fn read(row: &Row, column: &str) -> Result<Self, StoreError> {
        let stored: String = row.get::<Option<String>>(column)?.unwrap_or_default();
        let names = stored.split(NAME_SEPARATOR).filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }
}

/// Names as a campaign's row has them.
pub(super) fn stored_session_names(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(&NAME_SEPARATOR.to_string()))
}
