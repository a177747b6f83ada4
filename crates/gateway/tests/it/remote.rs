//! The client of the contract: against gateways of others, and against our own.

use crate::ports::free_port;
use crate::world::{FRIEND, message, until};
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use kabari_domain::wording;
use kabari_gateway::{
    Gateway, GatewayError, LinkState, Registration, Remote, RemoteConfig, SendError,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// A gateway there that asks for no key and is heard for the first time.
fn config(url: String) -> RemoteConfig {
    RemoteConfig { url, key: None, heard: None }
}

/// Serves the router on a free port of loopback and gives its address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A gateway of somebody else, with answers to set.
#[derive(Clone, Default)]
struct Foreign {
    status: Arc<Mutex<Value>>,
    answer: Arc<Mutex<(u16, HeaderMap, String)>>,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Foreign {
    async fn start() -> (Foreign, Remote) {
        let foreign = Foreign::default();
        foreign.set_status(
            json!({"ready": true, "phone": "6281299990000", "hasQR": false, "error": null}),
        );
        let router = Router::new()
            .route(
                "/gw/status",
                get(async |State(it): State<Foreign>| Json(it.status.lock().unwrap().clone())),
            )
            .route(
                "/gw/qr",
                get(async || Json(json!({"success": true, "qr": "data:image/png;base64,QQ=="}))),
            )
            .route("/gw/send", post(Foreign::send))
            .route(
                "/gw/restart",
                post(async |State(it): State<Foreign>| {
                    it.set_status(
                        json!({"ready": false, "phone": null, "hasQR": false, "error": null}),
                    );
                    Json(json!({"success": true, "message": "WhatsApp sedang direstart"}))
                }),
            )
            .with_state(foreign.clone());
        let url = format!("{}/gw", serve(router).await);
        (foreign, Remote::start(config(url)).await.unwrap())
    }

    async fn send(State(foreign): State<Foreign>, Json(request): Json<Value>) -> Response {
        foreign.requests.lock().unwrap().push(request);
        let (status, headers, body) = foreign.answer.lock().unwrap().clone();
        (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
    }

    fn set_status(&self, status: Value) {
        *self.status.lock().unwrap() = status;
    }

    fn answer(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, HeaderMap::new(), body.into());
    }
}

#[tokio::test]
async fn a_send_carries_the_documented_keys_and_no_others() {
    let (foreign, remote) = Foreign::start().await;
    foreign.answer(200, r#"{"success": true, "phone": "6281234567801", "message": "ok"}"#);
    let sent = message(FRIEND, 7, "Halo");
    assert_eq!(remote.send(&sent).await, Ok(()));
    let expected =
        json!({"phone": FRIEND, "message": "Halo", "message_id": sent.message_id.as_str()});
    assert_eq!(*foreign.requests.lock().unwrap(), [expected]);
    assert_eq!(remote.check(&[sent.phone]).await, Ok(vec![Registration::Unknown]));
}

#[tokio::test]
async fn each_answer_has_its_send_error() {
    let (foreign, remote) = Foreign::start().await;
    let failed = |error: &str| json!({"success": false, "error": error}).to_string();
    let stub = "Evaluation failed: stub send error";
    let sent = message(FRIEND, 7, "Halo");

    foreign.answer(200, &failed(wording::NOT_REGISTERED));
    assert_eq!(remote.send(&sent).await, Err(SendError::NotRegistered));
    foreign.answer(200, &failed(stub));
    assert_eq!(remote.send(&sent).await, Err(SendError::Permanent(stub.into())));
    foreign.answer(503, &failed(wording::NOT_LINKED));
    assert_eq!(remote.send(&sent).await, Err(SendError::NotLinked));
    for (status, body) in [(503, failed("penuh")), (429, failed("pelan")), (503, "busy".into())] {
        foreign.answer(status, &body);
        let answer = remote.send(&sent).await;
        assert!(matches!(answer, Err(SendError::Retry { .. })), "{status} {body}: {answer:?}");
    }
    for (status, body) in [(502, "<html>"), (504, "<html>"), (500, "<html>"), (200, "")] {
        foreign.answer(status, body);
        let answer = remote.send(&sent).await;
        assert!(matches!(answer, Err(SendError::Unknown(_))), "{status} {body}: {answer:?}");
    }
    foreign.answer(404, r#"{"detail": "Not Found"}"#);
    let answer = remote.send(&sent).await;
    assert!(matches!(answer, Err(SendError::NotConnected(_))), "{answer:?}");
}

#[tokio::test]
async fn a_busy_gateway_gives_the_wait() {
    let (foreign, remote) = Foreign::start().await;
    let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), "42".parse().unwrap())]);
    *foreign.answer.lock().unwrap() = (429, headers, r#"{"success": false, "error": "x"}"#.into());
    let answer = remote.send(&message(FRIEND, 7, "Halo")).await;
    let expected = SendError::Retry { after: Duration::from_secs(42), reason: "x".into() };
    assert_eq!(answer, Err(expected));
}

#[tokio::test]
async fn an_unreachable_gateway_got_nothing() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let remote = Remote::start(config(url)).await.unwrap();
    let link = remote.link().borrow().clone();
    assert_eq!(link.state, LinkState::Unreachable);
    assert_eq!(link.error.as_deref(), Some(wording::GATEWAY_DOWN));
    let answer = remote.send(&message(FRIEND, 7, "Halo")).await;
    assert!(matches!(answer, Err(SendError::NotConnected(_))), "{answer:?}");
    let restarted = remote.restart().await;
    assert!(matches!(restarted, Err(GatewayError::Unavailable(_))), "{restarted:?}");
}

#[tokio::test]
async fn a_break_after_the_request_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Read something, answer nothing.
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let remote = Remote::start(config(url)).await.unwrap();
    let answer = remote.send(&message(FRIEND, 7, "Halo")).await;
    assert!(matches!(answer, Err(SendError::Unknown(_))), "{answer:?}");
}

#[tokio::test]
async fn the_link_follows_the_gateway() {
    let (foreign, remote) = Foreign::start().await;
    let link = remote.link().borrow().clone();
    assert_eq!((link.state, link.phone.as_deref()), (LinkState::Connected, Some("6281299990000")));

    foreign.set_status(json!({"ready": false, "phone": null, "hasQR": true, "error": null}));
    let link = until(&remote, "a QR code", |link| link.qr_png.is_some()).await;
    assert_eq!(link.state, LinkState::NotLinked);
    assert_eq!(link.qr_png.as_deref(), Some("data:image/png;base64,QQ=="));

    let error = "Disconnected: NAVIGATION";
    foreign.set_status(json!({"ready": false, "phone": null, "hasQR": false, "error": error}));
    let link = until(&remote, "an error", |link| link.error.is_some()).await;
    assert_eq!((link.state, link.error.as_deref()), (LinkState::NotLinked, Some(error)));
}

#[tokio::test]
async fn a_restart_shows_at_once() {
    let (_foreign, remote) = Foreign::start().await;
    remote.restart().await.unwrap();
    assert_eq!(remote.link().borrow().state, LinkState::NotLinked);
}

#[tokio::test]
async fn only_http_addresses_are_accepted() {
    for url in ["", "localhost:3001", "ftp://localhost", "https://"] {
        assert!(Remote::start(config(url.into())).await.is_err(), "{url}");
    }
    let config = RemoteConfig { key: Some("a\nb".into()), ..config("http://127.0.0.1:1".into()) };
    assert!(Remote::start(config).await.is_err(), "a key of two lines");
}

#[tokio::test]
async fn a_foreign_gateway_leaves_registration_unknown() {
    let (_foreign, remote) = Foreign::start().await;
    assert!(!remote.knows_ids());
    let limits = remote.limits().await;
    assert!(matches!(limits, Err(GatewayError::NotPossible(_))), "{limits:?}");
}
