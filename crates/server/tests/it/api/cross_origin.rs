//! Calls of web pages, as far as their headers decide about them.

use crate::harness::served::{Served, Setup};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const BILLING: &str = "https://billing.example.net";

async fn served(key: Option<&str>) -> Served {
    let mut setup = Setup::default();
    setup.settings.api_key = key.map(str::to_owned);
    setup.settings.origins = BILLING.parse().unwrap();
    Served::with(setup).await
}

async fn request(
    served: &Served,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut request = served.request(method, path).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn preflights_of_allowed_pages_are_answered_without_a_key() {
    let served = served(Some("rahasia")).await;
    let asks = [
        ("origin", BILLING),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,idempotency-key"),
    ];
    let path = "/api/send/notification";
    let answer = request(&served, Method::OPTIONS, path, &asks, "").await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(BILLING));
    assert!(header(&answer, "access-control-allow-methods").unwrap().contains("POST"));
    let allowed = header(&answer, "access-control-allow-headers").unwrap();
    for name in ["content-type", "authorization", "x-api-key", "idempotency-key", "prefer"] {
        assert!(allowed.contains(name), "{name}");
    }
    assert_eq!(header(&answer, "access-control-allow-private-network"), None);

    let private = [&asks[..], &[("access-control-request-private-network", "true")]].concat();
    let answer = request(&served, Method::OPTIONS, path, &private, "").await;
    assert_eq!(header(&answer, "access-control-allow-private-network"), Some("true"));

    for origin in ["https://evil.example", "null", "http://localhost:3000"] {
        let asks = [("origin", origin), ("access-control-request-method", "POST")];
        let answer = request(&served, Method::OPTIONS, path, &asks, "").await;
        assert_eq!(answer.status(), 403, "{origin}");
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{origin}");
    }
}

#[tokio::test]
async fn allowed_pages_see_every_answer_and_its_location() {
    let served = served(Some("rahasia")).await;
    let body = json!({"message": "Halo", "customer_ids": [1]}).to_string();
    let headers = [
        ("origin", BILLING),
        ("x-api-key", "rahasia"),
        ("content-type", "application/json"),
        ("prefer", "respond-async"),
    ];
    let sent = request(&served, Method::POST, "/api/send/custom", &headers, &body).await;
    assert_eq!(sent.status(), 202);
    assert_eq!(header(&sent, "access-control-expose-headers"), Some("Location"));
    let no_key = request(&served, Method::GET, "/api/customers", &[("origin", BILLING)], "").await;
    assert_eq!(no_key.status(), 401);
    let nowhere = request(&served, Method::GET, "/nowhere", &headers, "").await;
    assert_eq!(nowhere.status(), 404);
    for answer in [sent, no_key, nowhere] {
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(BILLING));
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        assert_eq!(header(&answer, "vary"), Some("Origin"));
    }
}

#[tokio::test]
async fn other_pages_are_refused_with_and_without_a_key_whatever_they_send() {
    for key in [None, Some("rahasia")] {
        let served = served(key).await;
        let body = json!({"message": "Halo", "customer_ids": [1]}).to_string();
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
        ] {
            for content_type in
                ["application/json", "text/plain", "application/x-www-form-urlencoded", ""]
            {
                let headers = [foreign, ("x-api-key", "rahasia"), ("content-type", content_type)];
                for path in ["/api/send/custom", "/api/whatsapp/logout", "/api/campaigns/1/cancel"]
                {
                    let answer = request(&served, Method::POST, path, &headers, &body).await;
                    assert_eq!(answer.status(), 403, "{path} {headers:?}");
                    assert_eq!(header(&answer, "access-control-allow-origin"), None);
                    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
                    assert!(said["detail"].as_str().unwrap().contains("CORS_ORIGINS"), "{said}");
                }
            }
        }
        assert!(served.gateway.take_delivered().is_empty());
        // Who says nothing about a page is none.
        let headers = [("x-api-key", "rahasia")];
        let sent = request(&served, Method::POST, "/api/send/custom", &headers, &body).await;
        assert!(sent.text().await.unwrap().contains(r#""sent_count":1"#));
        assert_eq!(served.gateway.take_delivered().len(), 1);
    }
}
