//! What the library reports, as link states, acks, receipts, and who wrote.

use super::storage::Storage;
use super::{Ack, Shared, lock, now, passkey};
use crate::{Event, Link, LinkState, qr};
use kabari_domain::{MessageId, Phone, ReceiptRank, Timestamp, wording};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task;
use whatsapp_rust::types::events::{
    ConnectFailure, ConnectFailureReason, Event as LibraryEvent, EventHandler, EventInterest,
    EventKind, LoggedOut, PairingQrCode, Receipt, ServerAck, TemporaryBan,
};
use whatsapp_rust::types::message::MessageInfo;
use whatsapp_rust::types::presence::ReceiptType;

/// How long a ban lasts when the server does not say.
const BAN_OF_UNKNOWN_LENGTH: Duration = Duration::from_secs(3600);
/// The class of the acks that answer a message; receipts and notifications are acked as well.
const MESSAGE_CLASS: &str = "message";

/// What an event asks of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SupervisorRequest {
    /// The client gave up in a way that a new one mends at once.
    Reopen,
    /// The session is worthless: begin one from nothing.
    Wipe,
    /// WhatsApp lets nobody in before this time.
    OpenAt(Timestamp),
    /// WhatsApp let us not in.
    Refused,
    /// Only a person can go on.
    Rest,
}

/// Listens to one client. The library calls it while it reads from the socket, so it must not
/// wait: it only changes values and fills unbounded channels.
pub(super) struct Listener {
    pub shared: Arc<Shared>,
    pub storage: Arc<Storage>,
    pub requests: mpsc::UnboundedSender<SupervisorRequest>,
    /// Set when another client is about to take over: from then on this one has no say in the
    /// link. Acks and receipts count as long as they come.
    pub retired: Arc<AtomicBool>,
}

impl EventHandler for Listener {
    fn handle_event(&self, event: Arc<LibraryEvent>) {
        match &*event {
            LibraryEvent::ServerAck(ack) => self.shared.acked(ack),
            LibraryEvent::Receipt(receipt) => self.shared.receipt(receipt),
            LibraryEvent::HistorySync(part) => self.shared.history(part, &self.storage),
            LibraryEvent::Messages(batch) => {
                for message in batch {
                    self.shared.wrote(&message.info);
                }
            }
            event if !self.retired.load(Ordering::Acquire) => self.lifecycle(event),
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            EventKind::ServerAck,
            EventKind::Receipt,
            EventKind::Messages,
            EventKind::HistorySync,
            EventKind::Connected,
            EventKind::Disconnected,
            EventKind::PairSuccess,
            EventKind::PairingQrCode,
            EventKind::PairingQrCodesExhausted,
            EventKind::PairError,
            EventKind::PairPasskeyRequest,
            EventKind::PairPasskeyConfirmation,
            EventKind::PairPasskeyError,
            EventKind::LoggedOut,
            EventKind::StreamReplaced,
            EventKind::TemporaryBan,
            EventKind::ClientOutdated,
            EventKind::ConnectFailure,
        ])
    }
}

impl Listener {
    fn lifecycle(&self, event: &LibraryEvent) {
        match event {
            LibraryEvent::Connected(_) => self.connected(),
            LibraryEvent::Disconnected(disconnected) => {
                tracing::info!(reason = %disconnected.reason, "the connection to WhatsApp ended");
                let was_linking = self.shared.link.borrow().passkey.is_some();
                self.lost(LinkState::Connecting, wording::RECONNECTING);
                if was_linking {
                    self.begin_anew(wording::PASSKEY_INTERRUPTED);
                }
            }
            LibraryEvent::PairSuccess(paired) => {
                let phone = paired.id.user.to_string();
                self.shared.update_link(|link| {
                    *link = Link {
                        state: LinkState::Connecting,
                        phone: Some(phone),
                        ..Link::starting()
                    };
                });
            }
            LibraryEvent::PairingQrCode(code) => self.show_qr(code),
            LibraryEvent::PairingQrCodesExhausted(exhausted) => {
                self.shared.update_link(|link| (link.qr, link.qr_png) = (None, None));
                if exhausted.disconnected {
                    self.request(SupervisorRequest::Reopen);
                }
            }
            LibraryEvent::PairError(failed) => {
                tracing::error!(error = failed.error, "the phone could not be linked");
                if self.shared.link.borrow().passkey.is_some() {
                    self.begin_anew(wording::PASSKEY_FAILED);
                }
            }
            LibraryEvent::PairPasskeyRequest(request) => {
                if let Err(error) = passkey::asked(&self.shared, &request.request_options_json) {
                    self.begin_anew(error);
                }
            }
            LibraryEvent::PairPasskeyConfirmation(confirmation) => {
                passkey::compare(&self.shared, &confirmation.code, confirmation.skip_handoff_ux);
            }
            LibraryEvent::PairPasskeyError(failed) => {
                tracing::error!(error = failed.error, "linking with a passkey failed");
                self.begin_anew(wording::PASSKEY_FAILED);
            }
            LibraryEvent::LoggedOut(logged_out) => self.logged_out(logged_out),
            LibraryEvent::StreamReplaced(_) => {
                tracing::error!(
                    "the same WhatsApp session was opened elsewhere: restart to take it back"
                );
                self.lost(LinkState::Replaced, wording::REPLACED);
                self.request(SupervisorRequest::Rest);
            }
            LibraryEvent::TemporaryBan(ban) => self.banned(ban),
            LibraryEvent::ClientOutdated(_) => {
                tracing::error!("WhatsApp no longer accepts this version: update kabari");
                self.lost(LinkState::ClientOutdated, wording::CLIENT_OUTDATED);
                self.request(SupervisorRequest::Refused);
            }
            LibraryEvent::ConnectFailure(failure) => self.refused(failure),
            _ => {}
        }
    }

    fn connected(&self) {
        // A connection that the server recycles as planned ends without a word.
        self.shared.connection_lost();
        let client = self.shared.client();
        let phone = client.and_then(|client| client.pn()).map(|jid| jid.user.to_string());
        tracing::info!("connected to WhatsApp");
        self.shared.update_link(|link| {
            *link = Link { state: LinkState::Connected, phone, ..Link::starting() };
        });
    }

    fn show_qr(&self, code: &PairingQrCode) {
        // Whatever task calls is the one that shows codes.
        *lock(&self.shared.qr_task) = task::try_id();
        let picture = qr::png_data_url(&code.code);
        self.shared.update_link(|link| {
            if link.passkey.is_some() {
                return;
            }
            // Why there is a new code to scan stays in sight until somebody links again.
            let error = link.error.take().filter(|error| is_reason_for_a_new_code(error));
            *link = Link {
                state: LinkState::NotLinked,
                qr: Some(code.code.clone()),
                qr_png: picture,
                error,
                ..Link::starting()
            };
        });
    }

    fn logged_out(&self, logged_out: &LoggedOut) {
        tracing::error!(
            reason = ?logged_out.reason,
            "WhatsApp unlinked this device: link it again with the new QR code"
        );
        self.lost(LinkState::LoggedOut, wording::UNLINKED);
        self.request(SupervisorRequest::Wipe);
    }

    fn banned(&self, ban: &TemporaryBan) {
        let length = ban.expire.to_std().unwrap_or_default();
        self.banned_for(length, &ban.code.to_string());
    }

    fn banned_for(&self, length: Duration, reason: &str) {
        let until = now() + length;
        tracing::error!(reason, %until, "WhatsApp banned this number for a time");
        self.lost(LinkState::Banned { until }, wording::BANNED);
        self.request(SupervisorRequest::OpenAt(until));
    }

    fn refused(&self, failure: &ConnectFailure) {
        tracing::warn!(reason = ?failure.reason, "WhatsApp refused the connection");
        match failure.reason {
            ConnectFailureReason::TempBanned => {
                self.banned_for(BAN_OF_UNKNOWN_LENGTH, "the server did not tell");
            }
            reason => {
                self.lost(LinkState::Connecting, wording::CONNECTION_REFUSED);
                if !reason.should_reconnect() {
                    self.request(SupervisorRequest::Refused);
                }
            }
        }
    }

    fn lost(&self, state: LinkState, error: &str) {
        self.shared.connection_lost();
        self.shared.update_link(|link| {
            // That a connection has ended says less than why.
            let known = matches!(
                link.state,
                LinkState::Replaced | LinkState::Banned { .. } | LinkState::ClientOutdated
            );
            if known && state == LinkState::Connecting {
                return;
            }
            // Before a phone is linked there is no session that could be connecting.
            let unlinked = link.phone.is_none() && state == LinkState::Connecting;
            link.state = if unlinked { LinkState::NotLinked } else { state };
            if state == LinkState::LoggedOut {
                link.phone = None;
            }
            link.error = Some(error.into());
            (link.qr, link.qr_png, link.passkey) = (None, None, None);
        });
    }

    /// Ends a link with a passkey that cannot be finished: a new client shows a new QR.
    fn begin_anew(&self, error: &str) {
        passkey::begin_anew(&self.shared, error);
        self.request(SupervisorRequest::Reopen);
    }

    fn request(&self, request: SupervisorRequest) {
        // The session's task stops listening only when this client is on its way out anyway.
        let _ = self.requests.send(request);
    }
}

fn is_reason_for_a_new_code(error: &str) -> bool {
    error == wording::UNLINKED || wording::PASSKEY_BEGINS_ANEW.contains(&error)
}

impl Shared {
    fn acked(&self, ack: &ServerAck) {
        if ack.class.as_deref() != Some(MESSAGE_CLASS) {
            return;
        }
        let waiting = lock(&self.acks).remove(&ack.id);
        // One that comes late tells of an earlier time.
        if let (Some(_), Some(theirs)) = (&waiting, ack.timestamp) {
            let offset = theirs.timestamp_millis() - now().0;
            self.clock_offset.store(offset, Ordering::Relaxed);
        }
        let answer = ack.error.clone().map_or(Ack::Accepted, Ack::Refused);
        // The one who waited may be gone by now: then the answer must not go with them.
        let unheard = match waiting {
            Some(waiting) => waiting.send(answer).err(),
            None => Some(answer),
        };
        if unheard == Some(Ack::Accepted) {
            self.acked_late(&ack.id);
        }
    }

    pub(super) fn acked_late(&self, id: &str) {
        // Nobody listens in a gateway that only serves HTTP.
        let _ = self.events.send(Event::Acked { message_id: MessageId::from_stored(id) });
    }

    fn receipt(&self, receipt: &Receipt) {
        let rank = match receipt.r#type {
            ReceiptType::Delivered => ReceiptRank::Delivered,
            ReceiptType::Read | ReceiptType::Played => ReceiptRank::Read,
            _ => return,
        };
        let message_ids =
            receipt.message_ids.iter().map(|id| MessageId::from_stored(id.as_str())).collect();
        let at = Timestamp(receipt.timestamp.timestamp_millis());
        // As above.
        let _ = self.events.send(Event::Receipt { message_ids, rank, at });
    }

    /// Reports who wrote. Only a person's own messages count: what goes to groups and lists opens
    /// no chat with us.
    fn wrote(self: &Arc<Self>, message: &MessageInfo) {
        let source = &message.source;
        if source.is_from_me || source.is_group || !(source.chat.is_pn() || source.chat.is_lid()) {
            return;
        }
        let at = Timestamp(message.timestamp.timestamp_millis());
        let by_number = [Some(&source.sender), source.sender_alt.as_ref()];
        if let Some(number) = by_number.into_iter().flatten().find(|jid| jid.is_pn()) {
            self.wrote_from(&number.user, at);
            return;
        }
        let Some(client) = self.client() else { return };
        let (shared, sender) = (self.clone(), source.sender.clone());
        tokio::spawn(async move {
            match client.get_lid_pn_entry(&sender).await {
                Ok(Some(entry)) => shared.wrote_from(&entry.phone_number, at),
                Ok(None) => tracing::debug!("somebody wrote whose number WhatsApp does not tell"),
                Err(error) => tracing::warn!(%error, "cannot look up the number of a writer"),
            }
        });
    }

    fn wrote_from(&self, digits: &str, at: Timestamp) {
        // As above.
        let _ = self.events.send(Event::Wrote { phone: Phone::from_stored(digits), at });
    }
}
