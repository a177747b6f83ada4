//! The bare client: whatsapp-rust and nothing else, used as kabari uses it.
//!
//! Numbers are checked in batches before their first message, and the next message goes out when
//! the server has acknowledged the one before. Nothing is written down: the library's session is in
//! memory.

use crate::process::Process;
use crate::recipients::{name, phone, text};
use crate::simulator::{Simulator, scan, ws_url};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use whatsapp_rust::SendOptions;
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::prelude::{Jid, MessageBuilderExt, wa};
use whatsapp_rust::transport::{Transport, TransportEvent, TransportFactory, from_websocket};
use whatsapp_rust::types::events::{Event, EventHandler, EventInterest, EventKind};
use whatsapp_rust::types::presence::ReceiptType;
use whatsapp_rust::wacore::store::in_memory::InMemoryBackend;

/// How many numbers go into one question: as many as kabari's dispatcher asks for at once.
const NUMBERS_PER_CHECK: usize = 10;
/// Any version will do; without one, the client asks the internet for the newest.
const VERSION: (u32, u32, u32) = (2, 3000, 1_025_000_000);

const CONNECTED: &str = "connected";
const DONE: &str = "all read";

/// How many clients are linked at a time.
const LINKED_AT_ONCE: usize = 8;

/// What the process is to do: link its clients, and write to everybody at each line it gets.
#[derive(clap::Args)]
pub struct Options {
    /// Where the simulator listens.
    #[arg(long)]
    simulator: String,
    /// How many recipients each client writes to.
    #[arg(long)]
    recipients: u32,
    #[arg(long)]
    clients: u32,
}

/// A process with clients, no two of which write to the same person.
pub struct Bare {
    pub process: Process,
}

impl Bare {
    /// Starts it with this many clients.
    pub async fn start(
        simulator: &Simulator,
        clients: u32,
        recipients: u32,
    ) -> anyhow::Result<Bare> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", "--simulator", simulator.address()]).args([
            "--recipients",
            &recipients.to_string(),
            "--clients",
            &clients.to_string(),
        ]);
        let mut process = Process::spawn(&mut command)?;
        process.says(CONNECTED).await?;
        Ok(Bare { process })
    }

    pub async fn write_to_everybody(&mut self) -> anyhow::Result<()> {
        self.process.order().await?;
        self.process.says(DONE).await?;
        Ok(())
    }
}

/// The process.
pub async fn write(options: Options) -> anyhow::Result<()> {
    let mut clients: Vec<Client> = stream::iter(0..options.clients)
        .map(|index| Client::link(&options.simulator, index, options.recipients))
        .buffer_unordered(LINKED_AT_ONCE)
        .try_collect()
        .await?;
    eprintln!("{CONNECTED}");
    // This thread may wait: the clients have others.
    for order in std::io::stdin().lines() {
        order?;
        let mut writing = JoinSet::new();
        for client in clients.drain(..) {
            writing.spawn(client.write_to_everybody());
        }
        while let Some(client) = writing.join_next().await {
            clients.push(client??);
        }
        eprintln!("{DONE}");
    }
    Ok(())
}

/// One client and the recipients it writes to.
struct Client {
    bot: BotHandle,
    /// Which of the clients this is.
    index: u32,
    recipients: Vec<Person>,
    sent: usize,
    acks: mpsc::UnboundedReceiver<(String, Option<String>)>,
    read: watch::Receiver<usize>,
}

struct Person {
    phone: String,
    text: String,
    /// Since the number was checked.
    address: Option<Jid>,
}

impl Client {
    async fn link(simulator: &str, index: u32, recipients: u32) -> anyhow::Result<Client> {
        let (acks, acks_of) = mpsc::unbounded_channel();
        let (read, connected) = (watch::Sender::new(0), watch::Sender::new(false));
        let (read_of, mut connected_of) = (read.subscribe(), connected.subscribe());
        let (qr, mut qr_of) = mpsc::unbounded_channel();
        let bot = Bot::builder()
            .with_backend(InMemoryBackend::new())
            .with_transport_factory(Loopback { url: ws_url(simulator) })
            .with_version(VERSION)
            .skip_history_sync()
            .with_event_handler(Listener { acks, read, connected, qr })
            .build()
            .await?
            .spawn();
        let code = qr_of.recv().await.context("the client has ended")?;
        scan(simulator, &code, &format!("62812{index:07}0")).await?;
        connected_of.wait_for(|connected| *connected).await?;
        let first = 1 + index * recipients;
        let recipients = (first..first + recipients).map(|person| Person {
            phone: phone(person),
            text: text(&name(person)),
            address: None,
        });
        Ok(Client {
            bot,
            index,
            recipients: recipients.collect(),
            sent: 0,
            acks: acks_of,
            read: read_of,
        })
    }

    /// Returns when everybody has read it.
    async fn write_to_everybody(mut self) -> anyhow::Result<Client> {
        let client = self.bot.client();
        for batch in self.recipients.chunks_mut(NUMBERS_PER_CHECK) {
            let unchecked: Vec<Jid> = batch
                .iter()
                .filter(|person| person.address.is_none())
                .map(|person| Jid::pn(person.phone.as_str()))
                .collect();
            if !unchecked.is_empty() {
                let answers = client.contacts().is_on_whatsapp(&unchecked).await?;
                for answer in answers.into_iter().filter(|answer| answer.is_registered) {
                    let number = answer.pn_jid.as_ref().unwrap_or(&answer.jid).user.to_string();
                    let person = batch.iter_mut().find(|person| person.phone == number);
                    person.context("a number nobody asked for")?.address = Some(answer.jid);
                }
            }
            for person in batch {
                self.sent += 1;
                let id = format!("3EB0{:06X}{:012X}", self.index, self.sent);
                let to = person.address.clone().context("a number is not on WhatsApp")?;
                let message = wa::Message::text(person.text.as_str());
                let options = SendOptions::default().with_message_id(&id);
                client.send_message_with_options(to, message, options).await?;
                let (acked, error) = self.acks.recv().await.context("the client has ended")?;
                ensure!(acked == id && error.is_none(), "{acked} was answered with {error:?}");
            }
        }
        self.read.wait_for(|read| *read == self.sent).await?;
        Ok(self)
    }
}

struct Listener {
    acks: mpsc::UnboundedSender<(String, Option<String>)>,
    read: watch::Sender<usize>,
    connected: watch::Sender<bool>,
    qr: mpsc::UnboundedSender<String>,
}

impl EventHandler for Listener {
    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::Connected(_) => {
                self.connected.send_replace(true);
            }
            Event::PairingQrCode(code) => {
                // Once the first is scanned, nobody waits for another.
                let _ = self.qr.send(code.code.clone());
            }
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => {
                // The receiver lives as long as this client.
                let _ = self.acks.send((ack.id.clone(), ack.error.clone()));
            }
            Event::Receipt(receipt) if receipt.r#type == ReceiptType::Read => {
                self.read.send_modify(|read| *read += receipt.message_ids.len());
            }
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            EventKind::Connected,
            EventKind::PairingQrCode,
            EventKind::ServerAck,
            EventKind::Receipt,
        ])
    }
}

/// Connects without letting small frames wait for each other, as kabari does.
struct Loopback {
    url: String,
}

#[async_trait]
impl TransportFactory for Loopback {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let address = self.url.trim_start_matches("ws://").split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let client = tokio_websockets::ClientBuilder::new().uri(&self.url)?;
        let (socket, _response) = client.connect_on(stream).await?;
        Ok(from_websocket(socket))
    }
}
