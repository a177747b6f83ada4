//! Who may call the gateway: the same rules as for the API, from the same code.

use super::Api;
use crate::harness::node::Setup;
use crate::harness::scripted_gateway::OWN_NUMBER;
use crate::harness::tls::{ROOT, TlsFront};
use kabari_domain::wording;
use kabari_gateway::{Gateway, LinkState, Remote, RemoteConfig};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use wa_sim::{Config, Simulator};

const KEY: &str = "0123456789abcdef";
const ENDPOINTS: [(Method, &str); 8] = [
    (Method::GET, "/status"),
    (Method::GET, "/qr"),
    (Method::GET, "/limits"),
    (Method::GET, "/events"),
    (Method::POST, "/send"),
    (Method::POST, "/send-bulk"),
    (Method::POST, "/restart"),
    (Method::POST, "/logout"),
];

/// A gateway that asks for the key.
async fn locked() -> Api {
    Api::with(|settings| settings.api_key = Some(KEY.to_owned())).await
}

async fn status(
    api: &Api,
    (method, path): &(Method, &str),
    headers: &[(&str, &str)],
) -> StatusCode {
    let mut request = api.request(method.clone(), path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn without_the_key_nothing_is_served() {
    let api = locked().await;
    for endpoint in &ENDPOINTS {
        for headers in [&[][..], &[("x-api-key", "0123456789abcdeX")], &[("host", "localhost")]] {
            let status = status(&api, endpoint, headers).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{endpoint:?} {headers:?}");
        }
    }
    let bearer = format!("Bearer {KEY}");
    for header in [("x-api-key", KEY), ("authorization", bearer.as_str())] {
        assert_eq!(status(&api, &ENDPOINTS[0], &[header]).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn without_a_key_only_this_machine_is_served() {
    let api = Api::connected().await;
    for endpoint in &ENDPOINTS {
        let foreign = status(&api, endpoint, &[("host", "evil.example")]).await;
        assert_eq!(foreign, StatusCode::FORBIDDEN, "{endpoint:?}");
    }
    assert_eq!(status(&api, &ENDPOINTS[0], &[("host", "localhost:3001")]).await, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_other_origins_can_do_nothing() {
    for api in [Api::connected().await, locked().await] {
        for endpoint in &ENDPOINTS {
            let page = [("origin", "https://evil.example"), ("x-api-key", KEY)];
            let status = status(&api, endpoint, &page).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{endpoint:?}");
        }
        let own = [("origin", "http://localhost:8000"), ("x-api-key", KEY)];
        assert_eq!(status(&api, &ENDPOINTS[0], &own).await, StatusCode::OK);
        assert!(api.behind.take_sent().is_empty());
    }
}

#[tokio::test]
async fn a_kabari_in_front_shows_the_key_it_is_given() {
    let api = locked().await;
    let link = async |key: Option<&str>| {
        let config =
            RemoteConfig { url: api.gateway.url(), key: key.map(str::to_owned), heard: None };
        let link = Remote::start(config).await.unwrap().link();
        let link = link.borrow();
        (link.state, link.error.clone())
    };
    assert_eq!(link(Some(KEY)).await, (LinkState::Connected, None));
    let denied = (LinkState::Unreachable, Some(wording::GATEWAY_DENIED.to_owned()));
    assert_eq!(link(None).await, denied);
    assert_eq!(link(Some("another key of ours")).await, denied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_to_the_gateway_can_be_encrypted() {
    let api = locked().await;
    let front = TlsFront::before(api.gateway.address).await;
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let directories = [(); 2].map(|()| TempDir::new().unwrap());
    let setup = |directory: &TempDir| {
        Setup::new(directory.path(), &simulator)
            .with("WA_GATEWAY_URL", front.url())
            .with("WA_GATEWAY_KEY", KEY)
    };
    let mut trusting = setup(&directories[0]).with("SSL_CERT_FILE", ROOT).start();
    let caller = trusting.caller().await.unwrap();
    let status = caller.wait_for("/api/whatsapp/status", |s| s["connected"] == true).await;
    assert_eq!(status["phone_number"], OWN_NUMBER);
    let send = json!({ "phone": "081234567801", "message": "Halo" });
    let report = caller.post("/api/send/phone", send).await;
    assert_eq!(report["success"], true, "{report}");
    assert_eq!(api.behind.take_delivered(), [("6281234567801".to_owned(), "Halo".to_owned())]);

    let mut wary = setup(&directories[1]).start();
    let caller = wary.caller().await.unwrap();
    caller.wait_for("/api/whatsapp/status", |s| s["state"] == "unreachable").await;
    wary.logged("invalid peer certificate").await;
}
