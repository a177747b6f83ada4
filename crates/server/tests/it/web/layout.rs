//! What all pages have in common.

use crate::harness::database::Engine;
use crate::harness::window::{Screen, Window};
use crate::harness::world::World;
use kabari::clock::Clock;

/// Every entry of the navigation.
const SECTIONS: [&str; 1] = ["/app/"];

#[tokio::test(flavor = "multi_thread")]
async fn pages_can_be_used_by_everybody_and_ask_nobody_else() {
    let world = World::linked(Engine::Sqlite).await;
    let origin = world.url("");
    let window = Window::open(&origin, Screen::PHONE).await;
    for page in SECTIONS {
        window.visit(page).await;
        window.assert_accessible().await;
    }
    let elsewhere: Vec<_> = window.requested().await;
    let elsewhere: Vec<_> = elsewhere.iter().filter(|url| !url.starts_with(&origin)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_is_chosen_on_any_page_and_remembered() {
    let world = World::unlinked(Engine::Sqlite, Clock::System, |_| {}).await;
    let window = Window::open(&world.url(""), Screen::PHONE).await;
    window.visit("/app/").await;
    window.until("document.querySelector('h1').textContent === 'Beranda'").await;
    window.press("English").await;
    window.until("document.querySelector('h1').textContent === 'Home'").await;
    window.until("document.documentElement.lang === 'en'").await;
    window.visit("/app/").await;
    window.until("document.querySelector('h1').textContent === 'Home'").await;
    window.press("Bahasa Indonesia").await;
    window.until("document.querySelector('h1').textContent === 'Beranda'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_leads_past_the_navigation_to_the_content() {
    let world = World::unlinked(Engine::Sqlite, Clock::System, |_| {}).await;
    let window = Window::open(&world.url(""), Screen::DESK).await;
    window.visit("/app/").await;
    window.tab_to("Langsung ke isi").await;
    window.keys("\u{e007}").await;
    window.until("document.activeElement.id === 'content'").await;
}
