//! The provider's customers and ODPs, and what they were sent.

mod one;
mod summary;

use super::campaigns::{address as campaign_address, outcome, when};
use super::error::PageError;
use super::layout::{Page, Section, page};
use super::parts::{Tone, alert, badge, empty, pager};
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::store::CustomerFilter;
use crate::store::billing::Odp;
use crate::store::state::{Delivery, PhoneSet};
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use futures_util::{StreamExt, TryStreamExt};
use kabari_domain::{Customer, Phone, Role};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;

/// Customers on a page.
const PAGE: usize = 50;

/// The fewest and the most digits of a phone number.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// The pages of customers and ODPs.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/customers", get(list))
        .route("/app/customers/summary", get(summary::show))
        .route("/app/customers/odps", get(odps))
        .route("/app/customers/{id}", get(one::show).post(one::change))
}

/// Which customers.
#[derive(Debug, Default, Deserialize)]
struct CustomersQuery {
    /// Part of a name or number.
    #[serde(default)]
    q: String,
    #[serde(default)]
    odp: String,
    #[serde(default)]
    show: Shown,
    /// Those with a greater id.
    after: Option<i64>,
    /// What an import has done, to be told.
    added: Option<u64>,
    updated: Option<u64>,
}

/// Whom the list shows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shown {
    #[default]
    Active,
    All,
    /// Those active ones whose numbers cannot be used.
    Broken,
}

impl Shown {
    const ALL: [Shown; 3] = [Shown::Active, Shown::All, Shown::Broken];

    fn as_str(self) -> &'static str {
        match self {
            Shown::Active => "active",
            Shown::All => "all",
            Shown::Broken => "broken",
        }
    }

    fn label(self, visitor: &Visitor) -> String {
        match self {
            Shown::Active => text!(visitor, "customers-active"),
            Shown::All => text!(visitor, "customers-all"),
            Shown::Broken => text!(visitor, "customers-broken"),
        }
    }
}

impl CustomersQuery {
    fn filter(&self) -> CustomerFilter {
        CustomerFilter {
            active_only: self.show != Shown::All,
            odps: Some(self.odp.trim())
                .filter(|odp| !odp.is_empty())
                .map(|odp| vec![odp.to_owned()]),
            search: self.q.clone(),
            after: self.after,
            ..CustomerFilter::default()
        }
    }

    fn part(&self, after: Option<i64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("q", &*self.q), ("odp", &self.odp), ("show", self.show.as_str())] {
            query.append_pair(name, value);
        }
        if let Some(after) = after {
            query.append_pair("after", &after.to_string());
        }
        format!("{}?{}", Section::Customers.address(), query.finish())
    }
}

async fn list(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Query(query): Query<CustomersQuery>,
) -> Result<Markup, PageError> {
    let is_shown = |customer: &Customer| query.show != Shown::Broken || phone(customer).is_none();
    let filter = query.filter();
    let found = api.billing.customers(&filter).try_filter(|customer| ready(is_shown(customer)));
    let mut listed: Vec<Customer> = found.take(PAGE + 1).try_collect().await?;
    let has_more = listed.len() > PAGE;
    listed.truncate(PAGE);
    let next = listed.last().filter(|_| has_more).map(|last| query.part(Some(last.id)));
    let first = query.after.map(|_| query.part(None));
    let table = table(&visitor, &api, &listed).await?;
    let may_import = visitor.may(Role::Admin) && api.billing.embedded().is_some();
    let body = html! {
        @if let (Some(added), Some(updated)) = (query.added, query.updated) {
            (alert(Tone::Good, html! { (text!(visitor, "import-done", added = added, updated = updated)) }))
        }
        div.row {
            a.button.second href="/app/customers/odps" { (text!(visitor, "odps-title")) }
            @if may_import {
                a.button.second href=(super::import::ADDRESS) { (text!(visitor, "import-title")) }
            }
        }
        section.card aria-labelledby="summary-title" {
            h2 id="summary-title" { (text!(visitor, "customers-summary")) }
            div id="summary" hx-get="/app/customers/summary" hx-trigger="load" {
                a href="/app/customers/summary" { (text!(visitor, "customers-summary-count")) }
            }
        }
        (filter_form(&visitor, &query))
        @if listed.is_empty() {
            (empty(&text!(visitor, "customers-none"), html! {
                @if may_import { a.button href=(super::import::ADDRESS) { (text!(visitor, "import-title")) } }
            }))
        } @else {
            (table)
        }
        (pager(&visitor, first.as_deref(), next.as_deref()))
    };
    let title = text!(visitor, "customers-title");
    Ok(page(&visitor, Page { title, section: Section::Customers, body }))
}

fn filter_form(visitor: &Visitor, query: &CustomersQuery) -> Markup {
    html! {
        form.filter role="search" action=(Section::Customers.address()) {
            div.field {
                label for="q" { (text!(visitor, "customers-search")) }
                input id="q" name="q" type="search" value=(query.q);
            }
            div.field {
                label for="odp" { (text!(visitor, "customers-odp")) }
                input id="odp" name="odp" value=(query.odp);
            }
            div.field {
                label for="show" { (text!(visitor, "customers-show")) }
                select id="show" name="show" {
                    @for shown in Shown::ALL {
                        option value=(shown.as_str()) selected[shown == query.show] { (shown.label(visitor)) }
                    }
                }
            }
            button.second { (text!(visitor, "search-button")) }
        }
    }
}

async fn table(visitor: &Visitor, api: &Api, customers: &[Customer]) -> Result<Markup, PageError> {
    let ids: Vec<_> = customers.iter().map(|customer| customer.id).collect();
    let last = api.state.last_deliveries_to(&ids).await?;
    let phones: Vec<_> = customers.iter().filter_map(phone).collect();
    let warm = api.state.warm_among(&phones).await?;
    Ok(html! {
        div.table {
            table.stack {
                thead {
                    tr {
                        th { (text!(visitor, "customers-name")) }
                        th { (text!(visitor, "customers-number")) }
                        th { (text!(visitor, "customers-odp")) }
                        th { (text!(visitor, "customers-last")) }
                    }
                }
                tbody { @for customer in customers { (row(visitor, customer, &last, &warm)) } }
            }
        }
    })
}

fn row(
    visitor: &Visitor,
    customer: &Customer,
    last: &HashMap<i64, Delivery>,
    warm: &PhoneSet,
) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href={ "/app/customers/" (customer.id) } { (customer.name) }
                @if !customer.is_active { " " (badge(Tone::Plain, &text!(visitor, "customer-inactive"))) }
            }
            td { (number(visitor, customer, warm)) }
            td {
                @if let Some(odp) = &customer.odp {
                    @let of_odp = CustomersQuery { odp: odp.clone(), ..CustomersQuery::default() };
                    a href=(of_odp.part(None)) { (odp) }
                }
            }
            td {
                @match last.get(&customer.id) {
                    Some(delivery) => {
                        a href=(campaign_address(delivery.campaign_id)) {
                            (outcome(visitor, delivery.progress.state))
                        }
                        " " (when(visitor, delivery))
                    }
                    None => { span.soft { (text!(visitor, "customers-never")) } }
                }
            }
        }
    }
}

/// The number, or what is wrong with it.
fn number(visitor: &Visitor, customer: &Customer, warm: &PhoneSet) -> Markup {
    let typed = customer.phone.as_deref().unwrap_or_default().trim();
    html! {
        @match phone(customer) {
            Some(phone) => {
                span.number { "+" (phone.digits()) }
                @if warm.contains(&phone) { " " (badge(Tone::Good, &text!(visitor, "customer-warm"))) }
            }
            None => {
                span.number { (typed) } " " (badge(Tone::Bad, &text!(visitor, "customer-broken")))
                p.soft { (fault(visitor, typed)) }
            }
        }
    }
}

fn phone(customer: &Customer) -> Option<Phone> {
    Phone::parse(customer.phone.as_deref()?).ok()
}

/// Says what is wrong with a number that is none.
fn fault(visitor: &Visitor, typed: &str) -> String {
    let digits = typed.chars().filter(char::is_ascii_digit).count();
    match digits {
        _ if typed.is_empty() || typed == "0" => text!(visitor, "phone-fault-empty"),
        _ if typed.chars().any(char::is_alphabetic) => text!(visitor, "phone-fault-letters"),
        few if few < *DIGITS.start() => text!(visitor, "phone-fault-short"),
        many if many > *DIGITS.end() => text!(visitor, "phone-fault-long"),
        _ => text!(visitor, "phone-fault-unknown"),
    }
}

async fn odps(visitor: Visitor, State(api): State<Arc<Api>>) -> Result<Markup, PageError> {
    let counts = api.billing.odp_counts().await?;
    let of = |odp: &Odp| {
        CustomersQuery { odp: odp.name.clone(), ..CustomersQuery::default() }.part(None)
    };
    let body = html! {
        p { a href=(Section::Customers.address()) { (text!(visitor, "customers-back")) } }
        @if counts.odps.is_empty() {
            (empty(&text!(visitor, "odps-none"), html! {}))
        } @else {
            div.table {
                table {
                    thead {
                        tr { th { (text!(visitor, "customers-odp")) } th.right { (text!(visitor, "odps-customers")) } }
                    }
                    tbody {
                        @for odp in &counts.odps {
                            tr {
                                th scope="row" { a href=(of(odp)) { (odp.name) } }
                                td.right.number { (visitor.texts().number(odp.customers)) }
                            }
                        }
                    }
                }
            }
        }
    };
    let title = text!(visitor, "odps-title");
    Ok(page(&visitor, Page { title, section: Section::Customers, body }))
}
