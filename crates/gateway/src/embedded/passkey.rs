//! Linking an account that wants its passkey: the steps that people take, between those that the
//! library takes by itself.

use super::{Shared, now};
use crate::{Assertion, GatewayError, Link, LinkState, PasskeyStep};
use kabari_domain::wording;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use whatsapp_rust::Client;
use whatsapp_rust::passkey::{Assertion as LibraryAssertion, parse_request_options};

/// How long an answer has time when WhatsApp does not say.
const ANSWER_TIME: Duration = Duration::from_secs(10 * 60);
/// The longest that WhatsApp can be waited for, whatever it says.
const LONGEST_ANSWER_TIME: Duration = Duration::from_secs(60 * 60);
/// How long a person has to compare the code and to finish on the phone. WhatsApp does not say.
const COMPARE_TIME: Duration = Duration::from_secs(5 * 60);
/// How long the server may take to answer one step.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// Shows on the link that WhatsApp asks for a passkey. Fails with what to tell people.
pub(super) fn asked(shared: &Shared, options: &str) -> Result<(), &'static str> {
    let request = parse_request_options(options).inspect_err(|error| {
        tracing::error!(%error, "WhatsApp asks for a passkey in a way that is not understood");
    });
    let request = request.map_err(|_| wording::PASSKEY_FAILED)?;
    let options: Value = serde_json::from_str(options).map_err(|_| wording::PASSKEY_FAILED)?;
    if matches!(&shared.link.borrow().passkey, Some(step) if !is_answer(step)) {
        // The library goes through the exchange once for each client.
        return Err(wording::PASSKEY_ASKED_AGAIN);
    }
    let time = request.timeout_ms.map_or(ANSWER_TIME, Duration::from_millis);
    let until = now() + time.min(LONGEST_ANSWER_TIME);
    tracing::info!(%until, "WhatsApp wants the account's passkey");
    if let Some(client) = shared.client() {
        // A typed code has done its part. The library would take back the secret it stands for
        // after a minute without a link, and with it the one that the passkey's exchange puts there.
        tokio::spawn(async move { client.cancel_pair_code().await });
    }
    shared.update_link(|link| {
        *link = Link {
            state: LinkState::PasskeyRequired { until },
            passkey: Some(PasskeyStep::Answer { options }),
            ..Link::starting()
        };
    });
    Ok(())
}

/// Sends a browser's answer.
pub(super) async fn answer(shared: &Shared, assertion: &Assertion) -> Result<(), GatewayError> {
    let client = client(shared)?;
    let before = enter(shared, is_answer, PasskeyStep::Check)
        .ok_or_else(|| GatewayError::NotPossible("no passkey is asked for".into()))?;
    let answer = LibraryAssertion {
        assertion_json: assertion.to_json().to_string().into_bytes(),
        credential_id: assertion.credential_id().to_vec(),
    };
    let sent = timeout(STEP_TIMEOUT, client.send_passkey_response(answer)).await;
    let failed = match sent {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) if client.is_connected() => GatewayError::Refused(error.to_string()),
        Ok(Err(error)) => GatewayError::Unavailable(error.to_string()),
        Err(_) => GatewayError::Unavailable("no answer to the passkey".into()),
    };
    // There is time for another answer.
    enter(shared, |step| *step == PasskeyStep::Check, before);
    Err(failed)
}

/// Shows the code that a person compares, or confirms where none is needed.
pub(super) fn compare(shared: &Arc<Shared>, code: &str, is_proved: bool) {
    let until = now() + COMPARE_TIME;
    shared.update_link(|link| {
        link.state = LinkState::PasskeyRequired { until };
        link.passkey = Some(PasskeyStep::Compare { code: code.to_owned() });
    });
    if is_proved {
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Err(error) = confirm(&shared).await {
                tracing::error!(%error, "the passkey could not be confirmed");
            }
        });
    }
}

/// Says that the phone shows the same code.
pub(super) async fn confirm(shared: &Shared) -> Result<(), GatewayError> {
    let client = client(shared)?;
    let is_compare = |step: &PasskeyStep| matches!(step, PasskeyStep::Compare { .. });
    enter(shared, is_compare, PasskeyStep::Finish)
        .ok_or_else(|| GatewayError::NotPossible("no code waits to be compared".into()))?;
    let failed = match timeout(STEP_TIMEOUT, client.send_passkey_confirmation()).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) if client.is_connected() => GatewayError::Refused(error.to_string()),
        Ok(Err(error)) => GatewayError::Unavailable(error.to_string()),
        Err(_) => GatewayError::Unavailable("no answer to the confirmation".into()),
    };
    // The library has forgotten the exchange: only a new one can end well.
    shared.passkey_failed.notify_waiters();
    Err(failed)
}

/// Returns when a link with a passkey cannot go on, with what to tell people.
pub(super) async fn ended(shared: &Shared) -> &'static str {
    tokio::select! {
        () = expired(shared) => wording::PASSKEY_EXPIRED,
        () = shared.passkey_failed.notified() => wording::PASSKEY_FAILED,
    }
}

/// Returns when the time for a passkey is over.
async fn expired(shared: &Shared) {
    let mut link = shared.link.subscribe();
    loop {
        let end = match link.borrow_and_update().state {
            LinkState::PasskeyRequired { until } => Some(until),
            _ => None,
        };
        let changed = link.changed();
        let outcome = match end {
            Some(until) => timeout(until.since(now()), changed).await,
            None => Ok(changed.await),
        };
        // The sender lives in `shared`: what ends here is the time.
        if outcome.is_err() {
            return;
        }
    }
}

/// Forgets the exchange, and says why a new QR follows.
pub(super) fn begin_anew(shared: &Shared, error: &str) {
    tracing::warn!("linking with a passkey begins anew");
    shared.update_link(|link| {
        *link =
            Link { state: LinkState::NotLinked, error: Some(error.to_owned()), ..Link::starting() };
    });
}

fn is_answer(step: &PasskeyStep) -> bool {
    matches!(step, PasskeyStep::Answer { .. })
}

fn client(shared: &Shared) -> Result<Arc<Client>, GatewayError> {
    shared.client().ok_or_else(|| GatewayError::Unavailable("the session is being opened".into()))
}

/// Goes on to the next step, if the link is where that step begins. Returns the step before.
fn enter(
    shared: &Shared,
    from: impl Fn(&PasskeyStep) -> bool,
    to: PasskeyStep,
) -> Option<PasskeyStep> {
    let mut before = None;
    shared.update_link(|link| {
        if link.passkey.as_ref().is_some_and(from) {
            before = link.passkey.replace(to);
        }
    });
    before
}
