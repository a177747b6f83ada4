//! Web pages that call the API, and the page for linking, in Chromium.

use crate::harness::browser::Browser;
use crate::harness::served::{Served, Setup, serve};
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use kabari_gateway::qr;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The part of a billing site that calls the API: its status enables the button, the button sends.
const BILLING_PAGE: &str = r#"<!doctype html>
<button id="send" disabled>Kirim</button>
<a id="qr" href="API/api/whatsapp/qr">QR</a>
<pre id="report"></pre>
<script>
const api = "API";
fetch(api + "/api/whatsapp/status")
  .then((answer) => answer.json())
  .then((status) => { document.getElementById("send").disabled = !status.connected; })
  .catch(() => { document.documentElement.dataset.status = "refused"; });
document.getElementById("send").addEventListener("click", async () => {
  const answer = await fetch(api + "/api/send/notification", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Accept": "application/json" },
    body: JSON.stringify({ customer_ids: [1, 3], notice_id: 1, custom_message: "Halo {nama}" }),
  });
  const report = await answer.json();
  document.getElementById("report").textContent =
    [report.sent_count, report.failed_count, report.skipped_count, report.results.length].join();
});
</script>"#;

/// A page that tries everything a browser lets it send to another origin.
const EVIL_PAGE: &str = r#"<!doctype html>
<iframe name="logout"></iframe><iframe name="send"></iframe>
<form id="by-form" method="post" action="API/api/whatsapp/logout" target="logout"></form>
<form id="by-text" method="post" action="API/api/send/custom" target="send" enctype="text/plain">
<input name='{"message": "jahat' value='"}'></form>
<script>
const send = "API/api/send/custom";
const body = JSON.stringify({ message: "jahat" });
const json = { "Content-Type": "application/json" };
const tries = {
  status: () => fetch("API/api/whatsapp/status"),
  preflighted: () => fetch(send, { method: "POST", headers: json, body }),
  simple: () => fetch(send, { method: "POST", body }),
  untyped: () => fetch(send, { method: "POST", body: new Blob([body]) }),
  opaque: () => fetch(send, { method: "POST", mode: "no-cors", body: new Blob([body]) }),
};
const framed = (form) => new Promise((done) => {
  document.getElementsByName(form.target)[0].addEventListener("load", done);
  form.submit();
});
addEventListener("load", async () => {
  const outcomes = {};
  for (const [name, attempt] of Object.entries(tries)) {
    outcomes[name] = await attempt().then((answer) => answer.type, () => "refused");
  }
  await Promise.all([...document.forms].map(framed));
  document.documentElement.dataset.outcomes = JSON.stringify(outcomes);
});
</script>"#;

/// Serves a page on a port of its own. Answers its origin under the name `localhost`.
async fn page(html: &'static str, served: &Served) -> (String, JoinHandle<()>) {
    let html = html.replace("API", &format!("http://{}", served.address));
    let router = Router::new().route("/", get(move || async move { Html(html) }));
    let (address, server) = serve(router).await;
    (format!("http://localhost:{}", address.port()), server)
}

#[tokio::test]
async fn a_page_on_another_port_calls_the_api_as_it_called_the_replaced_system() {
    let served = Served::start().await;
    let (origin, _server) = page(BILLING_PAGE, &served).await;
    let mut browser = Browser::open(&origin).await;
    browser.until("document.getElementById('send')?.disabled === false").await;
    browser.until("(document.getElementById('send').click(), true)").await;
    browser.until("document.getElementById('report').textContent === '1,0,1,2'").await;
    assert_eq!(
        served.gateway.take_delivered(),
        [("6281234567801".to_owned(), "Halo Budi".to_owned())]
    );
    browser.until("(document.getElementById('qr').click(), true)").await;
    browser.until("document.getElementById('linked')?.checkVisibility() === true").await;
}

#[tokio::test]
async fn a_page_that_is_not_allowed_is_refused() {
    let mut setup = Setup::default();
    setup.settings.origins = "https://billing.example.net".parse().unwrap();
    let served = Served::with(setup).await;
    let (origin, _server) = page(EVIL_PAGE, &served).await;
    let mut browser = Browser::open(&origin).await;
    // Every request has been answered; what the page cannot read may still have been done.
    let outcomes = json!({"status": "refused", "preflighted": "refused", "simple": "refused",
                          "untyped": "refused", "opaque": "opaque"});
    let known = "JSON.parse(document.documentElement.dataset.outcomes ?? '{}')";
    let names = "['status', 'preflighted', 'simple', 'untyped', 'opaque']";
    let same = format!("{names}.every((name) => {known}[name] === ({outcomes})[name])");
    browser.until(&same).await;
    let (_, campaigns) = served.get("/api/campaigns").await;
    assert_eq!(campaigns["campaigns"], json!([]));
    let (_, status) = served.get("/api/whatsapp/status").await;
    assert_eq!(status["connected"], true);

    let (origin, _server) = page(BILLING_PAGE, &served).await;
    browser.call("Page.navigate", json!({ "url": origin })).await;
    browser.until("document.documentElement.dataset.status === 'refused'").await;
    browser.until("document.getElementById('send').disabled").await;
}

fn not_linked(served: &Served) -> String {
    let png = qr::png_data_url("2@scripted").unwrap();
    served.gateway.enter("qr-pending", Some(&png));
    png
}

#[tokio::test]
async fn the_page_for_linking_follows_the_link_by_itself() {
    let served = Served::start().await;
    let png = not_linked(&served);
    let mut browser = Browser::open(&served.url("/api/whatsapp/qr")).await;
    browser.until(&format!("document.getElementById('qr')?.src === '{png}'")).await;
    browser.until("document.getElementById('qr').checkVisibility()").await;
    let renewed = qr::png_data_url("2@renewed").unwrap();
    served.gateway.enter("qr-pending", Some(&renewed));
    browser.until(&format!("document.getElementById('qr').src === '{renewed}'")).await;

    browser.until("(document.querySelector('[value=en]').click(), true)").await;
    browser.until("document.querySelector('h1').textContent === 'Link WhatsApp'").await;
    browser.until("(document.querySelector('[value=id]').click(), true)").await;
    browser.until("document.querySelector('h1').textContent === 'Tautkan WhatsApp'").await;

    let typed = |number: &str| {
        format!(
            "(document.getElementById('phone').value = '{number}', \
             document.getElementById('pair').requestSubmit(), true)"
        )
    };
    browser.until(&typed("0")).await;
    let reason = "document.getElementById('pair-error').textContent.includes('tidak valid')";
    browser.until(reason).await;
    browser.until(&typed("0812 9999 0000")).await;
    browser.until("document.getElementById('code').textContent === 'ABCD-1234'").await;
    browser.until("!document.getElementById('pair-error').checkVisibility()").await;

    served.gateway.enter("connected", None);
    browser.until("document.getElementById('number').textContent === '+6281299990000'").await;
    browser.until("!document.getElementById('linking').checkVisibility()").await;
}

#[tokio::test]
async fn the_page_for_linking_asks_for_the_key_where_one_is_needed() {
    let mut setup = Setup::default();
    setup.settings.api_key = Some("rahasia".to_owned());
    let served = Served::with(setup).await;
    not_linked(&served);
    let mut browser = Browser::open(&served.url("/api/whatsapp/qr")).await;
    browser.until("document.getElementById('key')?.checkVisibility() === true").await;
    browser.until("!document.getElementById('linking').checkVisibility()").await;
    let typed = |key: &str| {
        format!(
            "(document.getElementById('key-field').value = '{key}', \
             document.getElementById('key').requestSubmit(), true)"
        )
    };
    browser.until(&typed("salah")).await;
    browser.until("/salah|wrong/.test(document.getElementById('state').textContent)").await;
    browser.until(&typed("rahasia")).await;
    browser.until("document.getElementById('qr').checkVisibility()").await;
    browser.until("!document.getElementById('key').checkVisibility()").await;
}

#[tokio::test]
async fn the_page_for_linking_fits_a_phone_and_is_dark_where_the_system_is() {
    let served = Served::start().await;
    not_linked(&served);
    let mut browser = Browser::open(&served.url("/api/whatsapp/qr")).await;
    let phone = json!({ "width": 375, "height": 720, "deviceScaleFactor": 2, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", phone).await;
    let shown: [(Option<&str>, &str); 2] = [
        (None, "document.getElementById('qr')"),
        (Some("connected"), "document.getElementById('linked')"),
    ];
    for (state, element) in shown {
        if let Some(state) = state {
            served.gateway.enter(state, None);
        }
        browser.until(&format!("{element}?.checkVisibility() === true")).await;
        let fits = "innerWidth === 375 && document.documentElement.scrollWidth === 375 && \
                    [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()) \
                    .every(e => e.getBoundingClientRect().right <= 375)";
        browser.until(fits).await;
    }
    let background = "getComputedStyle(document.querySelector('main')).backgroundColor";
    browser.until(&format!("{background} === 'rgb(255, 255, 255)'")).await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", dark).await;
    browser.until(&format!("{background} === 'rgb(19, 27, 24)'")).await;
}

#[tokio::test]
async fn an_event_source_stops_when_the_campaign_has_ended() {
    let served = Served::start().await;
    let body = json!({"message": "Halo", "customer_ids": [1]});
    let (_, report) = served.post("/api/send/custom", body).await;
    let events = format!("{}/events", report["campaign"].as_str().unwrap());
    let mut browser = Browser::open(&served.url("/docs")).await;
    let follow = format!(
        "(window.heard = [], window.source = new EventSource('{events}'), \
         source.addEventListener('state', (event) => heard.push(JSON.parse(event.data).status)), true)"
    );
    browser.until("document.readyState === 'complete'").await;
    browser.until(&follow).await;
    browser.until("source.readyState === EventSource.CLOSED").await;
    browser.until("heard.join() === 'completed'").await;
    let last = served.request(reqwest::Method::GET, &events).header("last-event-id", "end");
    assert_eq!(last.send().await.unwrap().status(), 204);
    let (_, campaign): (u16, Value) = served.get(report["campaign"].as_str().unwrap()).await;
    assert_eq!(campaign["status"], "completed");
}
