//! Who may ask, of the API and of `kabari gateway` alike. With `API_KEY` set, whoever has it or a
//! named key of the scope that the operation needs; without it, only this machine.

use super::error::ApiError;
use super::operations::OperationRules;
use crate::access::attempts::{Attempts, Guesser};
use crate::access::peer::Peer;
use crate::access::token::{API_KEY_PREFIX, token_hash};
use crate::origins::{Origins, is_loopback};
use crate::store::StateStore;
use crate::store::state::{Actor, ActorKind};
use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::middleware::Next;
use axum::response::Response;
use kabari_domain::{Scope, wording};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

const API_KEY_HEADER: &str = "x-api-key";

/// Answered without a key: what a load balancer asks, and the documentation, which says nothing
/// that is not in the source code; a browser could not send a key for it. What speaks the dialects
/// of other gateways has a key of its own.
const OPEN_PATHS: [&str; 5] = ["/", "/health", "/livez", "/readyz", "/openapi.json"];
const OPEN_PREFIXES: [&str; 3] = ["/docs", "/redoc", COMPAT_PREFIX];
const COMPAT_PREFIX: &str = "/compat";

/// How many wrong keys from one address are answered at once.
const FREE_WRONG_KEYS: u32 = 10;
/// The longest time that the answer to a wrong key is held back.
const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// Who may call.
pub struct Access {
    /// The key that is good for everything. Without one, only this machine is served.
    key: Option<String>,
    /// Keys that are good for some operations; a gateway has none.
    named: Option<NamedKeys>,
    /// Whose web pages may call.
    pub origins: Origins,
    wrong_keys: Attempts,
}

struct NamedKeys {
    state: StateStore,
    rules: Arc<OperationRules>,
}

/// Somebody who calls, and what the key is good for.
struct Caller {
    actor: Actor,
    scope: Scope,
}

impl Access {
    /// Returns that whoever has this key may call, or without one, this machine.
    pub fn by_key(key: Option<String>, origins: Origins) -> Access {
        Access { key, named: None, origins, wrong_keys: Attempts::default() }
    }

    /// Lets in named keys as well, each for the operations of its scope in the API.
    pub fn and_keys_of_api(self, state: StateStore) -> Access {
        self.and_named_keys(state, Arc::new(OperationRules::of(&super::openapi())))
    }

    /// Lets in named keys as well, each for the operations of its scope.
    pub fn and_named_keys(self, state: StateStore, rules: Arc<OperationRules>) -> Access {
        Access { named: Some(NamedKeys { state, rules }), ..self }
    }

    async fn caller(&self, headers: &HeaderMap, address: IpAddr) -> Result<Caller, ApiError> {
        let shown = shown_key(headers);
        let key = |name: &str, scope| {
            let (kind, name) = (ActorKind::Key, name.to_owned());
            Caller { actor: Actor { kind, name, address: Some(address) }, scope }
        };
        if let (Some(shown), Some(expected)) = (shown, &self.key)
            && is_key(shown, expected)
        {
            return Ok(key("API_KEY", Scope::Admin));
        }
        let named = shown.and_then(|shown| str::from_utf8(shown).ok());
        if let (Some(named), Some(keys)) = (named, &self.named)
            && named.starts_with(API_KEY_PREFIX)
        {
            let found = keys.state.use_api_key(&token_hash(named)).await?;
            let found = found.map(|found| key(&found.name, found.scope));
            return found.ok_or(ApiError::Unauthorized);
        }
        if self.key.is_some() {
            return Err(ApiError::Unauthorized);
        }
        require_loopback_host(headers)?;
        let actor = Actor::unnamed(ActorKind::Local, address);
        Ok(Caller { actor, scope: Scope::Admin })
    }

    /// Checks that the scope of a key is enough for what it is shown for.
    fn require_scope(&self, request: &Request, scope: Scope) -> Result<(), ApiError> {
        let path = request.extensions().get::<MatchedPath>();
        let (Some(path), Some(keys)) = (path, &self.named) else { return Ok(()) };
        match keys.rules.rule(request.method(), path.as_str()).scope {
            Some(needed) if !scope.allows(needed) => {
                Err(ApiError::Forbidden(wording::scope_needed(needed.as_str()).into()))
            }
            _ => Ok(()),
        }
    }

    /// Holds the answer to a wrong key back, longer and longer, if many come from this address.
    async fn hold_back(&self, address: IpAddr) {
        let guesser = Guesser { key: address.to_string(), free: FREE_WRONG_KEYS };
        if let Err(wait) = self.wrong_keys.begin(&[guesser], Instant::now()) {
            tokio::time::sleep(wait.min(LONGEST_HOLD)).await;
        }
    }
}

/// Lets a request through or answers 401 or 403. Those that follow find the [`Actor`] in the
/// request.
pub async fn guard(
    State(access): State<Arc<Access>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let address = peer.address;
    if is_below(request.uri().path(), COMPAT_PREFIX) {
        // The endpoint itself asks for the key.
        let (kind, name) = (ActorKind::Key, "COMPAT_KEY".to_owned());
        request.extensions_mut().insert(Actor { kind, name, address: Some(address) });
    }
    let is_open = is_open(request.uri().path());
    if is_open && access.key.is_none() {
        require_loopback_host(request.headers())?;
    } else if !is_open {
        let caller = match access.caller(request.headers(), address).await {
            Err(ApiError::Unauthorized) if shown_key(request.headers()).is_some() => {
                access.hold_back(address).await;
                Err(ApiError::Unauthorized)
            }
            caller => caller,
        }?;
        access.require_scope(&request, caller.scope)?;
        request.extensions_mut().insert(caller.actor);
    }
    Ok(next.run(request).await)
}

fn is_open(path: &str) -> bool {
    OPEN_PATHS.contains(&path) || OPEN_PREFIXES.iter().any(|prefix| is_below(path, prefix))
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the key that a request shows, in either header.
fn shown_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().as_bytes());
    headers.get(API_KEY_HEADER).map(|value| value.as_bytes()).or(bearer)
}

/// Returns whether this is the key, in a time that says nothing about it.
pub fn is_key(given: &[u8], key: &str) -> bool {
    given.ct_eq(key.as_bytes()).into()
}

/// Refuses requests to any other name than those of this machine. A page on the internet can make a
/// browser ask this machine under a name of its own (DNS rebinding); the name is then in `Host`.
pub fn require_loopback_host(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if is_loopback(host) { Ok(()) } else { Err(ApiError::Forbidden(wording::FOREIGN_HOST.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn only_names_of_this_machine_are_served_without_a_key() {
        for host in
            ["localhost", "LOCALHOST:8001", "127.0.0.1:8001", "127.1.2.3", "[::1]:8001", "[::1]"]
        {
            assert!(require_loopback_host(&headers("host", host)).is_ok(), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8001",
            "10.0.0.1",
            "127.0.0.1.evil.example",
            "[::2]",
            "localhost.evil.example",
        ] {
            assert!(require_loopback_host(&headers("host", host)).is_err(), "{host}");
        }
        assert!(require_loopback_host(&HeaderMap::new()).is_err());
    }

    #[test]
    fn the_key_comes_in_either_header() {
        let shown = |name, value| shown_key(&headers(name, value)).map(<[u8]>::to_vec);
        let key = Some(b"rahasia".to_vec());
        assert_eq!(shown("x-api-key", "rahasia"), key);
        assert_eq!(shown("authorization", "bearer rahasia"), key);
        for (name, value) in [
            ("authorization", "rahasia"),
            ("authorization", "Basic rahasia"),
            ("cookie", "rahasia"),
        ] {
            assert_eq!(shown(name, value), None, "{name}: {value}");
        }
    }

    #[test]
    fn only_the_whole_key_is_the_key() {
        assert!(is_key(b"rahasia", "rahasia"));
        for wrong in ["rahasi", "rahasiaa", "Rahasia", ""] {
            assert!(!is_key(wrong.as_bytes(), "rahasia"), "{wrong}");
        }
    }

    #[test]
    fn a_path_that_only_begins_like_an_open_one_is_not_open() {
        assert!(["/", "/health", "/docs", "/docs/index.html", "/redoc"].into_iter().all(is_open));
        assert!(!["/docsx", "/api/customers", "/healthy", "//"].into_iter().any(is_open));
    }
}
