//! A TCP proxy: a line that can be cut or hang, to a server that may come back elsewhere.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What is read at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It leads to this address.
    Open(SocketAddr),
    /// Every connection ends.
    Cut,
    /// Connections stay open, and nothing comes through.
    Hanging(SocketAddr),
}

/// Stays at one address until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = watch::Sender::new(Line::Open(upstream));
        let accepting = tokio::spawn(accept(listener, line.subscribe()));
        Proxy { address, line, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections at once, and every new one for this long.
    pub async fn cut(&self, duration: Duration) {
        self.be(Line::Cut, duration).await;
    }

    /// Lets nothing through for this long; nobody is told.
    pub async fn hang(&self, duration: Duration) {
        let Line::Open(upstream) = *self.line.borrow() else { return };
        self.be(Line::Hanging(upstream), duration).await;
    }

    async fn be(&self, line: Line, duration: Duration) {
        let before = self.line.send_replace(line);
        tokio::time::sleep(duration).await;
        self.line.send_replace(before);
    }
}

async fn accept(listener: TcpListener, line: watch::Receiver<Line>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut line = line.clone();
        let upstream = match *line.borrow_and_update() {
            Line::Open(upstream) | Line::Hanging(upstream) => upstream,
            Line::Cut => continue,
        };
        tokio::spawn(async move {
            let is_cut = |line: &Line| match *line {
                Line::Cut => true,
                Line::Open(now) | Line::Hanging(now) => now != upstream,
            };
            let mut ends = line.clone();
            tokio::select! {
                () = connect(client, upstream, line) => {}
                _ = ends.wait_for(is_cut) => {}
            }
        });
    }
}

/// Until either side ends.
async fn connect(client: TcpStream, address: SocketAddr, line: watch::Receiver<Line>) {
    let Ok(server) = TcpStream::connect(address).await else { return };
    // Small packets back and forth: waiting to fill larger ones would slow every query.
    let _ = client.set_nodelay(true).and(server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, line.clone()) => {}
        () = copy(from_server, to_client, line) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if line.wait_for(|line| !matches!(line, Line::Hanging(_))).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
