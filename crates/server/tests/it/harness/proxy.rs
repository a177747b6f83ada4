//! A TCP proxy: a line that can be cut, to a server that may come back elsewhere.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Stays at one address until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    /// Where it leads, if anywhere; every connection ends when this changes.
    upstream: watch::Sender<Option<SocketAddr>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = watch::Sender::new(Some(upstream));
        let accepting = tokio::spawn(accept(listener, upstream.subscribe()));
        Proxy { address, upstream, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads elsewhere from now on.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.upstream.send_replace(Some(upstream));
    }

    /// Ends all connections at once, and every new one for this long.
    pub async fn cut(&self, duration: Duration) {
        let upstream = self.upstream.send_replace(None);
        tokio::time::sleep(duration).await;
        self.upstream.send_replace(upstream);
    }
}

async fn accept(listener: TcpListener, upstream: watch::Receiver<Option<SocketAddr>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut upstream = upstream.clone();
        let Some(address) = *upstream.borrow_and_update() else { continue };
        tokio::spawn(async move {
            tokio::select! {
                () = connect(client, address) => {}
                _ = upstream.changed() => {}
            }
        });
    }
}

/// Until either side ends.
async fn connect(mut client: TcpStream, address: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(address).await {
        // Small packets back and forth: waiting to fill larger ones would slow every query.
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
