//! Which sessions this node holds: takes those that are free, renews its leases, and lets go.

use super::events::{self, Heard};
use super::held_deliveries::HeldDeliveries;
use super::sender::Sender;
use super::{Connector, Context, LOOK_EVERY, STORE_PAUSE};
use crate::clock::speed;
use crate::metrics::Loop;
use crate::sessions::perform;
use crate::store::state::{LinkReport, Session, SessionLease};
use crate::store::{StateStore, StoreError};
use kabari_domain::{LinkState, Timestamp, wording};
use kabari_gateway::Gateway;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How often a lease is renewed while it lasts: two renewals may fail.
const RENEWALS: u32 = 3;
/// How long to wait before a session that could not be opened is tried again.
const REOPEN_AFTER: Duration = Duration::from_secs(60);

/// Runs until shutdown. What the sessions hear goes into `heard`.
pub async fn run(context: Context, connector: Connector, heard: mpsc::UnboundedSender<Heard>) {
    let held = HeldSessions::default();
    // By itself: however long a look takes, leases must not run out meanwhile. It goes on while
    // the sessions are closed.
    let renewing = AbortOnDropHandle::new(tokio::spawn(keep(context.clone(), held.clone())));
    let mut fleet = Fleet { connector: Arc::new(connector), heard, held, last_request: 0, context };
    while !fleet.context.is_stopping() {
        let began = fleet.context.clock.monotonic();
        match fleet.round().await {
            Ok(()) => fleet.context.came_round(Loop::Fleet),
            Err(error) => {
                fleet.context.after_store_error("looking after the sessions", &error).await
            }
        }
        tokio::select! {
            () = fleet.context.sleep_since(began, LOOK_EVERY) => {}
            () = fleet.context.sessions.changed() => {}
        }
    }
    let tasks: Vec<_> = {
        let mut held = lock(&fleet.held);
        held.values_mut().filter_map(|held| held.task.take()).collect()
    };
    for task in tasks {
        // A panic in it was reported where it happened.
        let _ = task.await;
    }
    drop(renewing);
}

/// The sessions that this node holds, by name.
type HeldSessions = Arc<Mutex<BTreeMap<String, Held>>>;

/// A session that this node holds, and the task that uses it.
struct Held {
    lease: SessionLease,
    held_deliveries: HeldDeliveries,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

fn lock(held: &HeldSessions) -> MutexGuard<'_, BTreeMap<String, Held>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renews the leases of what is held, and ends what another node has taken.
async fn keep(context: Context, held: HeldSessions) {
    let lease = context.settings.timeouts.lease;
    loop {
        let began = context.clock.monotonic();
        if let Err(error) = renew(&context, &held, lease).await {
            tracing::error!(%error, "renewing leases: trying again");
            tokio::time::sleep(STORE_PAUSE / speed()).await;
            continue;
        }
        context.clock.sleep_since(began, lease / RENEWALS).await;
    }
}

async fn renew(
    context: &Context,
    held: &HeldSessions,
    duration: Duration,
) -> Result<(), StoreError> {
    let (leases, deliveries): (Vec<_>, Vec<_>) =
        lock(held).values().map(|held| (held.lease.clone(), held.held_deliveries.leases())).unzip();
    let kept = context.state.renew_sessions(&leases, duration).await?;
    let kept: BTreeSet<_> = kept.into_iter().collect();
    let lost = leases.iter().filter(|lease| !kept.contains(&lease.name));
    for lease in lost {
        if let Some(held) = lock(held).get(&lease.name).filter(|held| held.lease == *lease) {
            tracing::warn!(session = lease.name, "another node holds the session now");
            held.stop.cancel();
        }
    }
    let deliveries: Vec<_> = deliveries.into_iter().flatten().collect();
    context.state.renew_deliveries(&deliveries, &context.settings.node, duration).await
}

/// What decides which sessions this node holds.
struct Fleet {
    context: Context,
    connector: Arc<Connector>,
    heard: mpsc::UnboundedSender<Heard>,
    held: HeldSessions,
    /// The newest request that was taken up.
    last_request: i64,
}

impl Fleet {
    async fn round(&mut self) -> Result<(), StoreError> {
        // A session that is gone or was lost has ended its task.
        lock(&self.held)
            .retain(|_, held| held.task.as_ref().is_some_and(|task| !task.is_finished()));
        self.take_free().await?;
        self.serve_requests().await
    }

    /// Takes this node's share of the sessions that nobody holds.
    async fn take_free(&mut self) -> Result<(), StoreError> {
        let (sessions, now) = self.context.state.sessions_now().await?;
        let free: Vec<&Session> =
            sessions.iter().filter(|session| self.can_take(session, now)).collect();
        let others: BTreeSet<_> = sessions
            .iter()
            .filter(|session| session.is_held(now) && session.kind == self.connector.kind)
            .filter_map(|session| session.owner.as_deref())
            .filter(|owner| *owner != self.context.settings.node)
            .collect();
        let share = free.len().div_ceil(others.len() + 1);
        for session in free.into_iter().take(share) {
            let lease = self
                .context
                .state
                .hold_session(
                    &session.name,
                    self.connector.kind,
                    &self.context.settings.node,
                    self.context.settings.timeouts.lease,
                )
                .await?;
            if let Some(lease) = lease {
                self.start(lease);
            }
        }
        Ok(())
    }

    fn can_take(&self, session: &Session, now: Timestamp) -> bool {
        let ours = match &self.connector.only {
            Some(name) => *name == session.name,
            None => session.kind == self.connector.kind,
        };
        ours && !lock(&self.held).contains_key(&session.name) && !session.is_held(now)
    }

    fn start(&mut self, lease: SessionLease) {
        let stop = self.context.stopping.child_token();
        let context = self.context.until(stop.clone());
        let held_deliveries = HeldDeliveries::default();
        let name = lease.name.clone();
        let task = tokio::spawn(hold(
            context,
            self.connector.clone(),
            self.heard.clone(),
            lease.clone(),
            held_deliveries.clone(),
        ));
        let task = Some(task);
        lock(&self.held).insert(name, Held { lease, held_deliveries, stop, task });
    }

    /// Does what operators ask of sessions through other nodes.
    async fn serve_requests(&mut self) -> Result<(), StoreError> {
        let open: Vec<_> = self.context.sessions.open().borrow().keys().cloned().collect();
        for request in self.context.state.session_requests(&open, self.last_request).await? {
            self.last_request = request.id;
            let Some(gateway) = self.context.sessions.gateway(&request.session) else { continue };
            let state = self.context.state.clone();
            tokio::spawn(async move {
                let answer = perform(&*gateway, &request.action).await;
                if let Err(error) = state.answer_session_request(request.id, &answer).await {
                    tracing::warn!(%error, "an answer about a session is lost");
                }
            });
        }
        Ok(())
    }
}

/// Opens a session, sends from it until it is lost or kabari ends, and closes it.
async fn hold(
    context: Context,
    connector: Arc<Connector>,
    heard: mpsc::UnboundedSender<Heard>,
    lease: SessionLease,
    held_deliveries: HeldDeliveries,
) {
    let name = lease.name.clone();
    let Some(gateway) = open(&context, &connector, &lease).await else {
        release(&context.state, &lease).await;
        return;
    };
    context.sessions.opened(&name, gateway.clone());
    let stopping = context.stopping.clone();
    let listening = tokio::spawn(events::listen(name.clone(), gateway.clone(), heard, stopping));
    Sender::new(context.clone(), gateway.clone(), lease.clone(), held_deliveries).run().await;
    context.stopping.cancel();
    context.sessions.closed(&name);
    gateway.close().await;
    // What had arrived is passed on; a panic in it was reported where it happened.
    let _ = listening.await;
    release(&context.state, &lease).await;
}

/// Opens the session, again and again if it must be.
async fn open(
    context: &Context,
    connector: &Connector,
    lease: &SessionLease,
) -> Option<Arc<dyn Gateway>> {
    while !context.is_stopping() {
        match (connector.open)(lease.clone()).await {
            Ok(gateway) => return Some(gateway),
            Err(error) => {
                tracing::error!(session = lease.name, %error, "the session cannot be opened");
                let report = LinkReport {
                    state: LinkState::Starting,
                    phone: None,
                    qr: None,
                    passkey: None,
                    error: Some(wording::SESSION_STORAGE.into()),
                };
                if let Err(error) = context.state.report_link(lease, &report).await {
                    tracing::warn!(%error, "cannot write why the session is not open");
                }
                context.sleep(REOPEN_AFTER).await;
            }
        }
    }
    None
}

async fn release(state: &StateStore, lease: &SessionLease) {
    if let Err(error) = state.release_session(lease).await {
        tracing::warn!(session = lease.name, %error, "could not release the session; its lease runs out by itself");
    }
}
