//! The socket to WhatsApp.

use super::Shared;
use super::storage::Storage;
use crate::GatewayError;
use async_trait::async_trait;
use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Uri, header};
use kabari_domain::wording;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Connector};
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::transport::{
    Transport, TransportEvent, TransportFactory, default_tls_connector, from_websocket,
};
use whatsapp_rust::wacore::net::{WHATSAPP_WEB_ORIGIN, WHATSAPP_WEB_WS_URL};
use whatsapp_rust::wacore::stats::TransportResourceReport;
use whatsapp_rust::{anyhow, async_channel};

/// The version of WhatsApp Web that we say we are to a server that is not WhatsApp's: asking
/// WhatsApp for the newest one, as in production, would be a request to the outside.
const SIMULATOR_VERSION: (u32, u32, u32) = (2, 3000, 1_025_000_000);

const HTTPS: &str = "https://";
/// Where WhatsApp has its files.
const FILE_DOMAINS: [&str; 2] = [".whatsapp.net", ".whatsapp.com"];

/// Which server to talk to.
#[derive(Clone)]
pub(super) struct ServerAddress {
    url: Uri,
    host: String,
    port: u16,
    tls: bool,
}

impl ServerAddress {
    /// Returns WhatsApp's own address, or this one.
    pub fn new(url: Option<&str>) -> Result<ServerAddress, GatewayError> {
        let text = url.unwrap_or(WHATSAPP_WEB_WS_URL);
        let invalid = || {
            GatewayError::NotPossible(format!(
                "{text:?} is no address of a WebSocket: write ws://HOST:PORT/PATH or wss://..."
            ))
        };
        let url: Uri = text.parse().map_err(|_| invalid())?;
        let tls = match url.scheme().map(Scheme::as_str) {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(invalid()),
        };
        // An IPv6 address has brackets in a URL and none in a name to look up.
        let host = url.host().ok_or_else(invalid)?.trim_matches(['[', ']']).to_owned();
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(ServerAddress { url, host, port, tls })
    }

    /// Returns whether it is WhatsApp itself.
    pub fn is_whatsapp(&self) -> bool {
        self.host.ends_with(".whatsapp.com")
    }

    /// Returns the client version to claim, unless WhatsApp shall be asked for it.
    pub fn fixed_version(&self) -> Option<(u32, u32, u32)> {
        (!self.is_whatsapp()).then_some(SIMULATOR_VERSION)
    }

    /// Returns where to find a file that it named, if that is at a host of its own. Its clients
    /// always write `https`; a simulator without TLS serves files without it too.
    pub fn file_url(&self, url: &str) -> Option<String> {
        let parsed: Uri = url.parse().ok().filter(|_| url.starts_with(HTTPS))?;
        let host = parsed.host()?;
        if self.is_whatsapp() {
            let is_its_own = FILE_DOMAINS.iter().any(|domain| host.ends_with(domain));
            return is_its_own.then(|| url.to_owned());
        }
        let is_its_own =
            host.trim_matches(['[', ']']) == self.host && parsed.port_u16() == Some(self.port);
        let rest = url.strip_prefix(HTTPS).filter(|_| is_its_own)?;
        Some(if self.tls { url.to_owned() } else { format!("http://{rest}") })
    }
}

/// Makes the connections of one session, and shows on the link if none can be made.
///
/// The library's own factory leaves Nagle's algorithm on, which costs about 40 ms at each turn of
/// the conversation.
pub(super) struct Dialer {
    pub server: ServerAddress,
    pub shared: Arc<Shared>,
    pub storage: Arc<Storage>,
}

type Socket = (Arc<dyn Transport>, async_channel::Receiver<TransportEvent>);

#[async_trait]
impl TransportFactory for Dialer {
    async fn create_transport(&self) -> Result<Socket, anyhow::Error> {
        let dialed = self.server.dial().await;
        if let Err(error) = &dialed {
            tracing::warn!(host = self.server.host, "cannot connect to WhatsApp: {error:#}");
            self.shared.update_link(|link| {
                link.error.take_if(|error| error == wording::RECONNECTING);
                link.error.get_or_insert_with(|| wording::WHATSAPP_UNREACHABLE.into());
            });
        }
        let (socket, events) = dialed?;
        let (shared, storage) = (self.shared.clone(), self.storage.clone());
        Ok((Arc::new(WriteAhead { socket, shared, storage }), events))
    }
}

/// A socket that nothing leaves before what it stands for is written down.
///
/// The library closes it when a send fails, and connects anew.
struct WriteAhead {
    socket: Arc<dyn Transport>,
    shared: Arc<Shared>,
    storage: Arc<Storage>,
}

#[async_trait]
impl Transport for WriteAhead {
    async fn send(&self, data: Bytes) -> Result<(), anyhow::Error> {
        // The library writes its device in the background: here it goes into the same batch.
        if let Some(client) = self.shared.client() {
            client.persistence_manager().flush().await?;
        }
        self.storage.write_ahead(self.shared.is_message_leaving()).await?;
        self.socket.send(data).await
    }

    async fn disconnect(&self) {
        self.socket.disconnect().await;
    }

    fn resource_report(&self) -> Option<TransportResourceReport> {
        self.socket.resource_report()
    }
}

impl ServerAddress {
    async fn dial(&self) -> Result<Socket, anyhow::Error> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        let connector = if self.tls { default_tls_connector() } else { Connector::Plain };
        let stream = connector.wrap(&self.host, tcp).await?;
        let (websocket, _response) = ClientBuilder::from_uri(self.url.clone())
            .add_header(header::ORIGIN, HeaderValue::from_static(WHATSAPP_WEB_ORIGIN))?
            .connect_on(stream)
            .await?;
        Ok(from_websocket(websocket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_address_it_is_whatsapp_and_its_newest_version() {
        let server = ServerAddress::new(None).unwrap();
        assert!(server.tls);
        assert_eq!((server.host.as_str(), server.port), ("web.whatsapp.com", 443));
        assert_eq!(server.fixed_version(), None);
    }

    #[test]
    fn reads_the_address_of_a_simulator() {
        let server = ServerAddress::new(Some("ws://[::1]:9080/ws/chat")).unwrap();
        assert!(!server.tls);
        assert_eq!((server.host.as_str(), server.port), ("::1", 9080));
        assert_eq!(server.fixed_version(), Some(SIMULATOR_VERSION));
    }

    #[test]
    fn files_come_from_the_server_s_own_hosts() {
        let server = ServerAddress::new(None).unwrap();
        for (url, is_its_own) in [
            ("https://mmg.whatsapp.net/v/x?auth=1", true),
            ("https://web.whatsapp.com/sw.js", true),
            ("http://mmg.whatsapp.net/v/x", false),
            ("https://mmg.whatsapp.net.example.com/v/x", false),
            ("https://notwhatsapp.net/v/x", false),
            ("https://127.0.0.1/v/x", false),
        ] {
            assert_eq!(server.file_url(url), is_its_own.then(|| url.to_owned()), "{url}");
        }
        let simulator = ServerAddress::new(Some("ws://127.0.0.1:9080/ws/chat")).unwrap();
        let file = simulator.file_url("https://127.0.0.1:9080/media/x?auth=1");
        assert_eq!(file.as_deref(), Some("http://127.0.0.1:9080/media/x?auth=1"));
        assert_eq!(simulator.file_url("https://127.0.0.1:9081/media/x"), None);
        assert_eq!(simulator.file_url("https://mmg.whatsapp.net/v/x"), None);
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["", "127.0.0.1:9080", "http://127.0.0.1/", "ws://", "ws:/x"] {
            assert!(ServerAddress::new(Some(url)).is_err(), "{url}");
        }
    }
}
