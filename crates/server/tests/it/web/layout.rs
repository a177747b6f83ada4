//! What all pages have in common.

use super::{linked, unlinked};
use crate::harness::window::{Screen, Window};
use crate::harness::world::{OWN, phone};
use serde_json::json;

/// The pages that show something without a step before them.
const PAGES: [&str; 13] = [
    "/app/",
    "/app/campaigns",
    "/app/campaigns/1",
    "/app/notices",
    "/app/notices/1",
    "/app/customers",
    "/app/log",
    "/app/access",
    "/app/whatsapp",
    "/app/whatsapp/default",
    "/app/whatsapp/default/logout",
    "/app/send",
    "/app/no-such-page",
];

#[tokio::test(flavor = "multi_thread")]
async fn pages_can_be_used_by_everybody_and_ask_nobody_else() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    let id = world.send([1, 2]).await;
    world.completed(id).await;
    for page in PAGES {
        window.visit(page).await;
        window.assert_accessible().await;
    }
    let origin = world.url("");
    let mut elsewhere = window.requested().await;
    assert!(elsewhere.len() >= PAGES.len(), "{elsewhere:?}");
    // The browser's own pages and the pictures in a page itself are no requests.
    elsewhere.retain(|url| url.starts_with("http") && !url.starts_with(&origin));
    assert_eq!(elsewhere, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_is_chosen_on_any_page_and_remembered() {
    let (_world, window) = unlinked(Screen::PHONE).await;
    window.visit("/app/").await;
    window.until("document.querySelector('h1').textContent === 'Beranda'").await;
    window.press("English").await;
    window.until("document.querySelector('h1').textContent === 'Home'").await;
    window.until("document.documentElement.lang === 'en'").await;
    window.visit("/app/whatsapp").await;
    window.until_shown("Link to WhatsApp").await;
    window.press("Bahasa Indonesia").await;
    window.until("document.querySelector('h1').textContent === 'Nomor WhatsApp'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_leads_past_the_navigation_to_the_content() {
    let (_world, window) = unlinked(Screen::DESK).await;
    window.visit("/app/").await;
    window.tab_to("Langsung ke isi").await;
    window.key(Window::ENTER).await;
    window.until("document.activeElement.id === 'content'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_is_light_enough_for_a_slow_line() {
    const MOST_BYTES: u64 = 60_000;
    const MOST_REQUESTS: u64 = 5;
    let (_world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/").await;
    window.until("document.readyState === 'complete'").await;
    let entries = "[...performance.getEntriesByType('navigation'), \
                    ...performance.getEntriesByType('resource')]";
    let bytes = format!("{entries}.reduce((sum, entry) => sum + entry.transferSize, 0)");
    let (bytes, requests) =
        (window.value(&bytes).await, window.value(&format!("{entries}.length")).await);
    println!("the first page: {bytes} bytes in {requests} requests");
    assert!(bytes.as_u64().unwrap() <= MOST_BYTES, "{bytes} bytes");
    assert!(requests.as_u64().unwrap() <= MOST_REQUESTS, "{requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_of_the_simulated_phones_can_be_used_by_everybody() {
    let (world, window) = linked(Screen::DESK, |_| {}).await;
    world
        .post("/api/send/phone", json!({ "phone": phone(1), "message": "Halo https://kabari.id" }))
        .await;
    let inbox = format!("http://{}", world.simulator.addr());
    // All chats, the chat as the customer and as the sender sees it, and the faults.
    let (customer, sender) = (phone(1), OWN);
    for view in [
        "".to_owned(),
        format!("?phone={customer}&with={sender}"),
        format!("?phone={sender}&with={customer}"),
        format!("?phone={customer}&with={sender}&panel=faults"),
    ] {
        window.visit(&format!("{inbox}/{view}")).await;
        window.until_shown("Halo").await;
        window.assert_accessible().await;
    }
}
