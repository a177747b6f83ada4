//! The pages of campaigns, over HTTP.

use crate::harness::http_browser::Browser;
use crate::harness::http_browser::{submit, visit};
use crate::harness::served::Served;
use kabari::store::state::Resolution;
use kabari_domain::{CampaignStatus, Role};
use kabari_gateway::SendError;
use reqwest::Method;
use serde_json::{Value, json};

/// Begins a send to these customers; returns the address of its page and of its campaign.
async fn begin(served: &Served, customers: &[i64]) -> (String, String) {
    let body = json!({ "message": "Halo {nama}", "customer_ids": customers });
    let request =
        served.request(Method::POST, "/api/send/custom").header("prefer", "respond-async");
    let response = request.json(&body).send().await.unwrap();
    let campaign: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (format!("/app/campaigns/{}", campaign["id"]), format!("/api/campaigns/{}", campaign["id"]))
}

async fn ended(served: &Served, campaign: &str) -> Value {
    served.until(campaign, |campaign| campaign["status"] == "completed").await
}

#[tokio::test]
async fn recipients_are_found_by_state_name_and_number() {
    let served = Served::start().await;
    visit(&served, "/app/campaigns").await.assert_says("Belum ada yang dikirim");
    let (page, campaign) = begin(&served, &[1, 2, 3, 4, 5, 6]).await;
    ended(&served, &campaign).await;
    let all = visit(&served, &page).await;
    for said in ["Budi", "=1+1", "+6281234567801", "Nomor tidak terdaftar di WhatsApp", "Selesai"] {
        all.assert_says(said);
    }
    let names = |html: &str| -> Vec<&'static str> {
        let everybody = ["Budi", "=1+1", "Nol", "Tak Terdaftar", "Garis", "Kosong"];
        everybody.into_iter().filter(|name| html.contains(&format!(">{name}</a>"))).collect()
    };
    for (query, expected) in [
        ("", vec!["Budi", "=1+1", "Nol", "Tak Terdaftar", "Garis", "Kosong"]),
        ("?state=sent", vec!["Budi", "=1+1", "Garis"]),
        ("?state=failed", vec!["Tak Terdaftar"]),
        ("?state=skipped", vec!["Nol", "Kosong"]),
        ("?q=gar", vec!["Garis"]),
        ("?q=0812-3456-7801", vec!["Budi"]),
        ("?q=%25", vec![]),
        ("?state=sent&q=tak", vec![]),
        ("?after=3", vec!["Garis", "Kosong"]),
    ] {
        assert_eq!(
            names(&visit(&served, &format!("{page}{query}")).await.body),
            expected,
            "{query}"
        );
    }
    let list = visit(&served, "/app/campaigns").await;
    list.assert_says("6 penerima");
    let csv = visit(&served, &format!("{page}/report.csv")).await;
    csv.assert_says("customer_name");
    assert_eq!(visit(&served, "/app/campaigns/999").await.status, 404);
    assert_eq!(visit(&served, "/app/campaigns/x").await.status, 404);
}

#[tokio::test]
async fn a_campaign_is_paused_resumed_and_cancelled_on_its_page() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let (page, campaign) = begin(&served, &[1, 2]).await;
    visit(&served, &page).await.assert_says("Berjalan");
    let paused = submit(&served, &format!("{page}/pause"), &[]).await;
    assert_eq!((paused.status, &paused.path), (200, &page));
    paused.assert_says("Dijeda");
    paused.assert_says(&format!("{campaign}/resume"));
    submit(&served, &format!("{page}/resume"), &[]).await.assert_says("Berjalan");
    let asked = visit(&served, &format!("{page}/cancel")).await;
    asked.assert_says("2 pesan belum terkirim");
    submit(&served, &format!("{page}/cancel"), &[]).await.assert_says("Dibatalkan");
    let refused = submit(&served, &format!("{page}/pause"), &[]).await;
    assert_eq!(refused.status, 409);
    refused.assert_says("status pengiriman sekarang “Dibatalkan”");
}

#[tokio::test]
async fn failed_recipients_are_retried_as_a_campaign_of_their_own() {
    let served = Served::start().await;
    served.gateway.fail("6281234567801", SendError::Permanent("403".to_owned()));
    let (page, campaign) = begin(&served, &[1, 2]).await;
    ended(&served, &campaign).await;
    served.gateway.mend("6281234567801");
    visit(&served, &page).await.assert_says("Ulangi 1 yang gagal");
    let child = submit(&served, &format!("{page}/retry"), &[]).await;
    assert_ne!(child.path, page);
    child.assert_says(&format!("href=\"{page}\""));
    let again = submit(&served, &format!("{page}/retry"), &[]).await;
    assert_eq!(again.path, child.path, "a second click makes no second campaign");
    ended(&served, &child.path.replace("/app/", "/api/")).await;
    visit(&served, &child.path).await.assert_says("Terkirim");
}

#[tokio::test]
async fn what_is_uncertain_is_decided_one_by_one_or_all_at_once() {
    let served = Served::start().await;
    let lost = SendError::Unknown("no ack".to_owned());
    for number in ["6281234567801", "6281234567802", "6281234567805"] {
        served.gateway.fail(number, lost.clone());
    }
    let (page, campaign) = begin(&served, &[1, 2, 5]).await;
    // A person decides at once about what is cancelled after a try without an answer.
    served.until(&campaign, |campaign| campaign["counts"]["retry_wait"] == 3).await;
    let (_, deliveries) = served.get(&format!("{campaign}/deliveries")).await;
    submit(&served, &format!("{page}/cancel"), &[]).await.assert_says("3 pesan belum pasti");
    let first = deliveries["deliveries"][0]["id"].as_i64().unwrap();
    let resolve = format!("/app/deliveries/{first}/resolve");
    let one = submit(&served, &resolve, &[("decision", "count_as_sent")]).await;
    assert_eq!(one.path, format!("{page}?state=uncertain"));
    let (_, seen) = served.get(&campaign).await;
    assert_eq!(seen["counts"], json!({ "accepted": 1, "uncertain": 2 }));
    let refused = served.state.resolve(first, Resolution::CountAsSent).await;
    assert!(refused.is_err(), "it is decided");
    submit(&served, &format!("{page}/resolve"), &[("decision", "count_as_sent")]).await;
    let (_, seen) = served.get(&campaign).await;
    assert_eq!(seen["counts"], json!({ "accepted": 3 }));
    assert!(served.gateway.take_delivered().is_empty());
}

#[tokio::test]
async fn the_same_can_be_decided_by_api() {
    let served = Served::start().await;
    let lost = SendError::Unknown("no ack".to_owned());
    served.gateway.fail("6281234567801", lost);
    let (page, campaign) = begin(&served, &[1]).await;
    served.until(&campaign, |campaign| campaign["counts"]["retry_wait"] == 1).await;
    submit(&served, &format!("{page}/cancel"), &[]).await;
    let decision = |word: &str| json!({ "decision": word });
    let (status, _) = served.post(&format!("{campaign}/resolve"), decision("send_again")).await;
    assert_eq!(status, 409, "a cancelled campaign sends nothing");
    let (status, decided) =
        served.post(&format!("{campaign}/resolve"), decision("count_as_sent")).await;
    assert_eq!((status, &decided["counts"]), (200, &json!({ "accepted": 1 })));
}

#[tokio::test]
async fn parts_of_the_page_are_answered_only_when_something_has_changed() {
    let served = Served::start().await;
    let (page, campaign) = begin(&served, &[1]).await;
    ended(&served, &campaign).await;
    let shown = visit(&served, &page).await;
    for part in ["live", "chart", "recipients"] {
        let (_, after) = shown.body.split_once(&format!("hx-get=\"{page}/{part}")).unwrap();
        let query = after.split('"').next().unwrap().replace("&amp;", "&");
        let address = format!("{page}/{part}{query}");
        assert_eq!(visit(&served, &address).await.status, 204, "{address}");
        let other = address.replace("seen=", "seen=x");
        assert_eq!(visit(&served, &other).await.status, 200, "{other}");
    }
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let (page, campaign) = begin(&served, &[1, 2]).await;
    let viewer = Browser::of(&served, Role::Viewer).await;
    let shown = viewer.get(&page).await;
    assert_eq!(shown.status, 200);
    assert!(!shown.body.contains(&format!("{page}/pause")), "{}", shown.body);
    for action in ["pause", "resume", "cancel", "retry", "resolve"] {
        let fields = [("decision", "send_again")];
        assert_eq!(viewer.post(&format!("{page}/{action}"), &fields).await.status, 403, "{action}");
    }
    for path in [
        "/app/deliveries/1/resolve",
        "/app/notices/1/close",
        "/app/notices/1/edit",
        "/app/notices/new",
        "/app/customers/import",
    ] {
        let fields = [("decision", "send_again"), ("title", "A"), ("text", "nama,hp")];
        assert_eq!(viewer.post(path, &fields).await.status, 403, "{path}");
    }
    assert_eq!(viewer.get("/app/notices/1/restored").await.status, 403);
    let sender = Browser::of(&served, Role::Sender).await;
    let fields = [("text", "nama,hp\nDewi,081234567810"), ("do", "import")];
    assert_eq!(sender.post("/app/customers/import", &fields).await.status, 403);
    assert_eq!(sender.post(&format!("{page}/pause"), &[]).await.status, 303);
    let paused = served.state.campaign(1).await.unwrap().unwrap();
    assert_eq!((paused.phase.status, &*campaign), (CampaignStatus::Paused, "/api/campaigns/1"));
    let log = sender.get("/app/log").await;
    assert!(log.body.contains("href=\"/app/campaigns/1\""), "the pause is in the log");
}
