//! `/livez` and `/readyz`: whether to restart kabari, and whether it can do its work.

use super::monitored::Monitored;
use super::service::{CHECK_TIMEOUT, condition};
use crate::disk;
use crate::store::state::Session;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kabari_domain::{LinkState, wording};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A loop of the dispatcher that has not come round for this long is stuck: even one that waits
/// for a database that does not answer gives up and begins anew earlier.
const STUCK_AFTER: Duration = Duration::from_secs(90);
/// Clocks further apart than this send at the wrong time, and WhatsApp refuses what they sign.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// kabari answers.
#[derive(Serialize, ToSchema)]
pub struct Alive {
    #[schema(example = "alive")]
    status: &'static str,
}

/// Whether kabari answers
///
/// Nothing else is looked at: where this fails, a restart may help.
#[utoipa::path(get, path = "/livez", tag = "service", operation_id = "get_liveness", responses((status = 200, description = "It answers", body = Alive)))]
pub async fn livez() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// Whether kabari can do its work, and what keeps it from it.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Everything that somebody has to look after; empty when it is ready.
    pub reasons: Vec<Reason>,
}

/// What keeps kabari from its work.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reason {
    /// `database`, `state_database`, `disk_full`, `not_linked`, `banned`, `client_outdated`,
    /// `replaced`, `unreachable`, `dispatcher_stuck` or `clock_off`.
    #[schema(example = "not_linked")]
    pub reason: &'static str,
    /// What to do.
    #[schema(example = "WhatsApp belum terhubung. Silakan scan QR code terlebih dahulu.")]
    message: String,
}

/// All that it can be; the names of `reason`.
pub const REASONS: [&str; 10] = [
    "database",
    "state_database",
    "disk_full",
    "not_linked",
    "banned",
    "client_outdated",
    "replaced",
    "unreachable",
    "dispatcher_stuck",
    "clock_off",
];

/// Whether it can do its work
///
/// 503 with the reasons when somebody has to do something: a database, the disk, the link to
/// WhatsApp, the clock. One number's trouble is none as long as another number can send; a
/// connection that is being made again is none either, unless WhatsApp cannot be reached.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service", operation_id = "get_readiness",
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Somebody has to do something", body = Readiness),
    )
)]
pub async fn readyz(State(monitored): State<Monitored>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness(&monitored).await;
    let ready = readiness.reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

/// What decides about it.
struct Facts {
    database: Result<(), String>,
    state_database: Result<(), String>,
    free_bytes: Option<u64>,
    /// The link of each session; `None` if nobody knows.
    links: Option<Vec<LinkFacts>>,
    longest_round: Duration,
    /// The greatest difference between this machine's clock and the others.
    clock_difference: Duration,
}

/// How a session is linked.
struct LinkFacts {
    is_linked: bool,
    state: LinkState,
    /// Whether WhatsApp's server cannot even be dialed.
    is_offline: bool,
}

impl LinkFacts {
    fn of(session: &Session) -> LinkFacts {
        let is_offline = session.last_error.as_deref() == Some(wording::WHATSAPP_UNREACHABLE);
        LinkFacts { is_linked: session.is_linked(), state: session.link, is_offline }
    }
}

/// Looks at everything.
pub async fn readiness(monitored: &Monitored) -> Readiness {
    let Monitored { billing, state, sessions, metrics, data_dir, .. } = monitored;
    let database = async {
        match billing {
            Some(billing) => condition(billing.check()).await,
            None => Ok(()),
        }
    };
    let (database, state_database) = tokio::join!(database, condition(state.ping()));
    let (links, apart) = if state_database.is_ok() {
        let both = async { tokio::join!(state.sessions(), state.clock_difference()) };
        match tokio::time::timeout(CHECK_TIMEOUT, both).await {
            Ok((sessions, apart)) => (sessions.ok(), apart.unwrap_or_default()),
            Err(_) => (None, Duration::ZERO),
        }
    } else {
        (None, Duration::ZERO)
    };
    let open = sessions.open().borrow().clone();
    let offsets = open.values().filter_map(|gateway| gateway.clock_offset());
    // A clock that agrees with what one number hears is right.
    let from_whatsapp = offsets.map(i64::unsigned_abs).min().map(Duration::from_millis);
    let facts = Facts {
        database,
        state_database,
        free_bytes: disk::free_bytes(data_dir),
        links: links.map(|sessions| sessions.iter().map(LinkFacts::of).collect()),
        longest_round: metrics.longest_round(sessions.clock().monotonic()),
        clock_difference: apart.max(from_whatsapp.unwrap_or_default()),
    };
    let reasons = reasons(facts);
    let status = if reasons.is_empty() { "ready" } else { "not_ready" };
    Readiness { status, reasons }
}

fn reasons(facts: Facts) -> Vec<Reason> {
    let mut reasons = vec![];
    let mut add = |reason, message: &str| {
        let reason = Reason { reason, message: message.to_owned() };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    };
    if let Err(error) = &facts.database {
        add("database", error);
    }
    if let Err(error) = &facts.state_database {
        add("state_database", error);
    }
    if facts.free_bytes.is_some_and(|free| free < disk::LOW_BYTES) {
        add("disk_full", wording::DISK_NEARLY_FULL);
    }
    if let Some(links) = facts.links {
        let linked: Vec<LinkFacts> = links.into_iter().filter(|link| link.is_linked).collect();
        if linked.is_empty() {
            add("not_linked", wording::NOT_LINKED);
        }
        if linked.iter().all(|link| trouble(link).is_some()) {
            for (reason, message) in linked.iter().filter_map(trouble) {
                add(reason, message);
            }
        }
    }
    if facts.longest_round > STUCK_AFTER {
        add("dispatcher_stuck", wording::DISPATCHER_STUCK);
    }
    if facts.clock_difference > CLOCK_TOLERANCE {
        add("clock_off", wording::CLOCK_OFF);
    }
    reasons
}

/// Why nothing goes out over such a link until somebody does something.
fn trouble(link: &LinkFacts) -> Option<(&'static str, &'static str)> {
    match link.state {
        LinkState::Banned { .. } => Some(("banned", wording::BANNED)),
        LinkState::ClientOutdated => Some(("client_outdated", wording::CLIENT_OUTDATED)),
        LinkState::Replaced => Some(("replaced", wording::REPLACED)),
        LinkState::Unreachable => Some(("unreachable", wording::GATEWAY_DOWN)),
        LinkState::Connected => None,
        _ => link.is_offline.then_some(("unreachable", wording::WHATSAPP_UNREACHABLE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kabari_domain::Timestamp;

    const BANNED: LinkState = LinkState::Banned { until: Timestamp(0) };

    fn link(is_linked: bool, state: LinkState) -> LinkFacts {
        LinkFacts { is_linked, state, is_offline: false }
    }

    fn well() -> Facts {
        Facts {
            database: Ok(()),
            state_database: Ok(()),
            free_bytes: Some(disk::LOW_BYTES),
            links: Some(vec![link(true, LinkState::Connected)]),
            longest_round: STUCK_AFTER,
            clock_difference: CLOCK_TOLERANCE,
        }
    }

    fn names(facts: Facts) -> Vec<&'static str> {
        reasons(facts).into_iter().map(|reason| reason.reason).collect()
    }

    fn with_links(links: &[(bool, LinkState)]) -> Vec<&'static str> {
        let links = links.iter().map(|(is_linked, state)| link(*is_linked, *state)).collect();
        names(Facts { links: Some(links), ..well() })
    }

    #[test]
    fn each_trouble_has_its_reason() {
        assert_eq!(names(well()), [""; 0]);
        let fault = || Err("down".to_owned());
        let second = Duration::from_secs(1);
        for (facts, reason) in [
            (Facts { database: fault(), ..well() }, "database"),
            (Facts { state_database: fault(), links: None, ..well() }, "state_database"),
            (Facts { free_bytes: Some(disk::LOW_BYTES - 1), ..well() }, "disk_full"),
            (Facts { longest_round: STUCK_AFTER + second, ..well() }, "dispatcher_stuck"),
            (Facts { clock_difference: CLOCK_TOLERANCE + second, ..well() }, "clock_off"),
        ] {
            assert_eq!(names(facts), [reason]);
            assert!(REASONS.contains(&reason));
        }
    }

    #[test]
    fn a_connection_that_is_made_anew_is_no_trouble_unless_whatsapp_is_out_of_reach() {
        let with = |state, is_offline| {
            names(Facts {
                links: Some(vec![LinkFacts { is_linked: true, state, is_offline }]),
                ..well()
            })
        };
        assert_eq!(with(LinkState::Connecting, false), [""; 0]);
        assert_eq!(with(LinkState::Connecting, true), ["unreachable"]);
        assert_eq!(with(LinkState::Connected, true), [""; 0]);
    }

    #[test]
    fn one_number_that_can_send_is_enough() {
        for (link, reason) in [
            (BANNED, "banned"),
            (LinkState::ClientOutdated, "client_outdated"),
            (LinkState::Replaced, "replaced"),
            (LinkState::Unreachable, "unreachable"),
        ] {
            assert_eq!(with_links(&[(true, link), (false, LinkState::NotLinked)]), [reason]);
            assert_eq!(with_links(&[(true, link), (true, link)]), [reason]);
            assert_eq!(with_links(&[(true, link), (true, LinkState::Connecting)]), [""; 0]);
            assert!(REASONS.contains(&reason));
        }
        assert_eq!(with_links(&[]), ["not_linked"]);
        assert_eq!(with_links(&[(false, LinkState::NotLinked)]), ["not_linked"]);
        let both = [(true, BANNED), (true, LinkState::Replaced)];
        assert_eq!(with_links(&both), ["banned", "replaced"]);
    }
}
