//! What every endpoint has in common: who may ask, and what is answered when something is wrong.

use crate::harness::database::{SeedBilling, billing_file};
use crate::harness::ports::free_port;
use crate::harness::served::{Served, Setup, answer};
use kabari::store::BillingTarget;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes as they are and reads until the other side closes.
async fn raw(served: &Served, request: &str) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_as_json() {
    let served = Served::start().await;
    assert_eq!(served.get("/nowhere").await, (404, json!({"detail": "Not Found"})));
    assert_eq!(served.get("/api/notices/1/x").await, (404, json!({"detail": "Not Found"})));
    for (method, path) in
        [(Method::POST, "/"), (Method::DELETE, "/api/customers"), (Method::GET, "/api/send/phone")]
    {
        let (status, body) = answer(served.request(method, path)).await;
        assert_eq!((status, body), (405, json!({"detail": "Method Not Allowed"})), "{path}");
    }
    let invalid_text =
        answer(served.request(Method::POST, "/api/send/by-odp/%FF").body("{}")).await;
    assert_eq!(invalid_text.0, 404);
}

#[tokio::test]
async fn head_works_wherever_get_does() {
    let served = Served::start().await;
    for path in [
        "/",
        "/health",
        "/api/notices",
        "/api/notices/1",
        "/api/customers",
        "/api/campaigns",
        "/api/whatsapp/status",
        "/docs",
        "/redoc",
        "/openapi.json",
    ] {
        let response = served.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_slash_in_an_odp_reaches_its_customers() {
    let served = Served::start().await;
    let (status, report) =
        served.post("/api/send/by-odp/ODP%2F5", json!({"custom_message": "Halo {nama}"})).await;
    assert_eq!((status, &report["sent_count"]), (200, &json!(1)), "{report}");
    assert_eq!(
        served.gateway.take_delivered(),
        [("6281234567805".to_owned(), "Halo Garis".to_owned())]
    );
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_before_they_are_kept() {
    let served = Served::start().await;
    let body = format!(
        "{{\"phone\": \"081234567801\", \"message\": \"{}\"}}",
        "x".repeat(10 * 1024 * 1024)
    );
    let request =
        served.request(Method::POST, "/api/send/phone").header("content-type", "application/json");
    let (status, body) = answer(request.body(body)).await;
    assert_eq!(status, 413);
    assert!(body["detail"].as_str().unwrap().contains("terlalu besar"));
}

#[tokio::test]
async fn malformed_requests_are_answered_with_the_fault() {
    let served = Served::start().await;
    for (body, status) in [
        ("{", 422),
        ("null", 422),
        ("\"text\"", 422),
        ("[{}]", 422),
        (r#"{"message": "x", "customer_ids": "1"}"#, 422),
        (r#"{"message": ""}"#, 422),
        (r#"{"message": "x", "starts_at": "besok"}"#, 422),
        (&"[".repeat(100_000), 400),
    ] {
        let request = served
            .request(Method::POST, "/api/send/custom")
            .header("content-type", "application/json");
        let (answered, said) = answer(request.body(body.to_owned())).await;
        assert_eq!(answered, status, "{said}");
        assert!(said.get("detail").is_some());
    }
    let too_long = "x".repeat(65_537);
    let (status, said) =
        served.post("/api/send/phone", json!({"phone": "081234567801", "message": too_long})).await;
    assert_eq!((status, &said["detail"][0]["type"]), (422, &json!("string_too_long")));
    assert!(served.gateway.take_delivered().is_empty());
    let (_, campaigns) = served.get("/api/campaigns").await;
    assert_eq!(campaigns["campaigns"], json!([]));
}

#[tokio::test]
async fn a_link_that_waits_for_a_scan_says_so_in_the_words_of_the_replaced_system() {
    let served = Served::start().await;
    served.gateway.enter("qr-pending", None);
    let (_, status) = served.get("/api/whatsapp/status").await;
    assert_eq!(status["message"], "WhatsApp belum login. Scan QR code di /api/whatsapp/qr");
    assert_eq!((&status["connected"], &status["qr_code"]), (&json!(false), &Value::Null));
    let (_, connect) = served.post("/api/whatsapp/connect", json!({})).await;
    let message = "WhatsApp belum login. Silakan scan QR code di /api/whatsapp/qr";
    assert_eq!(connect, json!({"success": false, "message": message}));
    let (_, qr) = served.get("/api/whatsapp/qr").await;
    assert!(qr["qr"].as_str().unwrap().starts_with("data:image/png;base64,"), "{qr}");
}

#[tokio::test]
async fn a_long_list_of_faults_is_answered_in_short() {
    let served = Served::start().await;
    let nulls = vec![Value::Null; 800_000];
    let request = served.request(Method::POST, "/api/send/custom");
    let response = request.json(&json!({"message": "x", "customer_ids": nulls}));
    let (status, said) = answer(response).await;
    assert_eq!(status, 422);
    assert_eq!(said["detail"].as_array().map(Vec::len), Some(100));
}

#[tokio::test]
async fn a_billing_database_that_is_down_is_named_with_what_to_do() {
    let target = BillingTarget::MySql {
        host: "127.0.0.1".to_owned(),
        port: free_port(),
        database: "pembayaran".to_owned(),
        username: "kabari".to_owned(),
        password: String::new(),
    };
    let served = Served::with(Setup { billing: Some(target), ..Setup::default() }).await;
    // At once: each waits until the database has had its time.
    let (notices, notice, customers, send) = tokio::join!(
        served.get("/api/notices"),
        served.get("/api/notices/1"),
        served.get("/api/customers"),
        served.post("/api/send/custom", json!({"message": "x"})),
    );
    for (status, body) in [notices, notice, customers, send] {
        assert_eq!(status, 503, "{body}");
        assert!(body["detail"].as_str().unwrap().contains("DB_HOST"), "{body}");
    }
    let (status, health) = served.get("/health").await;
    assert_eq!((status, &health["status"]), (503, &json!("unhealthy")));
    assert_eq!(health["state_database"], "connected");
    // What needs no customers still works.
    let (status, report) =
        served.post("/api/send/phone", json!({"phone": "081234567801", "message": "x"})).await;
    assert_eq!((status, &report["success"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_missing_column_is_named() {
    let directory = TempDir::new().unwrap();
    let sql =
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, phone TEXT, is_active INTEGER)";
    let target = billing_file(&directory, sql).await;
    let served = Served::with(Setup { billing: Some(target), ..Setup::default() }).await;
    let (status, body) = served.get("/api/customers").await;
    assert_eq!(status, 503);
    assert!(body["detail"].as_str().unwrap().contains("odp"), "{body}");
    let (_, health) = served.get("/health").await;
    let said = health["database"].as_str().unwrap();
    assert!(said.contains("customers.odp") && said.contains("network_notices"), "{said}");
}

#[tokio::test]
async fn a_list_of_many_customers_is_complete() {
    let billing = SeedBilling::create().await;
    let row = |id| format!("({id}, 'Pelanggan {id}', '0812{id:08}', 'ODP-1')");
    let rows: Vec<_> = (1..=10_000).map(row).collect();
    let insert = format!("INSERT INTO customers (id, name, phone, odp) VALUES {}", rows.join(", "));
    billing.database.execute(format!("DELETE FROM customers; {insert}")).await;
    let served = Served::as_recorded(&billing).await;
    let (status, customers) = served.get("/api/customers").await;
    let ids: Vec<_> = customers
        .as_array()
        .unwrap()
        .iter()
        .map(|customer| customer["id"].as_i64().unwrap())
        .collect();
    assert_eq!((status, ids), (200, (1..=10_000).collect()));
}

#[tokio::test]
async fn without_a_key_only_this_machine_is_served() {
    let served = Served::start().await;
    let foreign = raw(
        &served,
        "GET /api/customers HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    assert!(foreign.contains("API_KEY") && !foreign.contains("Budi"), "{foreign}");
    let own =
        raw(&served, "GET /api/customers HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await;
    assert!(own.starts_with("HTTP/1.1 200") && own.contains("Budi"), "{own}");
}

#[tokio::test]
async fn with_a_key_everything_but_health_and_documentation_asks_for_it() {
    let mut setup = Setup::default();
    setup.settings.api_key = Some("rahasia".to_owned());
    let served = Served::with(setup).await;
    for path in ["/", "/health", "/docs", "/openapi.json"] {
        assert_eq!(served.request(Method::GET, path).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/api/customers", "/api/campaigns", "/api/whatsapp/qr", "/nowhere"] {
        let response = served.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 401, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let with_key = served.request(Method::GET, path).header("x-api-key", "rahasia");
        assert_ne!(with_key.send().await.unwrap().status(), 401, "{path}");
        let wrong = served.request(Method::GET, path).bearer_auth("rahasiA");
        assert_eq!(wrong.send().await.unwrap().status(), 401, "{path}");
    }
    let body = served.request(Method::GET, "/api/notices").bearer_auth("rahasia");
    let (status, notices): (u16, Value) = answer(body).await;
    assert_eq!((status, notices[0]["title"].as_str()), (200, Some("Kabel putus")));
}
