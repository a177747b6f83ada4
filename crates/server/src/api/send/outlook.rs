//! What a send would come to, counted.

use super::SendOptions;
use crate::api::{Api, forecast};
use crate::store::StoreError;
use crate::store::state::{NewDelivery, PhoneSet};
use kabari_domain::Timestamp;
use std::collections::BTreeMap;

/// How many of those who get nothing are named for each reason.
const NAMED: usize = 5;

/// What a send would come to.
pub struct Outlook {
    /// All recipients.
    pub total: u64,
    /// Those who would get it.
    pub to_send: u64,
    /// Those of them who have written to one of the numbers.
    pub warm: u64,
    /// The others by the reason why they would get nothing.
    pub skipped: BTreeMap<String, Skipped>,
    known: PhoneSet,
}

/// Recipients who would get nothing for the same reason.
#[derive(Debug, Default)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first of them: a name, or a number as it was typed.
    pub named: Vec<String>,
}

impl Outlook {
    /// Begins to count.
    pub async fn new(api: &Api, options: &SendOptions) -> Result<Outlook, StoreError> {
        let known = api.state.warm_numbers(&options.sessions).await?;
        Ok(Outlook { total: 0, to_send: 0, warm: 0, skipped: BTreeMap::new(), known })
    }

    /// Counts a recipient. Returns whether they have written to one of the numbers; `None` if
    /// they would get nothing.
    pub fn count(&mut self, recipient: &NewDelivery) -> Option<bool> {
        self.total += 1;
        let Some(phone) = &recipient.phone else {
            let reason = recipient.error.clone().unwrap_or_default();
            let skipped = self.skipped.entry(reason).or_default();
            skipped.count += 1;
            if skipped.named.len() < NAMED {
                let typed = recipient.phone_raw.clone().unwrap_or_default();
                let name = Some(recipient.customer_name.clone()).filter(|name| !name.is_empty());
                skipped.named.push(name.unwrap_or(typed));
            }
            return None;
        };
        let is_warm = self.known.contains(phone);
        self.to_send += 1;
        self.warm += u64::from(is_warm);
        Some(is_warm)
    }

    /// Returns when the send would start, and when it would end if nothing else is sent
    /// meanwhile, if that can be told.
    pub async fn span(
        &self,
        api: &Api,
        options: &SendOptions,
    ) -> Result<(Timestamp, Option<Timestamp>), StoreError> {
        let now = api.state.now().await?;
        let starts_at = options.starts_at.map_or(now, |starts_at| starts_at.max(now));
        let sessions = api.state.sessions().await?;
        let able = forecast::eligible(&sessions, &options.sessions);
        let to_send = self.to_send;
        let ends_at = forecast::ends_at(api, &able, starts_at, to_send, options.urgent, now);
        Ok((starts_at, ends_at))
    }
}
