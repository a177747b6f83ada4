//! What is known of a session: for the pages, and as the API shows it.

use super::Api;
use super::error::ApiResult;
use super::link::{self, History, ShownLimits};
use super::passkey::PasskeyBody;
use crate::store::Session;
use kabari_domain::{Readiness, Timestamp, Waiting};
use kabari_gateway::Link;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A session: one WhatsApp number. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionBody {
    #[schema(example = "default")]
    name: String,
    /// The linked number, E.164 digits.
    #[schema(example = "6281299990000")]
    phone: Option<String>,
    /// As in `/api/whatsapp/status`.
    #[schema(example = "connected")]
    state: &'static str,
    /// The node that holds it; null while none does.
    #[schema(example = "9f86d081884c7d65")]
    node: Option<String>,
    /// Why it sends nothing for now: `disconnected`, `logged_out`, `replaced`, `banned`,
    /// `client_outdated`, `paused`, `quiet_hours`, `daily_cap` or `reach_out_limit`.
    waiting_for: Option<&'static str>,
    /// When that ends by itself, if it is known.
    until: Option<String>,
    pace: PaceBody,
    /// Most messages a day; null for no limit.
    daily_cap: Option<u32>,
    /// Messages that went out today.
    sent_today: u32,
    /// What WhatsApp itself allows the number; null where it does not say.
    limits: Option<ShownLimits>,
    /// How many people have written to the number.
    #[schema(example = 812)]
    contacts: u32,
    /// What the phone has told of the chats from before it was linked; null while it has told
    /// nothing.
    history: Option<History>,
    linked_at: Option<String>,
    /// What to do next where WhatsApp wants a passkey; null where it does not.
    passkey: Option<PasskeyBody>,
    /// What is wrong with the link.
    last_error: Option<String>,
}

/// The time between two messages of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaceBody {
    #[schema(example = 2000)]
    delay_ms: u64,
    /// Up to this much more, at random.
    #[schema(example = 1000)]
    jitter_ms: u64,
}

/// A session with what follows from its row at a time.
pub struct SessionView {
    /// As it is stored.
    pub session: Session,
    /// Its link, as far as it is known here.
    pub link: Link,
    /// Why it sends nothing for now.
    pub waiting: Option<Waiting>,
    /// Messages that went out today.
    pub sent_today: u32,
    /// How many more may go out today; `None` for no limit.
    pub left_today: Option<u32>,
}

impl SessionView {
    /// Returns what is known of a session.
    pub fn of(api: &Api, session: Session, now: Timestamp) -> SessionView {
        let link = link::link_of(api, &session, now);
        let quotas = &api.settings.quotas;
        let held = session.is_held(now);
        let readiness = Readiness { link: held.then_some(link.state), ..session.readiness(now) };
        SessionView {
            waiting: readiness.waiting(quotas, now),
            sent_today: if session.day == quotas.day(now) { session.sent_today } else { 0 },
            left_today: quotas.left_today(&session.usage(), now),
            link,
            session,
        }
    }
}

impl SessionBody {
    /// Returns what the API shows of a session.
    pub async fn of(api: &Api, session: Session, now: Timestamp) -> ApiResult<SessionBody> {
        let held = session.is_held(now);
        let SessionView { session, link, waiting, sent_today, .. } =
            SessionView::of(api, session, now);
        let quotas = &api.settings.quotas;
        let limits = match link.is_connected() {
            true => link::limits(api, &session.name).await,
            false => None,
        };
        let contacts = match &session.phone {
            Some(phone) => api.state.contact_count(phone).await?,
            None => 0,
        };
        let pace = api.settings.pace;
        Ok(SessionBody {
            phone: link.phone.clone().filter(|_| !link.state.is_unlinked()),
            state: link.state.as_str(),
            node: session.owner.clone().filter(|_| held),
            waiting_for: waiting.map(|waiting| waiting.reason.as_str()),
            until: waiting.and_then(|waiting| waiting.until).map(Timestamp::to_rfc3339),
            pace: PaceBody {
                delay_ms: millis(session.delay.unwrap_or(pace.delay)),
                jitter_ms: millis(session.jitter.unwrap_or(pace.jitter)),
            },
            daily_cap: session.daily_cap.or(quotas.daily_cap),
            sent_today,
            limits,
            contacts,
            history: session.history.map(History::of),
            linked_at: session.linked_at.filter(|_| session.is_linked()).map(Timestamp::to_rfc3339),
            passkey: PasskeyBody::wanted(&link, &link::session_path(&session.name)),
            last_error: link.error,
            name: session.name,
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
