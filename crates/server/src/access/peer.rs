//! Where a request comes from: its address, and whether it came over TLS.
//!
//! A reverse proxy says so in `X-Forwarded-For` and `X-Forwarded-Proto`. Anybody can write these
//! headers, so they count only where the connection itself comes from a proxy that is trusted.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// What proxies add. A request that has any of these was sent by somebody else than the program at
/// the other end of the connection.
const PROXY_HEADERS: [&str; 5] =
    [FORWARDED_FOR, "forwarded", "x-real-ip", "x-forwarded-host", "via"];

/// The reverse proxies whose word counts: the setting `TRUSTED_PROXIES`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TrustedProxies {
    /// Those on this machine.
    #[default]
    Loopback,
    /// Exactly these.
    Listed(Vec<IpAddr>),
}

impl TrustedProxies {
    fn trust(&self, address: IpAddr) -> bool {
        match self {
            TrustedProxies::Loopback => address.is_loopback(),
            TrustedProxies::Listed(listed) => listed.contains(&address),
        }
    }
}

/// Reads a list separated by commas; an empty one is the default.
impl FromStr for TrustedProxies {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<TrustedProxies, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let listed = entries.map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(match listed.is_empty() {
            true => TrustedProxies::Loopback,
            false => TrustedProxies::Listed(listed),
        })
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The address of whoever sent it, in front of any proxy that is trusted.
    pub address: IpAddr,
    /// Whether it was encrypted on its way to such a proxy.
    pub https: bool,
    /// Whether any proxy passed it on.
    pub proxied: bool,
}

impl Peer {
    /// Returns whether it was sent on this machine.
    pub fn is_local(&self) -> bool {
        self.address.is_loopback() && !self.proxied
    }

    fn of(connection: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> Peer {
        let connection = connection.to_canonical();
        let proxied = PROXY_HEADERS.iter().any(|name| headers.contains_key(*name));
        if !proxies.trust(connection) {
            return Peer { address: connection, https: false, proxied };
        }
        let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        // Each proxy adds the address that it sees at the end; whatever is in front of the first
        // one that is no trusted proxy, anybody may have written.
        let mut address = connection;
        for name in named.iter().rev() {
            let Ok(named) = name.parse::<IpAddr>() else { break };
            address = named.to_canonical();
            if !proxies.trust(address) {
                break;
            }
        }
        let https = headers
            .get(FORWARDED_PROTO)
            .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
        Peer { address, https, proxied }
    }
}

/// Finds out where a request comes from, for all that follow.
pub async fn identify(
    State(proxies): State<Arc<TrustedProxies>>,
    ConnectInfo(connection): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = Peer::of(connection.ip(), request.headers(), &proxies);
    request.extensions_mut().insert(peer);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn peer(connection: &str, given: &[(&'static str, &'static str)], proxies: &str) -> Peer {
        let headers = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        map.extend(headers);
        Peer::of(connection.parse().unwrap(), &map, &proxies.parse().unwrap())
    }

    fn address(connection: &str, forwarded_for: &'static str, proxies: &str) -> String {
        let peer = peer(connection, &[("x-forwarded-for", forwarded_for)], proxies);
        assert!(!peer.is_local());
        peer.address.to_string()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        assert_eq!(address("127.0.0.1", "203.0.113.7", ""), "203.0.113.7");
        assert_eq!(address("::ffff:127.0.0.1", "203.0.113.7", ""), "203.0.113.7");
        assert_eq!(address("198.51.100.9", "203.0.113.7", ""), "198.51.100.9");
        assert_eq!(address("198.51.100.9", "203.0.113.7", "198.51.100.9"), "203.0.113.7");
        assert_eq!(address("127.0.0.1", "203.0.113.7", "198.51.100.9"), "127.0.0.1");
        let https = [("x-forwarded-proto", "https")];
        assert!(peer("127.0.0.1", &https, "").https);
        assert!(!peer("198.51.100.9", &https, "").https);
    }

    #[test]
    fn an_address_that_the_sender_has_written_does_not_count() {
        assert_eq!(address("127.0.0.1", "127.0.0.1, 203.0.113.7", ""), "203.0.113.7");
        let chain = "127.0.0.1, 203.0.113.7, 10.0.0.2";
        assert_eq!(address("10.0.0.1", chain, "10.0.0.1,10.0.0.2"), "203.0.113.7");
        assert_eq!(address("127.0.0.1", "198.51.100.1, nonsense", ""), "127.0.0.1");
    }

    #[test]
    fn a_request_that_a_proxy_passes_on_is_not_local() {
        assert!(peer("127.0.0.1", &[], "").is_local());
        assert!(peer("::1", &[], "").is_local());
        assert!(!peer("192.0.2.1", &[], "").is_local());
        for header in PROXY_HEADERS {
            assert!(!peer("127.0.0.1", &[(header, "127.0.0.1")], "").is_local(), "{header}");
        }
    }

    #[test]
    fn a_list_of_proxies_is_a_list_of_addresses() {
        assert!("10.0.0.0/8".parse::<TrustedProxies>().is_err());
        assert!("proxy.example".parse::<TrustedProxies>().is_err());
        assert_eq!(" ".parse(), Ok(TrustedProxies::Loopback));
    }
}
