//! The first page.

use super::{linked, unlinked};
use crate::harness::http_browser::visit;
use crate::harness::ports::free_port;
use crate::harness::served::{Served, Setup};
use crate::harness::window::Screen;
use crate::harness::world::OWN;
use kabari::store::BillingTarget;
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

#[tokio::test]
async fn without_the_billing_database_pages_say_so_and_the_others_go_on() {
    let billing = BillingTarget::MySql {
        host: "127.0.0.1".to_owned(),
        port: free_port(),
        database: "billing".to_owned(),
        username: "kabari".to_owned(),
        password: String::new(),
    };
    let served = Served::with(Setup { billing: Some(billing), ..Setup::default() }).await;
    let said = "Database penagihan tidak dapat dihubungi";
    let home = visit(&served, "/app/").await;
    assert_eq!(home.status, 200);
    home.assert_says(said);
    home.assert_says("Siap mengirim");
    for page in ["/app/customers", "/app/notices"] {
        let page = visit(&served, page).await;
        assert_eq!(page.status, 503, "{}", page.path);
        page.assert_says(said);
    }
    assert_eq!(visit(&served, "/app/campaigns").await.status, 200);
}
