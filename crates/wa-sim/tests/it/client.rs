//! A whatsapp-rust client pointed at a simulator, and what it has seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use wa_sim::Simulator;
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse, UreqHttpClient};
use whatsapp_rust::prelude::{Bot, BotHandle, Client, Event, Jid, wa};
use whatsapp_rust::send::SendOptions;
use whatsapp_rust::transport::{Transport, TransportEvent, TransportFactory, from_websocket};
use whatsapp_rust::wacore::store::InMemoryBackend;
use whatsapp_rust::wacore::types::events::EventHandler;

/// The number most tests link their client to.
pub const OWN: &str = "6281299990000";
/// Somebody who is on WhatsApp.
pub const FRIEND: &str = "6281200000001";

/// Longer than anything a test waits for should take, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Any version will do; without one, the client asks the internet for the newest.
const VERSION: (u32, u32, u32) = (2, 3000, 1_026_131_876);

/// Connects without letting small frames wait for each other.
struct Loopback {
    url: String,
    muted: Arc<AtomicBool>,
}

#[async_trait]
impl TransportFactory for Loopback {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let address = self.url.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (socket, _) =
            tokio_websockets::ClientBuilder::new().uri(&self.url)?.connect_on(stream).await?;
        let (transport, events) = from_websocket(socket);
        Ok((Arc::new(Mutable { transport, muted: self.muted.clone() }), events))
    }
}

/// A socket that can stop saying anything, while it goes on listening.
struct Mutable {
    transport: Arc<dyn Transport>,
    muted: Arc<AtomicBool>,
}

#[async_trait]
impl Transport for Mutable {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        match self.muted.load(Ordering::Relaxed) {
            true => Ok(()),
            false => self.transport.send(data).await,
        }
    }

    async fn disconnect(&self) {
        self.transport.disconnect().await;
    }
}

/// Downloads from a host that the client takes for one with TLS.
struct WithoutTls(UreqHttpClient);

#[async_trait]
impl HttpClient for WithoutTls {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let url = request.url.replacen("https://127.0.0.1", "http://127.0.0.1", 1);
        self.0.execute(HttpRequest { url, ..request }).await
    }
}

/// Everything a client has reported, and a way to wait for more.
#[derive(Clone)]
struct Seen {
    events: Arc<Mutex<Vec<Arc<Event>>>>,
    count: Arc<watch::Sender<usize>>,
}

impl EventHandler for Seen {
    fn handle_event(&self, event: Arc<Event>) {
        self.events.lock().unwrap().push(event);
        self.count.send_modify(|count| *count += 1);
    }
}

/// What a client keeps on disk, which survives it.
pub type Store = Arc<InMemoryBackend>;

pub struct TestClient {
    pub store: Store,
    handle: BotHandle,
    seen: Seen,
    muted: Arc<AtomicBool>,
}

impl TestClient {
    /// A client that was never linked.
    pub async fn new(simulator: &Simulator) -> Self {
        Self::with_store(simulator, Arc::new(InMemoryBackend::new())).await
    }

    /// A client that finds what an earlier one left.
    pub async fn with_store(simulator: &Simulator, store: Store) -> Self {
        Self::at(simulator.ws_url(), store).await
    }

    /// A client of a server at this URL.
    pub async fn at(url: String, store: Store) -> Self {
        Self::built(url, store, false).await
    }

    /// A client that was never linked, and takes the phone's history in.
    pub async fn reading_history(simulator: &Simulator) -> Self {
        Self::built(simulator.ws_url(), Arc::new(InMemoryBackend::new()), true).await
    }

    async fn built(url: String, store: Store, reads_history: bool) -> Self {
        let seen = Seen {
            events: Arc::new(Mutex::new(Vec::new())),
            count: Arc::new(watch::Sender::new(0)),
        };
        let muted = Arc::new(AtomicBool::new(false));
        let mut builder = Bot::builder()
            .with_backend_arc(store.clone())
            .with_transport_factory(Loopback { url, muted: muted.clone() })
            .with_http_client(WithoutTls(UreqHttpClient::new()))
            .with_version(VERSION)
            .with_event_handler(seen.clone());
        if !reads_history {
            builder = builder.skip_history_sync();
        }
        let bot = builder.build().await.unwrap();
        Self { store, handle: bot.spawn(), seen, muted }
    }

    /// A client linked to this number, ready to send.
    pub async fn linked(simulator: &Simulator, phone: &str) -> Self {
        let client = Self::new(simulator).await;
        let qr = client.qr().await;
        simulator.scan(&qr, phone).await.unwrap();
        client.connected().await;
        client
    }

    pub fn client(&self) -> Arc<Client> {
        self.handle.client()
    }

    /// From now on nothing that it says reaches the server.
    pub fn mute(&self) {
        self.muted.store(true, Ordering::Relaxed);
    }

    /// Waits for an event, among those already seen too.
    pub async fn wait<T>(&self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
        self.wait_nth(what, 1, find).await
    }

    /// Waits for the nth such event.
    pub async fn wait_nth<T>(
        &self,
        what: &str,
        nth: usize,
        find: impl Fn(&Event) -> Option<T>,
    ) -> T {
        let mut count = self.seen.count.subscribe();
        let found = async {
            loop {
                if let Some(found) = self.all(&find).into_iter().nth(nth - 1) {
                    return found;
                }
                count.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("no {what} among {:?}", self.seen.events.lock().unwrap()),
        }
    }

    /// All such events so far.
    pub fn all<T>(&self, find: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.seen.events.lock().unwrap().iter().filter_map(|event| find(event)).collect()
    }

    pub async fn qr(&self) -> String {
        self.wait("QR", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await
    }

    pub async fn connected(&self) {
        self.connected_nth(1).await;
    }

    pub async fn connected_nth(&self, nth: usize) {
        self.wait_nth("connection", nth, |event| {
            matches!(event, Event::Connected(_)).then_some(())
        })
        .await;
    }

    /// Sends a text under a fixed id.
    pub async fn send(&self, to: &str, id: &str, text: &str) {
        let message = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
        let options = SendOptions::default().with_message_id(id);
        let client = self.client();
        let sent = client.send_message_with_options(Jid::pn(to), message, options);
        tokio::time::timeout(PATIENCE, sent).await.unwrap().unwrap();
    }

    /// The server's answer to a message: none, or the error it refused it with.
    pub async fn ack(&self, id: &str) -> Option<String> {
        self.wait("ack", |event| match event {
            Event::ServerAck(ack) if ack.id == id && ack.class.as_deref() == Some("message") => {
                Some(ack.error.clone())
            }
            _ => None,
        })
        .await
    }

    /// The kinds of receipts that came for a message, in order.
    pub fn receipts(&self, id: &str) -> Vec<String> {
        self.all(|event| match event {
            Event::Receipt(receipt) if receipt.message_ids.iter().any(|known| known == id) => {
                Some(format!("{:?}", receipt.r#type))
            }
            _ => None,
        })
    }

    pub async fn receipt(&self, id: &str, kind: &str) {
        self.wait(&format!("receipt {kind} for {id}"), |event| match event {
            Event::Receipt(receipt)
                if receipt.message_ids.iter().any(|known| known == id)
                    && format!("{:?}", receipt.r#type) == kind =>
            {
                Some(())
            }
            _ => None,
        })
        .await;
    }

    /// Waits for a text from somebody, and tells its message id.
    pub async fn text(&self, text: &str) -> String {
        self.wait(&format!("text {text:?}"), |event| match event {
            Event::Messages(batch) => batch
                .messages
                .iter()
                .find(|message| message.message.conversation.as_deref() == Some(text))
                .map(|message| message.info.id.clone()),
            _ => None,
        })
        .await
    }

    /// Stops the client, as when its process ends, and gives what it leaves on disk.
    pub async fn stop(self) -> Store {
        self.client().disconnect().await;
        self.store
    }
}
