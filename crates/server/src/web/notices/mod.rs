//! The provider's notices, what was sent for each, and the word that it is over.

mod edit;
mod restored;

use super::bubble::bubble;
use super::campaigns;
use super::error::PageError;
use super::layout::{Page, Section, csrf_field, page};
use super::parts::{Tone, alert, as_curl, badge, empty, pager};
use super::path_id::PathId;
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::api::campaigns as api_campaigns;
use crate::store::billing::OdpCounts;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use kabari_domain::notice::NoticeAudience;
use kabari_domain::{Notice, Role};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Notices on a page.
const PAGE: u32 = 30;
/// Campaigns that the page of a notice shows.
const CAMPAIGNS: u32 = 20;

/// The pages of notices.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/notices", get(list))
        .route("/app/notices/new", get(edit::show_new).post(edit::create))
        .route("/app/notices/{id}", get(show))
        .route("/app/notices/{id}/edit", get(edit::show).post(edit::change))
        .route("/app/notices/{id}/close", post(edit::close))
        .route("/app/notices/{id}/restored", get(restored::show).post(restored::send))
        .route("/app/notices/{id}/restored/preview", post(restored::preview))
}

/// Returns the address of a notice's page.
pub fn address(id: i64) -> String {
    format!("{}/{id}", Section::Notices.address())
}

/// The notice of this id, or no page.
async fn find(api: &Api, id: i64) -> Result<Notice, PageError> {
    api.billing.notice(id).await?.ok_or(PageError::NotFound)
}

/// Which part of the list.
#[derive(Deserialize)]
struct ListQuery {
    before: Option<i64>,
}

async fn list(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Query(query): Query<ListQuery>,
) -> Result<Markup, PageError> {
    let mut notices = api.billing.notices_before(query.before, PAGE + 1).await?;
    let has_more = notices.len() > PAGE as usize;
    notices.truncate(PAGE as usize);
    let ids: Vec<_> = notices.iter().map(|notice| notice.id).collect();
    let told = api.state.told(&ids).await?;
    let counts = api.billing.odp_counts().await?;
    let here = Section::Notices.address();
    let next = notices.last().filter(|_| has_more);
    let next = next.map(|last| format!("{here}?before={}", last.id));
    let may_write = visitor.may(Role::Sender) && api.billing.embedded().is_some();
    let body = html! {
        @if may_write {
            p { a.button.second href="/app/notices/new" { (text!(visitor, "notice-new")) } }
        }
        @if notices.is_empty() {
            (empty(&text!(visitor, "notices-none"), html! {
                @if !may_write { p { (text!(visitor, "notices-none-hint")) } }
            }))
        } @else {
            div.table {
                table.stack {
                    thead {
                        tr {
                            th { (text!(visitor, "notice-title")) }
                            th { (text!(visitor, "notice-audience")) }
                            th.right { (text!(visitor, "notice-told")) }
                            th { (text!(visitor, "notice-written")) }
                        }
                    }
                    tbody {
                        @for notice in &notices {
                            tr {
                                th scope="row" {
                                    a href=(address(notice.id)) { (notice.title) } " " (status(&visitor, notice))
                                }
                                td { (audience(&visitor, notice, &counts)) }
                                td.right.number {
                                    (visitor.texts().number(told.get(&notice.id).copied().unwrap_or_default()))
                                }
                                td {
                                    @if let Some(at) = notice.created_at { (visitor.texts().moment(at)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        (pager(&visitor, query.before.map(|_| here), next.as_deref()))
    };
    let title = text!(visitor, "notices-title");
    Ok(page(&visitor, Page { title, section: Section::Notices, body }))
}

async fn show(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Markup, PageError> {
    let notice = find(&api, id).await?;
    let counts = api.billing.odp_counts().await?;
    let told = api.state.told(&[id]).await?.remove(&id).unwrap_or_default();
    let sent = api.state.campaigns_for_notice(id, CAMPAIGNS).await?;
    let sent = api_campaigns::views(&api, sent).await?;
    let message = notice.to_message(api.settings.status_page_url.as_deref());
    let is_written_here = api.billing.embedded().is_some();
    let body = html! {
        section.card aria-labelledby="about" {
            div.head {
                h2 id="about" { (text!(visitor, "notice-about")) }
                (status(&visitor, &notice))
            }
            (facts(&visitor, &notice, &counts))
            p.figure { strong { (visitor.texts().number(told)) } (text!(visitor, "notice-told")) }
            @if visitor.may(Role::Sender) { (buttons(&visitor, &notice, told, is_written_here)) }
        }
        section.card aria-labelledby="message" {
            h2 id="message" { (text!(visitor, "notice-text")) }
            (bubble(&message))
        }
        section.head aria-labelledby="sent" {
            h2 id="sent" { (text!(visitor, "notice-sent")) }
        }
        @if sent.is_empty() { (empty(&text!(visitor, "notice-sent-none"), html! {})) }
        (campaigns::cards(&visitor, &sent))
        section.card aria-labelledby="api" {
            h2 id="api" { (text!(visitor, "curl-section")) }
            (as_curl(&visitor, "GET", &format!("/api/notices/{id}"), None))
            (as_curl(&visitor, "POST", "/api/send/notification", Some(&json!({ "notice_id": id }))))
            (as_curl(&visitor, "POST", "/api/send/restored", Some(&json!({ "notice_id": id }))))
        }
    };
    let title = notice.title.clone();
    Ok(page(&visitor, Page { title, section: Section::Notices, body }))
}

fn buttons(visitor: &Visitor, notice: &Notice, told: u64, is_written_here: bool) -> Markup {
    let address = address(notice.id);
    html! {
        div.row {
            @if notice.is_active {
                a.button href={ (Section::Send.address()) "?notice=" (notice.id) } { (text!(visitor, "notice-send")) }
            }
            @if told > 0 {
                a.button.second href={ (address) "/restored" } { (text!(visitor, "notice-restored")) }
            }
            @if is_written_here {
                a.button.second href={ (address) "/edit" } { (text!(visitor, "notice-edit")) }
                @if notice.is_active {
                    form method="post" action={ (address) "/close" } {
                        (csrf_field(visitor))
                        button.second { (text!(visitor, "notice-close")) }
                    }
                }
            }
        }
        @if !is_written_here { p.soft { (text!(visitor, "notice-elsewhere")) } }
    }
}

fn status(visitor: &Visitor, notice: &Notice) -> Markup {
    match notice.is_active {
        true => badge(Tone::Wait, &text!(visitor, "notice-active")),
        false => badge(Tone::Plain, &text!(visitor, "notice-closed")),
    }
}

fn audience(visitor: &Visitor, notice: &Notice, counts: &OdpCounts) -> Markup {
    let audience = notice.audience();
    let customers = counts.audience(&audience);
    html! {
        @match &audience {
            NoticeAudience::Everybody => { (text!(visitor, "notice-everybody")) }
            NoticeAudience::Odps(odps) if odps.is_empty() => { (text!(visitor, "notice-nobody")) }
            NoticeAudience::Odps(odps) => { (odps.join(", ")) }
        }
        " " span.soft { (text!(visitor, "notice-customers", count = customers)) }
    }
}

fn facts(visitor: &Visitor, notice: &Notice, counts: &OdpCounts) -> Markup {
    let kind = match notice.kind.as_str() {
        "maintenance" => text!(visitor, "notice-kind-maintenance"),
        _ => text!(visitor, "notice-kind-outage"),
    };
    let times = [
        (text!(visitor, "notice-start"), notice.start_time),
        (text!(visitor, "notice-end"), notice.end_time),
    ];
    html! {
        dl.facts {
            dt { (text!(visitor, "notice-kind")) } dd { (kind) ", " (severity(visitor, &notice.severity)) }
            @if let Some(area) = notice.affected_area.as_deref().filter(|area| !area.is_empty()) {
                dt { (text!(visitor, "notice-area")) } dd { (area) }
            }
            dt { (text!(visitor, "notice-audience")) } dd { (audience(visitor, notice, counts)) }
            @for (name, time) in times {
                @if let Some(time) = time { dt { (name) } dd { (visitor.texts().moment(time)) } }
            }
        }
    }
}

fn severity(visitor: &Visitor, severity: &str) -> String {
    match severity {
        "low" => text!(visitor, "severity-low"),
        "high" => text!(visitor, "severity-high"),
        "critical" => text!(visitor, "severity-critical"),
        _ => text!(visitor, "severity-medium"),
    }
}

/// A message at the top of a page about a notice.
fn warning(content: String) -> Markup {
    alert(Tone::Wait, html! { (content) })
}
