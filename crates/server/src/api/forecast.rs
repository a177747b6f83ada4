//! When a send would end, what it waits for, and how many of its recipients are no strangers: from
//! the rows of the sessions and of who has written to them.

use super::Api;
use crate::store::{Campaign, Session, StoreError};
use kabari_domain::{Capacity, Readiness, Timestamp, Usage, WaitReason, Waiting};
use serde::Serialize;
use utoipa::ToSchema;

/// How many recipients have written to one of the numbers that may send it. WhatsApp's limit for
/// new chats is about the others.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Recipients {
    /// They have.
    #[schema(example = 812)]
    pub warm: u64,
    /// They have not.
    #[schema(example = 188)]
    pub cold: u64,
}

/// Returns the sessions that may send a campaign.
pub fn eligible<'s>(sessions: &'s [Session], named: &[String]) -> Vec<&'s Session> {
    let is_named = |session: &&Session| named.is_empty() || named.contains(&session.name);
    sessions.iter().filter(is_named).collect()
}

/// Returns when the last of `messages` would be out if nothing else is sent; `None` if that is
/// never, or cannot be told. Without any linked number it is what one would need.
pub fn ends_at(
    api: &Api,
    sessions: &[&Session],
    starts_at: Timestamp,
    messages: u64,
    urgent: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    let pace = api.settings.pace;
    let gap = |session: &Session| {
        session.delay.unwrap_or(pace.delay) + session.jitter.unwrap_or(pace.jitter) / 2
    };
    let mut numbers: Vec<Capacity> = sessions
        .iter()
        .filter(|session| session.is_linked() && !session.paused)
        .map(|session| {
            let link = session.link.waiting().and_then(|waiting| waiting.until);
            Capacity {
                gap: gap(session),
                usage: session.usage(),
                free_from: link.unwrap_or_default(),
            }
        })
        .collect();
    if numbers.is_empty() {
        let usage = Usage { linked_at: now, ..Usage::default() };
        let gap = pace.delay + pace.jitter / 2;
        numbers.push(Capacity { gap, usage, free_from: Timestamp(0) });
    }
    api.settings.quotas.forecast(&numbers, starts_at, messages, urgent)
}

/// Returns what a running campaign waits for; `None` if some number can send some of it.
pub async fn waiting(
    api: &Api,
    campaign: &Campaign,
    sessions: &[Session],
    now: Timestamp,
) -> Result<Option<Waiting>, StoreError> {
    let (bound, free) = api.state.bound_numbers(campaign.id).await?;
    let mut waits: Vec<Waiting> = vec![];
    let able = eligible(sessions, &campaign.sessions);
    for session in &able {
        let is_bound = session.phone.as_ref().is_some_and(|phone| bound.contains(phone));
        if !free && !is_bound {
            continue;
        }
        match blocks(api, campaign, session, now).await? {
            None => return Ok(None),
            Some(waiting) => waits.push(waiting),
        }
    }
    // The one that ends first; those that need a person come last.
    let soonest =
        waits.into_iter().min_by_key(|waiting| waiting.until.unwrap_or(Timestamp(i64::MAX)));
    Ok(soonest.or(Some(Waiting { reason: WaitReason::LoggedOut, until: None })))
}

/// Returns why this session sends nothing of the campaign for now.
async fn blocks(
    api: &Api,
    campaign: &Campaign,
    session: &Session,
    now: Timestamp,
) -> Result<Option<Waiting>, StoreError> {
    let link = super::link::link_of(api, session, now).state;
    let held = session.is_held(now) || api.sessions.gateway(&session.name).is_some();
    let readiness =
        Readiness { link: (held || link.is_unlinked()).then_some(link), ..session.readiness(now) };
    let Some(waiting) = readiness.waiting(&api.settings.quotas, now) else { return Ok(None) };
    let goes_on = match (waiting.reason, &session.phone) {
        (WaitReason::QuietHours, _) => campaign.urgent,
        (WaitReason::ReachOutLimit, Some(phone)) => {
            api.state.has_open_contacts(campaign.id, phone).await?
        }
        _ => false,
    };
    Ok((!goes_on).then_some(waiting))
}
