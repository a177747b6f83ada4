//! The simulator as a library: what the control API offers, for tests in Rust.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::account::NumberSettings;
use crate::chat::HistoryChat;
use crate::connection::WEBSOCKET_PATH;
use crate::core::{self, Core};
use crate::data_directory::DataDirectory;
use crate::device::DeviceId;
use crate::faults::FaultRule;
use crate::ledger::LedgerEntry;
use crate::limits::AccountLimits;
use crate::message::{Message, MessageFilter};
use crate::pairing::{PairError, PairingOutcome};
use crate::phone_actions::{WriteError, WrittenMessage};
use crate::reports::AccountInfo;
use crate::seed::Seed;
use crate::server::Server;
use crate::state::ServerState;
use crate::violations::Violation;

/// How a simulator starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What all keys and ids derive from: the same seed gives the same run.
    pub seed: u64,
    /// Where accounts, sessions and the ledger are kept over a restart; nowhere if absent.
    pub data: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), seed: 0, data: None }
    }
}

/// A running simulator. Clones are handles to the same one.
#[derive(Clone)]
pub struct Simulator {
    core: Arc<Core>,
    server: Arc<Server>,
    keeper: Option<AbortHandle>,
}

/// What was waited for did not happen in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {0:?} in vain")]
pub struct TimedOut(Duration);

impl Simulator {
    /// Starts a simulator.
    ///
    /// # Errors
    /// If it cannot listen on the address, or the data directory is damaged.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let (data, state, turned) = match &config.data {
            Some(directory) => {
                let (data, state, turned) = DataDirectory::open(directory, config.seed)?;
                (Some(data), state, turned)
            }
            None => (None, ServerState::new(Seed(config.seed), 0), Duration::ZERO),
        };
        let kept = data.is_some();
        let core = Arc::new(Core::new(state, turned, data)?);
        let server = Server::start(Arc::clone(&core), config.listen).await?;
        let keeper =
            kept.then(|| tokio::spawn(core::keep_written(Arc::clone(&core))).abort_handle());
        Ok(Self { core, server: Arc::new(server), keeper })
    }

    /// Returns where it listens, for clients and for the control API.
    pub fn addr(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns where clients connect.
    pub fn ws_url(&self) -> String {
        format!("ws://{}{WEBSOCKET_PATH}", self.addr())
    }

    /// Returns the public key of the root under which it signs, for clients that pin one.
    pub fn root(&self) -> [u8; 32] {
        self.core.identity.root()
    }

    /// The phone of `phone` scans the QR a client shows. Returns when the client is linked, or has
    /// been asked for the account's passkey.
    ///
    /// # Errors
    /// If no client shows this QR, the number is not on WhatsApp, or the client does not finish.
    pub async fn scan(&self, qr: &str, phone: &str) -> Result<PairingOutcome, PairError> {
        let pairing = self.core.scan(qr, phone)?;
        self.core.settled(pairing).await
    }

    /// The user of `phone` types in the code a client shows. Returns as [`Self::scan`] does.
    ///
    /// # Errors
    /// As for [`Self::scan`]; a wrong code shows as a client that does not finish.
    pub async fn pair(&self, code: &str, phone: &str) -> Result<PairingOutcome, PairError> {
        self.core.pair(code, phone).await
    }

    /// Makes the account need a passkey to link a client, or need none.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn set_passkey(&self, phone: &str, needed: bool) -> anyhow::Result<()> {
        self.core.set_passkey(phone, needed)
    }

    /// Returns the passkey of a number, as the DevTools of browsers import it
    /// (`WebAuthn.addCredential`).
    ///
    /// # Errors
    /// If the number has none.
    pub fn passkey(&self, phone: &str) -> Result<Value, PairError> {
        self.core.passkey(phone).map(|passkey| passkey.credential())
    }

    /// The browser of this number's owner answers a request with the passkey: what
    /// `navigator.credentials.get` gives on WhatsApp's page, as JSON.
    ///
    /// # Errors
    /// If the number has no passkey, or the request is for another site.
    pub fn answer_with_passkey(&self, phone: &str, options: &Value) -> Result<Value, PairError> {
        self.core.answer_with_passkey(phone, options)
    }

    /// The user of `phone` compares the code that a client shows with the one on the phone.
    ///
    /// # Errors
    /// If the phone shows none, or another one: then it has refused the client.
    pub fn compare_code(&self, phone: &str, code: &str) -> Result<(), PairError> {
        self.core.compare_code(phone, code)
    }

    /// Unlinks a device from its phone. False if there is no such device.
    pub fn unlink(&self, phone: &str, device: u16) -> bool {
        self.core.unlink(&DeviceId { number: phone.to_owned(), device })
    }

    /// Sets whether a number is on WhatsApp and which receipts it sends.
    pub fn set_number(&self, phone: &str, settings: NumberSettings) {
        self.core.state().numbers.insert(phone.to_owned(), settings);
        self.core.notify();
    }

    /// Sets the chats that the phone of a number tells a client of when it links it.
    pub fn set_history(&self, phone: &str, chats: Vec<HistoryChat>) {
        let now_s = self.core.clock.now_s();
        self.core.state().set_history(phone, chats, now_s);
    }

    /// Returns whether `giver` has given `holder` a token that holds.
    pub fn has_token(&self, holder: &str, giver: &str) -> bool {
        let now_s = self.core.clock.now_s();
        let state = self.core.state();
        let token = state.token_given(giver, holder).map(|at| state.token(giver, holder, at));
        token.is_some_and(|token| state.token_holds(giver, holder, &token, now_s))
    }

    /// Returns what recipients decrypted, in the order they did: one entry per message id.
    pub fn messages(&self, filter: MessageFilter) -> Vec<Message> {
        self.core.state().filtered(&filter)
    }

    /// Returns the simulated phone of `from` writes to `to`.
    ///
    /// # Errors
    /// If one of the two is not on WhatsApp.
    pub async fn write(
        &self,
        from: &str,
        to: &str,
        text: &str,
    ) -> Result<WrittenMessage, WriteError> {
        self.core.write(from, to, text)
    }

    /// Returns all accounts there are.
    pub fn accounts(&self) -> Vec<AccountInfo> {
        self.core.account_infos()
    }

    /// Replaces the fault rules.
    pub fn set_faults(&self, rules: Vec<FaultRule>) {
        self.core.state().faults.set(rules);
        self.core.notify();
    }

    /// Returns how often each fault rule has struck, in the order of the rules.
    pub fn struck(&self) -> Vec<u32> {
        self.core.state().faults.struck().map(|(_, times)| times).collect()
    }

    /// Sets what the server limits an account to.
    pub fn set_limits(&self, phone: &str, limits: AccountLimits) {
        self.core.state().limits.insert(phone.to_owned(), limits);
    }

    /// Returns what clients did wrong so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.core.all_violations()
    }

    /// Returns everything that happened to messages, from the entry after `after` on; 0 gives all.
    pub fn ledger(&self, after: u64) -> Vec<LedgerEntry> {
        self.core.state().ledger_after(after, usize::MAX)
    }

    /// The phone of a number installs its app anew. False if it has no account yet.
    pub fn reinstall(&self, phone: &str) -> bool {
        self.core.reinstall(phone)
    }

    /// Links one more simulated device to a number, and tells which; none if it is not registered.
    ///
    /// # Errors
    /// If its keys cannot be made.
    pub fn add_device(&self, phone: &str) -> anyhow::Result<Option<u16>> {
        self.core.add_device(phone)
    }

    /// The phone of a number is out of reach for this much simulated time.
    pub fn go_offline(&self, phone: &str, time: Duration) {
        self.core.go_offline(phone, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// Returns the simulated time, in Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.core.clock.now_ms()
    }

    /// Turns the simulated time forward.
    pub fn advance(&self, time: Duration) {
        self.core.clock.advance(time);
        self.core.notify();
    }

    /// Changes whenever something happens in the simulated world.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.core.subscribe()
    }

    /// Waits until the condition holds.
    ///
    /// # Errors
    /// If it does not within the timeout.
    pub async fn wait_for(
        &self,
        condition: impl Fn(&Self) -> bool,
        timeout: Duration,
    ) -> Result<(), TimedOut> {
        let mut changed = self.changed();
        let held = async {
            while !condition(self) {
                // The sender lives in the core, which `self` keeps alive.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(timeout, held).await.map_err(|_| TimedOut(timeout))
    }

    /// Stops listening and breaks all connections. Everything else stays as it is.
    pub async fn pause(&self) {
        self.server.pause().await;
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// If something else has taken the port meanwhile.
    pub async fn resume(&self) -> anyhow::Result<()> {
        self.server.resume().await
    }

    /// Stops for good. With a data directory, another simulator can go on from there.
    ///
    /// # Errors
    /// If the data directory cannot be written.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.server.pause().await;
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
        self.core.keep_all()
    }
}
