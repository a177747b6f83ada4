//! The recorded exchanges of the replaced system, against ours.

use crate::harness::database::SeedBilling;
use crate::harness::gateway::OurGateway;
use crate::harness::scripted_gateway::ScriptedGateway;
use crate::harness::served::Served;
use kabari_gateway::http;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

const RECORDED: &str = include_str!("../../seed/contract.jsonl");

/// The exchanges that are not answered as recorded, with what is answered instead and why. The
/// reasons are those of the seed's table "What we do differently on purpose".
fn difference(case: u64) -> Option<(&'static str, Value, Vec<&'static str>)> {
    const SAME_NUMBER: &str =
        "two customers with the same number both get it: here one message per number per send";
    let duplicates = || {
        json!({
            "success": true, "message": "Notifikasi berhasil diproses untuk 2 pelanggan",
            "total_customers": 2, "sent_count": 1, "failed_count": 0, "skipped_count": 1,
            "results": [
                {"phone": "+6281234567806", "customer_name": "Duplikat B", "success": false,
                 "error": "Nomor sama dengan pelanggan lain dalam pengiriman ini"},
                {"phone": "6281234567806", "customer_name": "Duplikat A", "success": true, "error": null},
            ]
        })
    };
    match case {
        101 => Some((
            "API and gateway normalize phones differently: here 0062… and 62 08… are read as +62",
            json!({
                "success": true, "message": "Notifikasi berhasil diproses untuk 5 pelanggan",
                "total_customers": 5, "sent_count": 4, "failed_count": 1, "skipped_count": 0,
                "results": [
                    {"phone": "6281234567823", "customer_name": "Mulai Delapan", "success": true, "error": null},
                    {"phone": "6281234567824", "customer_name": "Awalan 0062", "success": true, "error": null},
                    {"phone": "14155550125", "customer_name": "Amerika", "success": true, "error": null},
                    {"phone": "0815000000027", "customer_name": "Gagal Kirim", "success": false,
                     "error": "Evaluation failed: stub send error"},
                    {"phone": "6281234567832", "customer_name": "Enam Dua Nol Delapan", "success": true, "error": null},
                ]
            }),
            vec!["6281234567823", "6281234567824", "14155550125", "6281234567832"],
        )),
        103 | 106 => Some((SAME_NUMBER, duplicates(), vec!["6281234567806"])),
        _ => None,
    }
}

#[tokio::test]
async fn every_recorded_exchange_of_the_api_is_answered_as_recorded() {
    let billing = SeedBilling::create().await;
    let served = Served::as_recorded(&billing).await;
    let mut faults = Vec::new();
    for recorded in exchanges("api") {
        served.gateway.enter(recorded["state"].as_str().unwrap(), None);
        faults.extend(fault(&served.client, served.address, &served.gateway, &recorded).await);
    }
    assert!(faults.is_empty(), "{} exchanges differ:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn every_recorded_exchange_of_the_gateway_is_answered_as_recorded() {
    let gateway = Arc::new(ScriptedGateway::connected());
    let ours = OurGateway::before(gateway.clone()).await;
    let client = http::client("http:").build().unwrap();
    let mut faults = Vec::new();
    for recorded in exchanges("gateway") {
        gateway.enter(recorded["state"].as_str().unwrap(), recorded["body"]["qr"].as_str());
        faults.extend(fault(&client, ours.address, &gateway, &recorded).await);
    }
    assert!(faults.is_empty(), "{} exchanges differ:\n{}", faults.len(), faults.join("\n"));
}

fn exchanges(target: &str) -> Vec<Value> {
    let all = RECORDED.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found: Vec<_> = all.filter(|recorded| recorded["target"] == target).collect();
    assert!(!found.is_empty());
    found
}

/// What is wrong with our answer to one recorded request.
async fn fault(
    client: &Client,
    address: SocketAddr,
    gateway: &ScriptedGateway,
    recorded: &Value,
) -> Option<String> {
    let request = &recorded["request"];
    let method: Method = request["method"].as_str().unwrap().parse().unwrap();
    let url = format!("http://{address}{}", request["path"].as_str().unwrap());
    let mut builder = client.request(method, url);
    for (name, value) in request["headers"].as_object().unwrap() {
        builder = builder.header(name, value.as_str().unwrap());
    }
    if let Some(body) = request["body"].as_str() {
        builder = builder.body(as_sent(body));
    }
    let response = builder.send().await.unwrap();
    let status = u64::from(response.status().as_u16());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let delivered = gateway.take_delivered();

    let case = recorded["case"].as_u64().unwrap();
    let recorded_messages = || {
        let messages = recorded["delivered"].as_array().into_iter().flatten();
        messages
            .map(|m| (m["to"].as_str().unwrap().to_owned(), m["text"].as_str().unwrap().to_owned()))
            .collect()
    };
    let (expected_body, delivered_as_expected) = match difference(case) {
        Some((_reason, body, numbers)) => {
            let to: Vec<_> = delivered.iter().map(|(to, _)| to.as_str()).collect();
            (body, to == numbers)
        }
        None => {
            let expected: Vec<(String, String)> = recorded_messages();
            (recorded["body"].clone(), delivered == expected)
        }
    };
    let matches = match status {
        422 => same_faults(&expected_body, &body),
        _ => includes(&body, &expected_body),
    };
    if recorded["status"] == status && matches && delivered_as_expected {
        return None;
    }
    Some(format!(
        "case {case} ({}): {} {}\n  expected {} {expected_body}\n  answered {status} {body}\n  delivered {delivered:?}",
        recorded["name"], request["method"], request["path"], recorded["status"]
    ))
}

/// The recording shows a byte that was not UTF-8 as U+FFFD.
fn as_sent(body: &str) -> Vec<u8> {
    let parts: Vec<_> = body.split('\u{fffd}').map(str::as_bytes).collect();
    parts.join(&0xE9)
}

/// Whether everything expected is there; objects may have more keys.
fn includes(body: &Value, expected: &Value) -> bool {
    match (body, expected) {
        (Value::Object(body), Value::Object(expected)) => expected
            .iter()
            .all(|(key, expected)| body.get(key).is_some_and(|value| includes(value, expected))),
        (Value::Array(body), Value::Array(expected)) => {
            body.len() == expected.len() && body.iter().zip(expected).all(|(a, b)| includes(a, b))
        }
        (body, expected) => body == expected,
    }
}

/// Whether the same fields are found wrong for the same reason.
fn same_faults(body: &Value, expected: &Value) -> bool {
    let faults = |body: &Value| -> Vec<(Value, Value)> {
        let details = body["detail"].as_array().into_iter().flatten();
        details.map(|fault| (fault["type"].clone(), fault["loc"].clone())).collect()
    };
    !faults(body).is_empty() && faults(body) == faults(expected)
}
