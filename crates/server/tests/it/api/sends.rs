//! Sends: waiting, not waiting, repeating, stopping.

use crate::harness::database::{billing_file, execute_on_file};
use crate::harness::served::{PATIENCE, SMALL_BILLING, Served, Setup, answer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const MESSAGE: &str = "Halo {nama}";

fn to_odp_1() -> Value {
    json!({"message": MESSAGE, "customer_ids": [1, 2, 3]})
}

/// Makes a campaign without waiting for it; answers its address.
async fn begin(served: &Served, body: Value) -> String {
    let request =
        served.request(Method::POST, "/api/send/custom").header("prefer", "respond-async");
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let campaign: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(campaign["links"]["self"], location);
    location
}

async fn completed(served: &Served, location: &str) -> Value {
    served.until(location, |campaign| campaign["status"] == "completed").await
}

#[tokio::test]
async fn a_caller_who_does_not_wait_is_told_where_to_look() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let location = begin(&served, to_odp_1()).await;
    let (_, running) = served.get(&location).await;
    assert_eq!((&running["status"], &running["total"]), (&json!("running"), &json!(3)));
    assert!(running["eta"].is_string(), "{running}");
    served.gateway.allow(2);
    let done = completed(&served, &location).await;
    assert_eq!(done["counts"], json!({"accepted": 2, "skipped": 1}));
    assert_eq!(done["eta"], Value::Null);

    let (_, first) = served.get(&format!("{location}/deliveries?limit=2")).await;
    let (_, second) = served.get(first["next"].as_str().unwrap()).await;
    let names = |page: &Value| -> Vec<String> {
        let rows = page["deliveries"].as_array().unwrap().iter();
        rows.map(|row| row["customer_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["Budi".into(), "=1+1".into()], vec!["Nol".into()])
    );
    assert_eq!(second["next"], Value::Null);
}

/// Reads from a connection until what came satisfies the condition.
async fn read_until(stream: &mut TcpStream, seen: &mut String, wanted: impl Fn(&str) -> bool) {
    let reading = async {
        let mut buffer = [0; 4096];
        while !wanted(seen) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the connection ended with {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    timeout(PATIENCE, reading).await.unwrap();
}

async fn post_raw(served: &Served, body: &Value) -> TcpStream {
    let body = body.to_string();
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request = format!(
        "POST /api/send/custom HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_long_send_answers_early_and_keeps_the_connection_with_white_space() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let mut stream = post_raw(&served, &to_odp_1()).await;
    let mut seen = String::new();
    read_until(&mut stream, &mut seen, |seen| seen.contains("\r\n\r\n")).await;
    assert!(seen.starts_with("HTTP/1.1 200") && seen.contains("application/json"), "{seen}");
    let head = seen.len();
    // One chunk with one blank.
    read_until(&mut stream, &mut seen, |seen| seen[head..].contains("1\r\n \r\n")).await;
    assert!(!seen.contains('{'));
    served.gateway.allow(2);
    read_until(&mut stream, &mut seen, |seen| seen.ends_with("0\r\n\r\n")).await;
    assert!(seen.contains(r#""sent_count":2"#), "{seen}");
}

#[tokio::test]
async fn a_short_send_answers_without_white_space() {
    let served = Served::start().await;
    let response =
        served.request(Method::POST, "/api/send/custom").json(&to_odp_1()).send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.starts_with('{') && text.ends_with('}'), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["results"][0]["customer_name"], "Nol", "skipped ones come first");
    assert_eq!(report["results"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_caller_who_leaves_changes_nothing_and_comes_back_for_the_report() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let with_key = || {
        let request = served.request(Method::POST, "/api/send/custom");
        request.header("idempotency-key", "pagi").json(&to_odp_1())
    };
    let waiting = tokio::spawn(with_key().send());
    served.until("/api/campaigns", |page| page["campaigns"][0]["status"] == "running").await;
    waiting.abort();
    served.gateway.allow(2);
    let (status, report) = answer(with_key()).await;
    assert_eq!((status, &report["sent_count"]), (200, &json!(2)));
    let (_, again) = answer(with_key()).await;
    assert_eq!(again, report);
    assert_eq!(served.gateway.take_delivered().len(), 2);
}

#[tokio::test]
async fn waiting_sends_do_not_block_other_requests() {
    const SENDS: usize = 30;
    let served = Served::start().await;
    served.gateway.hold_back();
    let mut waiting = Vec::new();
    for _ in 0..SENDS {
        waiting.push(post_raw(&served, &to_odp_1()).await);
    }
    let all = |page: &Value| page["campaigns"].as_array().is_some_and(|all| all.len() == SENDS);
    served.until("/api/campaigns", all).await;
    let (status, customers) = served.get("/api/customers").await;
    assert_eq!((status, customers.as_array().map(Vec::len)), (200, Some(6)));
    served.gateway.allow(2 * SENDS);
    for mut stream in waiting {
        let mut seen = String::new();
        read_until(&mut stream, &mut seen, |seen| seen.ends_with("0\r\n\r\n")).await;
        assert!(seen.contains(r#""sent_count":2"#), "{seen}");
    }
}

#[tokio::test]
async fn many_requests_with_one_key_make_one_campaign() {
    const REQUESTS: usize = 100;
    let served = Served::start().await;
    let send = |_| {
        let request = served.request(Method::POST, "/api/send/custom");
        answer(request.header("idempotency-key", "seratus").json(&to_odp_1()))
    };
    let answers = futures_util::future::join_all((0..REQUESTS).map(send)).await;
    let campaigns: HashSet<_> =
        answers.iter().map(|(_, report)| report["campaign_id"].as_i64()).collect();
    assert_eq!(campaigns.len(), 1);
    assert!(answers.iter().all(|(status, report)| *status == 200 && report["sent_count"] == 2));
    assert_eq!(served.gateway.take_delivered().len(), 2);

    let other =
        served.request(Method::POST, "/api/send/custom").header("idempotency-key", "seratus");
    let (status, body) = answer(other.json(&json!({"message": "lain", "customer_ids": [1]}))).await;
    assert_eq!(status, 422);
    assert_eq!(body["detail"][0]["loc"], json!(["header", "Idempotency-Key"]));
    assert!(served.gateway.take_delivered().is_empty());
}

#[tokio::test]
async fn a_repeat_needs_neither_the_notice_nor_the_billing_database() {
    let directory = TempDir::new().unwrap();
    let billing = Some(billing_file(&directory, SMALL_BILLING).await);
    let served = Served::with(Setup { billing, ..Setup::default() }).await;
    let with_key = |path: &str, body: Value| {
        let request = served.request(Method::POST, path);
        answer(request.header("idempotency-key", "ulang").json(&body))
    };
    let notice = json!({"notice_id": 1});
    let (status, first) = with_key("/api/send/notification", notice.clone()).await;
    assert_eq!((status, &first["sent_count"]), (200, &json!(2)));
    execute_on_file(&directory.path().join("billing.db"), "DROP TABLE network_notices").await;
    assert_eq!(served.get("/api/notices").await.0, 503);
    assert_eq!(with_key("/api/send/notification", notice.clone()).await, (200, first));
    assert_eq!(with_key("/api/send/by-odp/ODP-1", notice).await.0, 422, "another request");
    assert_eq!(served.gateway.take_delivered().len(), 2);
}

#[tokio::test]
async fn a_send_to_nobody_is_answered_in_the_words_of_the_replaced_system() {
    let served = Served::start().await;
    for (path, body, message) in [
        (
            "notification",
            json!({"notice_id": 1, "customer_ids": [999]}),
            "Tidak ada pelanggan yang perlu dikirim notifikasi",
        ),
        (
            "custom",
            json!({"message": "x", "customer_ids": [999]}),
            "Tidak ada pelanggan yang perlu dikirim pesan",
        ),
        ("by-odp/ODP-9", json!({"custom_message": "x"}), "Tidak ada pelanggan aktif di ODP ODP-9"),
    ] {
        let (status, report) = served.post(&format!("/api/send/{path}"), body).await;
        assert_eq!((status, report["message"].as_str()), (200, Some(message)), "{path}");
    }
}

#[tokio::test]
async fn a_double_click_is_refused_with_a_link_unless_it_is_meant() {
    let served = Served::start().await;
    let guarded = |more: Value| {
        let mut body = to_odp_1();
        body["duplicate_guard_seconds"] = json!(600);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (status, first) = served.post("/api/send/custom", guarded(json!({}))).await;
    assert_eq!(status, 200);
    let (status, refused) =
        served.post("/api/send/custom", guarded(json!({"customer_ids": [3, 2, 1]}))).await;
    assert_eq!((status, &refused["campaign"]), (409, &first["campaign"]), "{refused}");
    let (status, other) =
        served.post("/api/send/custom", guarded(json!({"customer_ids": [1]}))).await;
    assert_eq!(status, 200, "another audience: {other}");
    let (status, forced) = served.post("/api/send/custom", guarded(json!({"force": true}))).await;
    assert_eq!((status, &forced["sent_count"]), (200, &json!(2)));
    let (status, unguarded) = served.post("/api/send/custom", to_odp_1()).await;
    assert_eq!(status, 200, "the guard is off by default: {unguarded}");
}

#[tokio::test]
async fn the_default_duplicate_guard_comes_from_the_settings() {
    let mut setup = Setup::default();
    setup.settings.duplicate_guard = Duration::from_secs(600);
    let served = Served::with(setup).await;
    assert_eq!(served.post("/api/send/custom", to_odp_1()).await.0, 200);
    assert_eq!(served.post("/api/send/custom", to_odp_1()).await.0, 409);
}

#[tokio::test]
async fn a_dry_run_tells_everything_and_does_nothing() {
    let mut setup = Setup::default();
    setup.settings.pace.delay = Duration::from_secs(2);
    setup.settings.pace.jitter = Duration::from_secs(1);
    let served = Served::with(setup).await;
    let (status, forecast) =
        served.post("/api/send/notification", json!({"notice_id": 1, "dry_run": true})).await;
    assert_eq!(status, 200);
    assert_eq!((&forecast["total_customers"], &forecast["to_send"]), (&json!(3), &json!(2)));
    assert_eq!(forecast["duration_seconds"], 3, "one gap of 2 s and half of 1 s, rounded up");
    assert!(forecast["results"][0]["text"].as_str().unwrap().contains("Maaf, Budi."));
    assert_eq!(forecast["results"][2]["error"], "Nomor tidak valid atau 0");
    assert_eq!(forecast["limits"]["new_chats_left"], 40);
    let (_, campaigns) = served.get("/api/campaigns").await;
    assert_eq!(campaigns["campaigns"], json!([]));
    assert!(served.gateway.take_delivered().is_empty());
}

#[tokio::test]
async fn an_empty_list_of_customers_is_nobody() {
    let served = Served::start().await;
    let (status, report) =
        served.post("/api/send/custom", json!({"message": MESSAGE, "customer_ids": []})).await;
    assert_eq!((status, &report["total_customers"]), (200, &json!(0)));
    assert!(served.gateway.take_delivered().is_empty());
}

#[tokio::test]
async fn a_campaign_can_be_paused_resumed_and_cancelled() {
    let served = Served::with(Setup { dispatching: false, ..Setup::default() }).await;
    let location = begin(&served, to_odp_1()).await;
    let (status, paused) = served.post(&format!("{location}/pause"), json!({})).await;
    assert_eq!(
        (status, &paused["status"], &paused["pause_reason"]),
        (200, &json!("paused"), &json!("manual"))
    );
    assert_eq!(paused["eta"], Value::Null);
    let (_, resumed) = served.post(&format!("{location}/resume"), json!({})).await;
    assert_eq!(resumed["status"], "running");
    let (status, refused) = served.post(&format!("{location}/resume"), json!({})).await;
    assert_eq!(status, 409, "{refused}");
    let (_, cancelled) = served.post(&format!("{location}/cancel"), json!({})).await;
    assert_eq!(cancelled["counts"], json!({"cancelled": 2, "skipped": 1}));
    assert_eq!(served.post(&format!("{location}/pause"), json!({})).await.0, 409);
    assert_eq!(served.post("/api/campaigns/999/pause", json!({})).await.0, 404);
    assert_eq!(served.get("/api/campaigns/abc").await.0, 422);
    for limit in [0, 1001] {
        let (status, refused) = served.get(&format!("/api/campaigns?limit={limit}")).await;
        assert_eq!((status, &refused["detail"][0]["loc"][1]), (422, &json!("limit")));
    }
}

#[tokio::test]
async fn only_the_failed_are_retried_and_only_once() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let location = begin(&served, json!({"message": MESSAGE, "customer_ids": [1, 4]})).await;
    let (status, refused) = served.post(&format!("{location}/retry"), json!({})).await;
    assert_eq!(status, 409, "it has not ended: {refused}");
    served.gateway.allow(2);
    let done = completed(&served, &location).await;
    assert_eq!(done["counts"], json!({"accepted": 1, "failed": 1}));
    let (status, child) = served.post(&format!("{location}/retry"), json!({})).await;
    assert_eq!((status, &child["parent_id"], &child["total"]), (202, &done["id"], &json!(1)));
    let (_, again) = served.post(&format!("{location}/retry"), json!({})).await;
    assert_eq!(again["id"], child["id"]);

    let fine = begin(&served, json!({"message": MESSAGE, "customer_ids": [1]})).await;
    served.gateway.allow(1);
    completed(&served, &fine).await;
    assert_eq!(served.post(&format!("{fine}/retry"), json!({})).await.0, 409, "nothing failed");
}

#[tokio::test]
async fn the_csv_is_complete_and_has_no_formulas() {
    let served = Served::start().await;
    let location = begin(&served, to_odp_1()).await;
    completed(&served, &location).await;
    let response =
        served.request(Method::GET, &format!("{location}/report.csv")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    assert!(response.headers()["content-disposition"].to_str().unwrap().contains(".csv"));
    let text = response.text().await.unwrap();
    let lines: Vec<_> = text.trim_start_matches('\u{feff}').split("\r\n").collect();
    assert!(lines[0].starts_with("customer_id,customer_name,"));
    assert!(lines[1].starts_with("3,Nol,0,,skipped,"), "{}", lines[1]);
    assert!(lines[2].starts_with("1,Budi,081234567801,6281234567801,accepted,,"), "{}", lines[2]);
    assert!(lines[3].starts_with("2,'=1+1,"), "{}", lines[3]);
}

#[tokio::test]
async fn events_tell_the_progress_and_end_with_the_campaign() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let location = begin(&served, to_odp_1()).await;
    let mut response =
        served.request(Method::GET, &format!("{location}/events")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut seen = String::new();
    let reading = async {
        while let Some(chunk) = response.chunk().await.unwrap() {
            seen.push_str(&String::from_utf8_lossy(&chunk));
            if seen.matches("event: ").count() == 1 {
                assert!(seen.starts_with("event: state\ndata: {"), "{seen}");
                served.gateway.allow(2);
            }
        }
    };
    timeout(PATIENCE, reading).await.unwrap();
    let last = seen.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: state") && last.contains(r#""status":"completed""#), "{seen}");
}
