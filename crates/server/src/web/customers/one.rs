//! One customer: their number, and what they were sent.

use super::super::campaigns::{address as campaign_address, outcome, when};
use super::super::error::PageError;
use super::super::layout::{Page, Section, csrf_field, page};
use super::super::parts::{Tone, alert, empty};
use super::super::path_id::PathId;
use super::super::reasons;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{number, phone};
use crate::api::Api;
use crate::store::StoreError;
use crate::store::billing::CustomerRow;
use crate::store::state::{Action, Delivery};
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use kabari_domain::{Customer, Role};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The last messages that are shown.
const MESSAGES: u32 = 20;

pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Markup, PageError> {
    shown(&visitor, &api, id, None).await
}

async fn shown(
    visitor: &Visitor,
    api: &Api,
    id: i64,
    fault: Option<String>,
) -> Result<Markup, PageError> {
    let customer = api.billing.customer(id).await?;
    let sent = api.state.deliveries_to(id, MESSAGES).await?;
    // Who is gone from the billing database has still been sent what they were sent.
    let name = customer.as_ref().map(|customer| &customer.name);
    let name = name.or(sent.first().map(|delivery| &delivery.customer_name));
    let title = name.cloned().ok_or(PageError::NotFound)?;
    let may_change = visitor.may(Role::Admin) && api.billing.embedded().is_some();
    let body = html! {
        @match &customer {
            Some(customer) => { (facts(visitor, api, customer).await?) }
            None => { (alert(Tone::Wait, html! { (text!(visitor, "customer-gone")) })) }
        }
        @if let Some(customer) = customer.filter(|_| may_change) {
            (form(visitor, &customer, fault))
        }
        section.card aria-labelledby="sent" {
            h2 id="sent" { (text!(visitor, "customer-sent")) }
            (messages(visitor, &sent, &subjects(api, &sent).await?))
        }
    };
    Ok(page(visitor, Page { title, section: Section::Customers, body }))
}

async fn facts(visitor: &Visitor, api: &Api, customer: &Customer) -> Result<Markup, PageError> {
    let phones: Vec<_> = phone(customer).into_iter().collect();
    let warm = api.state.warm_among(&phones).await?;
    Ok(html! {
        section.card aria-label=(text!(visitor, "customer-facts")) {
            dl.facts {
                dt { (text!(visitor, "customer-id")) } dd.number { (customer.id) }
                dt { (text!(visitor, "customers-number")) } dd { (number(visitor, customer, &warm)) }
                dt { (text!(visitor, "customers-odp")) } dd { (customer.odp.as_deref().unwrap_or("-")) }
                dt { (text!(visitor, "customer-status")) }
                dd {
                    @if customer.is_active { (text!(visitor, "customer-active")) }
                    @else { (text!(visitor, "customer-inactive")) }
                }
            }
        }
    })
}

fn form(visitor: &Visitor, customer: &Customer, fault: Option<String>) -> Markup {
    html! {
        section.card aria-labelledby="change" {
            h2 id="change" { (text!(visitor, "customer-change")) }
            @if let Some(fault) = fault { (alert(Tone::Bad, html! { (fault) })) }
            form.fields method="post" {
                (csrf_field(visitor))
                div.field {
                    label for="name" { (text!(visitor, "customers-name")) }
                    input id="name" name="name" required value=(customer.name);
                }
                div.field {
                    label for="phone" { (text!(visitor, "customers-number")) }
                    input id="phone" name="phone" type="tel" value=(customer.phone.as_deref().unwrap_or_default());
                }
                div.field {
                    label for="odp" { (text!(visitor, "customers-odp")) }
                    input id="odp" name="odp" value=(customer.odp.as_deref().unwrap_or_default());
                }
                label.choice {
                    input type="checkbox" name="active" value="yes" checked[customer.is_active];
                    span { (text!(visitor, "customer-active")) }
                }
                button { (text!(visitor, "save")) }
            }
        }
    }
}

/// What is known of a customer from now on.
#[derive(Deserialize)]
pub struct CustomerForm {
    name: String,
    phone: String,
    odp: String,
    active: Option<String>,
}

pub async fn change(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Form(form): Form<CustomerForm>,
) -> Result<Response, PageError> {
    visitor.require(Role::Admin)?;
    let billing = api.billing.embedded().ok_or(PageError::NotFound)?;
    if api.billing.customer(id).await?.is_none() {
        return Err(PageError::NotFound);
    }
    let name = form.name.trim().to_owned();
    if name.is_empty() {
        let fault = text!(visitor, "customer-nameless");
        return Ok(shown(&visitor, &api, id, Some(fault)).await?.into_response());
    }
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let row = CustomerRow {
        id: Some(id),
        name,
        phone: filled(&form.phone),
        odp: Some(filled(&form.odp)),
        is_active: Some(form.active.is_some()),
    };
    billing.import(&[row]).await?;
    visitor.record(&api, Action::ChangeCustomer, &id.to_string()).await;
    Ok(Redirect::to(&format!("/app/customers/{id}")).into_response())
}

/// What the campaigns of these deliveries are called.
async fn subjects(api: &Api, sent: &[Delivery]) -> Result<HashMap<i64, String>, StoreError> {
    let mut subjects = HashMap::new();
    for delivery in sent {
        if let Some(campaign) = api.state.campaign(delivery.campaign_id).await? {
            subjects.insert(campaign.id, campaign.subject);
        }
    }
    Ok(subjects)
}

fn messages(visitor: &Visitor, sent: &[Delivery], subjects: &HashMap<i64, String>) -> Markup {
    html! {
        @if sent.is_empty() { (empty(&text!(visitor, "customers-never"), html! {})) }
        ul.list {
            @for delivery in sent {
                li {
                    span {
                        a href=(campaign_address(delivery.campaign_id)) {
                            (subjects.get(&delivery.campaign_id).map_or("-", String::as_str))
                        }
                        @if let Some(why) = reasons::of_delivery(visitor, delivery).filter(|_| !delivery.progress.state.is_open()) {
                            p.soft { (why) }
                        }
                    }
                    span { (outcome(visitor, delivery.progress.state)) " " (when(visitor, delivery)) }
                }
            }
        }
    }
}
