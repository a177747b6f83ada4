//! The contract of :3001, as it was recorded from the gateway that kabari replaces.

use super::Api;
use kabari_domain::{Timestamp, wording};
use kabari_gateway::{Link, LinkState, SendError};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

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
    let api = Api::connected().await;
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
    let api = Api::connected().await;
    api.behind.enter("starting-no-qr", None);
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
    let api = Api::connected().await;
    api.behind.enter("qr-pending", Some("data:image/png;base64,AA=="));
    assert_answer(api.get("/status").await, 200, json!({"ready": false, "hasQR": true}));
    assert_answer(
        api.get("/qr").await,
        200,
        json!({"success": true, "qr": "data:image/png;base64,AA=="}),
    );
}

#[tokio::test]
async fn one_message() {
    let api = Api::connected().await;
    assert_answer(
        api.post("/send", json!({"phone": 81234567801_u64, "message": "x"})).await,
        200,
        json!({"success": true, "phone": "6281234567801", "message": "Pesan berhasil terkirim"}),
    );
    assert_eq!(api.behind.take_delivered(), [("6281234567801".into(), "x".into())]);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent() {
    let api = Api::connected().await;
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
    assert_eq!(api.behind.take_delivered(), []);
}

#[tokio::test]
async fn a_bulk_send() {
    let api = Api::connected().await;
    let stub_error = "Evaluation failed: stub send error";
    api.behind.fail("62815000000027", SendError::Permanent(stub_error.into()));
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
    assert_eq!(api.behind.take_delivered(), delivered.map(|(to, text)| (to.into(), text.into())));
}

#[tokio::test]
async fn a_bulk_send_pauses_only_between_messages() {
    const PAUSE: Duration = Duration::from_millis(400);
    let api = Api::connected().await;
    let recipients: Vec<_> =
        (1..=3).map(|last| json!({"phone": format!("08123456780{last}")})).collect();
    let begun = Instant::now();
    let pause = u64::try_from(PAUSE.as_millis()).unwrap();
    let body = json!({"recipients": recipients, "message": "x", "delay": pause});
    assert_answer(api.post("/send-bulk", body).await, 200, json!({"sent": 3}));
    assert!(begun.elapsed() >= PAUSE * 2);
}

#[tokio::test]
async fn a_number_gets_a_bulk_send_once() {
    let api = Api::connected().await;
    let recipients = json!([{"phone": "081234567801"}, {"phone": "+62 812-3456-7801"}]);
    let body = json!({"recipients": recipients, "message": "x"});
    let (_, report) = api.post("/send-bulk", body).await;
    assert_eq!((&report["sent"], &report["failed"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(report["results"][1]["error"], wording::DUPLICATE_NUMBER);
    assert_eq!(api.behind.take_delivered().len(), 1);
}

#[tokio::test]
async fn a_bulk_send_without_its_parameters() {
    let api = Api::connected().await;
    for body in [json!({"recipients": {"a": 1}, "message": "x"}), json!({})] {
        let error = "Parameter recipients (array) dan message diperlukan";
        let expected = json!({"success": false, "error": error});
        assert_answer(api.post("/send-bulk", body).await, 400, expected);
    }
}

#[tokio::test]
async fn commands() {
    let api = Api::connected().await;
    let restarting = json!({"success": true, "message": "WhatsApp sedang direstart"});
    assert_answer(api.post("/restart", json!({})).await, 200, restarting);
    let logged_out = json!({"success": true, "message": "Berhasil logout"});
    assert_answer(api.post("/logout", json!({})).await, 200, logged_out);
}

#[tokio::test]
async fn what_is_not_part_of_the_contract() {
    let api = Api::connected().await;
    assert_answer(api.get("/nothing").await, 404, json!({"detail": "Not Found"}));
    assert_answer(api.get("/send").await, 405, json!({"detail": "Method Not Allowed"}));
    assert_answer(api.post_text("/send", "{".into()).await, 400, json!({"success": false}));
    let large = "x".repeat(3 * 1024 * 1024);
    assert_answer(api.post_text("/send", large).await, 413, json!({"success": false}));
    let head = api.request(Method::HEAD, "/status").send().await.unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn a_trouble_that_is_not_the_missing_phone_has_other_words() {
    let link = Link {
        state: LinkState::Banned { until: Timestamp(1_800_000_000_000) },
        error: Some(wording::BANNED.into()),
        ..Link::starting()
    };
    let api = Api::connected().await;
    api.behind.show(link);
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
async fn messages_that_are_asked_for_at_once_go_out_one_by_one() {
    const DELAY: Duration = Duration::from_millis(100);
    let api = Api::with(|settings| settings.pace.delay = DELAY).await;
    let begun = Instant::now();
    let send = |last: u8, id: Value| {
        let phone = format!("628123456780{last}");
        api.post("/send", json!({"phone": phone, "message": "x", "message_id": id}))
    };
    let bulk = json!({"recipients": [{"phone": "081234567804"}], "message": "x", "delay": 0});
    tokio::join!(
        send(1, json!("3EB0AA")),
        send(2, json!("3EB0BB")),
        send(3, Value::Null),
        api.post("/send-bulk", bulk),
    );
    assert_eq!(api.behind.take_delivered().len(), 4);
    assert!(begun.elapsed() >= DELAY * 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_send_waits_for_a_connection_that_is_being_made() {
    let api = Api::connected().await;
    api.behind.enter("disconnected", None);
    let sending = api.post("/send", json!({"phone": "081234567801", "message": "x"}));
    let connecting = async {
        // Its second answer comes after the send has begun to wait.
        for _ in 0..2 {
            assert_eq!(api.get("/status").await.1["ready"], false);
        }
        api.behind.enter("connected", None);
    };
    let (answer, ()) = tokio::join!(sending, connecting);
    assert_answer(answer, 200, json!({"success": true}));
}
