//! A gateway with scripted answers: the one of the recorded exchanges, and worse ones.

use async_trait::async_trait;
use kabari_domain::Phone;
use kabari_gateway::{
    Assertion, Event, Gateway, GatewayError, Limits, Link, LinkState, OutgoingMessage,
    Registration, SendError,
};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc, watch};

/// The number it is linked to.
pub const OWN_NUMBER: &str = "6281299990000";
/// A number to which nothing can be sent.
const BROKEN_NUMBER: &str = "62815000000027";
/// What the recorded gateway said about it.
const BROKEN_ERROR: &str = "Evaluation failed: stub send error";
/// Numbers ending like this are not on WhatsApp.
const UNREGISTERED_ENDING: char = '9';

/// Sends that may go through while it is not held back.
const UNLIMITED: usize = Semaphore::MAX_PERMITS / 2;

/// Remembers what was sent. Cloned handles are not needed: tests share it in an `Arc`.
pub struct ScriptedGateway {
    link: watch::Sender<Link>,
    delivered: Mutex<Vec<OutgoingMessage>>,
    /// How sends to a number fail.
    failures: Mutex<HashMap<String, SendError>>,
    /// One permit is used up by each send.
    allowed: Semaphore,
    /// To whoever listens just now.
    events: Mutex<Option<mpsc::UnboundedSender<Event>>>,
}

impl ScriptedGateway {
    /// Linked and connected.
    pub fn connected() -> ScriptedGateway {
        let gateway = ScriptedGateway {
            link: watch::Sender::new(Link::starting()),
            delivered: Mutex::default(),
            failures: Mutex::default(),
            allowed: Semaphore::new(UNLIMITED),
            events: Mutex::default(),
        };
        gateway.enter("connected", None);
        gateway
    }

    /// Goes into one of the recorded states.
    pub fn enter(&self, state: &str, qr_png: Option<&str>) {
        let link = match state {
            "connected" => Link {
                state: LinkState::Connected,
                phone: Some(OWN_NUMBER.to_owned()),
                ..Link::starting()
            },
            "starting-no-qr" | "just-after-restart" => {
                Link { state: LinkState::NotLinked, ..Link::starting() }
            }
            "qr-pending" => Link {
                state: LinkState::NotLinked,
                qr: Some("2@scripted".to_owned()),
                qr_png: Some(qr_png.unwrap_or("data:image/png;base64,iVBORw0KGgo=").to_owned()),
                ..Link::starting()
            },
            "disconnected" => Link {
                state: LinkState::Connecting,
                error: Some("Disconnected: NAVIGATION".to_owned()),
                ..Link::starting()
            },
            unknown => panic!("no such state: {unknown}"),
        };
        self.show(link);
    }

    /// Shows this link.
    pub fn show(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// From now on sends to this number fail like this.
    pub fn fail(&self, number: &str, error: SendError) {
        lock(&self.failures).insert(number.to_owned(), error);
    }

    /// From now on sends to this number work.
    pub fn mend(&self, number: &str) {
        lock(&self.failures).remove(number);
    }

    /// WhatsApp says this to whoever listens.
    pub fn tell(&self, event: Event) {
        let events = lock(&self.events);
        events.as_ref().expect("somebody listens").send(event).unwrap();
    }

    /// From now on nothing is sent until [`allow`](Self::allow).
    pub fn hold_back(&self) {
        self.allowed.forget_permits(UNLIMITED);
    }

    /// Lets this many more sends through.
    pub fn allow(&self, sends: usize) {
        self.allowed.add_permits(sends);
    }

    /// What was sent since the last call, in order: the number and the text.
    pub fn take_delivered(&self) -> Vec<(String, String)> {
        let sent = self.take_sent().into_iter();
        sent.map(|message| (message.phone.digits().to_owned(), message.text)).collect()
    }

    /// The same with everything else.
    pub fn take_sent(&self) -> Vec<OutgoingMessage> {
        std::mem::take(&mut lock(&self.delivered))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Gateway for ScriptedGateway {
    fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    fn knows_ids(&self) -> bool {
        true
    }

    fn take_events(&self) -> Option<mpsc::UnboundedReceiver<Event>> {
        let (tell, events) = mpsc::unbounded_channel();
        *lock(&self.events) = Some(tell);
        Some(events)
    }

    async fn check(&self, phones: &[Phone]) -> Result<Vec<Registration>, SendError> {
        let registered = |phone: &Phone| match phone.digits().ends_with(UNREGISTERED_ENDING) {
            true => Registration::NotRegistered,
            false => Registration::Registered { jid: format!("{}@s.whatsapp.net", phone.digits()) },
        };
        Ok(phones.iter().map(registered).collect())
    }

    async fn send(&self, message: &OutgoingMessage) -> Result<(), SendError> {
        let link = self.link.borrow().clone();
        match link.state {
            LinkState::Connected => {}
            LinkState::NotLinked => return Err(SendError::NotLinked),
            _ => return Err(SendError::NotConnected(link.error.unwrap_or_default())),
        }
        match self.allowed.acquire().await {
            Ok(permit) => permit.forget(),
            Err(closed) => return Err(SendError::NotConnected(closed.to_string())),
        }
        if message.phone.digits().ends_with(UNREGISTERED_ENDING) {
            return Err(SendError::NotRegistered);
        }
        if message.phone.digits() == BROKEN_NUMBER {
            return Err(SendError::Permanent(BROKEN_ERROR.to_owned()));
        }
        if let Some(error) = lock(&self.failures).get(message.phone.digits()) {
            return Err(error.clone());
        }
        lock(&self.delivered).push(message.clone());
        Ok(())
    }

    async fn limits(&self) -> Result<Limits, GatewayError> {
        Ok(Limits { reach_out_until: None, new_chats_left: Some(40) })
    }

    async fn pair(&self, _phone: &Phone) -> Result<String, GatewayError> {
        match self.link.borrow().state {
            LinkState::NotLinked => Ok("ABCD-1234".to_owned()),
            _ => Err(GatewayError::NotPossible("already linked".to_owned())),
        }
    }

    async fn answer_passkey(&self, _assertion: &Assertion) -> Result<(), GatewayError> {
        Err(GatewayError::NotPossible("no passkey is asked for".to_owned()))
    }

    async fn confirm_passkey(&self) -> Result<(), GatewayError> {
        Err(GatewayError::NotPossible("no passkey is asked for".to_owned()))
    }

    async fn restart(&self) -> Result<(), GatewayError> {
        self.enter("just-after-restart", None);
        Ok(())
    }

    async fn logout(&self) -> Result<(), GatewayError> {
        self.enter("starting-no-qr", None);
        Ok(())
    }

    async fn close(&self) {}
}
