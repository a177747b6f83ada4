//! HTTP clients, with TLS where the address asks for it.

use reqwest::{Client, ClientBuilder};

/// Begins a client for addresses like this one. It goes there directly: a proxy for the way to the
/// internet has no business with the key.
///
/// For `https` it trusts whom the system trusts, or the authorities in the file that the variable
/// `SSL_CERT_FILE` names. For `http` it needs none of them.
pub fn client(address: &str) -> ClientBuilder {
    // The process may have one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy();
    if address.starts_with("https://") { builder } else { builder.tls_certs_only([]) }
}
