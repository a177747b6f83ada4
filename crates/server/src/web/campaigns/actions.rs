//! What a sender does with a campaign.

use super::super::error::PageError;
use super::super::layout::{Page, Section, csrf_field, page};
use super::super::parts::{Tone, alert};
use super::super::path_id::PathId;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::address;
use crate::api::Api;
use crate::api::campaigns::{self, CampaignView};
use crate::api::control;
use crate::api::deliveries::not_resolved;
use crate::store::state::{Action, Resolution};
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use kabari_domain::{CampaignEvent, CampaignStatus, DeliveryState, PauseReason, Role};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// The buttons for what can be done in this state.
pub fn buttons(visitor: &Visitor, view: &CampaignView) -> Markup {
    let address = address(view.campaign.id);
    let status = view.campaign.phase.status;
    let failed = view.counts.get(DeliveryState::Failed);
    html! {
        div.row {
            @match status {
                CampaignStatus::Running | CampaignStatus::Scheduled => {
                    (button(visitor, &address, "pause", &text!(visitor, "campaign-pause"), "second"))
                }
                CampaignStatus::Paused => {
                    (button(visitor, &address, "resume", &text!(visitor, "campaign-resume"), ""))
                }
                CampaignStatus::Completed | CampaignStatus::Cancelled => {
                    @if failed > 0 {
                        (button(visitor, &address, "retry", &text!(visitor, "campaign-retry", count = failed), ""))
                    }
                }
            }
            @if !status.is_final() {
                a.button.danger id="cancel" href={ (address) "/cancel" } { (text!(visitor, "campaign-cancel")) }
            }
        }
    }
}

fn button(visitor: &Visitor, address: &str, action: &str, label: &str, class: &str) -> Markup {
    html! {
        form method="post" action={ (address) "/" (action) } {
            (csrf_field(visitor))
            button id=(action) class=(class) { (label) }
        }
    }
}

/// The question about all that was never answered.
pub fn decide_about_all(visitor: &Visitor, campaign: i64, uncertain: u64) -> Markup {
    let action = format!("{}/resolve", address(campaign));
    alert(
        Tone::Wait,
        html! {
            p { strong { (text!(visitor, "uncertain-title", count = uncertain)) } }
            p { (text!(visitor, "uncertain-explanation")) }
            p { a href={ (address(campaign)) "?state=uncertain#recipients-title" } { (text!(visitor, "uncertain-one-by-one")) } }
            (choices(visitor, &action, "all", &text!(visitor, "uncertain-all-sent"), &text!(visitor, "uncertain-all-again")))
        },
    )
}

/// The two choices about one that was never answered.
pub fn decide_about_one(visitor: &Visitor, delivery: i64) -> Markup {
    let action = format!("/app/deliveries/{delivery}/resolve");
    let id = delivery.to_string();
    choices(
        visitor,
        &action,
        &id,
        &text!(visitor, "uncertain-sent"),
        &text!(visitor, "uncertain-again"),
    )
}

fn choices(visitor: &Visitor, action: &str, id: &str, sent: &str, again: &str) -> Markup {
    html! {
        form.row method="post" action=(action) {
            (csrf_field(visitor))
            button.second id={ "sent-" (id) } name="decision" value="count_as_sent" { (sent) }
            button.second id={ "again-" (id) } name="decision" value="send_again" { (again) }
        }
    }
}

pub async fn pause(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Redirect, PageError> {
    apply(&visitor, &api, id, CampaignEvent::Pause(PauseReason::Manual), Action::PauseCampaign)
        .await
}

pub async fn resume(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Redirect, PageError> {
    apply(&visitor, &api, id, CampaignEvent::Resume, Action::ResumeCampaign).await
}

pub async fn cancel(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Redirect, PageError> {
    apply(&visitor, &api, id, CampaignEvent::Cancel, Action::CancelCampaign).await
}

async fn apply(
    visitor: &Visitor,
    api: &Api,
    id: i64,
    event: CampaignEvent,
    action: Action,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Sender)?;
    api.state.campaign_event(id, event).await?;
    visitor.record(api, action, &id.to_string()).await;
    Ok(Redirect::to(&address(id)))
}

/// Asks once more: what is not sent then never will be.
pub async fn ask_to_cancel(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Markup, PageError> {
    visitor.require(Role::Sender)?;
    let view = campaigns::view(&api, id).await?;
    let body = html! {
        section.card {
            p { strong { (view.campaign.subject) } }
            p { (text!(visitor, "campaign-cancel-consequence", open = view.counts.open(), sent = view.counts.sent())) }
            form.row method="post" action={ (address(id)) "/cancel" } {
                (csrf_field(&visitor))
                button.danger { (text!(visitor, "campaign-cancel-yes")) }
                a.button.second href=(address(id)) { (text!(visitor, "campaign-cancel-no")) }
            }
        }
    };
    let title = text!(visitor, "campaign-cancel-title");
    Ok(page(&visitor, Page { title, section: Section::Campaigns, body }))
}

/// Leads to the new campaign.
pub async fn retry(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Sender)?;
    let child = control::retry_failed(&api, id, None).await?;
    visitor.record(&api, Action::RetryCampaign, &id.to_string()).await;
    Ok(Redirect::to(&address(child)))
}

/// What a person decides about what may have arrived.
#[derive(Deserialize)]
pub struct DecisionForm {
    decision: Decision,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    CountAsSent,
    SendAgain,
}

impl From<DecisionForm> for Resolution {
    fn from(form: DecisionForm) -> Resolution {
        match form.decision {
            Decision::CountAsSent => Resolution::CountAsSent,
            Decision::SendAgain => Resolution::SendAgain,
        }
    }
}

pub async fn resolve_all(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Form(form): Form<DecisionForm>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Sender)?;
    control::resolve_all(&api, id, form.into()).await?;
    visitor.record(&api, Action::ResolveCampaign, &id.to_string()).await;
    Ok(Redirect::to(&address(id)))
}

/// Leads back to those that are still to be decided about.
pub async fn resolve(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    PathId(id): PathId,
    Form(form): Form<DecisionForm>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Sender)?;
    api.state.resolve(id, form.into()).await.map_err(not_resolved)?;
    visitor.record(&api, Action::ResolveDelivery, &id.to_string()).await;
    let delivery = api.state.delivery(id).await?.ok_or(PageError::NotFound)?;
    Ok(Redirect::to(&format!("{}?state=uncertain#recipients-title", address(delivery.campaign_id))))
}
