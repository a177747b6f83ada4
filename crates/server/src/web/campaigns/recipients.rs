//! Who gets a campaign, and what has become of each.

use super::super::error::PageError;
use super::super::parts::{StateGroup, badge, empty, pager};
use super::super::reasons;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{actions, address};
use crate::api::Api;
use crate::store::state::{Delivery, DeliveryFilter};
use kabari_domain::{DeliveryState, Role};
use maud::{Markup, html};
use serde::Deserialize;

/// Recipients on a page.
const PAGE: u32 = 50;

/// Which recipients.
#[derive(Debug, Default, Deserialize)]
pub struct RecipientsQuery {
    /// A [`StateGroup`]; all if it is empty.
    #[serde(default)]
    state: String,
    /// Part of a name or number.
    #[serde(default)]
    q: String,
    /// Those after this position.
    after: Option<i64>,
}

impl RecipientsQuery {
    fn filter(&self) -> DeliveryFilter {
        let group = StateGroup::from_name(&self.state);
        DeliveryFilter {
            states: group.map(StateGroup::states).unwrap_or_default(),
            search: self.q.clone(),
        }
    }

    /// Returns the query of an address that asks the same.
    pub fn to_query(&self) -> String {
        self.query_after(self.after)
    }

    fn query_after(&self, after: Option<i64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("state", &self.state), ("q", &self.q)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if let Some(after) = after {
            query.append_pair("after", &after.to_string());
        }
        query.finish()
    }
}

/// The form that chooses who is shown.
pub fn filter(visitor: &Visitor, campaign: i64, query: &RecipientsQuery) -> Markup {
    html! {
        form.filter role="search" action={ (address(campaign)) "#recipients-title" } {
            div.field {
                label for="state-filter" { (text!(visitor, "recipients-state")) }
                select id="state-filter" name="state" {
                    option value="" { (text!(visitor, "recipients-all")) }
                    @for group in StateGroup::ALL {
                        option value=(group.as_str()) selected[query.state == group.as_str()] { (group.label(visitor)) }
                    }
                }
            }
            div.field {
                label for="q" { (text!(visitor, "recipients-search")) }
                input id="q" name="q" type="search" value=(query.q);
            }
            button.second { (text!(visitor, "search-button")) }
        }
    }
}

/// The table, and the way to its next part.
pub async fn list(
    visitor: &Visitor,
    api: &Api,
    campaign: i64,
    query: &RecipientsQuery,
) -> Result<Markup, PageError> {
    let filter = query.filter();
    let mut listed = api.state.find_deliveries(campaign, &filter, query.after, PAGE + 1).await?;
    let has_more = listed.len() > PAGE as usize;
    listed.truncate(PAGE as usize);
    let part =
        |after| format!("{}?{}#recipients-title", address(campaign), query.query_after(after));
    let first = query.after.map(|_| part(None));
    let next = listed.last().filter(|_| has_more).map(|last| part(Some(last.position)));
    Ok(html! {
        @if listed.is_empty() {
            (empty(&text!(visitor, "recipients-none"), html! {}))
        } @else {
            div.table {
                table.stack {
                    thead {
                        tr {
                            th { (text!(visitor, "recipients-name")) }
                            th { (text!(visitor, "recipients-number")) }
                            th { (text!(visitor, "recipients-outcome")) }
                            th { (text!(visitor, "recipients-when")) }
                        }
                    }
                    tbody { @for delivery in &listed { (row(visitor, delivery)) } }
                }
            }
        }
        (pager(visitor, first.as_deref(), next.as_deref()))
    })
}

fn row(visitor: &Visitor, delivery: &Delivery) -> Markup {
    let state = delivery.progress.state;
    let is_uncertain = state == DeliveryState::Uncertain;
    let why = reasons::of_delivery(visitor, delivery).filter(|_| !state.is_open() && !is_uncertain);
    html! {
        tr {
            th scope="row" { (name(visitor, delivery)) }
            td.number { (number(delivery)) }
            td {
                (outcome(visitor, state))
                @if let Some(why) = why { p.soft { (why) } }
                @if is_uncertain && visitor.may(Role::Sender) {
                    (actions::decide_about_one(visitor, delivery.id))
                }
            }
            td.time { (when(visitor, delivery)) }
        }
    }
}

fn name(visitor: &Visitor, delivery: &Delivery) -> Markup {
    html! {
        @match delivery.customer_id {
            Some(id) => {
                a id={ "customer-" (delivery.id) } href={ "/app/customers/" (id) } { (delivery.customer_name) }
            }
            None if delivery.customer_name.is_empty() => {
                span.soft { (text!(visitor, "recipients-nameless")) }
            }
            None => { (delivery.customer_name) }
        }
    }
}

/// The number as it is dialled, or as it was typed where it is none.
pub fn number(delivery: &Delivery) -> String {
    match &delivery.phone {
        Some(phone) => format!("+{}", phone.digits()),
        None => delivery.phone_raw.clone().unwrap_or_default(),
    }
}

/// What has become of a delivery, in a word.
pub fn outcome(visitor: &Visitor, state: DeliveryState) -> Markup {
    let group = StateGroup::of(state);
    badge(group.tone(), &group.label(visitor))
}

/// The last that is known to have happened.
pub fn when(visitor: &Visitor, delivery: &Delivery) -> String {
    let times =
        [delivery.read_at, delivery.delivered_at, delivery.accepted_at, delivery.first_sent_at];
    times.into_iter().flatten().next().map(|at| visitor.moment(at)).unwrap_or_default()
}
