//! The pages of notices and the word that one is over, over HTTP.

use crate::harness::http_browser::{Shown, submit, visit};
use crate::harness::served::{Served, answer};
use kabari_gateway::SendError;
use reqwest::Method;
use serde_json::json;

const RESTORED: &str = "/app/notices/1/restored";

/// Sends what the page says, or with another number of recipients.
async fn send(served: &Served, page: &Shown, count: &str, message: &str) -> Shown {
    let key = page.hidden("key");
    submit(served, RESTORED, &[("key", &key), ("count", count), ("message", message)]).await
}

#[tokio::test]
async fn only_those_whom_the_notice_has_reached_hear_that_it_is_over() {
    let served = Served::start().await;
    visit(&served, RESTORED).await.assert_says("Tidak ada yang menerima pesan");
    served.gateway.fail("6281234567802", SendError::Permanent("403".to_owned()));
    served.send_notice(1).await;
    served.gateway.take_delivered();
    served.gateway.mend("6281234567802");
    // Whatever the billing database says of them now.
    let table = "id,nama,hp,aktif\n1,Budi,0,tidak\n2,Ani,081234567802,ya\n";
    submit(&served, "/app/customers/import", &[("text", table), ("do", "import")]).await;

    let page = visit(&served, RESTORED).await;
    page.assert_says("Kirim ke 1 nomor");
    page.assert_says("JARINGAN SUDAH PULIH");
    let sent = send(&served, &page, "1", "Halo {nama},\r\nsudah pulih.").await;
    assert!(sent.path.starts_with("/app/campaigns/"), "{}", sent.path);
    sent.assert_says("Pulih: Kabel putus");
    let campaign = sent.path.replace("/app/", "/api/");
    served.until(&campaign, |campaign| campaign["status"] == "completed").await;
    assert_eq!(
        served.gateway.take_delivered(),
        [("6281234567801".to_owned(), "Halo Budi,\nsudah pulih.".to_owned())]
    );
    let (_, seen) = served.get(&campaign).await;
    assert_eq!((&seen["kind"], &seen["notice_id"]), (&json!("restored"), &json!(1)));
    visit(&served, RESTORED).await.assert_says("Kabar pulih untuk gangguan ini sudah dikirim");
    visit(&served, "/app/notices/1").await.assert_says("Pulih: Kabel putus");
}

#[tokio::test]
async fn a_page_is_sent_once_and_only_if_it_is_still_true() {
    let served = Served::start().await;
    served.send_notice(1).await;
    served.gateway.take_delivered();
    let page = visit(&served, RESTORED).await;
    page.assert_says("Kirim ke 2 nomor");
    let changed = send(&served, &page, "3", "Pulih").await;
    changed.assert_says("Jumlah penerima berubah menjadi 2");
    send(&served, &page, "2", "Pulih di {odp}").await.assert_says("Tulis pesan tanpa {odp}");
    send(&served, &page, "2", " ").await.assert_says("Tulis pesannya dulu");
    let (first, second) =
        tokio::join!(send(&served, &page, "2", "Pulih"), send(&served, &page, "2", "Pulih"));
    assert_eq!(first.path, second.path);
    let campaign = first.path.replace("/app/", "/api/");
    served.until(&campaign, |campaign| campaign["status"] == "completed").await;
    assert_eq!(served.gateway.take_delivered().len(), 2);
}

#[tokio::test]
async fn what_is_still_to_come_is_told_before_anybody_hears_that_it_is_over() {
    let served = Served::start().await;
    served.gateway.hold_back();
    let body = json!({ "notice_id": 1 });
    let request =
        served.request(Method::POST, "/api/send/notification").header("prefer", "respond-async");
    let (_, campaign) = answer(request.json(&body)).await;
    let address = campaign["links"]["self"].as_str().unwrap().to_owned();
    served.gateway.allow(1);
    served.until(&address, |campaign| campaign["counts"]["accepted"] == 1).await;
    let page = visit(&served, RESTORED).await;
    page.assert_says("1 pesan tentang gangguan ini masih menunggu");
    page.assert_says("Kirim ke 1 nomor");
}

#[tokio::test]
async fn the_same_is_done_by_api() {
    let served = Served::start().await;
    served.send_notice(1).await;
    served.gateway.take_delivered();
    let (status, dry) =
        served.post("/api/send/restored", json!({"notice_id": 1, "dry_run": true})).await;
    assert_eq!((status, &dry["to_send"]), (200, &json!(2)), "{dry}");
    let (status, report) =
        served.post("/api/send/restored", json!({"notice_id": 1, "message": "Halo {nama}"})).await;
    assert_eq!((status, &report["sent_count"]), (200, &json!(2)), "{report}");
    let (status, _) = served.post("/api/send/restored", json!({"notice_id": 9})).await;
    assert_eq!(status, 404);
    let (status, _) =
        served.post("/api/send/restored", json!({"notice_id": 1, "message": "{odp}"})).await;
    assert_eq!(status, 400);
    assert_eq!(served.post("/api/send/restored", json!({})).await.0, 422);
}

#[tokio::test]
async fn notices_are_written_changed_and_closed_where_the_database_is_ours() {
    let served = Served::start().await;
    let fields = [
        ("title", "Tiang roboh"),
        ("message", "Halo {nama}"),
        ("kind", "gangguan"),
        ("severity", "critical"),
        ("area", "Melati"),
        ("start", "2026-01-10T08:05"),
        ("end", "2026-01-10T12:00"),
        ("audience", "odps"),
        ("odp", "ODP-1"),
        ("odp", "ODP-2"),
    ];
    let made = submit(&served, "/app/notices/new", &fields).await;
    assert_eq!(made.path, "/app/notices/2");
    let (_, notice) = served.get("/api/notices/2").await;
    assert_eq!(notice["affected_odp"], "ODP-1, ODP-2");
    assert_eq!(notice["start_time"], "2026-01-10T08:05:00");
    assert_eq!((&notice["is_active"], &notice["is_mass"]), (&json!(true), &json!(false)));
    assert!(notice["created_at"].is_string());

    let edited = visit(&served, "/app/notices/2/edit").await;
    edited.assert_says("value=\"2026-01-10T08:05\"");
    let mut fields = fields.to_vec();
    fields.truncate(7);
    fields.extend([("audience", "everybody"), ("active", "yes")]);
    submit(&served, "/app/notices/2/edit", &fields).await.assert_says("Semua pelanggan aktif");
    let (_, notice) = served.get("/api/notices/2").await;
    assert_eq!((&notice["affected_odp"], &notice["is_mass"]), (&json!(null), &json!(true)));

    submit(&served, "/app/notices/2/close", &[]).await.assert_says("Selesai");
    let (_, notice) = served.get("/api/notices/2").await;
    assert_eq!(notice["is_active"], false);
    visit(&served, "/app/notices").await.assert_says("Tiang roboh");
}

#[tokio::test]
async fn a_notice_for_nobody_is_not_written() {
    let served = Served::start().await;
    let fields = [("title", "A"), ("message", "B"), ("audience", "odps")];
    let refused = submit(&served, "/app/notices/new", &fields).await;
    refused.assert_says("centang sedikitnya satu ODP");
    let (_, notices) = served.get("/api/notices?active_only=false").await;
    assert_eq!(notices.as_array().unwrap().len(), 1);
}
