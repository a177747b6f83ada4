//! The control API over HTTP.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wa_sim::{Config, Simulator};

use crate::client::{FRIEND, OWN, TestClient};

/// One request, as any program makes it: status and body. HTTP/1.0, so that nothing is chunked.
pub async fn request(address: SocketAddr, method: &str, path: &str, body: Value) -> (u16, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nhost: sim\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The same, with a JSON answer.
async fn http(simulator: &Simulator, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, body) = request(simulator.addr(), method, path, body).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_whole_conversation_over_http() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::new(&simulator).await;
    let scan = json!({ "qr": client.qr().await, "phone": OWN });
    let (status, linked) = http(&simulator, "POST", "/control/scan", scan).await;
    assert_eq!((status, &linked["device"]), (200, &json!(1)));
    client.connected().await;

    let settings = json!({ "registered": true, "receipts": "delivered", "passkey": false });
    let path = format!("/control/numbers/{FRIEND}");
    assert_eq!(http(&simulator, "PUT", &path, settings.clone()).await, (200, settings));
    client.send(FRIEND, "3EB0000000000010", "lewat http").await;
    client.receipt("3EB0000000000010", "Delivered").await;
    let path = format!("/control/messages?to={FRIEND}");
    let (status, messages) = http(&simulator, "GET", &path, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(messages[0]["id"], "3EB0000000000010");
    assert_eq!(messages[0]["from"], OWN);
    assert_eq!(messages[0]["text"], "lewat http");
    assert_eq!(messages[0]["copies"], 1);

    let write = json!({ "from": FRIEND, "to": OWN, "text": "halo juga" });
    let (status, written) = http(&simulator, "POST", "/control/messages", write).await;
    assert_eq!(status, 200);
    assert_eq!(client.text("halo juga").await, written["id"].as_str().unwrap());
    let (_, accounts) = http(&simulator, "GET", "/control/accounts", Value::Null).await;
    assert_eq!(accounts.as_array().unwrap().len(), 2);
    let violations = http(&simulator, "GET", "/control/violations", Value::Null).await;
    assert_eq!(violations, (200, json!([])));
}

#[tokio::test]
async fn faults_time_limits_and_the_ledger_over_http() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    let rules = json!([{
        "match": { "stanza": "message", "to": FRIEND },
        "action": { "late_ack": { "ms": 60_000 } },
        "times": 1
    }]);
    let (status, kept) = http(&simulator, "PUT", "/control/faults", rules).await;
    assert_eq!((status, &kept[0]["action"]["late_ack"]["ms"]), (200, &json!(60_000)));
    client.send(FRIEND, "3EB0000000000011", "sabar").await;
    client.receipt("3EB0000000000011", "Read").await;
    let (_, before) = http(&simulator, "GET", "/control/time", Value::Null).await;
    let turn = json!({ "advance_ms": 60_000 });
    let (_, after) = http(&simulator, "POST", "/control/time", turn).await;
    assert!(after["now"].as_u64().unwrap() >= before["now"].as_u64().unwrap() + 60_000);
    assert_eq!(client.ack("3EB0000000000011").await, None);

    let path = format!("/control/limits/{OWN}");
    let limits = json!({ "reachout_until": 4_000_000_000_u64 });
    assert_eq!(http(&simulator, "PUT", &path, limits).await.0, 200);
    client.send("6281200000002", "3EB0000000000012", "orang asing").await;
    assert_eq!(client.ack("3EB0000000000012").await.as_deref(), Some("463"));

    let (status, ledger) =
        request(simulator.addr(), "GET", "/control/ledger?after=1", Value::Null).await;
    assert_eq!(status, 200);
    let entries: Vec<Value> =
        ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len() + 1, simulator.ledger(0).len());
    let last = entries.last().unwrap();
    assert_eq!((&last["outcome"], &last["error"]), (&json!("refused"), &json!(463)));
}

#[tokio::test]
async fn the_root_key_over_http() {
    let simulator = Simulator::start(Config { seed: 7, ..Config::default() }).await.unwrap();
    let digits: String = simulator.root().iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = http(&simulator, "GET", "/control/root", Value::Null).await;
    assert_eq!(answer, (200, json!({ "public_key": digits })));
    let other = Simulator::start(Config { seed: 8, ..Config::default() }).await.unwrap();
    assert_ne!(simulator.root(), other.root());
}

#[tokio::test]
async fn bad_input_is_answered_with_what_to_do() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let unregistered = json!({ "from": OWN, "to": "6281200000009", "text": "x" });
    let cases = [
        ("POST", "/control/scan", json!({ "qr": "x", "phone": OWN }), 400),
        ("POST", "/control/scan", json!({ "phone": OWN }), 400),
        ("POST", "/control/pair", json!({ "code": "ABCD1234", "phone": OWN }), 404),
        ("PUT", "/control/numbers/abc", json!({}), 400),
        ("PUT", "/control/numbers/62812345678", json!({ "receipts": "maybe" }), 400),
        ("POST", "/control/messages", unregistered, 409),
        ("PUT", "/control/faults", json!([{ "action": "explode" }]), 400),
        ("POST", "/control/accounts/6281200000001/reinstall", json!({}), 404),
        ("POST", "/control/accounts/6281200000001/explode", json!({}), 404),
        ("POST", "/control/accounts/6281200000001/offline", json!({}), 400),
    ];
    for (method, path, body, expected) in cases {
        let (status, answer) = http(&simulator, method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.len() > 10, "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn an_account_is_given_a_passkey_that_answers() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let options = json!({ "challenge": "Y2hhbGxlbmdl", "rpId": "whatsapp.com" });
    let question = json!({ "phone": OWN, "options": options });
    let ask = || http(&simulator, "POST", "/control/passkey", question.clone());
    assert_eq!(ask().await.0, 409);
    let path = format!("/control/numbers/{OWN}");
    let (_, number) = http(&simulator, "PUT", &path, json!({ "passkey": true })).await;
    assert_eq!(number, json!({ "registered": true, "receipts": "read", "passkey": true }));
    let (status, assertion) = ask().await;
    assert_eq!((status, &assertion["type"]), (200, &json!("public-key")));
    let code = json!({ "phone": OWN, "code": "ABCD-1234" });
    assert_eq!(http(&simulator, "POST", "/control/passkey/code", code).await.0, 409);
}
