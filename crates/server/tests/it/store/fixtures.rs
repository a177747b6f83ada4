//! Campaigns to test with.

use futures_util::stream;
use kabari::store::StoreError;
use kabari::store::state::{
    Affinity, Attempt, Begin, Begun, CampaignKind, Claim, Creation, IdempotencyKey, LeasedDelivery,
    LinkReport, NewCampaign, NewDelivery, Reported, SessionKind, SessionLease, StateStore,
};
use kabari::trace::Trail;
use kabari_domain::{DeliveryState, LinkState, MessageId, Phone};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub const LEASE: Duration = Duration::from_secs(60);
pub const GAP: Duration = Duration::from_secs(2);
/// How long a refused transaction may keep its rows.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(10);
pub const TEMPLATE: &str = "Halo {nama}";
pub const NODE: &str = "node-a";
pub const SESSION: &str = "default";
pub const AFFINITY: Affinity =
    Affinity { wait: Duration::from_secs(600), urgent: Duration::from_secs(60) };

pub fn sender() -> Phone {
    Phone::from_stored("6281299990000")
}

pub fn new_campaign() -> NewCampaign {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    NewCampaign {
        kind: CampaignKind::Notification,
        notice_id: None,
        subject: "Kabel putus".to_owned(),
        template: TEMPLATE.to_owned(),
        parent_id: None,
        urgent: false,
        sessions: vec![],
        starts_at: None,
        spacing: Duration::ZERO,
        expires_at: None,
        fingerprint: format!("fingerprint {}", COUNT.fetch_add(1, Ordering::Relaxed)),
        request: "{}".to_owned(),
        trail: Trail::default(),
    }
}

/// The n-th customer: phone 62811000000n.
pub fn recipient(n: usize) -> NewDelivery {
    NewDelivery {
        customer_id: Some(n as i64),
        customer_name: format!("Pelanggan {n}"),
        phone_raw: Some(format!("0811{n:07}")),
        phone: Some(Phone::from_stored(format!("62811{n:07}"))),
        text: None,
        message_id: MessageId::from_random(rand::random()),
        state: DeliveryState::Queued,
        error: None,
    }
}

pub fn skipped(n: usize) -> NewDelivery {
    NewDelivery {
        phone_raw: Some("0".to_owned()),
        phone: None,
        state: DeliveryState::Skipped,
        error: Some("Nomor tidak valid atau 0".to_owned()),
        ..recipient(n)
    }
}

pub fn recipients(count: usize) -> Vec<NewDelivery> {
    (0..count).map(recipient).collect()
}

pub async fn create_with(
    state: &StateStore,
    campaign: NewCampaign,
    recipients: Vec<NewDelivery>,
    key: Option<IdempotencyKey>,
    guard: Option<Duration>,
) -> Result<Creation, StoreError> {
    let recipients = stream::iter(recipients.into_iter().map(Ok));
    state.create_campaign(campaign, recipients, key, guard, true).await
}

pub async fn create(
    state: &StateStore,
    campaign: NewCampaign,
    recipients: Vec<NewDelivery>,
) -> i64 {
    match create_with(state, campaign, recipients, None, None).await.unwrap() {
        Creation::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Holds the session that the fixtures send from, linked to [`sender`].
pub async fn hold(state: &StateStore, owner: &str) -> SessionLease {
    hold_as(state, SESSION, &sender(), owner).await
}

/// Holds a session that is linked to this number and connected.
pub async fn hold_as(state: &StateStore, name: &str, phone: &Phone, owner: &str) -> SessionLease {
    let kind = SessionKind::Embedded;
    state.create_session(name, kind).await.unwrap();
    let lease = state.hold_session(name, kind, owner, LEASE).await.unwrap().expect("it is free");
    assert_eq!(report(state, &lease, LinkState::Connected, phone).await, Reported::Written);
    lease
}

/// Reports a link to this number.
pub async fn report(
    state: &StateStore,
    lease: &SessionLease,
    link: LinkState,
    phone: &Phone,
) -> Reported {
    let report = LinkReport {
        state: link,
        phone: Some(phone.clone()),
        qr: None,
        passkey: None,
        error: None,
    };
    state.report_link(lease, &report).await.unwrap()
}

/// A claim of everything that is due for a number.
pub fn claim<'a>(owner: &'a str, phone: &'a Phone, per_campaign: u32, max: u32) -> Claim<'a> {
    Claim {
        owner,
        session: SESSION,
        phone,
        contacts_only: false,
        urgent_only: false,
        affinity: AFFINITY,
        after: 0,
        per_campaign,
        max,
        lease: LEASE,
    }
}

pub async fn lease(state: &StateStore, max: u32) -> Vec<LeasedDelivery> {
    state.claim(&claim(NODE, &sender(), max, max)).await.unwrap()
}

/// Waits a little: a transaction that was refused lets go of its rows a moment after its error,
/// and a lease skips rows that are locked.
pub async fn lease_one(state: &StateStore) -> LeasedDelivery {
    let leased = async {
        loop {
            if let Some(delivery) = lease(state, 1).await.pop() {
                return delivery;
            }
        }
    };
    tokio::time::timeout(ROLLBACK_PATIENCE, leased).await.expect("a delivery is due")
}

pub async fn try_begin(
    state: &StateStore,
    delivery: &LeasedDelivery,
    session: &SessionLease,
) -> Begin {
    let sender = sender();
    let attempt = Attempt {
        session,
        sender: &sender,
        jid: Some("1@lid"),
        gap: GAP,
        lease: LEASE,
        day: 1,
        unrepeatable: false,
    };
    state.begin(delivery, attempt).await.unwrap()
}

/// Holds the session and begins an attempt that must be allowed.
pub async fn begin(state: &StateStore, delivery: &LeasedDelivery) -> Begun {
    let session = hold(state, &delivery.owner).await;
    match try_begin(state, delivery, &session).await {
        Begin::Started(begun) => begun,
        other => panic!("{other:?}"),
    }
}

pub async fn state_of(state: &StateStore, delivery: i64) -> DeliveryState {
    state.delivery(delivery).await.unwrap().expect("the delivery exists").progress.state
}
