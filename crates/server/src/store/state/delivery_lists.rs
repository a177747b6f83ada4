//! Deliveries as pages list them: the recipients of a campaign by state and name, what a customer
//! was sent, whom campaigns have reached, and when it all happened.

use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::{Value, params};
use super::super::search::Search;
use super::StateStore;
use super::campaigns::{Campaign, CampaignKind};
use super::deliveries::Delivery;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use kabari_domain::{DeliveryState, Timestamp};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Points of a campaign's chart.
const POINTS: usize = 60;
/// The shortest time between two of them.
const MIN_WIDTH: Duration = Duration::from_secs(1);
/// A chart goes on for so long after the last message: receipts come for days.
const RECEIPTS_SHOWN: Duration = Duration::from_secs(60 * 60);

/// Which deliveries of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Those in one of these states; of none, all.
    pub states: Vec<DeliveryState>,
    /// Those whose name or number has this in it; blank for all.
    pub search: String,
}

/// How many messages of a campaign were sent, delivered and read by when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// When the first message was sent.
    pub begins: Timestamp,
    /// The time from one point to the next.
    pub width: Duration,
    /// Messages sent until the end of each point's time.
    pub sent: Vec<u64>,
    /// The same for messages delivered.
    pub delivered: Vec<u64>,
    /// The same for messages read.
    pub read: Vec<u64>,
}

impl StateStore {
    /// Deliveries of a campaign that are in the filter, by position: `limit` of them, after
    /// position `after` if given.
    ///
    /// Each state is asked for by itself, so that an index has the rows in their order: as many
    /// rows are read as there can be on the page.
    pub async fn find_deliveries(
        &self,
        campaign: i64,
        filter: &DeliveryFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut conditions: Vec<_> = filter
            .states
            .iter()
            .map(|state| format!(" AND state = '{}'", state.as_str()))
            .collect();
        if conditions.is_empty() {
            conditions.push(String::new());
        }
        let (found, searched) = match Search::of(&filter.search) {
            Some(search) => {
                let (condition, values) =
                    search.condition("customer_name", &["phone", "phone_raw"]);
                (format!(" AND {condition}"), values)
            }
            None => (String::new(), vec![]),
        };
        let mut deliveries = vec![];
        for condition in conditions {
            let sql = Delivery::select(&format!(
                "WHERE campaign_id = ?{condition} AND position > ?{found} \
                 ORDER BY position LIMIT ?"
            ));
            let mut values = params![campaign, after.unwrap_or(-1)];
            values.extend(searched.iter().cloned());
            values.push(Value::from(i64::from(limit)));
            for row in self.db().rows(&sql, values).await? {
                deliveries.push(Delivery::read(&row)?);
            }
        }
        deliveries.sort_unstable_by_key(|delivery| delivery.position);
        deliveries.truncate(limit as usize);
        Ok(deliveries)
    }

    /// The last delivery to each of these customers who has been sent anything.
    pub async fn last_deliveries_to(
        &self,
        customers: &[i64],
    ) -> Result<HashMap<i64, Delivery>, StoreError> {
        if customers.is_empty() {
            return Ok(HashMap::new());
        }
        let (among, values) = one_of("customer_id", customers.iter().copied());
        let sql = Delivery::select(&format!(
            "WHERE id IN (SELECT MAX(id) FROM deliveries WHERE {among} GROUP BY customer_id)"
        ));
        let rows = self.db().rows(&sql, values).await?;
        let deliveries = rows.iter().map(Delivery::read);
        let of_customer = |delivery: Delivery| Some((delivery.customer_id?, delivery));
        deliveries.filter_map(|read| read.map(of_customer).transpose()).collect()
    }

    /// What a customer was sent, newest first: `limit` deliveries.
    pub async fn deliveries_to(
        &self,
        customer: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = Delivery::select("WHERE customer_id = ? ORDER BY id DESC LIMIT ?");
        let rows = self.db().rows(&sql, params![customer, i64::from(limit)]).await?;
        rows.iter().map(Delivery::read).collect()
    }

    /// Campaigns for a notice, newest first: `limit` of them.
    pub async fn campaigns_for_notice(
        &self,
        notice: i64,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError> {
        let sql = Campaign::select("WHERE notice_id = ? ORDER BY id DESC LIMIT ?");
        let rows = self.db().rows(&sql, params![notice, i64::from(limit)]).await?;
        rows.iter().map(Campaign::read).collect()
    }

    /// Those whom a notice has reached, each number once: the recipients of sent messages of all
    /// its campaigns but those that tell that it is over.
    pub fn reached_by(
        &self,
        notice: i64,
    ) -> impl Stream<Item = Result<Delivery, StoreError>> + Send + 'static {
        let state = self.clone();
        let campaigns = {
            let state = self.clone();
            async move { state.campaigns_for_notice(notice, u32::MAX).await }
        };
        let mut taken = HashSet::new();
        stream::once(campaigns)
            .map_ok(move |campaigns| {
                let state = state.clone();
                let told = campaigns.into_iter().filter(|c| c.kind != CampaignKind::Restored);
                stream::iter(told).flat_map(move |campaign| {
                    state
                        .deliveries_where(campaign.id, "state IN ('accepted', 'delivered', 'read')")
                })
            })
            .try_flatten()
            .try_filter(move |delivery| {
                let is_first = delivery.phone.clone().is_some_and(|phone| taken.insert(phone));
                std::future::ready(is_first)
            })
    }

    /// The uncertain deliveries of a campaign.
    pub async fn uncertain(&self, campaign: i64) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT id FROM deliveries WHERE campaign_id = ? AND state = 'uncertain' \
                   ORDER BY position";
        let rows = self.db().rows(sql, params![campaign]).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    /// How a campaign went on over time; `None` while nothing of it is sent.
    pub async fn timeline(&self, campaign: i64) -> Result<Option<Timeline>, StoreError> {
        let sql = "SELECT MIN(accepted_at) AS begins, MAX(accepted_at) AS sent, \
                   MAX(delivered_at) AS delivered, MAX(read_at) AS opened \
                   FROM deliveries WHERE campaign_id = ?";
        let Some(row) = self.db().row(sql, params![campaign]).await? else { return Ok(None) };
        let (begins, sent): (Option<Timestamp>, Option<Timestamp>) =
            (row.get("begins")?, row.get("sent")?);
        let (Some(begins), Some(sent)) = (begins, sent) else { return Ok(None) };
        let receipts: [Option<Timestamp>; 2] = [row.get("delivered")?, row.get("opened")?];
        let last = receipts.into_iter().flatten().fold(sent, Timestamp::max);
        let span = last.min(sent + RECEIPTS_SHOWN).since(begins);
        let width = (span / (POINTS as u32 - 1)).max(MIN_WIDTH);
        let points = (span.as_millis() / width.as_millis()) as usize + 1;
        let mut timeline =
            Timeline { begins, width, sent: vec![], delivered: vec![], read: vec![] };
        for (column, series) in [
            ("accepted_at", &mut timeline.sent),
            ("delivered_at", &mut timeline.delivered),
            ("read_at", &mut timeline.read),
        ] {
            *series = self.reached_until(campaign, column, begins, width, points).await?;
        }
        Ok(Some(timeline))
    }

    /// Counts by the time in a column, each point with all that came before it.
    async fn reached_until(
        &self,
        campaign: i64,
        column: &str,
        begins: Timestamp,
        width: Duration,
        points: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let (begins, width) = (begins.0, width.as_millis() as i64);
        let sql = format!(
            "SELECT {column} - {begins} - ({column} - {begins}) % {width} AS since, \
             COUNT(*) AS number FROM deliveries \
             WHERE campaign_id = ? AND {column} >= {begins} GROUP BY since"
        );
        let mut counts = vec![0; points];
        for row in self.db().rows(&sql, params![campaign]).await? {
            let point = usize::try_from(row.get::<i64>("since")? / width).unwrap_or(usize::MAX);
            if let Some(count) = counts.get_mut(point) {
                *count += row.get::<u64>("number")?;
            }
        }
        let sums = counts.into_iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Ok(sums.collect())
    }
}
