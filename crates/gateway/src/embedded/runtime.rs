//! The runtime of the library, which lets its QR codes not run out while a passkey is asked for.
//!
//! The library shows six codes, for 160 s altogether, and then closes the connection. A person needs
//! longer than that to find the passkey, and WhatsApp waits for it on this connection only.

use super::{Shared, lock};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task;
use whatsapp_rust::wacore::runtime::AbortHandle;
use whatsapp_rust::{Runtime, TokioRuntime};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tokio, as the library uses it.
pub(super) struct PatientRuntime {
    shared: Arc<Shared>,
}

impl PatientRuntime {
    pub fn new(shared: Arc<Shared>) -> PatientRuntime {
        PatientRuntime { shared }
    }
}

impl Runtime for PatientRuntime {
    fn spawn(&self, future: Task) -> AbortHandle {
        TokioRuntime.spawn(future)
    }

    fn spawn_detached(&self, future: Task) {
        TokioRuntime.spawn_detached(future);
    }

    fn sleep(&self, duration: Duration) -> Task {
        let shared = self.shared.clone();
        Box::pin(async move {
            tokio::time::sleep(duration).await;
            if task::try_id().is_some_and(|id| *lock(&shared.qr_task) == Some(id)) {
                // The sender lives in `shared`, so this cannot fail.
                let _ = shared.link.subscribe().wait_for(|link| link.passkey.is_none()).await;
            }
        })
    }

    fn spawn_blocking(&self, f: Box<dyn FnOnce() + Send + 'static>) -> Task {
        TokioRuntime.spawn_blocking(f)
    }

    fn yield_now(&self) -> Option<Task> {
        TokioRuntime.yield_now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PasskeyStep;
    use crate::embedded::{ACK_TIMEOUT, LONGEST_RECONNECT};

    /// How long something is watched that must not happen.
    const WATCHED: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn only_qr_timers_are_stopped() {
        let shared = Arc::new(Shared::new(ACK_TIMEOUT, LONGEST_RECONNECT).0);
        let runtime = Arc::new(PatientRuntime::new(shared.clone()));
        shared.update_link(|link| link.passkey = Some(PasskeyStep::Check));
        let sleep = |runtime: Arc<PatientRuntime>| async move {
            runtime.sleep(Duration::ZERO).await;
        };
        tokio::spawn(sleep(runtime.clone())).await.unwrap();
        let mut codes = tokio::spawn(sleep(runtime));
        *lock(&shared.qr_task) = Some(codes.id());
        assert!(tokio::time::timeout(WATCHED, &mut codes).await.is_err());
        shared.update_link(|link| link.passkey = None);
        codes.await.unwrap();
    }
}
