//! What comes after a send, in a browser and with WhatsApp's client.

use super::linked;
use crate::harness::window::Screen;
use crate::harness::world::UNREGISTERED;
use serde_json::json;
use std::time::Duration;

/// Slow enough to be paused on the way.
const DELAY: Duration = Duration::from_millis(700);

/// Puts a file into the field for files, as a person would who chooses it.
const CHOOSE_FILE: &str = "(() => {
    const chosen = new DataTransfer();
    chosen.items.add(new File(['nama;telepon;odp\\nDewi;0812-3456-7810;ODP-9\\n'], 'pelanggan.csv'));
    const field = document.getElementById('file');
    field.files = chosen.files;
    field.dispatchEvent(new Event('change', { bubbles: true }));
    return field.checkVisibility();
})()";

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_paused_and_resumed_and_seen_to_its_end_without_loading_anew() {
    let (world, window) = linked(Screen::PHONE, |settings| settings.pace.delay = DELAY).await;
    let id = world.send(1..=8).await;
    window.visit(&format!("/app/campaigns/{id}")).await;
    window.press("Jeda").await;
    window.until_shown("Dijeda").await;
    world.paused(id, "manual").await;
    window.press("Lanjutkan").await;
    window.until("document.getElementById('pause') && (window.isTheSame = true)").await;
    world.completed(id).await;
    window.until_shown("Selesai").await;
    window.until("!document.getElementById('pause') && window.isTheSame === true").await;
    world.assert_report_is_true(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_retries_the_failed_ones_once() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    let id = world.send([1, UNREGISTERED]).await;
    world.completed(id).await;
    window.visit(&format!("/app/campaigns/{id}")).await;
    window.double_press("Ulangi 1 yang gagal").await;
    window.until_shown("Mengulangi").await;
    let campaigns = world.get("/api/campaigns").await;
    assert_eq!(campaigns["campaigns"].as_array().unwrap().len(), 2);
    assert_eq!(window.path().await, format!("/app/campaigns/{}", id + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_heard_of_an_outage_hear_once_that_it_is_over() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    let body = json!({ "notice_id": 1, "customer_ids": [1, 2, UNREGISTERED] });
    world.post("/api/send/notification", body).await;
    window.visit("/app/notices/1").await;
    window.press("Kabari sudah pulih").await;
    window.fill("Pesan", "Halo {nama}, sudah pulih.").await;
    window.until_shown("Halo Pelanggan 1, sudah pulih.").await;
    window.double_press("Kirim ke 2 nomor").await;
    window.until("location.pathname.startsWith('/app/campaigns/')").await;
    world.until_reached(4).await;
    let mut received = world.received(2).into_iter().map(|message| message.text);
    assert_eq!(received.next_back().as_deref(), Some("Halo Pelanggan 2, sudah pulih."));
    let campaigns = world.get("/api/campaigns").await;
    assert_eq!(campaigns["campaigns"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_are_imported_from_a_file() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/customers").await;
    window.press("Impor pelanggan").await;
    window.until(CHOOSE_FILE).await;
    window.until("document.getElementById('text').value.includes('Dewi')").await;
    window.press("Periksa").await;
    window.until_shown("1 pelanggan baru").await;
    window.assert_accessible().await;
    // On a phone the driver takes what is behind the navigation for something to press.
    window.look_with(Screen::DESK).await;
    window.press("Impor 1 pelanggan").await;
    window.until_shown("Impor selesai").await;
    let on = world.get("/api/customers?odp=odp-9").await;
    assert_eq!(on[0]["name"], "Dewi");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_of_sends_customers_and_notices_can_be_used_by_everybody() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    let body = json!({ "notice_id": 1, "customer_ids": [1, 2, UNREGISTERED] });
    world.post("/api/send/notification", body).await;
    for page in [
        "/app/campaigns",
        "/app/campaigns/1",
        "/app/campaigns/1?state=uncertain",
        "/app/campaigns/1/cancel",
        "/app/customers",
        "/app/customers?show=broken",
        "/app/customers/odps",
        "/app/customers/1",
        "/app/customers/import",
        "/app/notices",
        "/app/notices/1",
        "/app/notices/1/restored",
        "/app/notices/1/edit",
        "/app/notices/new",
    ] {
        window.visit(page).await;
        window.assert_accessible().await;
    }
}
