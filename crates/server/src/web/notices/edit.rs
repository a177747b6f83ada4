//! Writing notices, where the billing database is kabari's own.

use super::super::error::PageError;
use super::super::layout::{Page, Section, csrf_field, page};
use super::super::parts::{Tone, alert};
use super::super::path_id::PathId;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{address, find, severity};
use crate::api::Api;
use crate::store::billing::EmbeddedBilling;
use crate::store::state::Action;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::NaiveDateTime;
use kabari_domain::notice::NoticeAudience;
use kabari_domain::{Notice, Role};
use maud::{Markup, html};
use std::sync::Arc;

/// How a browser writes a time.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M";
const KINDS: [&str; 2] = ["gangguan", "maintenance"];
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];

/// A form's fields, of which `odp` comes once for each that is ticked.
type Fields = Vec<(String, String)>;

pub async fn show_new(visitor: Visitor, State(api): State<Arc<Api>>) -> Result<Markup, PageError> {
    writable(&visitor, &api)?;
    let notice = Notice { start_time: Some(now(&visitor, &api).await?), ..blank() };
    form(&visitor, &api, &notice, None).await
}

pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Markup, PageError> {
    writable(&visitor, &api)?;
    form(&visitor, &api, &find(&api, id).await?, None).await
}

pub async fn create(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let billing = writable(&visitor, &api)?;
    let created_at = Some(now(&visitor, &api).await?);
    let notice = Notice { created_at, is_active: true, ..read(&fields, blank()) };
    if let Some(fault) = fault(&visitor, &notice) {
        return Ok(form(&visitor, &api, &notice, Some(fault)).await?.into_response());
    }
    let id = billing.add_notice(&notice).await?;
    visitor.record(&api, Action::AddNotice, &id.to_string()).await;
    Ok(Redirect::to(&address(id)).into_response())
}

pub async fn change(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let billing = writable(&visitor, &api)?;
    let notice = read(&fields, find(&api, id).await?);
    if let Some(fault) = fault(&visitor, &notice) {
        return Ok(form(&visitor, &api, &notice, Some(fault)).await?.into_response());
    }
    billing.change_notice(&notice).await?;
    visitor.record(&api, Action::ChangeNotice, &id.to_string()).await;
    Ok(Redirect::to(&address(id)).into_response())
}

/// The notice no longer applies.
pub async fn close(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Redirect, PageError> {
    let billing = writable(&visitor, &api)?;
    billing.change_notice(&Notice { is_active: false, ..find(&api, id).await? }).await?;
    visitor.record(&api, Action::CloseNotice, &id.to_string()).await;
    Ok(Redirect::to(&address(id)))
}

/// The database to write to. An internet provider's own is written by nobody but them: there the
/// page does not exist.
fn writable<'a>(visitor: &Visitor, api: &'a Api) -> Result<EmbeddedBilling<'a>, PageError> {
    visitor.require(Role::Sender)?;
    api.billing.embedded().ok_or(PageError::NotFound)
}

async fn now(visitor: &Visitor, api: &Api) -> Result<NaiveDateTime, PageError> {
    Ok(visitor.local(api.state.now().await?))
}

fn blank() -> Notice {
    Notice {
        id: 0,
        title: String::new(),
        message: String::new(),
        kind: KINDS[0].to_owned(),
        severity: "medium".to_owned(),
        is_mass: false,
        affected_area: None,
        affected_odp: None,
        start_time: None,
        end_time: None,
        is_active: true,
        created_at: None,
    }
}

/// Returns the notice with what a form says about it.
fn read(fields: &Fields, notice: Notice) -> Notice {
    let all = |name| fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value);
    let one = |name| all(name).next().map(|value| value.trim()).unwrap_or_default();
    let filled = |name| Some(one(name).to_owned()).filter(|value| !value.is_empty());
    let among = |name, words: &[&str], kept: String| {
        words.iter().find(|word| **word == one(name)).map_or(kept, |word| (*word).to_owned())
    };
    let time = |name| NaiveDateTime::parse_from_str(one(name), TIME_FORMAT).ok();
    let is_mass = one("audience") == "everybody";
    let odps: Vec<_> = all("odp").map(|odp| odp.trim()).collect();
    Notice {
        title: one("title").to_owned(),
        message: one("message").replace("\r\n", "\n"),
        kind: among("kind", &KINDS, notice.kind),
        severity: among("severity", &SEVERITIES, notice.severity),
        is_mass,
        affected_area: filled("area"),
        // A list with nothing in it is for nobody; no list at all would be for everybody.
        affected_odp: (!is_mass)
            .then(|| if odps.is_empty() { ",".into() } else { odps.join(", ") }),
        start_time: time("start"),
        end_time: time("end"),
        is_active: !one("active").is_empty(),
        ..notice
    }
}

/// Says what is missing.
fn fault(visitor: &Visitor, notice: &Notice) -> Option<String> {
    if notice.title.is_empty() || notice.message.is_empty() {
        return Some(text!(visitor, "notice-fault-text"));
    }
    if notice.audience() == NoticeAudience::Odps(vec![]) {
        return Some(text!(visitor, "notice-fault-audience"));
    }
    let (start, end) = (notice.start_time?, notice.end_time?);
    (end < start).then(|| text!(visitor, "notice-fault-end"))
}

async fn form(
    visitor: &Visitor,
    api: &Api,
    notice: &Notice,
    fault: Option<String>,
) -> Result<Markup, PageError> {
    let counts = api.billing.odp_counts().await?;
    let is_new = notice.id == 0;
    let kinds = KINDS.map(|kind| {
        let label = match kind {
            "maintenance" => text!(visitor, "notice-kind-maintenance"),
            _ => text!(visitor, "notice-kind-outage"),
        };
        (kind, label)
    });
    let severities = SEVERITIES.map(|name| (name, severity(visitor, name)));
    let chosen = match notice.audience() {
        NoticeAudience::Everybody => None,
        NoticeAudience::Odps(odps) => Some(odps),
    };
    // A new notice is for whoever is ticked: for everybody only if somebody says so.
    let is_for_all = chosen.is_none() && !is_new;
    let chosen = chosen.unwrap_or_default();
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let is_chosen = |name: &str| chosen.iter().any(|odp| same(odp, name));
    let without_customers: Vec<_> = chosen
        .iter()
        .filter(|odp| !counts.odps.iter().any(|known| same(odp, &known.name)))
        .collect();
    let body = html! {
        @if let Some(fault) = fault { (alert(Tone::Bad, html! { (fault) })) }
        form.card.fields method="post" {
            (csrf_field(visitor))
            div.field {
                label for="title" { (text!(visitor, "notice-title")) }
                input id="title" name="title" required maxlength="200" value=(notice.title);
            }
            div.field {
                label for="message" { (text!(visitor, "notice-message")) }
                textarea id="message" name="message" required aria-describedby="message-hint" { (notice.message) }
                p.hint id="message-hint" { (text!(visitor, "notice-message-hint")) }
            }
            div.choices {
                (choice("kind", text!(visitor, "notice-kind"), &kinds, &notice.kind))
                (choice("severity", text!(visitor, "notice-severity"), &severities, &notice.severity))
                (time_field("start", text!(visitor, "notice-start"), notice.start_time))
                (time_field("end", text!(visitor, "notice-end"), notice.end_time))
            }
            div.field {
                label for="area" { (text!(visitor, "notice-area")) }
                input id="area" name="area" value=(notice.affected_area.as_deref().unwrap_or_default());
            }
            fieldset.field {
                legend { (text!(visitor, "notice-audience")) }
                label.choice {
                    input type="radio" name="audience" value="everybody" checked[is_for_all] required;
                    span { (text!(visitor, "notice-everybody")) " " span.soft { (text!(visitor, "notice-customers", count = counts.customers)) } }
                }
                label.choice {
                    input type="radio" name="audience" value="odps" checked[!is_for_all];
                    span { (text!(visitor, "notice-odps")) }
                }
                div.choices.scroll tabindex="0" role="group" aria-label=(text!(visitor, "notice-odps")) {
                    @for odp in without_customers {
                        label.choice {
                            input type="checkbox" name="odp" value=(odp) checked;
                            span { (odp) span.soft { (text!(visitor, "notice-customers", count = 0)) } }
                        }
                    }
                    @for odp in &counts.odps {
                        label.choice {
                            input type="checkbox" name="odp" value=(odp.name) checked[is_chosen(&odp.name)];
                            span { (odp.name) span.soft { (text!(visitor, "notice-customers", count = odp.customers)) } }
                        }
                    }
                }
            }
            @if !is_new {
                label.choice {
                    input type="checkbox" name="active" value="yes" checked[notice.is_active];
                    span { (text!(visitor, "notice-still-active")) }
                }
            }
            button { (text!(visitor, "save")) }
        }
    };
    let title = if is_new { text!(visitor, "notice-new") } else { text!(visitor, "notice-edit") };
    Ok(page(visitor, Page { title, section: Section::Notices, body }))
}

fn choice(name: &str, label: String, choices: &[(&str, String)], chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for (value, label) in choices {
                    option value=(value) selected[*value == chosen] { (label) }
                }
            }
        }
    }
}

fn time_field(name: &str, label: String, time: Option<NaiveDateTime>) -> Markup {
    let value = time.map(|time| time.format(TIME_FORMAT).to_string());
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type="datetime-local" value=[value];
        }
    }
}
