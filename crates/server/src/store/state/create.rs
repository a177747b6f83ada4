//! Recording a campaign: the request, its recipients and its idempotency key, all or nothing.

use super::super::error::StoreError;
use super::super::lists::{insertable, one_of};
use super::super::row::{Value, params};
use super::super::transaction::Transaction;
use super::bulk_transitions::{move_all, state_list};
use super::campaigns::{CampaignKind, write_phase};
use super::claim::stored_session_names;
use super::deliveries::Delivery;
use super::idempotency::{Creation, IdempotencyKey, claim_key};
use super::{StateStore, clip};
use crate::crash_point::crash_point;
use crate::trace::{self, Trail};
use futures_util::{Stream, StreamExt, TryStreamExt};
use kabari_domain::campaign::Phase;
use kabari_domain::{
    CampaignEvent, CampaignStatus, DeliveryEvent, DeliveryState, MessageId, Phone, Timestamp,
};
use std::pin::pin;
use std::time::Duration;

/// How long the billing database may take for the next recipients.
pub const RECIPIENTS_STALL: Duration = Duration::from_secs(15);
/// Rows per INSERT.
const CHUNK: usize = 500;
/// What fits the columns that only people read.
const NAME_LENGTH: usize = 255;
const ERROR_LENGTH: usize = 500;

#[derive(Debug, Clone)]
pub struct NewCampaign {
    pub kind: CampaignKind,
    /// The billing database's notice, if it is for one.
    pub notice_id: Option<i64>,
    /// One line for lists; longer than 255 characters is cut.
    pub subject: String,
    /// The message text, placeholders still in it.
    pub template: String,
    /// The campaign whose failed deliveries it repeats.
    pub parent_id: Option<i64>,
    /// Goes out before others and in quiet hours.
    pub urgent: bool,
    /// The sessions that may send it; none for all.
    pub sessions: Vec<String>,
    /// When it starts, if not at once.
    pub starts_at: Option<Timestamp>,
    /// The shortest time from one recipient's turn to the next, where the number's own pace is
    /// not long enough.
    pub spacing: Duration,
    /// When what is unsent is given up.
    pub expires_at: Option<Timestamp>,
    /// Equal for equal sends (notice or text, and audience); at most 64 characters.
    pub fingerprint: String,
    /// The request, JSON.
    pub request: String,
    /// What leads back to the request.
    pub trail: Trail,
}

#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The billing database's customer, if it is one.
    pub customer_id: Option<i64>,
    /// For the report.
    pub customer_name: String,
    /// The number as somebody typed it.
    pub phone_raw: Option<String>,
    /// The number it goes to; `None` for skipped ones. Once per campaign.
    pub phone: Option<Phone>,
    /// The message; `None` if it is the campaign's template as it stands.
    pub text: Option<String>,
    /// The id under which it goes out, on every attempt.
    pub message_id: MessageId,
    /// `Queued` or `Skipped`.
    pub state: DeliveryState,
    pub error: Option<String>,
}

/// A recording in progress, or the answer that makes it needless.
enum Opening<'d> {
    Settled(Creation),
    Recording { tx: Transaction<'d>, id: i64, now: Timestamp },
}

impl StateStore {
    /// Records a campaign with its recipients in one transaction.
    ///
    /// `guard` refuses a send whose fingerprint was recorded that recently, unless that campaign
    /// was cancelled. `supersedes` gives up what earlier campaigns for the same notice have not
    /// yet sent to the recipients of this one. A campaign with nothing to send is complete at once.
    pub async fn create_campaign(
        &self,
        campaign: NewCampaign,
        recipients: impl Stream<Item = Result<NewDelivery, StoreError>>,
        key: Option<IdempotencyKey>,
        guard: Option<Duration>,
        supersedes: bool,
    ) -> Result<Creation, StoreError> {
        // What starts later says nothing yet about what goes out now.
        let supersedes = supersedes && campaign.starts_at.is_none();
        // Before the transaction: a file has one writer, and the billing database takes its time.
        let recipients = trace::part("read recipients", collect(recipients)).await?;
        // Never closed, so this only waits.
        let _permit = self.0.creations.acquire().await;
        let opening = self
            .db()
            .retry(|| self.open_recording(&campaign, key.as_ref(), guard, supersedes))
            .await?;
        let (mut tx, id, now) = match opening {
            Opening::Settled(creation) => return Ok(creation),
            Opening::Recording { tx, id, now } => (tx, id, now),
        };

        // What is not for later is due whatever the clock says after somebody has set it.
        let at_once = if campaign.spacing.is_zero() { Timestamp(0) } else { now };
        let turns =
            Turns { first: campaign.starts_at.unwrap_or(at_once), spacing: campaign.spacing };
        let mut total = 0;
        for chunk in insertable(&recipients, CHUNK) {
            insert(&mut tx, id, total, turns, chunk).await?;
            total += chunk.len();
        }
        let open = recipients.iter().any(|recipient| recipient.state.is_open());

        let superseded = match campaign.notice_id {
            Some(notice) if supersedes => supersede_older(&mut tx, notice, id, now).await?,
            _ => vec![],
        };
        tx.execute("UPDATE campaigns SET total = ? WHERE id = ?", params![total as i64, id])
            .await?;
        if !open {
            let done = Phase::RUNNING.after(CampaignEvent::Complete)?;
            write_phase(&mut tx, id, done, now).await?;
        }
        crash_point("create.written");
        tx.commit().await?;
        crash_point("create.committed");
        self.there_is_work();
        for older in superseded {
            self.complete_if_done(older).await?;
        }
        Ok(Creation::Created(id))
    }

    /// Claims the key, then the fingerprint, then an id. Another request with the same key or
    /// fingerprint waits here until this one has committed.
    async fn open_recording(
        &self,
        campaign: &NewCampaign,
        key: Option<&IdempotencyKey>,
        guard: Option<Duration>,
        supersedes: bool,
    ) -> Result<Opening<'_>, StoreError> {
        let mut tx = self.db().begin().await?;
        let now = self.now_in(&mut tx).await?;
        if let Some(key) = key
            && let Some(creation) = claim_key(&mut tx, key, now).await?
        {
            return Ok(Opening::Settled(creation));
        }
        if let Some(earlier) = claim_fingerprint(&mut tx, &campaign.fingerprint, guard, now).await?
        {
            return Ok(Opening::Settled(Creation::Duplicate(earlier)));
        }
        let phase = match campaign.starts_at {
            Some(starts_at) if starts_at > now => Phase::SCHEDULED,
            _ => Phase::RUNNING,
        };
        let started_at = (phase == Phase::RUNNING).then_some(now.0);
        let written = tx
            .execute(
                "INSERT INTO campaigns (kind, notice_id, subject, template, status, parent_id, \
                 urgent, sessions, starts_at, expires_at, fingerprint, request, request_id, \
                 traceparent, supersedes, total, created_at, started_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
                params![
                    campaign.kind.as_str(),
                    campaign.notice_id,
                    clip(&campaign.subject, NAME_LENGTH),
                    campaign.template.as_str(),
                    phase.status.as_str(),
                    campaign.parent_id,
                    i64::from(campaign.urgent),
                    stored_session_names(&campaign.sessions),
                    campaign.starts_at.map(|t| t.0),
                    campaign.expires_at.map(|t| t.0),
                    campaign.fingerprint.as_str(),
                    campaign.request.as_str(),
                    campaign.trail.request_id.as_deref(),
                    campaign.trail.traceparent.as_deref(),
                    i64::from(supersedes),
                    now.0,
                    started_at,
                ],
            )
            .await?;
        let id = written.last_id;
        if let Some(key) = key {
            tx.execute(
                "UPDATE idempotency_keys SET campaign_id = ? WHERE idempotency_key = ?",
                params![id, key.key.as_str()],
            )
            .await?;
        }
        tx.execute(
            "UPDATE fingerprints SET campaign_id = ?, created_at = ? WHERE fingerprint = ?",
            params![id, now.0, campaign.fingerprint.as_str()],
        )
        .await?;
        Ok(Opening::Recording { tx, id, now })
    }

    /// Repeats the failed deliveries of a campaign as a campaign of its own, under new message
    /// ids: WhatsApp has refused the old ones. Once: after that, [`Creation::Duplicate`] names
    /// the repeat, whose own failures can be repeated in turn.
    pub async fn retry_failed(
        &self,
        campaign: i64,
        key: Option<IdempotencyKey>,
        trail: Trail,
    ) -> Result<Creation, StoreError> {
        let parent = self
            .campaign(campaign)
            .await?
            .ok_or(StoreError::NotFound { what: "campaign", id: campaign })?;
        let known = "SELECT id FROM deliveries WHERE campaign_id = ? AND state = 'failed' \
                     AND phone IS NOT NULL LIMIT 1";
        if self.db().row(known, params![campaign]).await?.is_none() {
            return Err(StoreError::Conflict("no delivery of this campaign has failed"));
        }
        let child = NewCampaign {
            kind: parent.kind,
            notice_id: parent.notice_id,
            subject: parent.subject,
            template: parent.template,
            parent_id: Some(campaign),
            urgent: parent.urgent,
            sessions: parent.sessions,
            starts_at: None,
            spacing: Duration::ZERO,
            expires_at: None,
            fingerprint: format!("retry-{campaign}"),
            request: parent.request,
            trail,
        };
        let failed = self.deliveries_where(campaign, "state = 'failed' AND phone IS NOT NULL");
        let recipients = failed.map_ok(|failed: Delivery| NewDelivery {
            customer_id: failed.customer_id,
            customer_name: failed.customer_name,
            phone_raw: failed.phone_raw,
            phone: failed.phone,
            text: failed.text,
            message_id: MessageId::from_random(rand::random()),
            state: DeliveryState::Queued,
            error: None,
        });
        self.create_campaign(child, recipients, key, Some(Duration::MAX), false).await
    }
}

/// Reads the recipients. Fails if the next ones do not come in time.
async fn collect(
    recipients: impl Stream<Item = Result<NewDelivery, StoreError>>,
) -> Result<Vec<NewDelivery>, StoreError> {
    let mut recipients = pin!(recipients);
    let mut collected = vec![];
    loop {
        let next = tokio::time::timeout(RECIPIENTS_STALL, recipients.next()).await;
        let next = next.map_err(|_| {
            StoreError::Conflict("the recipients could not be read in time; try again")
        })?;
        let Some(recipient) = next else { return Ok(collected) };
        collected.push(recipient.map_err(|e| StoreError::Recipients(Box::new(e)))?);
    }
}

/// Takes the fingerprint for this transaction. Returns the campaign that the guard protects, if
/// there is one.
async fn claim_fingerprint(
    tx: &mut Transaction<'_>,
    fingerprint: &str,
    guard: Option<Duration>,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let insert = format!(
        "INSERT INTO fingerprints (fingerprint, campaign_id, created_at) VALUES (?, 0, 0){}",
        tx.engine().or_update("fingerprint", &["fingerprint"])
    );
    tx.execute(&insert, params![fingerprint]).await?;
    let Some(guard) = guard else { return Ok(None) };
    let earlier = tx
        .row(
            "SELECT c.id, c.status FROM fingerprints f JOIN campaigns c ON c.id = f.campaign_id \
             WHERE f.fingerprint = ? AND f.created_at > ?",
            params![fingerprint, (now - guard).0],
        )
        .await?;
    let Some(row) = earlier else { return Ok(None) };
    let cancelled = row.get::<CampaignStatus>("status")? == CampaignStatus::Cancelled;
    Ok((!cancelled).then_some(row.get("id")?))
}

/// When recipients have their turn.
#[derive(Clone, Copy)]
struct Turns {
    first: Timestamp,
    spacing: Duration,
}

impl Turns {
    fn at(self, position: usize) -> Timestamp {
        let times = u32::try_from(position).unwrap_or(u32::MAX);
        self.first + self.spacing.saturating_mul(times)
    }
}

async fn insert(
    tx: &mut Transaction<'_>,
    campaign: i64,
    first_position: usize,
    turns: Turns,
    recipients: &[NewDelivery],
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO deliveries (campaign_id, position, customer_id, customer_name, phone_raw, \
         phone, text, message_id, state, due_at, error) VALUES {}",
        vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; recipients.len()].join(", ")
    );
    let mut values: Vec<Value> = Vec::with_capacity(11 * recipients.len());
    for (position, recipient) in (first_position..).zip(recipients) {
        values.extend(params![
            campaign,
            position as i64,
            recipient.customer_id,
            clip(&recipient.customer_name, NAME_LENGTH),
            recipient.phone_raw.as_deref().map(|raw| clip(raw, NAME_LENGTH)),
            recipient.phone.as_ref().map(Phone::digits),
            recipient.text.as_deref(),
            recipient.message_id.as_str(),
            recipient.state.as_str(),
            turns.at(position).0,
            recipient.error.as_deref().map(|error| clip(error, ERROR_LENGTH)),
        ]);
    }
    tx.execute(&sql, values).await?;
    Ok(())
}

/// Gives up, in earlier campaigns for this notice, what is unsent to the recipients of the new
/// one. Recipients the new one does not reach keep theirs: nobody loses a message to a send that
/// was not for them. Returns the campaigns concerned.
async fn supersede_older(
    tx: &mut Transaction<'_>,
    notice: i64,
    newer: i64,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
    let event = DeliveryEvent::Supersede;
    // Locked: what is on the wire just now must see the newer campaign when it would wait again.
    let sql = format!(
        "SELECT id FROM campaigns WHERE notice_id = ? AND id < ? \
         AND status IN ('running', 'paused') ORDER BY id{}",
        tx.engine().lock_row()
    );
    let older = tx.rows(&sql, params![notice, newer]).await?;
    let mut concerned = vec![];
    for row in older {
        let campaign: i64 = row.get("id")?;
        let sql = format!(
            "SELECT o.id FROM deliveries o \
             JOIN deliveries n ON n.campaign_id = ? AND n.phone = o.phone \
             WHERE o.campaign_id = ? AND o.state IN ({})",
            state_list(&event.allowed_from())
        );
        let rows = tx.rows(&sql, params![newer, campaign]).await?;
        let ids = rows.iter().map(|row| row.get("id")).collect::<Result<Vec<i64>, _>>()?;
        for chunk in ids.chunks(CHUNK) {
            let (scope, values) = one_of("id", chunk.iter().copied());
            move_all(tx, event, now, &scope, &values).await?;
        }
        if !ids.is_empty() {
            concerned.push(campaign);
        }
    }
    Ok(concerned)
}
