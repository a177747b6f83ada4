//! Campaigns: reading them, and what happens to them as a whole.

use super::super::engine::Engine;
use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::{Row, Stored, params, record, stored_by_name};
use super::super::transaction::Transaction;
use super::StateStore;
use super::bulk_transitions::{any_delivery, move_all};
use crate::crash_point::crash_point;
use kabari_domain::campaign::Phase;
use kabari_domain::{
    CampaignEvent, CampaignStatus, DeliveryEvent, DeliveryState, PauseReason, Timestamp,
};
use std::collections::HashMap;

/// What kind of send made the campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignKind {
    /// A notice to its audience.
    Notification,
    /// A text to chosen customers.
    Custom,
    /// A notice or text to the customers of one ODP.
    ByOdp,
    /// A text to one number.
    Phone,
    /// A text to several numbers.
    Numbers,
    /// The word that a notice is over, to those whom it has reached.
    Restored,
}

impl CampaignKind {
    pub const ALL: [CampaignKind; 6] = [
        CampaignKind::Notification,
        CampaignKind::Custom,
        CampaignKind::ByOdp,
        CampaignKind::Phone,
        CampaignKind::Numbers,
        CampaignKind::Restored,
    ];

    /// Returns the name in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            CampaignKind::Notification => "notification",
            CampaignKind::Custom => "custom",
            CampaignKind::ByOdp => "by_odp",
            CampaignKind::Phone => "phone",
            CampaignKind::Numbers => "numbers",
            CampaignKind::Restored => "restored",
        }
    }

    /// Returns the kind of this name.
    pub fn from_name(name: &str) -> Option<CampaignKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

record! {
from "campaigns";
/// A campaign as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its number, ascending in the order of creation.
    pub id: i64,
    pub kind: CampaignKind,
    /// The billing database's notice, if it is for one.
    pub notice_id: Option<i64>,
    /// One line for lists.
    pub subject: String,
    /// The message text, placeholders still in it.
    pub template: String,
    /// Where it is.
    pub phase: Phase,
    /// The campaign whose failed deliveries it repeats.
    pub parent_id: Option<i64>,
    /// Goes out before others and in quiet hours.
    pub urgent: bool,
    /// When it starts, if not at once.
    pub starts_at: Option<Timestamp>,
    /// When what is unsent is given up.
    pub expires_at: Option<Timestamp>,
    /// Equal for equal sends; see the duplicate guard of [`StateStore::create_campaign`].
    pub fingerprint: String,
    /// The request that made it, JSON.
    pub request: String,
    /// The id of the request that made it.
    pub request_id: Option<String>,
    /// The sessions that may send it; none for all.
    pub sessions: Vec<String>,
    /// Its recipients, skipped ones included.
    pub total: u64,
    pub created_at: Timestamp,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When it was completed or cancelled.
    pub finished_at: Option<Timestamp>,
}
}

/// How many deliveries of a campaign are in each state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryCounts(HashMap<DeliveryState, u64>);

impl DeliveryCounts {
    /// Returns it as a campaign keeps it whose deliveries are deleted.
    pub(super) fn to_stored(&self) -> String {
        let states = DeliveryState::ALL.into_iter().filter(|state| self.get(*state) > 0);
        let counts = states.map(|state| format!("{}={}", state.as_str(), self.get(state)));
        counts.collect::<Vec<_>>().join(",")
    }

    fn from_stored(text: &str) -> DeliveryCounts {
        let counts = text.split(',').filter_map(|count| {
            let (state, number) = count.split_once('=')?;
            Some((DeliveryState::from_name(state)?, number.parse().ok()?))
        });
        DeliveryCounts(counts.collect())
    }

    /// Returns how many are in this state.
    pub fn get(&self, state: DeliveryState) -> u64 {
        self.0.get(&state).copied().unwrap_or(0)
    }

    /// Returns how many there are in all states.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Returns how many kabari still has to do something for.
    pub fn open(&self) -> u64 {
        self.sum(DeliveryState::is_open)
    }

    /// Returns how many WhatsApp has taken.
    pub fn sent(&self) -> u64 {
        self.sum(DeliveryState::is_sent)
    }

    fn sum(&self, which: impl Fn(DeliveryState) -> bool) -> u64 {
        DeliveryState::ALL.into_iter().filter(|state| which(*state)).map(|s| self.get(s)).sum()
    }
}

impl StateStore {
    /// Returns the campaign of this id.
    pub async fn campaign(&self, id: i64) -> Result<Option<Campaign>, StoreError> {
        let sql = Campaign::select("WHERE id = ?");
        self.db().row(&sql, params![id]).await?.map(|row| Campaign::read(&row)).transpose()
    }

    /// Returns campaigns, newest first: `limit` of them, older than campaign `before` if given.
    pub async fn campaigns(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError> {
        let sql = Campaign::select("WHERE id < ? ORDER BY id DESC LIMIT ?");
        let values = params![before.unwrap_or(i64::MAX), i64::from(limit)];
        self.db().rows(&sql, values).await?.iter().map(Campaign::read).collect()
    }

    /// Deliveries of the campaign by state. An unknown campaign has none.
    pub async fn counts(&self, id: i64) -> Result<DeliveryCounts, StoreError> {
        Ok(self.counts_of(&[id]).await?.remove(&id).unwrap_or_default())
    }

    /// Returns the counts of several campaigns at once, such as a page of a list.
    pub async fn counts_of(&self, ids: &[i64]) -> Result<HashMap<i64, DeliveryCounts>, StoreError> {
        let mut counts: HashMap<i64, DeliveryCounts> =
            ids.iter().map(|id| (*id, DeliveryCounts::default())).collect();
        if ids.is_empty() {
            return Ok(counts);
        }
        let (among, values) = one_of("campaign_id", ids.iter().copied());
        let sql = format!(
            "SELECT campaign_id, state, COUNT(*) AS number FROM deliveries \
             WHERE {among} GROUP BY campaign_id, state"
        );
        for row in self.db().rows(&sql, values).await? {
            let state = row.get("state")?;
            let number = row.get("number")?;
            counts.entry(row.get("campaign_id")?).or_default().0.insert(state, number);
        }
        let (among, values) = one_of("id", ids.iter().copied());
        let sql = format!("SELECT id, counts FROM campaigns WHERE {among} AND counts IS NOT NULL");
        for row in self.db().rows(&sql, values).await? {
            let stored: String = row.get("counts")?;
            counts.insert(row.get("id")?, DeliveryCounts::from_stored(&stored));
        }
        Ok(counts)
    }

    /// Applies what happened to one campaign. Cancelling it also ends what is unsent: cancelled,
    /// or uncertain where an earlier attempt had no answer.
    pub async fn campaign_event(&self, id: i64, event: CampaignEvent) -> Result<Phase, StoreError> {
        self.db().retry(|| self.try_campaign_event(id, event)).await
    }

    async fn try_campaign_event(&self, id: i64, event: CampaignEvent) -> Result<Phase, StoreError> {
        let mut tx = self.db().begin().await?;
        let now = self.now_in(&mut tx).await?;
        let before = lock_phase(&mut tx, id).await?;
        let after = before.after(event)?;
        write_phase(&mut tx, id, after, now).await?;
        if event == CampaignEvent::Cancel {
            let (scope, values) = one_of("campaign_id", [id]);
            move_all(&mut tx, DeliveryEvent::Cancel, now, &scope, &values).await?;
        }
        crash_point("campaign_event.written");
        tx.commit().await?;
        crash_point("campaign_event.committed");
        self.there_is_work();
        Ok(after)
    }

    /// Fails the running campaigns of which nothing has ever been on the wire: no number can send
    /// anything before somebody does something about it. Returns their ids.
    pub async fn fail_all_untouched(&self, error: &str) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT id FROM campaigns WHERE status = 'running' ORDER BY id";
        let mut failed = vec![];
        for row in self.db().rows(sql, vec![]).await? {
            let id = row.get("id")?;
            if self.fail_untouched(id, error).await? {
                failed.push(id);
            }
        }
        Ok(failed)
    }

    async fn fail_untouched(&self, id: i64, error: &str) -> Result<bool, StoreError> {
        let failed = self.db().retry(|| self.try_fail_untouched(id, error)).await?;
        self.complete_if_done(id).await?;
        Ok(failed)
    }

    async fn try_fail_untouched(&self, id: i64, error: &str) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let now = self.now_in(&mut tx).await?;
        let touched = "SELECT id FROM deliveries WHERE campaign_id = ? AND attempts > 0 LIMIT 1";
        if tx.row(touched, params![id]).await?.is_some() {
            return Ok(false);
        }
        let (scope, values) = one_of("campaign_id", [id]);
        move_all(&mut tx, DeliveryEvent::GiveUp, now, &scope, &values).await?;
        tx.execute(
            "UPDATE deliveries SET error = ? WHERE campaign_id = ? AND state = 'failed' AND error IS NULL",
            params![error, id],
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Starts the scheduled campaigns whose time has come. Returns the number of them.
    pub async fn start_due(&self, now: Timestamp) -> Result<usize, StoreError> {
        let sql = format!("SELECT id FROM campaigns WHERE {STARTS} ORDER BY id");
        let mut started = 0;
        for row in self.db().rows(&sql, params![now.0]).await? {
            match self.campaign_event(row.get("id")?, CampaignEvent::Start).await {
                Ok(_) => started += 1,
                Err(StoreError::NotAllowed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(started)
    }

    /// Gives up what is unsent of the campaigns that have expired. Returns the number of
    /// deliveries.
    pub async fn expire_due(&self, now: Timestamp) -> Result<u64, StoreError> {
        let sql = format!("SELECT id FROM campaigns WHERE {EXPIRES} ORDER BY id");
        let mut expired = 0;
        for row in self.db().rows(&sql, params![now.0]).await? {
            let id: i64 = row.get("id")?;
            expired += self
                .db()
                .retry(|| async move {
                    let mut tx = self.db().begin().await?;
                    let (scope, values) = one_of("campaign_id", [id]);
                    let moved =
                        move_all(&mut tx, DeliveryEvent::Expire, now, &scope, &values).await?;
                    tx.commit().await?;
                    Ok(moved)
                })
                .await?;
            self.complete_if_done(id).await?;
        }
        Ok(expired)
    }

    /// Completes the campaign if none of its deliveries is open. Returns whether it did.
    ///
    /// Call it after the commit that closed a delivery: of two that close the last two at the
    /// same time, only the later one sees both.
    pub async fn complete_if_done(&self, id: i64) -> Result<bool, StoreError> {
        crash_point("complete.begun");
        let now = self.now().await?;
        let sql = format!(
            "UPDATE campaigns SET status = 'completed', pause_reason = NULL, finished_at = ? \
             WHERE id = ? AND {}",
            is_done(self.db().engine())
        );
        let written = self.db().retry(|| self.db().execute(&sql, params![now.0, id])).await?;
        if written.rows > 0 {
            crash_point("complete.committed");
        }
        Ok(written.rows > 0)
    }

    /// [`complete_if_done`](StateStore::complete_if_done) for every campaign under way: finds those
    /// whose last delivery was closed by a process that ended right after. Returns the number of
    /// campaigns.
    pub async fn complete_all_done(&self) -> Result<usize, StoreError> {
        let sql =
            format!("SELECT id FROM campaigns WHERE {} ORDER BY id", is_done(self.db().engine()));
        let mut completed = 0;
        for row in self.db().rows(&sql, vec![]).await? {
            completed += usize::from(self.complete_if_done(row.get("id")?).await?);
        }
        Ok(completed)
    }
}

/// Holds for a scheduled campaign whose time has come. Wants the time.
pub(super) const STARTS: &str = "status = 'scheduled' AND starts_at <= ?";
/// Holds for a campaign that has expired, and is not ended. Wants the time.
pub(super) const EXPIRES: &str = "status IN ('scheduled', 'running', 'paused') AND expires_at <= ?";

/// Holds for a campaign under way without an open delivery. Each state is looked up for itself: for
/// several at once MariaDB goes through all deliveries of the campaign.
pub(super) fn is_done(engine: Engine) -> String {
    let none = |state: DeliveryState| {
        let of_state = format!("d.campaign_id = campaigns.id AND d.state = '{}'", state.as_str());
        format!(" AND {} IS NULL", any_delivery(engine, "deliveries_listed", &of_state))
    };
    format!("status IN ('running', 'paused'){}", DeliveryState::OPEN.map(none).concat())
}

stored_by_name!(CampaignKind, CampaignStatus, PauseReason);

impl Stored for Phase {
    const COLUMNS: Option<&'static str> = Some("status, pause_reason");

    fn read(row: &Row, _: &str) -> Result<Phase, StoreError> {
        Ok(Phase { status: row.get("status")?, reason: row.get("pause_reason")? })
    }
}

/// Returns where the campaign is; nobody else moves it until the transaction ends.
pub(super) async fn lock_phase(tx: &mut Transaction<'_>, id: i64) -> Result<Phase, StoreError> {
    let sql = format!(
        "SELECT status, pause_reason FROM campaigns WHERE id = ?{}",
        tx.engine().lock_row()
    );
    let row = tx.row(&sql, params![id]).await?;
    row.ok_or(StoreError::NotFound { what: "campaign", id })?.get("phase")
}

/// Writes where a locked campaign is now, with the times that go with it.
pub(super) async fn write_phase(
    tx: &mut Transaction<'_>,
    id: i64,
    phase: Phase,
    now: Timestamp,
) -> Result<(), StoreError> {
    let started = (phase.status == CampaignStatus::Running).then_some(now.0);
    let finished = phase.status.is_final().then_some(now.0);
    tx.execute(
        "UPDATE campaigns SET status = ?, pause_reason = ?, \
         started_at = COALESCE(started_at, ?), finished_at = ? WHERE id = ?",
        params![
            phase.status.as_str(),
            phase.reason.map(PauseReason::as_str),
            started,
            finished,
            id
        ],
    )
    .await?;
    Ok(())
}
