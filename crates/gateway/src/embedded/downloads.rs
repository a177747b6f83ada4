//! Downloads over HTTP, as the library wants them: parts of the phone's history, and WhatsApp's
//! newest version.

use super::transport::ServerAddress;
use async_trait::async_trait;
use std::time::Duration;
use whatsapp_rust::anyhow::{self, anyhow};
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse, UreqHttpClient};
use whatsapp_rust::wacore::net::StreamingHttpResponse;

/// The most that one download may have. Parts of a history have a few MiB.
const LARGEST_DOWNLOAD: u64 = 16 * 1024 * 1024;
/// How long a download may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Downloads from the hosts of one server, and from nowhere else.
pub(super) struct Downloads {
    http: UreqHttpClient,
    server: ServerAddress,
}

impl Downloads {
    pub fn new(server: &ServerAddress) -> Downloads {
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(DOWNLOAD_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            // They could lead elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false);
        if !server.is_whatsapp() {
            config = config.proxy(None);
        }
        let http = UreqHttpClient::with_agent(config.build().into());
        Downloads { http: http.with_max_body_bytes(LARGEST_DOWNLOAD), server: server.clone() }
    }

    fn permitted(&self, request: HttpRequest) -> anyhow::Result<HttpRequest> {
        let url = self.server.file_url(&request.url);
        // The address itself has a key in it.
        let url = url.ok_or_else(|| anyhow!("WhatsApp named a host that is not its own"))?;
        Ok(HttpRequest { url, ..request })
    }
}

#[async_trait]
impl HttpClient for Downloads {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        self.http.execute(self.permitted(request)?).await
    }

    fn supports_streaming(&self) -> bool {
        self.http.supports_streaming()
    }

    fn execute_streaming(&self, request: HttpRequest) -> anyhow::Result<StreamingHttpResponse> {
        self.http.execute_streaming(self.permitted(request)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Serves one answer of this many bytes, and tells its address.
    fn serve(bytes: u64) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).unwrap();
            write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").unwrap();
            // The client hangs up when it has enough.
            let _ = std::io::copy(&mut std::io::repeat(1).take(bytes), &mut socket);
        });
        address
    }

    fn downloads(address: &str) -> Downloads {
        Downloads::new(&ServerAddress::new(Some(&format!("ws://{address}/ws/chat"))).unwrap())
    }

    #[test]
    fn reads_no_more_than_a_download_may_have() {
        let address = serve(2 * LARGEST_DOWNLOAD);
        let request = HttpRequest::get(format!("https://{address}/media/x"));
        let answer = downloads(&address).execute_streaming(request).unwrap();
        let read = std::io::copy(&mut { answer.body }, &mut std::io::sink()).unwrap();
        assert_eq!(read, LARGEST_DOWNLOAD);
    }

    #[test]
    fn other_hosts_are_not_asked() {
        for url in ["https://192.0.2.1/media/x", "https://mmg.whatsapp.net/x", "file:///etc/passwd"]
        {
            assert!(
                downloads("127.0.0.1:9").execute_streaming(HttpRequest::get(url)).is_err(),
                "{url}"
            );
        }
    }
}
