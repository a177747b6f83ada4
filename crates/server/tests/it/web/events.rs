//! The events that tell pages when to look again.

use super::linked;
use crate::harness::http_browser::Browser;
use crate::harness::served::Served;
use crate::harness::window::Screen;
use kabari_domain::Role;
use reqwest::{Method, Response};
use serde_json::json;

/// As many as one login may have.
const MOST_STREAMS: usize = 4;

async fn listen(browser: &Browser) -> Response {
    browser.request(Method::GET, "/app/events").send().await.unwrap()
}

/// Returns the next event; `None` after the last one.
async fn next(events: &mut Response) -> Option<String> {
    let event = events.chunk().await.unwrap()?;
    Some(String::from_utf8(event.to_vec()).unwrap())
}

#[tokio::test]
async fn a_stream_begins_with_an_event_and_ends_with_the_login() {
    let served = Served::start().await;
    let browser = Browser::of(&served, Role::Viewer).await;
    let mut events = listen(&browser).await;
    assert_eq!(events.status(), 200);
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    assert!(events.headers().contains_key("content-security-policy"));
    for _ in 0..2 {
        assert_eq!(next(&mut events).await.as_deref(), Some("data: changed\n\n"));
    }
    assert_eq!(browser.post("/app/logout", &[]).await.status, 303);
    while next(&mut events).await.is_some() {}
    assert_eq!(listen(&browser).await.status(), 303, "whoever is logged out has to log in");
}

#[tokio::test]
async fn a_login_has_only_so_many_streams() {
    let served = Served::start().await;
    let browser = Browser::of(&served, Role::Viewer).await;
    let mut open = vec![];
    for _ in 0..MOST_STREAMS {
        let events = listen(&browser).await;
        assert_eq!(events.status(), 200);
        open.push(events);
    }
    assert_eq!(listen(&browser).await.status(), 429);
    let another = Browser::of(&served, Role::Sender).await;
    assert_eq!(listen(&another).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_events_and_ask_by_themselves_where_none_come() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    let number = "/api/whatsapp/sessions/default";
    for is_blocked in [false, true] {
        let urls = if is_blocked { vec!["*/app/events"] } else { vec![] };
        window.devtools("Network.enable", json!({})).await;
        window.devtools("Network.setBlockedURLs", json!({ "urls": urls })).await;
        window.visit("/app/").await;
        window.until_shown("Siap mengirim").await;
        world.post(&format!("{number}/pause"), json!({})).await;
        window.until_shown("Dijeda").await;
        world.post(&format!("{number}/resume"), json!({})).await;
        window.until("!document.body.innerText.includes('Dijeda')").await;
        let asked = window.requested().await;
        assert!(asked.iter().any(|url| url.ends_with("/app/events")), "{asked:?}");
    }
}
