//! Which web pages may call the API: the setting `CORS_ORIGINS`.

use std::net::IpAddr;
use std::str::FromStr;

/// Origins whose pages may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every origin on this machine, whatever its port.
    #[default]
    Loopback,
    /// Exactly these, each as a browser writes it in `Origin`.
    Listed(Vec<String>),
}

/// An entry that is no origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoOrigin(pub String);

impl Origins {
    /// Returns whether a page of this origin may call.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Origins::Loopback => authority(origin).is_some_and(is_loopback),
            Origins::Listed(listed) => listed.iter().any(|one| one == origin),
        }
    }
}

/// Reads a list separated by commas; an empty one is the default.
impl FromStr for Origins {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Origins, NoOrigin> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let listed = entries.map(normalized).collect::<Result<Vec<_>, _>>()?;
        Ok(if listed.is_empty() { Origins::Loopback } else { Origins::Listed(listed) })
    }
}

/// Writes an origin as a browser does: in lower case, without the scheme's own port.
fn normalized(entry: &str) -> Result<String, NoOrigin> {
    let refused = || NoOrigin(entry.to_owned());
    let origin = entry.to_ascii_lowercase();
    let authority = authority(&origin).ok_or_else(refused)?;
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let (host, port) = host_and_port(authority);
    let port_is_right = port.is_none_or(|port| port.parse::<u16>().is_ok());
    if host.is_empty() || !port_is_right || !authority.bytes().all(is_host_byte) {
        return Err(refused());
    }
    Ok(match (origin.strip_prefix("https://"), port) {
        (Some(_), Some("443")) => origin.trim_end_matches(":443").to_owned(),
        (None, Some("80")) => origin.trim_end_matches(":80").to_owned(),
        _ => origin,
    })
}

/// Returns what follows the scheme of an http or https origin: host and port.
pub fn authority(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

/// Returns whether a host, with or without a port, is a name of this machine.
pub fn is_loopback(authority: &str) -> bool {
    let (host, _) = host_and_port(authority);
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Splits `host:port`; an IPv6 address keeps its brackets.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let after_brackets = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after_brackets..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_brackets + colon);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_origins_are_allowed_by_default() {
        let origins: Origins = " ".parse().unwrap();
        assert_eq!(origins, Origins::default());
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://localhost",
            "http://127.0.0.1:8080",
            "http://[::1]:5173",
        ] {
            assert!(origins.allow(origin), "{origin}");
        }
        for origin in [
            "",
            "*",
            "null",
            "localhost",
            "http://",
            "http://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://evil.example:80@localhost",
            "http://[::2]",
            "file://localhost",
        ] {
            assert!(!origins.allow(origin), "{origin}");
        }
    }

    #[test]
    fn listed_origins_are_matched_exactly() {
        let origins: Origins =
            "HTTPS://Billing.example.net:443, http://10.0.0.5:8080".parse().unwrap();
        assert!(origins.allow("https://billing.example.net"));
        assert!(origins.allow("http://10.0.0.5:8080"));
        for origin in [
            "http://billing.example.net",
            "https://billing.example.net:8443",
            "https://evil.billing.example.net",
            "https://billing.example.net.evil.example",
            "http://10.0.0.5",
            "http://localhost",
            "null",
        ] {
            assert!(!origins.allow(origin), "{origin}");
        }
    }

    #[test]
    fn entries_that_are_no_origins_are_refused() {
        for entry in [
            "*",
            "null",
            "billing.example.net",
            "https://*.example.net",
            "https://billing.example.net/",
            "https://billing.example.net/path",
            "https://user@billing.example.net",
            "https://",
            "http://h:port",
            "ftp://billing.example.net",
        ] {
            let list = format!("http://localhost:8000,{entry}");
            assert_eq!(list.parse::<Origins>(), Err(NoOrigin(entry.to_owned())), "{entry}");
        }
    }
}
