//! The first page.

use super::{linked, unlinked};
use crate::harness::window::Screen;
use crate::harness::world::OWN;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_leads_to_the_first_steps_and_follows_the_link() {
    let (world, window) = unlinked(Screen::PHONE).await;
    window.visit("/app/").await;
    window.until_shown("Tiga langkah pertama").await;
    window.assert_accessible().await;
    world.scan().await;
    window.until_shown("Siap mengirim").await;
    window.until(&format!("document.body.innerText.includes('+{OWN}')")).await;
    window.until("!document.body.innerText.includes('Tiga langkah pertama')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_shows_notices_and_campaigns_under_way() {
    let (world, window) = linked(Screen::DESK, |settings| {
        settings.pace.delay = std::time::Duration::from_secs(6);
    })
    .await;
    window.visit("/app/").await;
    window.until_shown("Kabel putus").await;
    let figures = "[...document.querySelectorAll('section')].find((part) => \
                   part.innerText.includes('Kabel putus')).innerText";
    window.until(&format!("{figures}.includes('5\\npelanggan terdampak')")).await;
    let id = world.send([1, 2, 3]).await;
    window.until_shown("dari 3 selesai").await;
    window.assert_accessible().await;
    window.until_shown("2 dari 3 selesai").await;
    world.completed(id).await;
    window.until("!document.body.innerText.includes('dari 3 selesai')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_person_is_said_with_what_to_do() {
    let (world, window) = linked(Screen::DESK, |_| {}).await;
    window.visit("/app/").await;
    window.until_shown("Siap mengirim").await;
    world.post("/api/whatsapp/sessions/default/pause", json!({})).await;
    window
        .until_shown("default: Dijeda. Nomor ini tidak mengirim sampai Anda melanjutkannya.")
        .await;
    world.post("/api/whatsapp/sessions/default/resume", json!({})).await;
    world.unlink(OWN);
    window.until_shown("Belum tertaut").await;
}
