//! How many customers can be reached. All of them are looked at, so a page asks for it apart.

use super::super::error::PageError;
use super::super::layout::{Page, Section, page};
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::phone;
use crate::api::Api;
use crate::store::CustomerFilter;
use axum::extract::State;
use futures_util::TryStreamExt;
use maud::{Markup, html};
use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

/// The active customers and their numbers.
#[derive(Default)]
struct Summary {
    customers: u64,
    /// Numbers that can be used, each once.
    numbers: u64,
    /// Of those, the ones who have written to a number of ours.
    warm: u64,
    /// Customers whose number cannot be used.
    broken: u64,
}

pub async fn show(visitor: Visitor, State(api): State<Arc<Api>>) -> Result<Markup, PageError> {
    let summary = count(&api).await?;
    let words = visitor.texts();
    let share = (summary.warm * 100).checked_div(summary.numbers).unwrap_or(0);
    let body = html! {
        div.figures {
            p.figure { strong { (words.number(summary.customers)) } (text!(visitor, "summary-customers")) }
            p.figure { strong { (words.number(summary.numbers)) } (text!(visitor, "summary-numbers")) }
            p.figure { strong { (share) " %" } (text!(visitor, "summary-warm", warm = summary.warm)) }
            p.figure {
                strong { (words.number(summary.broken)) }
                a href="/app/customers?show=broken" { (text!(visitor, "summary-broken")) }
            }
        }
    };
    if visitor.is_part {
        return Ok(body);
    }
    let title = text!(visitor, "customers-summary");
    Ok(page(&visitor, Page { title, section: Section::Customers, body }))
}

async fn count(api: &Api) -> Result<Summary, PageError> {
    let known = api.state.warm_numbers(&[]).await?;
    let active = CustomerFilter { active_only: true, ..CustomerFilter::default() };
    let mut customers = pin!(api.billing.customers(&active));
    let mut summary = Summary::default();
    let mut numbers = HashSet::new();
    while let Some(customer) = customers.try_next().await? {
        summary.customers += 1;
        match phone(&customer) {
            None => summary.broken += 1,
            Some(phone) => {
                let is_warm = known.contains(&phone);
                if numbers.insert(phone) {
                    summary.numbers += 1;
                    summary.warm += u64::from(is_warm);
                }
            }
        }
    }
    Ok(summary)
}
