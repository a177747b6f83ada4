//! One campaign: how far it is, what can be done about it, and who has got it.

use super::super::bubble::bubble;
use super::super::error::PageError;
use super::super::layout::{Page, Section, page};
use super::super::live::{Live, Seen};
use super::super::numbers::{Condition, waits};
use super::super::parts::{Tone, alert, as_curl, progress};
use super::super::path_id::PathId;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::recipients::{self, RecipientsQuery};
use super::{actions, address, chart, kind_name, status};
use crate::api::Api;
use crate::api::campaigns::{self, CampaignView};
use crate::api::csv;
use axum::extract::{Query, State};
use axum::response::Response;
use kabari_domain::{CampaignStatus, DeliveryState, PauseReason, Role, Timestamp};
use maud::{Markup, html};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How often a page asks about a campaign that goes on, and about one that has ended, whose
/// receipts still come.
const ASK_EVERY: Duration = Duration::from_secs(2);
const ASK_FOR_RECEIPTS_EVERY: Duration = Duration::from_secs(30);
/// The same for what takes the database longer.
const ASK_FOR_LISTS_EVERY: Duration = Duration::from_secs(5);

/// Shorter than this, a speed says nothing.
const MIN_MEASURED: Duration = Duration::from_secs(10);

pub async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Query(query): Query<RecipientsQuery>,
) -> Result<Markup, PageError> {
    let view = campaigns::view(&api, id).await?;
    let listed = recipients::list(&visitor, &api, id, &query).await?;
    let drawn = chart::draw(&visitor, api.state.timeline(id).await?);
    let campaign = &view.campaign;
    let body = html! {
        (live(&view).show(&state(&visitor, &view, api.state.now().await?)))
        section.card aria-labelledby="over-time" {
            h2 id="over-time" { (text!(visitor, "campaign-chart")) }
            (chart_live(&view).show(&drawn))
        }
        section.card aria-labelledby="recipients-title" {
            div.head {
                h2 id="recipients-title" { (text!(visitor, "campaign-recipients")) }
                a.button.second href={ (address(id)) "/report.csv" } download { (text!(visitor, "campaign-csv")) }
            }
            (recipients::filter(&visitor, id, &query))
            (recipients_live(&view, &query).show(&listed))
        }
        section.card aria-labelledby="about" {
            h2 id="about" { (text!(visitor, "campaign-about")) }
            (facts(&visitor, &view))
            h3 { (text!(visitor, "campaign-text")) }
            (bubble(&campaign.template))
        }
        (curls(&visitor, &view))
    };
    let title = campaign.subject.clone();
    Ok(page(&visitor, Page { title, section: Section::Campaigns, body }))
}

pub async fn show_live(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    let view = campaigns::view(&api, id).await?;
    let now = api.state.now().await?;
    Ok(live(&view).answer(&seen, &state(&visitor, &view, now)))
}

pub async fn show_chart(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    let view = campaigns::view(&api, id).await?;
    let drawn = chart::draw(&visitor, api.state.timeline(id).await?);
    Ok(chart_live(&view).answer(&seen, &drawn))
}

pub async fn show_recipients(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Query(query): Query<RecipientsQuery>,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    let view = campaigns::view(&api, id).await?;
    let listed = recipients::list(&visitor, &api, id, &query).await?;
    Ok(recipients_live(&view, &query).answer(&seen, &listed))
}

/// The table for spreadsheets, as the API has it.
pub async fn report(
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Response, PageError> {
    Ok(csv::answer(api, id).await?)
}

fn live(view: &CampaignView) -> Live<'static> {
    let every = if has_ended(view) { ASK_FOR_RECEIPTS_EVERY } else { ASK_EVERY };
    Live { id: "state", address: format!("{}/live", address(view.campaign.id)), every }
}

fn chart_live(view: &CampaignView) -> Live<'static> {
    let every = if has_ended(view) { ASK_FOR_RECEIPTS_EVERY } else { ASK_FOR_LISTS_EVERY };
    Live { id: "chart", address: format!("{}/chart", address(view.campaign.id)), every }
}

fn recipients_live(view: &CampaignView, query: &RecipientsQuery) -> Live<'static> {
    let every = if has_ended(view) { ASK_FOR_RECEIPTS_EVERY } else { ASK_FOR_LISTS_EVERY };
    let address = format!("{}/recipients?{}", address(view.campaign.id), query.to_query());
    Live { id: "recipients", address, every }
}

fn has_ended(view: &CampaignView) -> bool {
    view.campaign.phase.status.is_final()
}

/// What changes while it is sent.
fn state(visitor: &Visitor, view: &CampaignView, now: Timestamp) -> Markup {
    let uncertain = view.counts.get(DeliveryState::Uncertain);
    html! {
        section.card aria-label=(text!(visitor, "campaign-state")) {
            div.head {
                (status(visitor, &view.campaign))
                p.soft { (outlook(visitor, view, now)) }
            }
            @if let Some(Condition { tone, label, advice }) = view.waiting.map(|waiting| waits(visitor, waiting)) {
                (alert(tone, html! { strong { (label) ". " } (advice.unwrap_or_default()) }))
            }
            @if view.campaign.phase.reason == Some(PauseReason::Breaker) {
                (alert(Tone::Bad, html! { (text!(visitor, "campaign-breaker")) }))
            }
            (progress(visitor, &view.counts))
            @if visitor.may(Role::Sender) {
                (actions::buttons(visitor, view))
                @if uncertain > 0 {
                    (actions::decide_about_all(visitor, view.campaign.id, uncertain))
                }
            }
        }
    }
}

/// How fast it goes and when it ends, as far as that can be told.
fn outlook(visitor: &Visitor, view: &CampaignView, now: Timestamp) -> String {
    let mut parts = vec![];
    parts.extend(speed(view, now).map(|speed| text!(visitor, "campaign-speed", speed = speed)));
    parts.extend(view.eta.map(|eta| text!(visitor, "campaign-eta", time = visitor.moment(eta))));
    let finished = view.campaign.finished_at;
    parts.extend(finished.map(|at| text!(visitor, "campaign-finished", time = visitor.moment(at))));
    parts.join(" · ")
}

/// Messages a minute since it began, or until its end.
fn speed(view: &CampaignView, now: Timestamp) -> Option<u64> {
    let campaign = &view.campaign;
    let took = campaign.finished_at.unwrap_or(now).since(campaign.started_at?);
    (took >= MIN_MEASURED).then(|| view.counts.sent() * 60 / took.as_secs())
}

fn facts(visitor: &Visitor, view: &CampaignView) -> Markup {
    let campaign = &view.campaign;
    let times = [
        (text!(visitor, "campaign-created"), Some(campaign.created_at)),
        (text!(visitor, "campaign-starts"), campaign.starts_at),
        (text!(visitor, "campaign-expires"), campaign.expires_at),
    ];
    html! {
        dl.facts {
            dt { (text!(visitor, "campaign-number")) }
            dd.number { (campaign.id) }
            dt { (text!(visitor, "campaign-kind")) }
            dd { (kind_name(visitor, campaign.kind)) @if campaign.urgent { ", " (text!(visitor, "campaign-urgent")) } }
            @for (name, time) in times {
                @if let Some(time) = time { dt { (name) } dd { (visitor.moment(time)) } }
            }
            @if !campaign.sessions.is_empty() {
                dt { (text!(visitor, "campaign-numbers")) }
                dd { (campaign.sessions.join(", ")) }
            }
            @if let Some(notice) = campaign.notice_id {
                dt { (text!(visitor, "campaign-notice")) }
                dd { a href={ (Section::Notices.address()) "/" (notice) } { (text!(visitor, "campaign-notice-open")) } }
            }
            @if let Some(parent) = campaign.parent_id {
                dt { (text!(visitor, "campaign-repeats")) }
                dd { a href=(address(parent)) { (text!(visitor, "campaign-repeats-open", id = parent.to_string())) } }
            }
        }
    }
}

/// The same by API, whatever can be done now.
fn curls(visitor: &Visitor, view: &CampaignView) -> Markup {
    let path = format!("/api/campaigns/{}", view.campaign.id);
    let control = match view.campaign.phase.status {
        CampaignStatus::Paused => Some("resume"),
        CampaignStatus::Running | CampaignStatus::Scheduled => Some("pause"),
        _ if view.counts.get(DeliveryState::Failed) > 0 => Some("retry"),
        _ => None,
    };
    let decision = json!({ "decision": "count_as_sent" });
    html! {
        section.card aria-labelledby="api" {
            h2 id="api" { (text!(visitor, "curl-section")) }
            (as_curl(visitor, "GET", &path, None))
            @if let Some(control) = control {
                (as_curl(visitor, "POST", &format!("{path}/{control}"), None))
            }
            @if !has_ended(view) {
                (as_curl(visitor, "POST", &format!("{path}/cancel"), None))
            }
            @if view.counts.get(DeliveryState::Uncertain) > 0 {
                (as_curl(visitor, "POST", &format!("{path}/resolve"), Some(&decision)))
            }
        }
    }
}
