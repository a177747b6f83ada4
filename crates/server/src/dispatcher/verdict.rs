//! What the answer to a send means for its delivery, and for the next ones.

use kabari_domain::{DeliveryEvent, Timestamp, wording};
use kabari_gateway::SendError;
use std::time::Duration;

/// How often the server may say "not now" before that counts as a no.
const MAX_DEFERRALS: u32 = 8;
/// How often it may want a token before that counts as a no: each time speaks against the number,
/// and whoever does not give one back at once may never do.
const MAX_WITHOUT_TOKEN: u32 = 3;
/// How long to leave people alone who never wrote to us, if the server does not say.
const REACH_OUT_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long to wait before trying anything after the link turned out to be down.
const NOT_CONNECTED_PAUSE: Duration = Duration::from_secs(2);
/// The longest back-off.
const MAX_BACK_OFF: Duration = Duration::from_secs(10 * 60);

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What happened to the delivery.
    pub event: DeliveryEvent,
    /// For the report, in Indonesian where it is ours.
    pub error: Option<String>,
    /// Nothing else goes out for this long.
    pub hold: Duration,
    /// Until when nothing goes to people who never wrote to us.
    pub reach_out_until: Option<Timestamp>,
    /// Whether it speaks for trouble that others would meet too; see the breaker.
    pub is_failure: bool,
}

impl Verdict {
    fn new(event: DeliveryEvent) -> Verdict {
        let hold = Duration::ZERO;
        Verdict { event, error: None, hold, reach_out_until: None, is_failure: false }
    }

    /// Returns the verdict on the server's ack.
    pub fn acked() -> Verdict {
        Verdict::new(DeliveryEvent::Acked)
    }
}

/// Returns the verdict on an answer that came at `now` to the `attempt`-th try. Without an answer
/// the message goes out again after `resend_wait`; where there is none, it must not.
pub fn verdict(
    answer: Result<(), SendError>,
    attempt: u32,
    now: Timestamp,
    resend_wait: Option<Duration>,
) -> Verdict {
    let Err(error) = answer else { return Verdict::acked() };
    match error {
        SendError::NotLinked | SendError::NotConnected(_) => {
            Verdict { hold: NOT_CONNECTED_PAUSE, ..Verdict::new(DeliveryEvent::NotSent(now)) }
        }
        SendError::NotRegistered => Verdict {
            error: Some(wording::NOT_REGISTERED.into()),
            ..Verdict::new(DeliveryEvent::Refused)
        },
        SendError::ReachOutLimit { until } => {
            let until = until.unwrap_or(now + REACH_OUT_PAUSE);
            Verdict {
                error: Some(wording::REACH_OUT_LIMIT.into()),
                reach_out_until: Some(until),
                // Due at once: another number may be allowed what this one is not.
                ..Verdict::new(DeliveryEvent::Deferred(now))
            }
        }
        SendError::MissingToken { after } => Verdict {
            error: Some(wording::MISSING_TOKEN.into()),
            is_failure: true,
            ..Verdict::new(match attempt < MAX_WITHOUT_TOKEN {
                true => DeliveryEvent::Deferred(now + after),
                false => DeliveryEvent::Refused,
            })
        },
        SendError::Retry { reason, .. } | SendError::Recipient { reason, .. }
            if attempt >= MAX_DEFERRALS =>
        {
            Verdict {
                error: Some(reason),
                is_failure: true,
                ..Verdict::new(DeliveryEvent::Refused)
            }
        }
        SendError::Retry { after, reason } => {
            let wait = back_off(after, attempt);
            Verdict { hold: wait, ..deferred(now + wait, reason) }
        }
        SendError::Recipient { after, reason } => deferred(now + back_off(after, attempt), reason),
        SendError::Permanent(reason) => Verdict {
            error: Some(reason),
            is_failure: true,
            ..Verdict::new(DeliveryEvent::Refused)
        },
        SendError::Unknown(_) => Verdict {
            error: Some(wording::UNCERTAIN.into()),
            is_failure: true,
            ..Verdict::new(match resend_wait {
                Some(wait) => DeliveryEvent::Unanswered(now + wait),
                None => DeliveryEvent::AnswerLost,
            })
        },
    }
}

/// Returns the verdict where the server said not now, or the recipient cannot be written to for
/// now.
fn deferred(until: Timestamp, reason: String) -> Verdict {
    Verdict {
        error: Some(reason),
        is_failure: true,
        ..Verdict::new(DeliveryEvent::Deferred(until))
    }
}

fn back_off(after: Duration, attempt: u32) -> Duration {
    let doublings = 2u32.saturating_pow(attempt.saturating_sub(1));
    after.saturating_mul(doublings).min(MAX_BACK_OFF.max(after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kabari_domain::delivery::RESEND_WAIT;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn verdict(answer: Result<(), SendError>, attempt: u32, now: Timestamp) -> Verdict {
        super::verdict(answer, attempt, now, Some(RESEND_WAIT))
    }

    #[test]
    fn no_answer_is_uncertain_without_ids() {
        let answer = Err(SendError::Unknown("timeout".into()));
        assert_eq!(super::verdict(answer, 1, NOW, None).event, DeliveryEvent::AnswerLost);
    }

    #[test]
    fn no_answer_leads_to_a_resend_and_never_to_failed() {
        let verdict = verdict(Err(SendError::Unknown("timeout".into())), 1, NOW);
        assert_eq!(verdict.event, DeliveryEvent::Unanswered(NOW + RESEND_WAIT));
    }

    #[test]
    fn the_reach_out_limit_holds_the_number_and_not_the_delivery() {
        let until = NOW + Duration::from_secs(86_400);
        let verdict = verdict(Err(SendError::ReachOutLimit { until: Some(until) }), 1, NOW);
        assert_eq!(verdict.event, DeliveryEvent::Deferred(NOW), "another number may try");
        assert_eq!(verdict.reach_out_until, Some(until));
        assert_eq!(verdict.hold, Duration::ZERO, "people who wrote to us go on");
    }

    #[test]
    fn a_missing_token_holds_the_delivery_and_not_the_number() {
        let after = Duration::from_secs(600);
        let answer = |attempt| verdict(Err(SendError::MissingToken { after }), attempt, NOW);
        assert_eq!(answer(1).event, DeliveryEvent::Deferred(NOW + after));
        assert_eq!((answer(1).reach_out_until, answer(1).hold), (None, Duration::ZERO));
        assert_eq!(answer(MAX_WITHOUT_TOKEN).event, DeliveryEvent::Refused);
    }

    #[test]
    fn a_rate_limit_backs_off_ever_longer_and_then_gives_up() {
        let retry =
            || Err(SendError::Retry { after: Duration::from_secs(30), reason: "429".into() });
        let waits: Vec<_> = (1..MAX_DEFERRALS).map(|n| verdict(retry(), n, NOW).hold).collect();
        assert_eq!(waits[0], Duration::from_secs(30));
        assert_eq!(waits[1], Duration::from_secs(60));
        assert!(waits.iter().all(|wait| *wait <= MAX_BACK_OFF));
        assert_eq!(verdict(retry(), MAX_DEFERRALS, NOW).event, DeliveryEvent::Refused);
    }

    #[test]
    fn trouble_of_one_recipient_does_not_hold_the_number() {
        let answer = |attempt| {
            let after = Duration::from_secs(10);
            verdict(Err(SendError::Recipient { after, reason: "no keys".into() }), attempt, NOW)
        };
        assert_eq!(answer(1).hold, Duration::ZERO);
        assert_eq!(answer(2).event, DeliveryEvent::Deferred(NOW + Duration::from_secs(20)));
        assert_eq!(answer(MAX_DEFERRALS).event, DeliveryEvent::Refused);
    }

    #[test]
    fn a_message_that_did_not_go_out_is_queued_again() {
        let answer = Err(SendError::NotConnected("gone".into()));
        assert_eq!(verdict(answer, 1, NOW).event, DeliveryEvent::NotSent(NOW));
    }
}
