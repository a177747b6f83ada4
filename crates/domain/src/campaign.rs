//! The life of a campaign: one send, to all its recipients.

use serde::{Deserialize, Serialize};

/// Where a campaign is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignStatus {
    /// Starts later.
    Scheduled,
    /// Its deliveries go out.
    Running,
    /// Nothing goes out for now; see [`PauseReason`].
    Paused,
    /// No delivery is open any more.
    Completed,
    /// The operator stopped it; what was not sent never will be.
    Cancelled,
}

/// Who paused a campaign. What the numbers cannot do just now is no pause; see
/// [`Waiting`](crate::Waiting).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// The operator paused it.
    Manual,
    /// A run of failures: somebody should look before more go out.
    Breaker,
}

/// What can happen to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignEvent {
    /// Its time has come.
    Start,
    /// Nothing goes out for now.
    Pause(PauseReason),
    /// The operator lets it go on, whatever the reason was.
    Resume,
    /// No delivery is open any more.
    Complete,
    /// The operator stops it for good.
    Cancel,
    /// The operator wants one of its uncertain deliveries sent again.
    Reopen,
}

/// The event means nothing in this state; the campaign stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} does not apply to a campaign that is {}", status.as_str())]
pub struct CampaignTransitionError {
    /// Where the campaign is.
    pub status: CampaignStatus,
    /// What came.
    pub event: CampaignEvent,
}

use CampaignStatus::*;

impl CampaignStatus {
    /// All of them.
    pub const ALL: [CampaignStatus; 5] = [Scheduled, Running, Paused, Completed, Cancelled];

    /// Returns the name in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheduled => "scheduled",
            Running => "running",
            Paused => "paused",
            Completed => "completed",
            Cancelled => "cancelled",
        }
    }

    /// Returns the status of this name.
    pub fn from_name(name: &str) -> Option<CampaignStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Returns whether kabari does nothing more for it by itself; only [`CampaignEvent::Reopen`]
    /// can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Completed | Cancelled)
    }
}

impl PauseReason {
    /// All of them.
    pub const ALL: [PauseReason; 2] = [PauseReason::Manual, PauseReason::Breaker];

    /// Returns the name in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            PauseReason::Manual => "manual",
            PauseReason::Breaker => "breaker",
        }
    }

    /// Returns the reason of this name.
    pub fn from_name(name: &str) -> Option<PauseReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// A campaign's status with the reason, if it is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Where it is.
    pub status: CampaignStatus,
    /// Set exactly while `status` is [`Paused`].
    pub reason: Option<PauseReason>,
}

impl Phase {
    /// A campaign that starts at once.
    pub const RUNNING: Phase = Phase { status: Running, reason: None };
    /// A campaign that starts later.
    pub const SCHEDULED: Phase = Phase { status: Scheduled, reason: None };

    /// Returns where the campaign is after this event: the transition function.
    pub fn after(self, event: CampaignEvent) -> Result<Phase, CampaignTransitionError> {
        use CampaignEvent::*;
        let to = |status| Ok(Phase { status, reason: None });
        let paused = |reason| Ok(Phase { status: Paused, reason: Some(reason) });
        match (self.status, event) {
            (Scheduled, Start) => to(Running),
            (Running, Pause(reason)) => paused(reason),
            // The operator's word stands above the breaker's.
            (Scheduled | Paused, Pause(PauseReason::Manual)) => paused(PauseReason::Manual),
            (Paused, Resume) => to(Running),
            (Running | Paused, Complete) => to(Completed),
            (Scheduled | Running | Paused, Cancel) => to(Cancelled),
            (Completed, Reopen) => to(Running),
            (status, event) => Err(CampaignTransitionError { status, event }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_event() -> impl Strategy<Value = CampaignEvent> {
        let reason = || prop::sample::select(&PauseReason::ALL[..]);
        prop_oneof![
            Just(CampaignEvent::Start),
            reason().prop_map(CampaignEvent::Pause),
            Just(CampaignEvent::Resume),
            Just(CampaignEvent::Complete),
            Just(CampaignEvent::Cancel),
            Just(CampaignEvent::Reopen),
        ]
    }

    proptest! {
        #[test]
        fn invariants_hold_after_any_events(events in prop::collection::vec(any_event(), 0..40)) {
            let mut at = Phase::SCHEDULED;
            for event in events {
                let Ok(next) = at.after(event) else { continue };
                prop_assert_eq!(next.reason.is_some(), next.status == Paused);
                prop_assert!(
                    !at.status.is_final() || (at.status, event) == (Completed, CampaignEvent::Reopen),
                    "a finished campaign moved"
                );
                if at.status == Paused && next.status == Running {
                    prop_assert_eq!(event, CampaignEvent::Resume, "only the operator ends a pause");
                }
                at = next;
            }
        }
    }

    #[test]
    fn names_round_trip() {
        for status in CampaignStatus::ALL {
            assert_eq!(CampaignStatus::from_name(status.as_str()), Some(status));
        }
        for reason in PauseReason::ALL {
            assert_eq!(PauseReason::from_name(reason.as_str()), Some(reason));
        }
    }
}
