//! The sessions that this process has open, and how to ask something of any session.
//!
//! The dispatcher opens and closes them; the API looks at them. A session that another node holds
//! is asked through the state database.

use crate::clock::Clock;
use crate::store::state::{SessionAction, SessionAnswer};
use crate::store::{StateStore, StoreError};
use kabari_gateway::{Gateway, GatewayError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long the node that holds a session may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
/// How often to look for the answer.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The gateways of the sessions that are open here, by name.
pub type OpenSessions = BTreeMap<String, Arc<dyn Gateway>>;

/// The sessions of this process. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    state: StateStore,
    clock: Clock,
    open: watch::Sender<OpenSessions>,
    /// Somebody has changed what sessions there are, or asked something of one.
    changed: Notify,
}

impl Sessions {
    /// None is open yet.
    pub fn new(state: StateStore, clock: Clock) -> Sessions {
        let open = watch::Sender::new(OpenSessions::new());
        Sessions(Arc::new(Inner { state, clock, open, changed: Notify::new() }))
    }

    /// Returns the clock that waits here go by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Returns the session of this name, if it is open here.
    pub fn gateway(&self, name: &str) -> Option<Arc<dyn Gateway>> {
        self.0.open.borrow().get(name).cloned()
    }

    /// Returns the sessions that are open here, now and at every change.
    pub fn open(&self) -> watch::Receiver<OpenSessions> {
        self.0.open.subscribe()
    }

    /// The session is open here from now on.
    pub fn opened(&self, name: &str, gateway: Arc<dyn Gateway>) {
        self.0.open.send_modify(|open| {
            open.insert(name.to_owned(), gateway);
        });
    }

    /// The session is not open here any more.
    pub fn closed(&self, name: &str) {
        self.0.open.send_modify(|open| {
            open.remove(name);
        });
    }

    /// Tells the dispatcher that rows of sessions have changed.
    pub fn notify(&self) {
        self.0.changed.notify_one();
    }

    /// Returns when rows of sessions have changed.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Asks something of a session, wherever it is open.
    pub async fn ask(
        &self,
        name: &str,
        action: &SessionAction,
    ) -> Result<SessionAnswer, StoreError> {
        if let Some(gateway) = self.gateway(name) {
            return Ok(perform(&*gateway, action).await);
        }
        let request = self.0.state.ask_session(name, action).await?;
        let mut waited = Duration::ZERO;
        while waited < ANSWER_TIMEOUT {
            if let Some(answer) = self.0.state.session_answer(request).await? {
                return Ok(answer);
            }
            self.0.clock.sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
        Ok(SessionAnswer::Unavailable)
    }
}

/// Does what a session is asked to do.
pub async fn perform(gateway: &dyn Gateway, action: &SessionAction) -> SessionAnswer {
    let done = match action {
        SessionAction::Restart => gateway.restart().await.map(|()| SessionAnswer::Done),
        SessionAction::Logout => gateway.logout().await.map(|()| SessionAnswer::Done),
        SessionAction::Pair(phone) => gateway.pair(phone).await.map(SessionAnswer::Code),
        SessionAction::AnswerPasskey(assertion) => {
            gateway.answer_passkey(assertion).await.map(|()| SessionAnswer::Done)
        }
        SessionAction::ConfirmPasskey => {
            gateway.confirm_passkey().await.map(|()| SessionAnswer::Done)
        }
    };
    done.unwrap_or_else(|error| {
        tracing::warn!(%error, "the session did not do what was asked");
        match error {
            GatewayError::NotPossible(_) => SessionAnswer::NotPossible,
            GatewayError::Refused(_) => SessionAnswer::Refused,
            GatewayError::Unavailable(_) | GatewayError::Fenced => SessionAnswer::Unavailable,
            GatewayError::Storage(_) => SessionAnswer::Storage,
        }
    })
}
