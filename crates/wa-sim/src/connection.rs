//! One client's connection: frames, handshake, and the stanzas that come over it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::ws::{Message, WebSocket};
use bytes::BytesMut;
use tokio::sync::mpsc;
use tracing::debug;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_binary::{Node, OwnedNodeRef};
use wacore_noise::framing::{FrameDecoder, encode_frame};

use crate::core::Core;
use crate::device::DeviceId;
use crate::faults::{Action, Facts, Stanza};
use crate::noise::{Hello, Peer, Transport};
use crate::stanza;
use crate::state::ConnectionCommand;
use crate::violations::ViolatedRule;

/// Where clients connect.
pub(crate) const WEBSOCKET_PATH: &str = "/ws/chat";
/// What may precede the connection header: `ED 00 01`, a 3-byte length, and routing bytes.
const EDGE_ROUTING: &[u8] = b"ED\0\x01";
/// How long a client may take to close a connection whose stream the server has ended.
const CLOSING: Duration = Duration::from_secs(3);

/// How a client's connection goes on after a stanza.
pub(crate) enum Flow {
    Continue,
    /// The server has ended the stream: closing is up to the client. One that sees the end of the
    /// connection before it has handled the server's last stanza would miss what follows from it.
    End,
    /// Close without a word.
    Drop,
    /// Keep it open, but answer nothing any more.
    Silence,
}

/// Serves one WebSocket until it ends.
pub(crate) async fn serve(core: Arc<Core>, socket: WebSocket) {
    let (outgoing, orders) = mpsc::unbounded_channel();
    let id = {
        let mut state = core.state();
        let id = state.next_connection();
        state.connections.insert(id, outgoing);
        id
    };
    let mut client = ClientConnection { core: Arc::clone(&core), id, device: None };
    let link = FrameStream { socket, decoder: FrameDecoder::new(), greeted: false };
    if let Err(error) = client.run(link, orders).await {
        debug!(connection = id, "connection ended: {error:#}");
    }
    client.leave();
}

/// The raw frames of a connection.
struct FrameStream {
    socket: WebSocket,
    decoder: FrameDecoder,
    /// Whether the connection header has been read.
    greeted: bool,
}

impl FrameStream {
    async fn receive(&mut self) -> anyhow::Result<BytesMut> {
        loop {
            if let Some(frame) = self.decoder.decode_frame() {
                return Ok(frame);
            }
            match self.socket.recv().await.context("the client closed the connection")?? {
                Message::Binary(data) if self.greeted => self.decoder.feed(&data),
                Message::Binary(data) => {
                    self.decoder.feed(after_greeting(&data)?);
                    self.greeted = true;
                }
                // A close is answered by reading on; what comes next is the end.
                _ => {}
            }
        }
    }

    async fn send(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        self.socket.send(Message::Binary(encode_frame(payload, None)?.into())).await?;
        Ok(())
    }
}

fn after_greeting(data: &[u8]) -> anyhow::Result<&[u8]> {
    let mut rest = data;
    if let Some(routing) = rest.strip_prefix(EDGE_ROUTING) {
        let length = routing.get(..3).context("edge routing without its length")?;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        rest = routing.get(3 + length..).context("edge routing is cut off")?;
    }
    rest.strip_prefix(&WA_CONN_HEADER).context("the stream does not start with WA and a version")
}

/// What the server knows of the client at the other end.
pub(crate) struct ClientConnection {
    pub core: Arc<Core>,
    pub id: u64,
    /// The linked device it has logged in as.
    pub device: Option<DeviceId>,
}

impl ClientConnection {
    async fn run(
        &mut self,
        mut link: FrameStream,
        mut orders: mpsc::UnboundedReceiver<ConnectionCommand>,
    ) -> anyhow::Result<()> {
        let fault = self.strike(Facts { stanza: Stanza::Connect, from: None, to: None, id: None });
        match fault {
            Some(Action::Drop) => return Ok(()),
            Some(Action::Silence) => return hold_open(link, orders).await,
            _ => {}
        }
        let (peer, mut transport) =
            self.handshake(&mut link, fault == Some(Action::RefuseIk)).await?;
        let mut flow = self.greet(&peer);
        while let Flow::Continue = flow {
            flow = tokio::select! {
                order = orders.recv() => match order {
                    Some(ConnectionCommand::Send(node)) => {
                        self.core.keep_accounts();
                        send_node(&mut link, &mut transport, node).await?;
                        Flow::Continue
                    }
                    Some(ConnectionCommand::End(last)) => {
                        self.core.keep_accounts();
                        send_node(&mut link, &mut transport, last).await?;
                        Flow::End
                    }
                    Some(ConnectionCommand::Drop) | None => return Ok(()),
                },
                frame = link.receive() => {
                    let arrived = self.core.clock.wire_ns();
                    let node = decode(&mut transport, frame?)?;
                    self.handle(node, arrived)
                }
            };
        }
        if let Flow::Silence = flow {
            return hold_open(link, orders).await;
        }
        self.core.keep_accounts();
        flush(&mut link, &mut transport, &mut orders).await?;
        if let Flow::End = flow {
            self.detach();
            self.core.notify();
            // Closed by the client or not, the connection ends here.
            let _ = tokio::time::timeout(CLOSING, hold_open(link, orders)).await;
        }
        Ok(())
    }

    async fn handshake(
        &self,
        link: &mut FrameStream,
        refuse_ik: bool,
    ) -> anyhow::Result<(Box<Peer>, Transport)> {
        let hello = link.receive().await?;
        match self.core.identity.responder(self.id).hello(&hello, refuse_ik)? {
            Hello::Done { answer, peer, transport } => {
                link.send(&answer).await?;
                Ok((peer, transport))
            }
            Hello::Continue { answer, finish } => {
                link.send(&answer).await?;
                finish.finish(&link.receive().await?)
            }
        }
    }

    /// Sends the first stanzas after the handshake: those of a login, or the start of a pairing.
    fn greet(&mut self, peer: &Peer) -> Flow {
        if peer.payload.device_pairing_data.is_set() {
            self.offer_pairing(peer)
        } else {
            self.log_in(peer)
        }
    }

    fn handle(&mut self, node: Node, arrived: u64) -> Flow {
        debug!(connection = self.id, tag = %node.tag, "stanza");
        let flow = match node.tag.as_ref() {
            "iq" => self.handle_iq(&node),
            "message" => self.handle_message(&node, arrived),
            "receipt" => self.handle_receipt(&node),
            "ack" => self.handle_ack(&node),
            // Nobody looks at these: who is online, who types, telemetry.
            "presence" | "chatstate" | "ib" => Flow::Continue,
            "call" => Flow::Continue,
            "xmlstreamend" => Flow::Drop,
            other => {
                self.violation(
                    &node,
                    ViolatedRule::Unexpected,
                    format!("no server expects <{other}>"),
                );
                Flow::Continue
            }
        };
        self.core.notify();
        flow
    }

    /// Sends to this client, without expecting an acknowledgement.
    pub fn send(&self, node: Node) {
        self.core.state().send(self.id, node);
    }

    pub fn number(&self) -> Option<&str> {
        self.device.as_ref().map(|device| device.number.as_str())
    }

    pub fn strike(&self, facts: Facts<'_>) -> Option<Action> {
        self.core.state().faults.strike(facts)
    }

    pub fn violation(&self, stanza: &Node, rule: ViolatedRule, detail: impl Into<String>) {
        self.core.violation(self.device.as_ref(), stanza, rule, detail);
    }

    /// Carries out the faults that end or mute a connection, whatever stanza they struck.
    pub fn break_off(&self, action: &Action) -> Option<Flow> {
        match action {
            Action::Drop => Some(Flow::Drop),
            Action::Silence => {
                self.detach();
                Some(Flow::Silence)
            }
            Action::Swallow => Some(Flow::Continue),
            Action::Failure { reason, code, expire } => {
                self.send(failure(*reason, *code, *expire));
                Some(Flow::End)
            }
            Action::StreamError { code, conflict } => {
                self.send(stream_error(*code, conflict.as_deref()));
                Some(Flow::End)
            }
            Action::Revoke => {
                if let Some(device) = &self.device {
                    self.core.unlink(device);
                }
                Some(Flow::End)
            }
            _ => None,
        }
    }

    /// Detaches the client: what is for it waits for its next connection.
    pub fn detach(&self) {
        let mut state = self.core.state();
        if let Some(device) = &self.device
            && let Some(companion) = state.companion(device)
            && companion.connection == Some(self.id)
        {
            companion.connection = None;
            companion.active = false;
        }
    }

    fn leave(&mut self) {
        self.detach();
        let mut state = self.core.state();
        state.connections.remove(&self.id);
        state.candidates.remove(&self.id);
        drop(state);
        self.core.notify();
    }
}

pub(crate) fn failure(reason: u16, code: Option<u16>, expire: Option<u64>) -> Node {
    let mut node = NodeBuilder::new("failure").attr("reason", reason).attr("location", "sim");
    if let Some(code) = code {
        node = node.attr("code", code);
    }
    if let Some(expire) = expire {
        node = node.attr("expire", expire);
    }
    node.build()
}

pub(crate) fn stream_error(code: Option<u16>, conflict: Option<&str>) -> Node {
    let mut node = NodeBuilder::new("stream:error");
    if let Some(code) = code {
        node = node.attr("code", code);
    }
    if let Some(kind) = conflict {
        node = node.children([NodeBuilder::new("conflict").attr("type", kind).build()]);
    }
    node.build()
}

async fn send_node(
    link: &mut FrameStream,
    transport: &mut Transport,
    node: Node,
) -> anyhow::Result<()> {
    let payload = transport.encrypt(&stanza::encode(node)?)?;
    link.send(&payload).await
}

/// Sends what is still in line before the connection closes.
async fn flush(
    link: &mut FrameStream,
    transport: &mut Transport,
    orders: &mut mpsc::UnboundedReceiver<ConnectionCommand>,
) -> anyhow::Result<()> {
    while let Ok(ConnectionCommand::Send(node) | ConnectionCommand::End(node)) = orders.try_recv() {
        send_node(link, transport, node).await?;
    }
    Ok(())
}

/// Reads and ignores, and sends nothing, until either side closes.
async fn hold_open(
    mut link: FrameStream,
    mut orders: mpsc::UnboundedReceiver<ConnectionCommand>,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            frame = link.receive() => drop(frame?),
            order = orders.recv() => match order {
                Some(ConnectionCommand::Send(_) | ConnectionCommand::End(_)) => {}
                Some(ConnectionCommand::Drop) | None => return Ok(()),
            },
        }
    }
}

fn decode(transport: &mut Transport, mut frame: BytesMut) -> anyhow::Result<Node> {
    transport.decrypt(&mut frame)?;
    read_stanza(frame)
}

fn read_stanza(decrypted: BytesMut) -> anyhow::Result<Node> {
    let bytes = wacore_binary::util::unpack_bytes(decrypted)?;
    Ok(OwnedNodeRef::new(bytes)?.to_owned_node())
}

#[cfg(test)]
mod tests;
