//! The first page: how things are, and what to do about it.

use super::campaigns::{address as campaign_address, status};
use super::error::PageError;
use super::layout::{Page, Section, page};
use super::live::{Live, Seen};
use super::numbers::{self, Condition, cards, condition, waits};
use super::parts::{Tone, alert, empty, progress};
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use crate::api::campaigns::{self, CampaignView};
use crate::api::error::ApiError;
use crate::api::session_view::SessionView;
use crate::store::StoreError;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use kabari_domain::{DeliveryState, Notice, Role, Timestamp, WaitReason};
use maud::{Markup, html};
use std::sync::Arc;
use std::time::Duration;

const LIVE: &str = "/app/home/live";
/// How often the page asks how things are.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The most campaigns that are shown as under way.
const OPEN_CAMPAIGNS: u32 = 20;
/// The most numbers that are shown; what needs a person is said of all.
const NUMBERS: usize = 12;
/// The most notices that are shown; the others are on their own page.
const NOTICES: usize = 12;
/// How many of the last campaigns are looked at for what went wrong, and for how long after.
const PAST_CAMPAIGNS: u32 = 10;
const PAST: Duration = Duration::from_secs(48 * 60 * 60);

/// The first page.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route(super::PAGES, get(show)).route(LIVE, get(show_live))
}

async fn show(visitor: Visitor, State(api): State<Arc<Api>>) -> Result<Markup, PageError> {
    let title = text!(visitor, "home-title");
    let body = html! {
        (live().show(&now(&visitor, &api).await?))
        (setbacks(&visitor, &api).await?)
        (notices(&visitor, &api).await?)
    };
    Ok(page(&visitor, Page { title, section: Section::Home, body }))
}

async fn show_live(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Query(seen): Query<Seen>,
) -> Result<Response, PageError> {
    Ok(live().answer(&seen, &now(&visitor, &api).await?))
}

fn live() -> Live<'static> {
    Live { id: "now", address: LIVE.to_owned(), every: ASK_EVERY }
}

/// What changes while somebody looks: the numbers, and the campaigns that are under way.
async fn now(visitor: &Visitor, api: &Api) -> Result<Markup, PageError> {
    let numbers = numbers::all(api).await?;
    let open = api.state.open_campaigns(OPEN_CAMPAIGNS).await?;
    let open = campaigns::views(api, open).await?;
    let is_new = numbers.iter().all(|number| number.session.phone.is_none());
    Ok(html! {
        @if is_new {
            (first_steps(visitor))
        } @else {
            (troubles(visitor, &numbers))
        }
        section aria-labelledby="numbers" {
            h2 id="numbers" { (text!(visitor, "home-numbers")) }
            (cards(visitor, &numbers[..numbers.len().min(NUMBERS)]))
            @if numbers.len() > NUMBERS {
                p {
                    a id="all-numbers" href=(Section::Numbers.address()) {
                        (text!(visitor, "home-all-numbers", count = numbers.len() as u64))
                    }
                }
            }
        }
        @if !open.is_empty() {
            section aria-labelledby="open" {
                h2 id="open" { (text!(visitor, "home-campaigns")) }
                ul.cards role="list" {
                    @for campaign in &open {
                        li.card { (campaign_card(visitor, campaign)) }
                    }
                }
            }
        }
    })
}

fn first_steps(visitor: &Visitor) -> Markup {
    html! {
        section.card aria-labelledby="first-steps" {
            h2 id="first-steps" { (text!(visitor, "home-first-title")) }
            ol.how {
                li {
                    (text!(visitor, "home-first-link")) " "
                    a id="first-link" href=(Section::Numbers.address()) { (text!(visitor, "home-first-link-go")) }
                }
                li {
                    (text!(visitor, "home-first-customers")) " "
                    a id="first-customers" href=(Section::Customers.address()) { (text!(visitor, "home-first-customers-go")) }
                }
                li { (text!(visitor, "home-first-send")) }
            }
        }
    }
}

/// What keeps numbers from sending and needs a person.
fn troubles(visitor: &Visitor, numbers: &[SessionView]) -> Markup {
    let is_usual = |number: &&SessionView| {
        let reason = number.waiting.map(|waiting| waiting.reason);
        !matches!(reason, None | Some(WaitReason::QuietHours | WaitReason::DailyCap))
    };
    html! {
        @for number in numbers.iter().filter(is_usual) {
            @let Condition { tone, label, advice } = condition(visitor, number);
            (alert(tone, html! {
                strong { (number.session.name) ": " (label) } ". " (advice.unwrap_or_default())
            }))
        }
    }
}

fn campaign_card(visitor: &Visitor, view: &CampaignView) -> Markup {
    let CampaignView { campaign, counts, waiting, eta } = view;
    let words = visitor.texts();
    let done = counts.total() - counts.open();
    let waiting = waiting.map(|waiting| waits(visitor, waiting));
    html! {
        div.head {
            h3 {
                a id={ "campaign-" (campaign.id) } href=(campaign_address(campaign.id)) { (campaign.subject) }
            }
            (status(visitor, campaign))
        }
        (progress(visitor, counts))
        p {
            (text!(visitor, "home-campaign-done", done = words.number(done), total = words.number(counts.total())))
            @if let Some(eta) = eta {
                " · " (text!(visitor, "home-campaign-eta", time = visitor.moment(*eta)))
            }
        }
        @if let Some(Condition { label, advice, .. }) = waiting {
            p.soft { (text!(visitor, "home-campaign-waits", what = label)) " " (advice.unwrap_or_default()) }
        }
    }
}

/// What went wrong in the last campaigns, and what to do about it.
async fn setbacks(visitor: &Visitor, api: &Api) -> Result<Markup, PageError> {
    let now = api.state.now().await?;
    let last = api.state.campaigns(None, PAST_CAMPAIGNS).await?;
    let is_recent = |ended: Timestamp| now.since(ended) <= PAST;
    let last: Vec<_> = last.into_iter().filter(|c| c.finished_at.is_none_or(is_recent)).collect();
    let last = campaigns::views(api, last).await?;
    let of = |view: &CampaignView, state| view.counts.get(state);
    let bad: Vec<_> = last
        .iter()
        .map(|view| (view, of(view, DeliveryState::Uncertain), of(view, DeliveryState::Failed)))
        .filter(|(_, uncertain, failed)| uncertain + failed > 0)
        .collect();
    Ok(html! {
        @if !bad.is_empty() {
            section.card aria-labelledby="setbacks" {
                h2 id="setbacks" { (text!(visitor, "home-setbacks")) }
                ul.list role="list" {
                    @for (view, uncertain, failed) in bad {
                        li {
                            a href=(campaign_address(view.campaign.id)) { (view.campaign.subject) }
                            span {
                                @if uncertain > 0 {
                                    (text!(visitor, "home-uncertain", count = uncertain)) " "
                                }
                                @if failed > 0 {
                                    (text!(visitor, "home-failed", count = failed))
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// The active notices. Without the billing database the rest of the page is as useful as before.
async fn notices(visitor: &Visitor, api: &Api) -> Result<Markup, PageError> {
    let listed = match active_notices(api).await {
        Ok(listed) => list_of_notices(visitor, &listed),
        Err(error) => {
            let error = PageError::from(ApiError::from(error));
            tracing::warn!(%error, "the first page does without notices");
            alert(Tone::Bad, html! { (error.explanation(visitor)) })
        }
    };
    Ok(html! {
        section aria-labelledby="notices" {
            h2 id="notices" { (text!(visitor, "home-notices")) }
            (listed)
        }
    })
}

/// A notice, how many customers it concerns, and how many numbers have been told.
struct ActiveNotice {
    notice: Notice,
    concerned: u64,
    told: u64,
}

async fn active_notices(api: &Api) -> Result<Vec<ActiveNotice>, StoreError> {
    let mut notices = api.billing.notices(true).await?;
    notices.truncate(NOTICES);
    if notices.is_empty() {
        return Ok(vec![]);
    }
    let odps = api.billing.odp_counts().await?;
    let ids: Vec<_> = notices.iter().map(|notice| notice.id).collect();
    let told = api.state.told(&ids).await?;
    let known = |notice: Notice| ActiveNotice {
        concerned: odps.audience(&notice.audience()),
        told: told.get(&notice.id).copied().unwrap_or_default(),
        notice,
    };
    Ok(notices.into_iter().map(known).collect())
}

fn list_of_notices(visitor: &Visitor, notices: &[ActiveNotice]) -> Markup {
    let words = visitor.texts();
    html! {
        @if notices.is_empty() {
            (empty(&text!(visitor, "home-no-notices"), html! { p { (text!(visitor, "home-no-notices-hint")) } }))
        }
        ul.cards role="list" {
            @for ActiveNotice { notice, concerned, told } in notices {
                li.card {
                    h3 { a href={ (Section::Notices.address()) "/" (notice.id) } { (notice.title) } }
                    @if let Some(area) = notice.affected_area.as_deref().filter(|area| !area.is_empty()) {
                        p.soft { (area) }
                    }
                    div.figures {
                        p.figure { strong { (words.number(*concerned)) } (text!(visitor, "home-notice-concerned")) }
                        p.figure { strong { (words.number(*told)) } (text!(visitor, "home-notice-told")) }
                    }
                    @if visitor.may(Role::Sender) {
                        p {
                            a.button.second href={ (Section::Send.address()) "?notice=" (notice.id) } {
                                (text!(visitor, "home-notice-send"))
                            }
                        }
                    }
                }
            }
        }
    }
}
