//! A simulated WhatsApp and the embedded client that talks to it.

use kabari_domain::{MessageId, Phone};
use kabari_gateway::embedded::{ACK_TIMEOUT, LONGEST_RECONNECT};
use kabari_gateway::{
    Embedded, EmbeddedConfig, Event, Gateway, Link, LinkState, MemoryStore, OutgoingMessage,
    SendError,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use wa_sim::{Config, FaultRule, MessageFilter, Simulator};

/// The number the gateway is linked to.
pub const OWN: &str = "6281299990000";
/// Somebody who is on WhatsApp.
pub const FRIEND: &str = "6281234567801";
/// Somebody who is not: the number ends in 9.
pub const STRANGER: &str = "6281234567809";
/// More than anything here should take, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub simulator: Simulator,
    pub gateway: Embedded,
    pub events: UnboundedReceiver<Event>,
    pub store: Arc<MemoryStore>,
}

impl World {
    /// A gateway that nobody has linked a phone to.
    pub async fn unlinked() -> World {
        let simulator = Simulator::start(Config::default()).await.unwrap();
        let store = Arc::new(MemoryStore::default());
        let gateway = open(&simulator, &store).await;
        let events = gateway.take_events().unwrap();
        World { simulator, gateway, events, store }
    }

    /// A gateway that is linked and connected.
    pub async fn linked() -> World {
        let world = World::unlinked().await;
        world.scan(OWN).await;
        world.connected().await;
        world
    }

    /// The process ends in order, and another one starts on the same session.
    pub async fn next_process(&mut self) {
        self.gateway.close().await;
        self.gateway = open(&self.simulator, &self.store).await;
        self.events = self.gateway.take_events().unwrap();
    }

    pub async fn scan(&self, phone: &str) {
        let link = self.until("a QR code", |link| link.qr.is_some()).await;
        self.simulator.scan(&link.qr.unwrap(), phone).await.unwrap();
    }

    pub async fn connected(&self) {
        self.until("a connection", Link::is_connected).await;
    }

    pub async fn state(&self, state: LinkState) -> Link {
        self.until(&format!("{state:?}"), |link| link.state == state).await
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Link) -> bool) -> Link {
        until(&self.gateway, what, condition).await
    }

    /// The next of our events, in the order they came.
    pub async fn event(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").unwrap()
    }

    pub fn faults<const N: usize>(&self, rules: [FaultRule; N]) {
        self.simulator.set_faults(rules.into());
    }

    /// What this number's phone decrypted: id, text, and how many stanzas came under the id.
    pub fn received(&self, phone: &str) -> Vec<(String, String, u32)> {
        let filter = MessageFilter { to: Some(phone.into()), ..MessageFilter::default() };
        let messages = self.simulator.messages(filter);
        messages.into_iter().map(|message| (message.id, message.text, message.copies)).collect()
    }

    pub async fn until_received(&self, phone: &str) {
        let arrived = |_: &Simulator| !self.received(phone).is_empty();
        self.simulator.wait_for(arrived, PATIENCE).await.unwrap();
    }

    pub async fn send(&self, message: &OutgoingMessage) -> Result<(), SendError> {
        timeout(PATIENCE, self.gateway.send(message)).await.expect("an answer in time")
    }

    /// What the simulator saw that a real server would not have taken.
    pub fn assert_no_violations(&self) {
        let violations = self.simulator.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

async fn open(simulator: &Simulator, store: &Arc<MemoryStore>) -> Embedded {
    let config = EmbeddedConfig {
        store: store.clone(),
        websocket_url: Some(simulator.ws_url()),
        device_name: "Windows".to_owned(),
        opened_elsewhere: false,
        ack_timeout: ACK_TIMEOUT,
        longest_reconnect: LONGEST_RECONNECT,
    };
    Embedded::start(config).await.unwrap()
}

pub async fn until(gateway: &dyn Gateway, what: &str, condition: impl Fn(&Link) -> bool) -> Link {
    let mut link = gateway.link();
    let waited =
        timeout(PATIENCE, link.wait_for(condition)).await.map(|link| link.unwrap().clone());
    waited.unwrap_or_else(|_| panic!("no {what}, but {:?}", link.borrow()))
}

pub fn phone(digits: &str) -> Phone {
    Phone::from_e164(digits).unwrap()
}

/// A message under an id of its own, to a number that nobody has checked.
pub fn message(to: &str, number: u8, text: &str) -> OutgoingMessage {
    OutgoingMessage {
        message_id: MessageId::from_random([number; 9]),
        phone: phone(to),
        jid: None,
        text: text.into(),
        traceparent: None,
    }
}
