//! What was sent, and what became of it.

mod actions;
mod chart;
mod one;
mod recipients;

pub use recipients::{outcome, when};

use super::error::PageError;
use super::layout::{Page, Section, page};
use super::parts::{Tone, badge, empty, pager, progress};
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::api::campaigns::{self, CampaignView};
use crate::store::state::{Campaign, CampaignKind};
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use kabari_domain::{CampaignStatus, PauseReason, Role};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// Campaigns on a page.
const PAGE: u32 = 20;

/// The pages of campaigns.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/campaigns", get(list))
        .route("/app/campaigns/{id}", get(one::show))
        .route("/app/campaigns/{id}/live", get(one::show_live))
        .route("/app/campaigns/{id}/chart", get(one::show_chart))
        .route("/app/campaigns/{id}/recipients", get(one::show_recipients))
        .route("/app/campaigns/{id}/report.csv", get(one::report))
        .route("/app/campaigns/{id}/pause", post(actions::pause))
        .route("/app/campaigns/{id}/resume", post(actions::resume))
        .route("/app/campaigns/{id}/cancel", get(actions::ask_to_cancel).post(actions::cancel))
        .route("/app/campaigns/{id}/retry", post(actions::retry))
        .route("/app/campaigns/{id}/resolve", post(actions::resolve_all))
        .route("/app/deliveries/{id}/resolve", post(actions::resolve))
}

/// Returns the address of a campaign's page.
pub fn address(id: i64) -> String {
    format!("{}/{id}", Section::Campaigns.address())
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
    let mut listed = api.state.campaigns(query.before, PAGE + 1).await?;
    let has_more = listed.len() > PAGE as usize;
    listed.truncate(PAGE as usize);
    let listed = campaigns::views(&api, listed).await?;
    let here = Section::Campaigns.address();
    let next = listed.last().filter(|_| has_more);
    let next = next.map(|last| format!("{here}?before={}", last.campaign.id));
    let body = html! {
        @if listed.is_empty() && query.before.is_none() {
            (empty(&text!(visitor, "campaigns-empty"), html! {
                @if visitor.may(Role::Sender) {
                    a.button href=(Section::Send.address()) { (text!(visitor, "campaigns-send")) }
                }
            }))
        }
        (cards(&visitor, &listed))
        (pager(&visitor, query.before.map(|_| here), next.as_deref()))
    };
    let title = text!(visitor, "campaigns-title");
    Ok(page(&visitor, Page { title, section: Section::Campaigns, body }))
}

/// A card for each campaign.
pub fn cards(visitor: &Visitor, campaigns: &[CampaignView]) -> Markup {
    html! {
        @for view in campaigns {
            article.card {
                div.head {
                    h2 { a href=(address(view.campaign.id)) { (view.campaign.subject) } }
                    (status(visitor, &view.campaign))
                }
                p.soft {
                    (kind_name(visitor, view.campaign.kind)) " · " (visitor.moment(view.campaign.created_at))
                    " · " (text!(visitor, "campaign-recipients-count", count = view.campaign.total))
                }
                (progress(visitor, &view.counts))
            }
        }
    }
}

/// Where a campaign is, in a word or two.
pub fn status(visitor: &Visitor, campaign: &Campaign) -> Markup {
    let (tone, word) = match (campaign.phase.status, campaign.phase.reason) {
        (CampaignStatus::Scheduled, _) => (Tone::Plain, text!(visitor, "campaign-scheduled")),
        (CampaignStatus::Running, _) => (Tone::Good, text!(visitor, "campaign-running")),
        (CampaignStatus::Paused, Some(PauseReason::Breaker)) => {
            (Tone::Bad, text!(visitor, "campaign-stopped"))
        }
        (CampaignStatus::Paused, _) => (Tone::Wait, text!(visitor, "campaign-paused")),
        (CampaignStatus::Completed, _) => (Tone::Plain, text!(visitor, "campaign-completed")),
        (CampaignStatus::Cancelled, _) => (Tone::Plain, text!(visitor, "campaign-cancelled")),
    };
    badge(tone, &word)
}

/// What a kind of campaign is called.
pub fn kind_name(visitor: &Visitor, kind: CampaignKind) -> String {
    match kind {
        CampaignKind::Notification => text!(visitor, "campaign-kind-notification"),
        CampaignKind::Custom => text!(visitor, "campaign-kind-custom"),
        CampaignKind::ByOdp => text!(visitor, "campaign-kind-by-odp"),
        CampaignKind::Phone => text!(visitor, "campaign-kind-phone"),
        CampaignKind::Numbers => text!(visitor, "campaign-kind-numbers"),
        CampaignKind::Restored => text!(visitor, "campaign-kind-restored"),
    }
}
