//! The life of a delivery: one message to one recipient of a campaign.
//!
//! [`Progress::after`] is the only place that says what may follow what. Stores write the
//! [`Progress`] it returns with a compare-and-set, or turn [`DeliveryEvent::allowed_from`] into a
//! condition when one statement moves many rows.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a message may go out without any answer before a person has to decide.
pub const MAX_UNANSWERED: u32 = 3;

/// How long after an unanswered send the same id goes out again: a late ack or receipt may come.
pub const RESEND_WAIT: Duration = Duration::from_secs(15);

/// Where one delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its turn.
    Queued,
    /// A node has taken it; nothing has touched the wire since.
    Leased,
    /// Committed before the wire: from here on it may have gone out.
    Sending,
    /// Waits until `due_at` to go out again under the same id.
    RetryWait,
    /// The server has acknowledged it.
    Accepted,
    /// A device of the recipient has it.
    Delivered,
    /// The recipient has read it.
    Read,
    /// WhatsApp refused it, or the number is not on WhatsApp.
    Failed,
    /// Never tried: no valid number, or a number that another delivery of the campaign has.
    Skipped,
    /// Its time ran out before it was sent.
    Expired,
    /// A newer send for the same notice replaced it before it was sent.
    Superseded,
    /// The campaign was cancelled before it was sent.
    Cancelled,
    /// Sent repeatedly, never answered: it may have arrived. A person decides.
    Uncertain,
}

use DeliveryState::*;

impl DeliveryState {
    /// All states, in the order reports list them.
    pub const ALL: [DeliveryState; 13] = [
        Queued, Leased, Sending, RetryWait, Accepted, Delivered, Read, Failed, Skipped, Expired,
        Superseded, Cancelled, Uncertain,
    ];

    /// The states from which kabari itself still goes on; a campaign with none is completed.
    pub const OPEN: [DeliveryState; 4] = [Queued, Leased, Sending, RetryWait];

    /// Returns whether kabari itself still has something to do.
    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }

    /// Returns whether WhatsApp has taken the message.
    pub fn is_sent(self) -> bool {
        matches!(self, Accepted | Delivered | Read)
    }

    /// Returns the name in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Queued => "queued",
            Leased => "leased",
            Sending => "sending",
            RetryWait => "retry_wait",
            Accepted => "accepted",
            Delivered => "delivered",
            Read => "read",
            Failed => "failed",
            Skipped => "skipped",
            Expired => "expired",
            Superseded => "superseded",
            Cancelled => "cancelled",
            Uncertain => "uncertain",
        }
    }

    /// Returns the state of this name.
    pub fn from_name(name: &str) -> Option<DeliveryState> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What a receipt proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptRank {
    /// A device of the recipient has decrypted it.
    Delivered,
    /// The recipient has opened it.
    Read,
}

/// What can happen to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEvent {
    /// A node takes it.
    Lease,
    /// The node lets go of it, or its lease ran out, before anything touched the wire.
    Release,
    /// About to touch the wire.
    Begin,
    /// The client knows that nothing went out: again at that time, behind those who wait already.
    NotSent(Timestamp),
    /// The server's ack without an error, however late.
    Acked,
    /// The server said no for good, or there is no such recipient.
    Refused,
    /// Nothing can be sent at all, and nobody is waited for.
    GiveUp,
    /// The server said not now: again at that time.
    Deferred(Timestamp),
    /// No answer in time, or the node died while sending: again at that time, under the same id.
    Unanswered(Timestamp),
    /// No answer in time, or the node died while sending, through a gateway that would make a
    /// second message of a repeat.
    AnswerLost,
    /// A receipt, however late, early or often.
    Receipt(ReceiptRank),
    /// It may have gone out, and cannot be repeated: the number is gone that it went out from, or
    /// the gateway there would make a second message of it.
    Abandon,
    /// It was open in a backup that is restored: whoever sent then may have gone on since.
    FromBackup,
    /// `expires_at` has passed.
    Expire,
    /// A newer send for the same notice.
    Supersede,
    /// The operator cancelled the campaign.
    Cancel,
    /// The operator counts an uncertain one as sent.
    CountAsSent,
    /// The operator wants an uncertain one sent again, under the same id.
    SendAgain,
}

/// The part of a delivery that events change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Where it is.
    pub state: DeliveryState,
    /// How often it went to the wire.
    pub attempts: u32,
    /// How many of those had no answer of any kind; not zero means it may have arrived.
    pub unanswered: u32,
    /// Not before this time.
    pub due_at: Timestamp,
}

/// The event means nothing in this state; the delivery stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} does not apply to a delivery that is {}", state.as_str())]
pub struct DeliveryTransitionError {
    /// Where the delivery is.
    pub state: DeliveryState,
    /// What came.
    pub event: DeliveryEvent,
}

impl Progress {
    /// Returns a delivery nobody has touched.
    pub fn queued(due_at: Timestamp) -> Progress {
        Progress { state: Queued, attempts: 0, unanswered: 0, due_at }
    }

    /// Returns whether the message may be with the recipient although no answer said so.
    pub fn may_have_arrived(self) -> bool {
        self.unanswered > 0
    }

    /// Returns where the delivery is after this event: the transition function.
    pub fn after(self, event: DeliveryEvent) -> Result<Progress, DeliveryTransitionError> {
        use DeliveryEvent::*;
        let to = |state| Ok(Progress { state, ..self });
        match (self.state, event) {
            (Queued | RetryWait, Lease) => to(Leased),
            (Leased, Release) => to(if self.may_have_arrived() { RetryWait } else { Queued }),
            (Leased, Begin) => Ok(Progress { state: Sending, attempts: self.attempts + 1, ..self }),

            (Sending, NotSent(due_at)) => Ok(Progress {
                state: if self.may_have_arrived() { RetryWait } else { Queued },
                attempts: self.attempts.saturating_sub(1),
                due_at,
                ..self
            }),
            (Sending, Deferred(due_at)) => Ok(Progress { state: RetryWait, due_at, ..self }),
            (Sending, Unanswered(due_at)) => {
                let unanswered = self.unanswered + 1;
                let state = if unanswered < MAX_UNANSWERED { RetryWait } else { Uncertain };
                Ok(Progress { state, unanswered, due_at, ..self })
            }
            (Sending, AnswerLost) => {
                Ok(Progress { state: Uncertain, unanswered: self.unanswered + 1, ..self })
            }
            // What may have arrived before is not undone by a later no.
            (Sending, Refused) => to(if self.may_have_arrived() { Uncertain } else { Failed }),
            (Leased, Refused) if !self.may_have_arrived() => to(Failed),

            (Queued | Leased, GiveUp) if !self.may_have_arrived() => to(Failed),

            // A late ack or receipt finds the delivery wherever the wait for it has led.
            (Sending | Uncertain, Acked) => to(Accepted),
            (Queued | Leased | RetryWait, Acked) if self.attempts > 0 => to(Accepted),
            (Accepted, Receipt(rank)) => to(rank.into()),
            (Delivered, Receipt(ReceiptRank::Read)) => to(Read),
            (Queued | Leased | RetryWait | Sending | Failed | Uncertain, Receipt(rank))
                if self.attempts > 0 =>
            {
                to(rank.into())
            }

            (Queued | Leased | RetryWait, Expire | Supersede | Cancel)
                if self.may_have_arrived() =>
            {
                to(Uncertain)
            }
            (Leased | RetryWait, Abandon) if self.may_have_arrived() => to(Uncertain),
            (Queued | Leased | Sending | RetryWait, FromBackup) => Ok(Progress {
                state: Uncertain,
                attempts: self.attempts.max(1),
                unanswered: self.unanswered.max(1),
                ..self
            }),
            (Queued | Leased | RetryWait, Expire) => to(Expired),
            (Queued | Leased | RetryWait, Supersede) => to(Superseded),
            (Queued | Leased | RetryWait, Cancel) => to(Cancelled),

            (Uncertain, CountAsSent) => to(Accepted),
            // One is kept, so that it still counts as possibly arrived.
            (Uncertain, SendAgain) => Ok(Progress { state: RetryWait, unanswered: 1, ..self }),

            (state, event) => Err(DeliveryTransitionError { state, event }),
        }
    }
}

impl DeliveryEvent {
    /// Returns the states in which this event can apply to some delivery, for conditions in SQL.
    pub fn allowed_from(self) -> Vec<DeliveryState> {
        let anything = |state| {
            [(0, 0), (1, 0), (1, 1)].into_iter().any(|(attempts, unanswered)| {
                let progress = Progress { state, attempts, unanswered, due_at: Timestamp(0) };
                progress.after(self).is_ok()
            })
        };
        DeliveryState::ALL.into_iter().filter(|state| anything(*state)).collect()
    }
}

impl From<ReceiptRank> for DeliveryState {
    fn from(rank: ReceiptRank) -> DeliveryState {
        match rank {
            ReceiptRank::Delivered => Delivered,
            ReceiptRank::Read => Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_event() -> impl Strategy<Value = DeliveryEvent> {
        use DeliveryEvent::*;
        prop_oneof![
            Just(Lease),
            Just(Release),
            Just(Begin),
            Just(NotSent(Timestamp(5))),
            Just(Abandon),
            Just(FromBackup),
            Just(Acked),
            Just(Refused),
            Just(GiveUp),
            Just(Deferred(Timestamp(5))),
            Just(Unanswered(Timestamp(5))),
            Just(AnswerLost),
            Just(Receipt(ReceiptRank::Delivered)),
            Just(Receipt(ReceiptRank::Read)),
            Just(Expire),
            Just(Supersede),
            Just(Cancel),
            Just(CountAsSent),
            Just(SendAgain),
        ]
    }

    fn rank(state: DeliveryState) -> u8 {
        match state {
            Accepted => 1,
            Delivered => 2,
            Read => 3,
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn invariants_hold_after_any_events(events in prop::collection::vec(any_event(), 0..60)) {
            let mut at = Progress::queued(Timestamp(0));
            for event in events {
                let Ok(next) = at.after(event) else { continue };
                // What WhatsApp has taken is never sent again and never loses rank.
                prop_assert!(rank(next.state) >= rank(at.state));
                // Only `Begin` leads to the wire, and only from a lease.
                if next.state == Sending && at.state != Sending {
                    prop_assert_eq!((at.state, event), (Leased, DeliveryEvent::Begin));
                }
                // "Not sent" is only ever said of what cannot have arrived.
                if matches!(next.state, Failed | Expired | Superseded | Cancelled) {
                    prop_assert_eq!(next.unanswered, 0);
                }
                // Only answers make it sent.
                if next.state.is_sent() && !at.state.is_sent() {
                    prop_assert!(matches!(
                        event,
                        DeliveryEvent::Acked | DeliveryEvent::Receipt(_) | DeliveryEvent::CountAsSent
                    ));
                    prop_assert!(next.attempts > 0);
                }
                prop_assert!(next.unanswered <= MAX_UNANSWERED);
                at = next;
            }
        }

        #[test]
        fn allowed_from_names_every_state_the_event_applies_to(
            event in any_event(),
            state in prop::sample::select(&DeliveryState::ALL[..]),
            attempts in 0u32..3,
            unanswered in 0u32..3,
        ) {
            let progress = Progress { state, attempts: attempts.max(unanswered), unanswered, due_at: Timestamp(0) };
            if progress.after(event).is_ok() {
                prop_assert!(event.allowed_from().contains(&state));
            }
        }
    }

    #[test]
    fn the_third_unanswered_send_is_uncertain() {
        let mut at = Progress::queued(Timestamp(0));
        for expected in [RetryWait, RetryWait, Uncertain] {
            for event in [DeliveryEvent::Lease, DeliveryEvent::Begin] {
                at = at.after(event).unwrap();
            }
            at = at.after(DeliveryEvent::Unanswered(Timestamp(9))).unwrap();
            assert_eq!(at.state, expected);
        }
        assert_eq!(at.after(DeliveryEvent::Acked).unwrap().state, Accepted);
        assert_eq!(at.after(DeliveryEvent::CountAsSent).unwrap().state, Accepted);
        let again = at.after(DeliveryEvent::SendAgain).unwrap();
        assert_eq!((again.state, again.unanswered), (RetryWait, 1));
        // What may have arrived cannot be cancelled into "not sent".
        assert_eq!(again.after(DeliveryEvent::Cancel).unwrap().state, Uncertain);
    }

    #[test]
    fn names_round_trip() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::from_name(state.as_str()), Some(state));
        }
    }
}
