//! Whether anything may go out now, and what campaigns are told if not.

use super::Context;
use crate::store::{Campaign, StoreError};
use kabari_domain::{CampaignEvent, CampaignStatus, PauseReason, wording};
use kabari_gateway::{Link, LinkState};
use std::time::Duration;

/// How long a connection may be away before campaigns are paused for it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a remote gateway may be away before campaigns that have sent nothing fail.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(10);

/// Whether messages may go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// They may.
    Open,
    /// Not yet known: the trouble may pass in a moment.
    Wait,
    /// They may not.
    Closed {
        /// What campaigns are paused with.
        reason: PauseReason,
        /// Campaigns that have sent nothing do not wait, they fail with this text: whoever made
        /// them has to do something first.
        fails_new: Option<&'static str>,
        /// Which campaigns go on.
        spares: Spared,
    },
}

/// Campaigns that a closed gate lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spared {
    /// None.
    Nobody,
    /// Urgent ones.
    Urgent,
    /// These, by number.
    These(Vec<i64>),
}

impl Gate {
    /// Closed for everyone, until the reason passes.
    pub fn closed(reason: PauseReason) -> Gate {
        Gate::Closed { reason, fails_new: None, spares: Spared::Nobody }
    }

    /// The gate as the link leaves it, after this long without a connection.
    pub fn of_link(link: &Link, away_for: Duration) -> Gate {
        match link.state {
            LinkState::Connected => Gate::Open,
            LinkState::Starting | LinkState::Connecting => {
                if away_for < CONNECT_PATIENCE {
                    return Gate::Wait;
                }
                Gate::closed(PauseReason::Disconnected)
            }
            LinkState::Unreachable => {
                if away_for < GATEWAY_PATIENCE {
                    return Gate::Wait;
                }
                Gate::Closed {
                    reason: PauseReason::Disconnected,
                    fails_new: Some(wording::GATEWAY_DOWN),
                    spares: Spared::Nobody,
                }
            }
            LinkState::NotLinked | LinkState::LoggedOut => Gate::Closed {
                reason: PauseReason::LoggedOut,
                fails_new: Some(wording::NOT_LINKED),
                spares: Spared::Nobody,
            },
            LinkState::Replaced => Gate::closed(PauseReason::Replaced),
            LinkState::Banned { .. } => Gate::closed(PauseReason::Banned),
            LinkState::ClientOutdated => Gate::closed(PauseReason::ClientOutdated),
        }
    }

    /// Brings every campaign under way in line with the gate.
    pub async fn apply(&self, context: &Context) -> Result<(), StoreError> {
        if *self == Gate::Wait {
            return Ok(());
        }
        let campaigns = context.state.under_way().await?;
        let out_of_line = |campaign: &&Campaign| match self.pause_for(campaign) {
            Some(reason) => campaign.phase.reason != Some(reason),
            None => campaign.phase.reason.is_some(),
        };
        if !campaigns.iter().any(|campaign| out_of_line(&campaign)) {
            return Ok(());
        }
        if *self != Gate::Open && another_node_sends(context).await? {
            return Ok(());
        }
        for campaign in campaigns.iter().filter(out_of_line) {
            self.apply_to(context, campaign).await?;
        }
        Ok(())
    }

    async fn apply_to(&self, context: &Context, campaign: &Campaign) -> Result<(), StoreError> {
        let event = match (self.pause_for(campaign), campaign.phase.reason) {
            (Some(reason), _) => CampaignEvent::Pause(reason),
            (None, Some(reason)) => CampaignEvent::Clear(reason),
            (None, None) => return Ok(()),
        };
        if campaign.phase.after(event).is_err() {
            return Ok(());
        }
        if let Gate::Closed { fails_new: Some(error), .. } = *self
            && campaign.phase.status == CampaignStatus::Running
            && context.state.fail_untouched(campaign.id, error).await?
        {
            tracing::warn!(
                campaign = campaign.id,
                "failed before its first message: WhatsApp is not linked or the gateway is down"
            );
            return Ok(());
        }
        match context.state.campaign_event(campaign.id, event).await {
            Ok(phase) => {
                tracing::info!(
                    campaign = campaign.id,
                    status = phase.status.as_str(),
                    reason = phase.reason.map(PauseReason::as_str),
                    "campaign moved"
                );
                Ok(())
            }
            // The operator was quicker.
            Err(StoreError::NotAllowed(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn pause_for(&self, campaign: &Campaign) -> Option<PauseReason> {
        let Gate::Closed { reason, spares, .. } = self else { return None };
        let spared = match spares {
            Spared::Nobody => false,
            Spared::Urgent => campaign.urgent,
            Spared::These(campaigns) => campaigns.contains(&campaign.id),
        };
        (!spared).then_some(*reason)
    }
}

/// Our own trouble is no reason to pause what another node can send from its number.
async fn another_node_sends(context: &Context) -> Result<bool, StoreError> {
    let now = context.state.now().await?;
    let senders = context.state.senders().await?;
    Ok(senders.iter().any(|sender| {
        sender.is_held(now) && sender.owner.as_deref() != Some(&context.settings.node)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(state: LinkState) -> Link {
        Link { state, ..Link::starting() }
    }

    #[test]
    fn a_short_absence_is_waited_out() {
        let gate = |state, seconds| Gate::of_link(&link(state), Duration::from_secs(seconds));
        assert_eq!(gate(LinkState::Connected, 0), Gate::Open);
        assert_eq!(gate(LinkState::Connecting, 1), Gate::Wait);
        assert_eq!(gate(LinkState::Connecting, 60), Gate::closed(PauseReason::Disconnected));
        assert_eq!(gate(LinkState::Unreachable, 1), Gate::Wait);
    }

    #[test]
    fn without_a_linked_phone_a_new_campaign_fails_at_once() {
        for state in [LinkState::NotLinked, LinkState::LoggedOut] {
            let gate = Gate::of_link(&link(state), Duration::ZERO);
            assert!(matches!(gate, Gate::Closed { fails_new: Some(wording::NOT_LINKED), .. }));
        }
    }
}
