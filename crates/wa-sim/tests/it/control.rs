use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wa_sim::{Config, Simulator};

use crate::client::{FRIEND, OWN, TestClient};

/// One request over HTTP, as any program makes it: status and JSON body.
async fn http(
    simulator: &Simulator,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(simulator.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_whole_conversation_over_http() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::new(&simulator).await;
    let scan = json!({ "qr": client.qr().await, "phone": OWN });
    let (status, linked) = http(&simulator, "POST", "/control/scan", Some(scan)).await;
    assert_eq!((status, &linked["device"]), (200, &json!(1)));
    client.connected().await;

    let settings = json!({ "registered": true, "receipts": "delivered" });
    let path = format!("/control/numbers/{FRIEND}");
    assert_eq!(http(&simulator, "PUT", &path, Some(settings.clone())).await, (200, settings));
    client.send(FRIEND, "3EB0000000000010", "lewat http").await;
    client.receipt("3EB0000000000010", "Delivered").await;
    let (status, messages) =
        http(&simulator, "GET", &format!("/control/messages?to={FRIEND}"), None).await;
    assert_eq!(status, 200);
    assert_eq!(messages[0]["id"], "3EB0000000000010");
    assert_eq!(messages[0]["from"], OWN);
    assert_eq!(messages[0]["text"], "lewat http");
    assert_eq!(messages[0]["copies"], 1);

    let write = json!({ "from": FRIEND, "to": OWN, "text": "halo juga" });
    let (status, written) = http(&simulator, "POST", "/control/messages", Some(write)).await;
    assert_eq!(status, 200);
    assert_eq!(client.text("halo juga").await, written["id"].as_str().unwrap());
    let (_, accounts) = http(&simulator, "GET", "/control/accounts", None).await;
    assert_eq!(accounts.as_array().unwrap().len(), 2);
    assert_eq!(http(&simulator, "GET", "/control/violations", None).await, (200, json!([])));
}

#[tokio::test]
async fn bad_input_is_answered_with_what_to_do() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let cases = [
        ("POST", "/control/scan", json!({ "qr": "x", "phone": OWN }), 400),
        ("POST", "/control/scan", json!({ "phone": OWN }), 400),
        ("POST", "/control/pair", json!({ "code": "ABCD1234", "phone": OWN }), 404),
        ("PUT", "/control/numbers/abc", json!({}), 400),
        ("PUT", "/control/numbers/62812345678", json!({ "receipts": "maybe" }), 400),
        (
            "POST",
            "/control/messages",
            json!({ "from": OWN, "to": "6281200000009", "text": "x" }),
            409,
        ),
        ("PUT", "/control/faults", json!([{ "action": "explode" }]), 400),
        ("POST", "/control/accounts/6281200000001/reinstall", json!({}), 404),
    ];
    for (method, path, body, expected) in cases {
        let (status, answer) = http(&simulator, method, path, Some(body)).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(
            answer["error"].as_str().is_some_and(|error| error.len() > 10),
            "{method} {path}: {answer}"
        );
    }
}
