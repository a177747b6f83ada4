//! What all parts of the simulator share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;
use wacore_binary::Node;

use crate::account::lock;
use crate::clock::Clock;
use crate::data_directory::DataDirectory;
use crate::device::DeviceId;
use crate::noise::ServerIdentity;
use crate::state::ServerState;
use crate::violations::{ViolatedRule, Violation};

/// How long changes that nobody is told of are gathered before they are written.
const GATHER: Duration = Duration::from_millis(200);

pub(crate) struct Core {
    pub identity: ServerIdentity,
    pub clock: Clock,
    state: Mutex<ServerState>,
    /// Counts changes, for all who wait for one.
    changed: watch::Sender<u64>,
    /// Where it is kept, if anywhere.
    data: Option<DataDirectory>,
    /// Where clients reach it, once it listens.
    pub address: OnceLock<SocketAddr>,
}

impl Core {
    pub fn new(
        state: ServerState,
        turned: Duration,
        data: Option<DataDirectory>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::new();
        clock.advance(turned);
        Ok(Self {
            identity: ServerIdentity::new(state.seed)?,
            clock,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            data,
            address: OnceLock::new(),
        })
    }

    /// Returns where clients are told to download files.
    pub fn media_host(&self) -> String {
        self.address.get().map(ToString::to_string).unwrap_or_default()
    }

    /// Writes what a client is about to be told, so that a kill cannot make it untrue.
    pub fn keep_accounts(&self) {
        if let Some(data) = &self.data
            && let Err(error) = data.write_accounts(&self.state)
        {
            tracing::error!("could not write the data directory: {error:#}");
        }
    }

    /// Writes all that is not written as it happens.
    pub fn keep_all(&self) -> anyhow::Result<()> {
        self.data.as_ref().map_or(Ok(()), |data| data.write_all(&self.state, self.clock.turned()))
    }

    /// Returns the state. Never hold it across an await, nor take it while holding a phone's lock.
    pub fn state(&self) -> MutexGuard<'_, ServerState> {
        lock(&self.state)
    }

    /// Tells everyone who waits that something has changed.
    pub fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn violation(
        &self,
        device: Option<&DeviceId>,
        stanza: &Node,
        rule: ViolatedRule,
        detail: impl Into<String>,
    ) {
        let id = stanza.attrs.get("id").map(|id| id.as_str().into_owned()).unwrap_or_default();
        let violation = Violation {
            at: self.clock.now_ms(),
            device: device.map(ToString::to_string).unwrap_or_default(),
            stanza: format!("{} {id}", stanza.tag),
            rule,
            detail: detail.into(),
        };
        // The detail names people, so it stays out of the log.
        warn!(stanza = %violation.stanza, rule = ?rule, "violation");
        self.state().violations.push(violation);
        self.notify();
    }

    /// Sends a stanza to a linked device that has to acknowledge it: now if it is there, else when
    /// it comes back.
    pub fn deliver(&self, to: &DeviceId, node: Node) {
        let now = self.clock.wire_ns();
        let mut state = self.state();
        let Some(companion) = state.companion(to) else { return };
        let connection = companion.connection.filter(|_| companion.active);
        companion.outbox.push(node.clone(), connection.map(|id| (id, now)));
        if let Some(connection) = connection {
            state.send(connection, node);
        }
    }
}

/// Writes the data directory after every change, until it is aborted.
pub(crate) async fn keep_written(core: Arc<Core>) {
    let mut changed = core.subscribe();
    while changed.changed().await.is_ok() {
        tokio::time::sleep(GATHER).await;
        if let Err(error) = core.keep_all() {
            tracing::error!("could not write the data directory: {error:#}");
        }
    }
}
