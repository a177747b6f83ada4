//! Reading deliveries, and the choices a person has about uncertain ones.

use super::super::error::StoreError;
use super::super::row::{Row, Stored, Value, params, record, stored_by_name};
use super::super::transaction::Transaction;
use super::StateStore;
use super::bulk_transitions::stamps;
use super::campaigns::{lock_phase, write_phase};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use kabari_domain::{
    CampaignEvent, DeliveryEvent, DeliveryState, MessageId, Phone, Progress, Timestamp,
};

/// Rows a stream reads at once. Between its pages it holds no connection: a slow reader of a
/// report must not keep others from the database.
const PAGE: u32 = 1000;

record! {
from "deliveries";
/// A delivery as it is stored, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: i64,
    /// The campaign it belongs to.
    pub campaign_id: i64,
    /// Its place among the recipients, from 0.
    pub position: i64,
    /// The billing database's customer, if it is one.
    pub customer_id: Option<i64>,
    pub customer_name: String,
    /// The number as somebody typed it.
    pub phone_raw: Option<String>,
    /// The number it goes to; `None` for skipped ones.
    pub phone: Option<Phone>,
    /// The text, where it differs from the campaign's template.
    pub text: Option<String>,
    /// The id it has on every attempt.
    pub message_id: MessageId,
    /// Where it is.
    pub progress: Progress,
    /// Whether it went out through a gateway that knows no ids: it makes a second message of a
    /// repeat, and tells no receipts.
    pub unrepeatable: bool,
    /// The number it went out from.
    pub sender: Option<Phone>,
    /// Why it failed or was skipped.
    pub error: Option<String>,
    /// First time on the wire.
    pub first_sent_at: Option<Timestamp>,
    /// Acknowledged by the server.
    pub accepted_at: Option<Timestamp>,
    /// On a device of the recipient.
    pub delivered_at: Option<Timestamp>,
    /// Opened.
    pub read_at: Option<Timestamp>,
}
}

/// What a person decides about an uncertain delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It has arrived, as far as they can see.
    CountAsSent,
    /// It goes out once more, under the same id.
    SendAgain,
}

impl StateStore {
    /// Returns deliveries of a campaign by position: `limit` of them, after position `after` if
    /// given.
    pub async fn deliveries(
        &self,
        campaign: i64,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.page(campaign, "1 = 1", after.unwrap_or(-1), limit).await
    }

    /// Returns the delivery of this id.
    pub async fn delivery(&self, id: i64) -> Result<Option<Delivery>, StoreError> {
        let sql = Delivery::select("WHERE id = ?");
        self.db().row(&sql, params![id]).await?.map(|row| Delivery::read(&row)).transpose()
    }

    /// Returns all deliveries of a campaign in the order of reports: skipped ones first, then by
    /// position.
    pub fn report_rows(
        &self,
        campaign: i64,
    ) -> impl Stream<Item = Result<Delivery, StoreError>> + Send + 'static {
        self.deliveries_where(campaign, "state = 'skipped'")
            .chain(self.deliveries_where(campaign, "state <> 'skipped'"))
    }

    /// Returns the deliveries of a campaign that meet an SQL condition, by position.
    pub(super) fn deliveries_where(
        &self,
        campaign: i64,
        condition: &'static str,
    ) -> impl Stream<Item = Result<Delivery, StoreError>> + Send + use<> {
        let state = self.clone();
        let pages = stream::try_unfold(Some(-1), move |after| {
            let state = state.clone();
            async move {
                let Some(after) = after else { return Ok::<_, StoreError>(None) };
                let page = state.page(campaign, condition, after, PAGE).await?;
                let full = page.len() == PAGE as usize;
                let next = page.last().filter(|_| full).map(|last| last.position);
                Ok(Some((stream::iter(page.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten()
    }

    async fn page(
        &self,
        campaign: i64,
        condition: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = Delivery::select(&format!(
            "WHERE campaign_id = ? AND position > ? AND {condition} ORDER BY position LIMIT ?"
        ));
        let values = params![campaign, after, i64::from(limit)];
        self.db().rows(&sql, values).await?.iter().map(Delivery::read).collect()
    }

    /// Applies a person's decision about an uncertain delivery. Sending again puts a completed
    /// campaign back to running; a cancelled one stays cancelled and an expired one sends nothing,
    /// so there it is refused. Who decides that knows that it may arrive twice, so it goes out
    /// whatever the gateway makes of it.
    pub async fn resolve(&self, delivery: i64, decision: Resolution) -> Result<(), StoreError> {
        self.db().retry(|| self.try_resolve(delivery, decision)).await?;
        self.there_is_work();
        Ok(())
    }

    async fn try_resolve(&self, id: i64, decision: Resolution) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        match self.resolve_in(&mut tx, id, decision).await {
            Ok(()) => tx.commit().await,
            // At once: a claim skips a row that is locked still.
            Err(refused) => tx.rollback().await.and(Err(refused)),
        }
    }

    async fn resolve_in(
        &self,
        tx: &mut Transaction<'_>,
        id: i64,
        decision: Resolution,
    ) -> Result<(), StoreError> {
        let now = self.now_in(tx).await?;
        let sql = Delivery::select(&format!("WHERE id = ?{}", tx.engine().lock_row()));
        let row = tx.row(&sql, params![id]).await?;
        let delivery = Delivery::read(&row.ok_or(StoreError::NotFound { what: "delivery", id })?)?;
        let event = match decision {
            Resolution::CountAsSent => DeliveryEvent::CountAsSent,
            Resolution::SendAgain => DeliveryEvent::SendAgain,
        };
        let after = delivery.progress.after(event).map_err(|_| {
            StoreError::Conflict("only an uncertain delivery can be counted as sent or sent again")
        })?;
        if decision == Resolution::SendAgain {
            let phase = lock_phase(tx, delivery.campaign_id).await?;
            if phase.status.is_final() {
                let reopened = phase.after(CampaignEvent::Reopen)?;
                write_phase(tx, delivery.campaign_id, reopened, now).await?;
            }
            let sql = "SELECT id FROM campaigns WHERE id = ? AND expires_at <= ?";
            if tx.row(sql, params![delivery.campaign_id, now.0]).await?.is_some() {
                return Err(StoreError::Expired);
            }
        }
        let (stamps, stamp_values) = stamps(after.state, now);
        let mut values =
            params![after.state.as_str(), i64::from(after.attempts), i64::from(after.unanswered)];
        values.push(Value::from(after.due_at.0));
        values.extend(stamp_values);
        values.extend(params![id]);
        let wanted = match decision {
            Resolution::CountAsSent => "",
            Resolution::SendAgain => ", unrepeatable = 1",
        };
        let sql = format!(
            "UPDATE deliveries SET state = ?, attempts = ?, unanswered = ?, due_at = ?, \
             owner = NULL, lease_until = NULL{stamps}{wanted} WHERE id = ?"
        );
        tx.execute(&sql, values).await?;
        Ok(())
    }
}

stored_by_name!(DeliveryState);

impl Stored for Progress {
    const COLUMNS: Option<&'static str> = Some("state, attempts, unanswered, due_at");

    fn read(row: &Row, _: &str) -> Result<Progress, StoreError> {
        Ok(Progress {
            state: row.get("state")?,
            attempts: row.get("attempts")?,
            unanswered: row.get("unanswered")?,
            due_at: row.get("due_at")?,
        })
    }
}
