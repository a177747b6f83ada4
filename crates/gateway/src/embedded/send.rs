//! One message, from the number check to the server's ack.
//!
//! The library's `send` returns when the message is written to the socket. Only the server's ack
//! tells whether it was accepted, and only what happened before the write is known not to have
//! reached anybody:
//!
//! | what happens | the caller gets |
//! | --- | --- |
//! | not registered, by the number check | `NotRegistered` |
//! | no connection, or a request before the message failed with it | `NotConnected` |
//! | a request before the message refused with 429 | `Retry` |
//! | the recipient's keys or devices cannot be had: refused with 5xx, or no answer | `Recipient` |
//! | writing failed, or the connection ended before the ack | `Unknown` |
//! | no ack within [`ACK_TIMEOUT`](super::ACK_TIMEOUT) | `Unknown`, and `Event::Acked` if it comes later; a new connection if the server is silent altogether |
//! | ack | `Ok` |
//! | ack with 463, and the server tells of a limit or does not answer | `ReachOutLimit`, with the end if the server tells it |
//! | ack with 463, and the server tells of no limit | `MissingToken` |
//! | ack with 429 | `Retry` after [`PAUSE_AFTER_RATE_LIMIT`] |
//! | ack with 5xx | `Retry` after [`PAUSE_AFTER_SERVER_ERROR`] |
//! | ack with anything else: 400 and 479 (malformed), 404 (no such recipient), ... | `Permanent` |
//! | the message held no copy for the recipient | `NotRegistered` or `Recipient`, after asking again |

use super::{Ack, Shared, limits, lock};
use crate::{OutgoingMessage, Registration, SendError};
use kabari_domain::{LinkState, MessageId, Phone, wording};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use whatsapp_rust::client::ClientError;
use whatsapp_rust::features::ContactError;
use whatsapp_rust::prelude::{MessageBuilderExt, wa};
use whatsapp_rust::wacore::iq::keepalive::KeepaliveSpec;
use whatsapp_rust::wacore_binary::Node;
use whatsapp_rust::{Client, IqError, Jid, NodeFilter, SendOptions};

/// How long a message may take until it is written: requests for devices and keys included.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one batch of number checks may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the server may take to answer a question that costs it nothing.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How many numbers go into one question.
const NUMBERS_PER_CHECK: usize = 100;
/// The shortest wait after the server said that we are too fast.
const PAUSE_AFTER_RATE_LIMIT: Duration = Duration::from_secs(60);
/// The shortest wait after the server failed.
const PAUSE_AFTER_SERVER_ERROR: Duration = Duration::from_secs(10);

/// How long the server may take to tell its settings.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest wait before a message goes out again with a token that it lacked.
const PAUSE_WITH_TOKEN: Duration = Duration::from_secs(2);

/// What a message carries for people who have given us a token, or for others in its stead.
const TOKENS: [&str; 2] = ["tctoken", "cstoken"];
const REACH_OUT_LIMIT: &str = "463";
const TOO_MANY_REQUESTS: &str = "429";

pub(super) async fn check(
    client: &Client,
    phones: &[Phone],
) -> Result<Vec<Registration>, SendError> {
    let mut registrations = Vec::with_capacity(phones.len());
    for batch in phones.chunks(NUMBERS_PER_CHECK) {
        let asked: Vec<Jid> = batch.iter().map(|phone| Jid::pn(phone.digits())).collect();
        let answers = timeout(CHECK_TIMEOUT, client.contacts().is_on_whatsapp(&asked))
            .await
            .map_err(|_| SendError::NotConnected("the number check timed out".into()))?
            .map_err(check_failed)?;
        // A single answer to a single question needs no match: the server may have put the number
        // into another form.
        if let ([_], [answer]) = (batch, answers.as_slice()) {
            registrations.push(registration(answer.is_registered, &answer.jid));
            continue;
        }
        let by_number: HashMap<&str, _> = answers
            .iter()
            .filter(|answer| answer.contact_error.is_none())
            .map(|answer| (answer.pn_jid.as_ref().unwrap_or(&answer.jid).user.as_str(), answer))
            .collect();
        registrations.extend(batch.iter().map(|phone| match by_number.get(phone.digits()) {
            Some(answer) => registration(answer.is_registered, &answer.jid),
            None => Registration::Unknown,
        }));
    }
    Ok(registrations)
}

fn registration(is_registered: bool, jid: &Jid) -> Registration {
    match is_registered {
        true => Registration::Registered { jid: jid.to_string() },
        false => Registration::NotRegistered,
    }
}

pub(super) async fn send(shared: &Shared, message: &OutgoingMessage) -> Result<(), SendError> {
    let client = shared.ready()?;
    let to = address(&client, message).await?;
    know_settings(shared, &client).await;
    let mut ack = PendingAck::register(shared, &message.message_id);
    let written = write(&client, shared, &to, message).await?;
    if !written.has_copy_for_recipient {
        return Err(no_copy(&client, &message.phone).await);
    }
    let has_token = written.has_token;
    tokio::select! {
        // An ack that came just before the connection ended is an ack.
        biased;
        answer = ack.received() => match answer {
            Some(Ack::Accepted) => Ok(()),
            Some(Ack::Refused(code)) => Err(refused(&client, &to, has_token, &code).await),
            None => Err(SendError::Unknown("the same message was sent again".into())),
        },
        () = written.connection_lost() => {
            Err(SendError::Unknown("the connection ended before the server's answer".into()))
        }
        () = tokio::time::sleep(shared.ack_timeout) => {
            leave_dead_connection(&client).await;
            Err(SendError::Unknown("the server did not answer in time".into()))
        }
    }
}

/// Returns when the session has ended for good, for example because it was opened elsewhere. What
/// the library waits for then does not come, and why it ended is to be written down at once.
pub(super) async fn session_ended(shared: &Shared) {
    let mut link = shared.link.subscribe();
    let goes_on = |state| matches!(state, LinkState::Connected | LinkState::Connecting);
    // The sender lives in `shared`, so this wait cannot fail.
    let _ = link.wait_for(|link| !goes_on(link.state)).await;
}

/// Whether messages come with tokens is one of the settings that WhatsApp gives a client when it
/// connects. The library asks for them in the background: what goes out before would be refused
/// for want of a token that is there.
async fn know_settings(shared: &Shared, client: &Client) {
    if shared.has_settings.load(Ordering::Acquire) {
        return;
    }
    if !matches!(timeout(SETTINGS_TIMEOUT, client.fetch_props()).await, Ok(Ok(()))) {
        tracing::debug!("WhatsApp does not tell its settings: sending without");
    }
    // Once is enough: the library asks again at every connection.
    shared.has_settings.store(true, Ordering::Release);
}

/// Whether only the ack is missing, or the line is dead, a question tells that any server answers.
/// The library alone takes over a minute to find out, and the resends would be lost as well.
async fn leave_dead_connection(client: &Arc<Client>) {
    let ping = KeepaliveSpec::with_timeout(PING_TIMEOUT);
    if let Err(IqError::Timeout) = client.execute(ping).await {
        tracing::warn!("WhatsApp has gone silent: connecting anew");
        client.reconnect_immediately().await;
    }
}

async fn address(client: &Client, message: &OutgoingMessage) -> Result<Jid, SendError> {
    let jid = match &message.jid {
        Some(jid) => jid.clone(),
        None => match check(client, std::slice::from_ref(&message.phone)).await?.pop() {
            Some(Registration::Registered { jid }) => jid,
            _ => return Err(SendError::NotRegistered),
        },
    };
    jid.parse().map_err(|_| SendError::Permanent(wording::refused("jid")))
}

/// A place in the list of who waits for an ack, given up on drop: an ack that comes after that is
/// an event.
struct PendingAck<'a> {
    shared: &'a Shared,
    id: &'a str,
    answer: oneshot::Receiver<Ack>,
}

impl<'a> PendingAck<'a> {
    fn register(shared: &'a Shared, id: &'a MessageId) -> PendingAck<'a> {
        let (sender, answer) = oneshot::channel();
        lock(&shared.acks).insert(id.as_str().to_owned(), sender);
        PendingAck { shared, id: id.as_str(), answer }
    }

    async fn received(&mut self) -> Option<Ack> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for PendingAck<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Entry::Occupied(place) = lock(&self.shared.acks).entry(self.id.to_owned()) {
            // Unless somebody else has begun to wait for the same message.
            if place.get().is_closed() {
                place.remove();
            }
        }
        // An ack that came after the waiting ended, but before the place was given up.
        if let Ok(Ack::Accepted) = self.answer.try_recv() {
            self.shared.acked_late(self.id);
        }
    }
}

/// A message that is on the wire, or may be.
struct InFlight {
    losses: watch::Receiver<u64>,
    has_copy_for_recipient: bool,
    /// Whether a token went along.
    has_token: bool,
}

impl InFlight {
    async fn connection_lost(mut self) {
        // Without the sender there is no gateway any more: that is a loss too.
        let _ = self.losses.changed().await;
    }
}

async fn write(
    client: &Client,
    shared: &Shared,
    to: &Jid,
    message: &OutgoingMessage,
) -> Result<InFlight, SendError> {
    let id = message.message_id.as_str();
    let mut losses = shared.losses.subscribe();
    // Resolves when the stanza is ready to be encrypted for the socket: up to then nothing can
    // have gone out.
    let mut stanza = client.wait_for_sent_node(NodeFilter::tag("message").attr("id", id));
    let mut on_the_wire = None;
    let _preparing = Preparing::register(client, shared, id);
    let text = wa::Message::text(message.text.as_str());
    let options = SendOptions::default().with_message_id(id);
    let mut ended = std::pin::pin!(session_ended(shared));
    let mut sending =
        std::pin::pin!(timeout(WRITE_TIMEOUT, client.send_message_with_options(to, text, options)));
    let result = loop {
        tokio::select! {
            biased;
            node = &mut stanza, if on_the_wire.is_none() => {
                losses.mark_unchanged();
                on_the_wire = Some(node.ok());
            }
            () = &mut ended, if on_the_wire.is_none() => {
                return Err(SendError::NotConnected("the session ended before the message".into()));
            }
            _ = losses.changed(), if on_the_wire.is_some() => {
                let reason = "the connection ended while the message was written";
                return Err(SendError::Unknown(reason.into()));
            }
            result = &mut sending => break result,
        }
    };
    match result {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(write_failed(error)),
        Err(_) if on_the_wire.is_none() => {
            return Err(later("the message could not be prepared in time"));
        }
        Err(_) => return Err(SendError::Unknown("writing the message took too long".into())),
    }
    let stanza = on_the_wire.flatten().or_else(|| stanza.try_recv().ok().flatten());
    if stanza.is_none() {
        // The connection was renewed while the message was prepared, and it went over the new one.
        losses.mark_unchanged();
    }
    let has_token = stanza
        .as_ref()
        .is_none_or(|stanza| TOKENS.iter().any(|token| stanza.get_optional_child(token).is_some()));
    let has_copy_for_recipient = stanza.is_none_or(|stanza| has_copy_for_others(client, &stanza));
    Ok(InFlight { losses, has_copy_for_recipient, has_token })
}

/// A place in the list of messages that are being prepared, given up on drop.
struct Preparing<'a> {
    shared: &'a Shared,
    id: &'a str,
}

impl<'a> Preparing<'a> {
    fn register(client: &Client, shared: &'a Shared, id: &'a str) -> Preparing<'a> {
        let mut stanza = client.wait_for_sent_node(NodeFilter::tag("message").attr("id", id));
        let is_prepared = move || !matches!(stanza.try_recv(), Ok(None));
        lock(&shared.preparing).insert(id.to_owned(), Box::new(is_prepared));
        Preparing { shared, id }
    }
}

impl Drop for Preparing<'_> {
    fn drop(&mut self) {
        lock(&self.shared.preparing).remove(self.id);
    }
}

/// The server acknowledges a message that only our own phone can read just like any other. That
/// is what the library sends when the recipient's devices have no keys.
fn has_copy_for_others(client: &Client, stanza: &Node) -> bool {
    let own = [client.pn(), client.lid()].map(|jid| jid.map(|jid| jid.user));
    let is_own = |jid: &Jid| own.iter().flatten().any(|user| *user == jid.user);
    let to_ourselves = stanza.attrs().optional_jid("to").is_some_and(|to| is_own(&to));
    let mut copies = stanza
        .get_optional_child("participants")
        .and_then(Node::children)
        .into_iter()
        .flatten()
        .filter_map(|copy| copy.attrs().optional_jid("jid"));
    to_ourselves || copies.any(|jid| !is_own(&jid))
}

async fn no_copy(client: &Client, phone: &Phone) -> SendError {
    match check(client, std::slice::from_ref(phone)).await {
        Ok(registrations) if registrations == [Registration::NotRegistered] => {
            SendError::NotRegistered
        }
        Ok(_) => later("none of the recipient's devices has keys to write to"),
        Err(error) => error,
    }
}

fn write_failed(error: whatsapp_rust::SendError) -> SendError {
    match error {
        whatsapp_rust::SendError::NotLoggedIn => SendError::NotLinked,
        whatsapp_rust::SendError::Iq(error) => match request_failed(&error) {
            // The recipient's keys or devices: those of others may be had all the same.
            SendError::Retry { after, reason } if !is_rate_limit(&error) => {
                SendError::Recipient { after, reason }
            }
            failed => failed,
        },
        whatsapp_rust::SendError::Client(ClientError::NotConnected) => {
            SendError::NotConnected("the connection was lost before the message".into())
        }
        // The bytes may have left before the error was seen.
        whatsapp_rust::SendError::Client(error) => SendError::Unknown(error.to_string()),
        whatsapp_rust::SendError::InvalidRequest(text) => SendError::Permanent(text),
        // Encryption or the session's files: all of that comes before the write.
        error => later(&error.to_string()),
    }
}

/// Returns the error of a message that did not go out to this recipient, while others can be
/// written to.
fn later(reason: &str) -> SendError {
    SendError::Recipient { after: PAUSE_AFTER_SERVER_ERROR, reason: reason.to_owned() }
}

fn is_rate_limit(error: &IqError) -> bool {
    matches!(error, IqError::ServerError { code: 429, .. })
}

fn check_failed(error: ContactError) -> SendError {
    match error {
        ContactError::Iq(error) => request_failed(&error),
        error => SendError::Permanent(error.to_string()),
    }
}

/// Returns what a request that comes before a message says about the message, which did not go out.
fn request_failed(error: &IqError) -> SendError {
    let (code, backoff) = match error {
        IqError::ServerError { code, backoff, .. } => (code, backoff),
        // The connection is there, and the server does not answer this question.
        IqError::Timeout => {
            return SendError::Retry { after: PAUSE_AFTER_SERVER_ERROR, reason: error.to_string() };
        }
        error => return SendError::NotConnected(error.to_string()),
    };
    let pause = |default| backoff.map_or(default, |seconds| Duration::from_secs(seconds.into()));
    match code {
        406 => SendError::NotRegistered,
        429 => SendError::Retry { after: pause(PAUSE_AFTER_RATE_LIMIT), reason: error.to_string() },
        500.. => {
            SendError::Retry { after: pause(PAUSE_AFTER_SERVER_ERROR), reason: error.to_string() }
        }
        code => SendError::Permanent(wording::refused(&code.to_string())),
    }
}

async fn refused(client: &Arc<Client>, to: &Jid, has_token: bool, code: &str) -> SendError {
    let retry = |after| SendError::Retry { after, reason: format!("error {code}") };
    match code {
        REACH_OUT_LIMIT if !has_token && limits::has_token(client, to).await => {
            // It came while the message was under way.
            SendError::MissingToken { after: PAUSE_WITH_TOKEN }
        }
        REACH_OUT_LIMIT => limits::refused(client).await,
        TOO_MANY_REQUESTS => retry(PAUSE_AFTER_RATE_LIMIT),
        code if code.len() == 3 && code.starts_with('5') => retry(PAUSE_AFTER_SERVER_ERROR),
        code => SendError::Permanent(wording::refused(code)),
    }
}
