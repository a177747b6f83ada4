//! The pages of the WhatsApp numbers.

use super::{linked, unlinked};
use crate::harness::window::Screen;
use crate::harness::world::OWN;
use kabari_domain::LinkState;
use serde_json::json;

const SESSION: &str = "/api/whatsapp/sessions/default";

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_linked_by_the_qr_on_the_page() {
    let (world, window) = unlinked(Screen::PHONE).await;
    window.visit("/app/whatsapp").await;
    window.until("document.querySelector('img.qr')?.complete === true").await;
    let link = world.until("a QR code", |link| link.qr.is_some()).await;
    // The code renews itself: the page shows the newest one soon.
    window
        .until(&format!("document.querySelector('img.qr').src === '{}'", link.qr_png.unwrap()))
        .await;
    window.assert_accessible().await;
    world.scan().await;
    window.until_shown("terhubung; pesan dapat dikirim").await;
    window.until_shown(&format!("+{OWN}")).await;
    window.until("document.querySelector('img.qr') === null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_without_a_camera_is_linked_by_a_code() {
    let (world, window) = unlinked(Screen::PHONE).await;
    window.visit("/app/whatsapp").await;
    window.until("document.querySelector('img.qr')?.complete === true").await;
    window.fill("Nomor WhatsApp ponsel itu", "12").await;
    window.press("Minta kode").await;
    window.until_shown("Kode tidak dapat dibuat").await;
    window.fill("Nomor WhatsApp ponsel itu", "0812 9999 0000").await;
    window.press("Minta kode").await;
    window.until("document.querySelector('.code')?.textContent.length === 8").await;
    let code = window.value("document.querySelector('.code').textContent").await;
    world.simulator.pair(code.as_str().unwrap(), OWN).await.unwrap();
    window.until_shown("terhubung; pesan dapat dikirim").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_leads_through_the_passkey_step_by_step() {
    let (world, window) = unlinked(Screen::DESK).await;
    world.simulator.set_passkey(OWN, true).unwrap();
    window.visit("/app/whatsapp").await;
    world.scan().await;
    window.until_shown("Tempelkan di sini").await;
    window.assert_accessible().await;
    window.fill("Tempelkan di sini", "{}").await;
    window.press("Kirim jawaban").await;
    window.until_shown("Tidak berhasil").await;
    let passkey = world.get("/api/whatsapp/passkey").await;
    let answer = world.simulator.answer_with_passkey(OWN, &passkey["options"]).unwrap();
    window.fill("Tempelkan di sini", &answer.to_string()).await;
    window.press("Kirim jawaban").await;
    window.until_shown("Bandingkan kode ini").await;
    let code = window.value("document.querySelector('.code').textContent").await;
    window.press("Sama, lanjutkan").await;
    window.until_shown("Selesaikan juga di ponsel").await;
    world.simulator.compare_code(OWN, code.as_str().unwrap()).unwrap();
    window.until_shown("terhubung; pesan dapat dikirim").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_paused_slowed_down_and_resumed() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/whatsapp").await;
    window.press("Jeda").await;
    window.until_shown("Nomor dijeda").await;
    world.wait_for(SESSION, |session| session["waiting_for"] == "paused").await;
    window.fill("Jeda antar pesan (detik)", "2.5").await;
    window.fill("Paling banyak per hari", "500").await;
    window.press("Simpan laju").await;
    window.until_shown("Laju disimpan").await;
    let session = world.get(SESSION).await;
    assert_eq!((&session["pace"]["delay_ms"], &session["daily_cap"]), (&json!(2500), &json!(500)));
    window.until_shown("sisa kuota hari ini").await;
    window.press("Lanjutkan").await;
    window.until_shown("Nomor mengirim lagi").await;
    window.press("Mulai ulang").await;
    window.until_shown("WhatsApp sedang dimulai ulang").await;
    world.until_link(LinkState::Connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_unlinked_only_after_a_question() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/whatsapp").await;
    window.press("Keluarkan ponsel").await;
    window.until_shown("Keluarkan ponsel dari default?").await;
    window.press("Batal").await;
    assert_eq!(world.get(SESSION).await["state"], "connected");
    window.press("Keluarkan ponsel").await;
    window.until_shown("Keluarkan ponsel dari default?").await;
    window.press("Keluarkan ponsel").await;
    window.until_shown("Ponsel dikeluarkan").await;
    world.wait_for(SESSION, |session| session["state"] == "not_linked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_number_is_added_and_removed() {
    let (world, window) = linked(Screen::DESK, |_| {}).await;
    window.visit("/app/whatsapp").await;
    window.press("Tambah nomor").await;
    window.fill("Nama nomor", "kantor").await;
    window.value("document.querySelector('[name=name]').form.requestSubmit()").await;
    window.until_shown("Nomor ditambahkan").await;
    assert_eq!(window.path().await, "/app/whatsapp/kantor?done=added");
    window.visit("/app/whatsapp").await;
    window.until("document.querySelectorAll('ul.cards > li').length === 2").await;
    window.assert_accessible().await;
    window.press("kantor").await;
    window.press("Hapus nomor").await;
    window.until_shown("Hapus nomor kantor?").await;
    window.press("Hapus nomor").await;
    window.until_shown("Nomor dihapus").await;
    let sessions = world.get("/api/whatsapp/sessions").await;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn todays_messages_are_drawn_by_the_hour() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/whatsapp").await;
    window.until_shown("Belum ada pesan hari ini.").await;
    let id = world.send(1..=4).await;
    world.completed(id).await;
    window.visit("/app/whatsapp").await;
    window.until("document.querySelector('.chart').getAttribute('aria-label').startsWith('4 pesan hari ini')").await;
    window.assert_accessible().await;
}
