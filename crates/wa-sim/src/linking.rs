//! Linking as a caller of the simulator asks for it: until the client has finished.

use std::time::Duration;

use serde_json::Value;

use crate::core::Core;
use crate::device::{DeviceId, PRIMARY};
use crate::pairing::{PairError, PairingOutcome};
use crate::passkey::Passkey;
use crate::state::ServerState;

/// How long a client may take to finish a pairing it was offered.
const PAIRING: Duration = Duration::from_secs(15);

impl Core {
    /// Waits until a client that was offered a pairing is linked.
    pub(crate) async fn settled(
        &self,
        pairing: PairingOutcome,
    ) -> Result<PairingOutcome, PairError> {
        if let PairingOutcome::Linked(linked) = &pairing {
            let id = DeviceId { number: linked.phone.clone(), device: linked.device };
            self.until(|state| state.companion(&id).map(|_| ())).await?;
        }
        Ok(pairing)
    }

    pub(crate) fn set_passkey(&self, number: &str, needed: bool) -> anyhow::Result<()> {
        let mut state = self.state();
        if !needed {
            state.passkeys.remove(number);
        } else if !state.passkeys.contains_key(number) {
            let passkey = Passkey::new(state.seed, number)?;
            state.passkeys.insert(number.to_owned(), passkey);
        }
        Ok(())
    }

    pub(crate) fn answer_with_passkey(
        &self,
        number: &str,
        options: &Value,
    ) -> Result<Value, PairError> {
        self.passkey(number)?.assert(options).map_err(|error| PairError::Failed(error.to_string()))
    }

    pub(crate) fn passkey(&self, number: &str) -> Result<Passkey, PairError> {
        let passkey = self.state().passkeys.get(number).cloned();
        passkey.ok_or_else(|| PairError::NoPasskey(number.to_owned()))
    }

    /// Types a code into a phone, and waits until the client is linked or asked for the passkey.
    pub(crate) async fn pair(&self, code: &str, number: &str) -> Result<PairingOutcome, PairError> {
        let before = self
            .state()
            .accounts
            .get(number)
            .and_then(|account| account.companions.keys().next_back().copied())
            .unwrap_or(PRIMARY);
        self.type_code(code, number)?;
        self.until(|state| {
            let asked = state.candidates.values().find_map(|candidate| {
                candidate.shortcake.as_ref()?.expires_at(number, self.clock.now_ms())
            });
            let linked = state.newest_device(number, before).map(PairingOutcome::Linked);
            linked.or(asked.map(|expires_at| PairingOutcome::PasskeyAsked { expires_at }))
        })
        .await
    }

    async fn until<T>(
        &self,
        probe: impl Fn(&mut ServerState) -> Option<T>,
    ) -> Result<T, PairError> {
        let mut changed = self.subscribe();
        let found = async {
            loop {
                let found = probe(&mut self.state());
                if let Some(found) = found {
                    return found;
                }
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(PAIRING, found)
            .await
            .map_err(|_| PairError::Failed(format!("the client did not finish within {PAIRING:?}")))
    }
}
