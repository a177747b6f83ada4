//! Programs that speak the dialects of other gateways, as they do.

use crate::harness::served::{Served, Setup, answer};
use kabari_domain::{LinkState, wording};
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const API_KEY: &str = "0123456789abcdef";
const KEY: &str = "fedcba9876543210";
const TEXT: &str = "Halo Budi & Ani,\n\nTagihan Rp 150.000 + PPN 100% jatuh tempo 🙏 {nama}";
const NUMBER: &str = "6281234567801";

async fn served() -> Served {
    let mut setup = Setup::default();
    setup.settings.compat_key = Some(KEY.to_owned());
    Served::with(setup).await
}

/// The address with number and text filled in as PHP's `urlencode` does.
fn phpnuxbill(key: &str, to: &str, text: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("/compat/phpnuxbill?key={key}&to={}&text={}", encode(to), encode(text))
}

fn fonnte(served: &Served, token: &str) -> RequestBuilder {
    served.request(Method::POST, "/compat/fonnte/send").header(AUTHORIZATION, token)
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// As curl and PHP send an array of fields.
fn multipart(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    const BOUNDARY: &str = "------------------------d74496d66958873e";
    let parts: String = fields
        .iter()
        .map(|(name, value)| {
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        })
        .collect();
    request
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(format!("{parts}--{BOUNDARY}--\r\n"))
}

fn encoded(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    request.header("content-type", "application/x-www-form-urlencoded").body(form(fields))
}

/// Waits until the campaign has ended, and returns what was delivered.
async fn delivered(served: &Served, campaign: &str) -> Vec<(String, String)> {
    served.until(campaign, |campaign| campaign["status"] == "completed").await;
    served.gateway.take_delivered()
}

fn pair(number: &str, text: &str) -> (String, String) {
    (number.to_owned(), text.to_owned())
}

#[tokio::test]
async fn phpnuxbill_gets_its_text_delivered_as_it_is() {
    let served = served().await;
    let (status, answer) = served.get(&phpnuxbill(KEY, "081234567801", TEXT)).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
    let campaign = answer["campaign"].as_str().unwrap();
    assert_eq!(delivered(&served, campaign).await, [pair(NUMBER, TEXT)]);
    let (_, recorded) = served.get(campaign).await;
    assert_eq!(
        (&recorded["kind"], &recorded["counts"]),
        (&json!("phone"), &json!({"accepted": 1}))
    );
}

#[tokio::test]
async fn phpnuxbill_is_told_why_nothing_is_sent() {
    let served = served().await;
    let (status, answer) = served.get(&phpnuxbill(KEY, "0", TEXT)).await;
    assert_eq!((status, &answer["success"]), (200, &json!(false)));
    assert_eq!(answer["error"], wording::INVALID_PHONE);
    for path in [phpnuxbill(KEY, "", TEXT), phpnuxbill(KEY, NUMBER, " ")] {
        let (status, answer) = served.get(&path).await;
        assert_eq!((status, &answer["success"]), (400, &json!(false)), "{path}");
    }
    let path = phpnuxbill(KEY, NUMBER, TEXT);
    let head = served.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), 405, "who only looks sends nothing");
    assert_eq!(served.get("/api/campaigns").await.1["campaigns"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn fonnte_takes_every_kind_of_form() {
    let served = served().await;
    let fields = |text| [("target", "081234567801"), ("message", text), ("countryCode", "62")];
    let json = |text: &str| json!({ "target": "081234567801", "message": text });
    for (text, request) in [
        ("urlencoded", encoded(fonnte(&served, KEY), &fields("urlencoded"))),
        (TEXT, multipart(fonnte(&served, KEY), &fields(TEXT))),
        ("json", fonnte(&served, KEY).json(&json("json"))),
        ("bearer", fonnte(&served, &format!("Bearer {KEY}")).json(&json("bearer"))),
    ] {
        let (status, answer) = answer(request).await;
        let id = &answer["requestid"];
        let expected = json!({
            "detail": "success! message in queue", "id": answer["id"], "process": "pending",
            "requestid": id, "status": true, "target": [NUMBER],
        });
        assert_eq!((status, &answer), (200, &expected));
        assert_eq!(answer["id"].as_array().unwrap().len(), 1);
        let campaign = format!("/api/campaigns/{id}");
        assert_eq!(delivered(&served, &campaign).await, [pair(NUMBER, text)]);
    }
}

#[tokio::test]
async fn fonnte_writes_to_several_and_calls_them_by_name() {
    let served = served().await;
    let target = "081234567801|Budi|Rumah,0,+62 812-3456-7802|{name}, 081234567801";
    let fields = [("target", target), ("message", "Halo {name} di {var1}")];
    let (_, answer) = answer(multipart(fonnte(&served, KEY), &fields)).await;
    assert_eq!(answer["target"], json!([NUMBER, "6281234567802"]));
    assert_eq!(answer["id"].as_array().unwrap().len(), 2);
    let campaign = format!("/api/campaigns/{}", answer["requestid"]);
    let expected =
        [pair(NUMBER, "Halo Budi di Rumah"), pair("6281234567802", "Halo {name} di {var1}")];
    assert_eq!(delivered(&served, &campaign).await, expected);
    let (_, recorded) = served.get(&campaign).await;
    let counts = json!({ "accepted": 2, "skipped": 2 });
    assert_eq!((&recorded["kind"], &recorded["counts"]), (&json!("numbers"), &counts));
}

#[tokio::test]
async fn fonnte_errors_use_fonntes_wording() {
    let served = served().await;
    let message = ("message", "x");
    for (fields, reason) in [
        (&[("target", NUMBER)][..], "input invalid"),
        (&[message], "input invalid"),
        (&[("target", "0,12"), message], "target invalid"),
        (
            &[("target", NUMBER), message, ("url", "https://example.net/a.jpg")],
            wording::COMPAT_TEXT_ONLY,
        ),
    ] {
        let (status, answer) = answer(encoded(fonnte(&served, KEY), fields)).await;
        assert_eq!((status, answer), (200, json!({ "reason": reason, "status": false })));
    }
    let (status, answer) = answer(fonnte(&served, KEY).body("{")).await;
    assert_eq!((status, &answer["status"]), (200, &json!(false)), "no form field at all");
    assert!(served.gateway.take_delivered().is_empty());
}

#[tokio::test]
async fn a_repeat_within_seconds_is_the_same_message() {
    let served = served().await;
    let path = phpnuxbill(KEY, "081234567801", TEXT);
    let first = served.get(&path).await;
    assert_eq!(served.get(&path).await, first);
    assert_eq!(served.get(&phpnuxbill(KEY, NUMBER, TEXT)).await, first, "however it is written");
    let other = served.get(&phpnuxbill(KEY, NUMBER, "another text")).await;
    assert_ne!(other.1["campaign"], first.1["campaign"]);
    let fields = [("target", NUMBER), ("message", "Halo")];
    let first = answer(encoded(fonnte(&served, KEY), &fields)).await;
    assert_eq!(answer(multipart(fonnte(&served, KEY), &fields)).await, first);
    served
        .until("/api/campaigns", |list| {
            let campaigns = list["campaigns"].as_array().unwrap();
            campaigns.len() == 3 && campaigns.iter().all(|one| one["status"] == "completed")
        })
        .await;
    assert_eq!(served.gateway.take_delivered().len(), 3);
}

#[tokio::test]
async fn without_a_key_there_are_no_such_addresses() {
    let served = Served::start().await;
    let (status, answer) = served.get(&phpnuxbill(KEY, NUMBER, TEXT)).await;
    assert_eq!((status, &answer["detail"]), (404, &json!(wording::COMPAT_OFF)));
    let fields = [("target", NUMBER), ("message", TEXT)];
    let (status, answer) = self::answer(encoded(fonnte(&served, KEY), &fields)).await;
    assert_eq!((status, &answer["reason"]), (404, &json!(wording::COMPAT_OFF)));
}

#[tokio::test]
async fn each_key_opens_only_its_endpoints() {
    let mut setup = Setup::default();
    setup.settings.compat_key = Some(KEY.to_owned());
    setup.settings.api_key = Some(API_KEY.to_owned());
    let served = Served::with(setup).await;
    let fields = [("target", NUMBER), ("message", TEXT)];
    for wrong in ["", API_KEY, "fedcba987654321"] {
        let (status, _) = served.get(&phpnuxbill(wrong, NUMBER, TEXT)).await;
        assert_eq!(status, 401, "{wrong}");
        let (status, refused) = answer(encoded(fonnte(&served, wrong), &fields)).await;
        assert_eq!((status, refused), (401, json!({ "reason": "token invalid", "status": false })));
    }
    for path in ["/api/campaigns", "/api/customers", "/api/whatsapp/status"] {
        for header in ["x-api-key", "authorization"] {
            let value =
                if header == "authorization" { format!("Bearer {KEY}") } else { KEY.into() };
            let (status, _) = answer(served.request(Method::GET, path).header(header, value)).await;
            assert_eq!(status, 401, "{path}");
        }
    }
    let (status, recorded) = served.get(&phpnuxbill(KEY, NUMBER, TEXT)).await;
    assert_eq!(status, 200, "{recorded}");
    let id = recorded["campaign"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap();
    let stored = served.state.campaign(id).await.unwrap().unwrap();
    assert!(!format!("{stored:?}").contains(KEY), "{stored:?}");
}

#[tokio::test]
async fn a_page_that_has_the_key_may_not_use_it_from_elsewhere() {
    let served = served().await;
    let origin = ("origin", "https://evil.example");
    let get =
        served.request(Method::GET, &phpnuxbill(KEY, NUMBER, TEXT)).header(origin.0, origin.1);
    assert_eq!(answer(get).await.0, 403);
    let image = served
        .request(Method::GET, &phpnuxbill(KEY, NUMBER, TEXT))
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "no-cors");
    assert_eq!(answer(image).await.0, 403);
    let post = fonnte(&served, KEY).header(origin.0, origin.1).json(&Value::Null);
    assert_eq!(answer(post).await.0, 403);
    assert!(served.gateway.take_delivered().is_empty());
}

#[tokio::test]
async fn sends_are_refused_while_no_phone_is_linked() {
    let served = served().await;
    served.gateway.enter("qr-pending", None);
    let unlinked = |session: &Value| session["state"] == LinkState::NotLinked.as_str();
    served.until("/api/whatsapp/sessions/default", unlinked).await;
    let is_reported = async || {
        let session = served.state.session("default").await.unwrap().unwrap();
        session.link == LinkState::NotLinked
    };
    while !is_reported().await {
        served.state.changes().changed().await.unwrap();
    }
    let (status, answer) = served.get(&phpnuxbill(KEY, NUMBER, TEXT)).await;
    assert_eq!((status, &answer["error"]), (503, &json!(wording::NOT_LINKED)));
    let fields = [("target", NUMBER), ("message", TEXT)];
    let (_, answer) = self::answer(encoded(fonnte(&served, KEY), &fields)).await;
    assert_eq!(answer["reason"], "request invalid on disconnected device");
    assert_eq!(served.get("/api/campaigns").await.1["campaigns"], json!([]));
}
