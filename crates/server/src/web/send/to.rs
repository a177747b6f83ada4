//! The second step: to whom.

use super::super::error::PageError;
use super::super::layout::csrf_field;
use super::super::parts::{Tone, alert};
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::draft::{Draft, Lacking, To, keep, load};
use super::{FormFields, Step, address, require_sender, step_page};
use crate::api::Api;
use crate::api::send::find_notice;
use crate::store::CustomerFilter;
use crate::store::billing::OdpCounts;
use axum::extract::{Path, RawForm, State};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::TryStreamExt;
use kabari_domain::{Customer, Notice};
use maud::{Markup, html};
use std::pin::pin;
use std::sync::Arc;

/// The most customers that a search shows.
const FOUND: usize = 30;

/// The second step.
pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Markup, PageError> {
    require_sender(&visitor)?;
    let draft = load(&api, &id).await?;
    let chosen = Chosen::of(&draft);
    form_page(&visitor, &api, &id, &draft, &chosen, "", None).await
}

/// What the form has in it, also in the parts that are not chosen.
#[derive(Default)]
struct Chosen {
    to: String,
    odps: Vec<String>,
    customers: Vec<i64>,
    numbers: String,
}

impl Chosen {
    fn of(draft: &Draft) -> Chosen {
        let named = |to: &str| Chosen { to: to.to_owned(), ..Chosen::default() };
        match &draft.to {
            None if draft.notice.is_some() => named("concerned"),
            None => Chosen::default(),
            Some(To::Concerned) => named("concerned"),
            Some(To::Everybody) => named("everybody"),
            Some(To::Odps(odps)) => Chosen { odps: odps.clone(), ..named("odps") },
            Some(To::Customers(ids)) => Chosen { customers: ids.clone(), ..named("customers") },
            Some(To::Numbers(typed)) => Chosen { numbers: typed.clone(), ..named("numbers") },
        }
    }

    fn read(form: &FormFields) -> Chosen {
        Chosen {
            to: form.first("to").to_owned(),
            odps: form.all("odp").map(str::to_owned).collect(),
            customers: form.all("customer").filter_map(|id| id.parse().ok()).collect(),
            numbers: form.first("numbers").to_owned(),
        }
    }

    fn to(&self) -> Option<To> {
        match self.to.as_str() {
            "concerned" => Some(To::Concerned),
            "everybody" => Some(To::Everybody),
            "odps" => Some(To::Odps(self.odps.clone())),
            "customers" => Some(To::Customers(self.customers.clone())),
            "numbers" => Some(To::Numbers(self.numbers.clone())),
            _ => None,
        }
    }
}

async fn form_page(
    visitor: &Visitor,
    api: &Api,
    id: &str,
    draft: &Draft,
    chosen: &Chosen,
    search: &str,
    lacking: Option<Lacking>,
) -> Result<Markup, PageError> {
    let words = visitor.texts();
    let odps = api.billing.odp_counts().await?;
    let notice = match draft.notice {
        Some(notice) => Some(find_notice(api, notice).await?),
        None => None,
    };
    let concerned = |notice: &Notice| words.number(odps.audience(&notice.audience()));
    let is = |to: &str| chosen.to == to;
    let customers = customer_list(visitor, api, id, &chosen.customers, search).await?;
    let content = html! {
        @if let Some(lacking) = lacking { (alert(Tone::Bad, html! { (said(visitor, lacking)) })) }
        form method="post" action=(address(id, Step::To)) {
            (csrf_field(visitor))
            fieldset {
                legend { (text!(visitor, "send-to")) }
                @if let Some(notice) = &notice {
                    (option("concerned", is("concerned"), text!(visitor, "send-to-concerned", count = concerned(notice)),
                        notice.affected_odp.as_deref().unwrap_or_default(), html! {}))
                }
                (option("everybody", is("everybody"),
                    text!(visitor, "send-to-everybody", count = words.number(odps.customers)), "", html! {}))
                (option("odps", is("odps"), text!(visitor, "send-to-odps"), "", odp_list(visitor, &odps, &chosen.odps)))
                (option("customers", is("customers"), text!(visitor, "send-to-customers"), "", customers))
                (option("numbers", is("numbers"), text!(visitor, "send-to-numbers"), "", html! {
                    div.field {
                        label for="numbers" { (text!(visitor, "send-numbers")) }
                        textarea id="numbers" name="numbers" inputmode="tel" aria-describedby="numbers-hint" {
                            (chosen.numbers)
                        }
                        p.hint id="numbers-hint" { (text!(visitor, "send-numbers-hint")) }
                    }
                }))
            }
            div.row.ends {
                button { (text!(visitor, "send-next-check")) }
                a.button.second href=(address(id, Step::What)) { (text!(visitor, "send-back")) }
            }
        }
    };
    Ok(step_page(visitor, Some(id), Step::To, content))
}

fn said(visitor: &Visitor, lacking: Lacking) -> String {
    match lacking {
        Lacking::Text => text!(visitor, "send-lacks-text"),
        Lacking::Recipients => text!(visitor, "send-lacks-recipients"),
        Lacking::Names => text!(visitor, "send-lacks-names"),
    }
}

/// A way to choose recipients; what belongs to it is shown while it is chosen.
fn option(value: &str, is_checked: bool, label: String, hint: &str, more: Markup) -> Markup {
    html! {
        div.option {
            label.choice {
                input type="radio" name="to" value=(value) checked[is_checked] required;
                span { strong { (label) } @if !hint.is_empty() { span.soft { (hint) } } }
            }
            @if !more.0.is_empty() { div.more { (more) } }
        }
    }
}

fn odp_list(visitor: &Visitor, counts: &OdpCounts, ticked: &[String]) -> Markup {
    let words = visitor.texts();
    html! {
        @if counts.odps.is_empty() {
            p.soft { (text!(visitor, "send-no-odps")) }
        } @else {
            div.field {
                label for="odp-filter" { (text!(visitor, "send-odp-filter")) }
                input id="odp-filter" type="search" data-filter="odp-list" autocomplete="off";
            }
            fieldset.choices.scroll id="odp-list" tabindex="0" {
                legend.hidden-label { (text!(visitor, "send-to-odps")) }
                @for odp in &counts.odps {
                    label.choice {
                        input type="checkbox" name="odp" value=(odp.name) checked[ticked.contains(&odp.name)];
                        span { (odp.name) span.soft { (text!(visitor, "send-odp-count", count = words.number(odp.customers))) } }
                    }
                }
            }
        }
    }
}

/// The customers that are ticked, and those that a search has found.
async fn customer_list(
    visitor: &Visitor,
    api: &Api,
    id: &str,
    ticked: &[i64],
    search: &str,
) -> Result<Markup, PageError> {
    let address = format!("{}/customers", address(id, Step::What));
    Ok(html! {
        div.field {
            label for="search" { (text!(visitor, "send-search")) }
            input id="search" name="search" type="search" value=(search) autocomplete="off"
                hx-post=(address) hx-trigger="input changed delay:400ms" hx-include="closest form"
                hx-target="#found";
            noscript {
                button.second formaction=(address) formnovalidate { (text!(visitor, "send-search-button")) }
            }
        }
        div id="found" role="status" { (found(visitor, api, ticked, search).await?) }
    })
}

async fn found(
    visitor: &Visitor,
    api: &Api,
    ticked: &[i64],
    search: &str,
) -> Result<Markup, PageError> {
    let active = CustomerFilter { active_only: true, ..CustomerFilter::default() };
    let chosen = CustomerFilter { ids: Some(ticked.to_vec()), ..active.clone() };
    let chosen: Vec<Customer> = api.billing.customers(&chosen).try_collect().await?;
    let mut others: Vec<Customer> = vec![];
    let mut are_more = false;
    if !search.trim().is_empty() {
        let found = CustomerFilter { search: search.to_owned(), ..active };
        let mut found = pin!(api.billing.customers(&found));
        while let Some(customer) = found.try_next().await? {
            are_more = others.len() == FOUND;
            if are_more {
                break;
            }
            if !ticked.contains(&customer.id) {
                others.push(customer);
            }
        }
    }
    let is_empty = chosen.is_empty() && others.is_empty();
    Ok(html! {
        @if is_empty && !search.trim().is_empty() {
            p.soft { (text!(visitor, "send-search-none")) }
        }
        @if !is_empty {
            fieldset.choices {
                legend.hidden-label { (text!(visitor, "send-to-customers")) }
                @for customer in &chosen { (customer_choice(customer, true)) }
                @for customer in &others { (customer_choice(customer, false)) }
            }
        }
        @if are_more {
            p.soft { (text!(visitor, "send-search-more")) }
        }
    })
}

fn customer_choice(customer: &Customer, is_ticked: bool) -> Markup {
    html! {
        label.choice {
            input type="checkbox" name="customer" value=(customer.id) checked[is_ticked];
            span {
                (customer.name)
                span.soft.number {
                    (customer.phone.as_deref().unwrap_or("–"))
                    @if let Some(odp) = &customer.odp { " · " (odp) }
                }
            }
        }
    }
}

/// What a search finds, with what is ticked already; a whole page without the script.
pub async fn search(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Markup, PageError> {
    require_sender(&visitor)?;
    let form = FormFields::read(&form);
    let chosen = Chosen::read(&form);
    let search = form.first("search");
    if visitor.is_part {
        return found(&visitor, &api, &chosen.customers, search).await;
    }
    let draft = load(&api, &id).await?;
    let chosen = Chosen { to: "customers".to_owned(), ..chosen };
    form_page(&visitor, &api, &id, &draft, &chosen, search, None).await
}

/// Keeps the choice, and leads on if it is one.
pub async fn choose(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    require_sender(&visitor)?;
    let chosen = Chosen::read(&FormFields::read(&form));
    let draft = Draft { to: chosen.to(), ..load(&api, &id).await? };
    let plan = draft.plan(&api).await?;
    if let Some(lacking) = draft.lacks(plan.template()) {
        let page = form_page(&visitor, &api, &id, &draft, &chosen, "", Some(lacking)).await?;
        return Ok(page.into_response());
    }
    let id = keep(&api, Some(&id), &draft).await?;
    Ok(Redirect::to(&address(&id, Step::Check)).into_response())
}
