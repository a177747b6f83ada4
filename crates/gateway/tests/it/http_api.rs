//! The contract of :3001, as it was recorded from the gateway that kabari replaces.

use crate::scripted::{Scripted, serve};
use kabari_domain::{Timestamp, wording};
use kabari_gateway::{Gateway, Link, LinkState, SendError, http_api};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(40);

struct Api {
    gateway: Arc<Scripted>,
    url: String,
}

impl Api {
    async fn new(gateway: Arc<Scripted>) -> Api {
        let url = serve(http_api::router(gateway.clone() as Arc<dyn Gateway>, PAUSE)).await;
        Api { gateway, url }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(reqwest::Client::new().get(format!("{}{path}", self.url))).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.post_text(path, body.to_string()).await
    }

    async fn post_text(&self, path: &str, body: String) -> (u16, Value) {
        answer(reqwest::Client::new().post(format!("{}{path}", self.url)).body(body)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Asserts that the answer has all that is expected; more keys are allowed.
#[track_caller]
fn assert_answer(answer: (u16, Value), status: u16, expected: Value) {
    assert_eq!(answer.0, status, "{}", answer.1);
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(answer.1.get(key), Some(value), "{key} in {}", answer.1);
    }
}

#[tokio::test]
async fn connected() {
    let api = Api::new(Scripted::connected()).await;
    assert_answer(
        api.get("/status").await,
        200,
        json!({"ready": true, "phone": "6281299990000", "hasQR": false, "error": null}),
    );
    assert_answer(
        api.get("/qr").await,
        200,
        json!({"success": true, "message": "WhatsApp sudah terhubung", "phone": "6281299990000"}),
    );
}

#[tokio::test]
async fn starting() {
    let api =
        Api::new(Scripted::with(Link { state: LinkState::NotLinked, ..Link::starting() })).await;
    assert_answer(
        api.get("/status").await,
        200,
        json!({"ready": false, "phone": null, "hasQR": false, "error": null}),
    );
    assert_answer(
        api.get("/qr").await,
        200,
        json!({"success": false, "message": "QR Code belum tersedia, tunggu beberapa detik..."}),
    );
    assert_answer(
        api.post("/send", json!({})).await,
        503,
        json!({"success": false, "error": wording::NOT_LINKED}),
    );
    assert_answer(
        api.post("/send-bulk", json!({})).await,
        503,
        json!({"success": false, "error": "WhatsApp belum siap"}),
    );
}

#[tokio::test]
async fn a_qr_waits() {
    let api = Api::new(Scripted::with(Link {
        state: LinkState::NotLinked,
        qr: Some("2@x".into()),
        qr_png: Some("data:image/png;base64,AA==".into()),
        ..Link::starting()
    }))
    .await;
    assert_answer(api.get("/status").await, 200, json!({"ready": false, "hasQR": true}));
    assert_answer(
        api.get("/qr").await,
        200,
        json!({"success": true, "qr": "data:image/png;base64,AA=="}),
    );
}

#[tokio::test]
async fn one_message() {
    let api = Api::new(Scripted::connected()).await;
    assert_answer(
        api.post("/send", json!({"phone": 81234567801_u64, "message": "x"})).await,
        200,
        json!({"success": true, "phone": "6281234567801", "message": "Pesan berhasil terkirim"}),
    );
    assert_eq!(api.gateway.delivered(), [("6281234567801".into(), "x".into())]);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent() {
    let api = Api::new(Scripted::connected()).await;
    for phone in ["0", "0812"] {
        assert_answer(
            api.post("/send", json!({"phone": phone, "message": "x"})).await,
            200,
            json!({"success": false, "phone": phone, "error": "Nomor telepon tidak valid"}),
        );
    }
    assert_answer(
        api.post("/send", json!({"phone": "081234567819", "message": "x"})).await,
        200,
        json!({"success": false, "phone": "6281234567819", "error": wording::NOT_REGISTERED}),
    );
    for body in [json!({}), json!({"phone": "081234567801"}), json!({"message": "x"}), json!(7)] {
        assert_answer(api.post("/send", body).await, 400, json!({"success": false}));
    }
    let with_id = json!({"phone": "081234567801", "message": "x", "message_id": "a b"});
    assert_answer(api.post("/send", with_id).await, 400, json!({"success": false}));
    assert_eq!(api.gateway.delivered(), []);
}

#[tokio::test]
async fn the_message_id_of_the_caller_is_used_on_every_repeat() {
    let api = Api::new(Scripted::connected()).await;
    let body = json!({"phone": "6591234568", "message": "x", "message_id": "3EB0AA"});
    for _ in 0..2 {
        assert_answer(api.post("/send", body.clone()).await, 200, json!({"success": true}));
    }
    let sent = api.gateway.sent.lock().unwrap().clone();
    let expected = ("3EB0AA".to_owned(), "6591234568".to_owned(), "x".to_owned());
    assert_eq!(sent, [expected.clone(), expected]);
    assert_eq!(api.gateway.checks.lock().unwrap().len(), 1, "the answer is remembered");
}

#[tokio::test]
async fn a_bulk_send() {
    let api = Api::new(Scripted::connected()).await;
    let stub_error = "Evaluation failed: stub send error";
    api.gateway.fail("62815000000027", SendError::Permanent(stub_error.into()));
    let body = json!({
        "recipients": [
            {"phone": "081234567801", "name": "A"},
            {"phone": "081234567819", "name": "B"},
            {"phone": "0", "name": "C"},
            {"phone": "0815000000027", "name": "D"},
            {"phone": "081234567802"},
        ],
        "message": "Hai {nama}/{name}",
        "delay": 0,
    });
    let result = |phone: &str, name: &str, error: Option<&str>| {
        let success = error.is_none();
        json!({"phone": phone, "customer_name": name, "success": success, "error": error})
    };
    assert_answer(
        api.post("/send-bulk", body).await,
        200,
        json!({
            "success": true, "total": 5, "sent": 2, "failed": 3,
            "results": [
                result("6281234567801", "A", None),
                result("6281234567819", "B", Some("Nomor tidak terdaftar di WhatsApp")),
                result("0", "C", Some("Nomor tidak valid atau 0")),
                result("0815000000027", "D", Some(stub_error)),
                result("6281234567802", "Pelanggan", None),
            ],
        }),
    );
    let delivered = [("6281234567801", "Hai A/A"), ("6281234567802", "Hai Pelanggan/Pelanggan")];
    assert_eq!(api.gateway.delivered(), delivered.map(|(to, text)| (to.into(), text.into())));
    assert_eq!(api.gateway.checks.lock().unwrap().len(), 1, "one question for all numbers");
}

#[tokio::test]
async fn a_bulk_send_pauses_only_between_messages() {
    let api = Api::new(Scripted::connected()).await;
    let recipients: Vec<_> =
        (1..=3).map(|last| json!({"phone": format!("08123456780{last}")})).collect();
    let begun = Instant::now();
    let body = json!({"recipients": recipients, "message": "x"});
    assert_answer(api.post("/send-bulk", body).await, 200, json!({"sent": 3}));
    assert!(begun.elapsed() >= PAUSE * 2);
}

#[tokio::test]
async fn a_bulk_send_without_its_parameters() {
    let api = Api::new(Scripted::connected()).await;
    for body in [json!({"recipients": {"a": 1}, "message": "x"}), json!({})] {
        let error = "Parameter recipients (array) dan message diperlukan";
        let expected = json!({"success": false, "error": error});
        assert_answer(api.post("/send-bulk", body).await, 400, expected);
    }
}

#[tokio::test]
async fn commands() {
    let api = Api::new(Scripted::connected()).await;
    let restarting = json!({"success": true, "message": "WhatsApp sedang direstart"});
    assert_answer(api.post("/restart", json!({})).await, 200, restarting);
    assert_answer(api.post("/logout", json!({})).await, 503, json!({"success": false}));
}

#[tokio::test]
async fn what_is_not_part_of_the_contract() {
    let api = Api::new(Scripted::connected()).await;
    assert_answer(api.get("/nothing").await, 404, json!({"detail": "Not Found"}));
    assert_answer(api.get("/send").await, 405, json!({"detail": "Method Not Allowed"}));
    assert_answer(api.post_text("/send", "{".into()).await, 400, json!({"success": false}));
    let large = "x".repeat(3 * 1024 * 1024);
    assert_answer(api.post_text("/send", large).await, 413, json!({"success": false}));
    let head = reqwest::Client::new().head(format!("{}/status", api.url)).send().await.unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn a_trouble_that_is_not_the_missing_phone_has_other_words() {
    let link = Link {
        state: LinkState::Banned { until: Timestamp(1_800_000_000_000) },
        error: Some(wording::BANNED.into()),
        ..Link::starting()
    };
    let api = Api::new(Scripted::with(link)).await;
    let (status, answer) =
        api.post("/send", json!({"phone": "081234567801", "message": "x"})).await;
    assert_eq!(status, 503);
    assert!(!answer["error"].as_str().unwrap().contains("belum siap"), "{answer}");
    assert_answer(
        api.get("/status").await,
        200,
        json!({"ready": false, "state": "banned", "until": 1_800_000_000_000_u64}),
    );
}

#[tokio::test]
async fn a_send_waits_for_a_connection_that_is_being_made() {
    let gateway = Scripted::connected();
    let connected = gateway.link.borrow().clone();
    gateway.link.send_modify(|link| link.state = LinkState::Connecting);
    let api = Api::new(gateway.clone()).await;
    let sending = api.post("/send", json!({"phone": "081234567801", "message": "x"}));
    let connecting = async {
        // Only once somebody watches the link.
        while gateway.link.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        gateway.link.send_replace(connected);
    };
    let (answer, ()) = tokio::join!(sending, connecting);
    assert_answer(answer, 200, json!({"success": true}));
}
