//! What holds for every page, also for those that are added later: their addresses are read off
//! the sources.

use crate::architecture::sources;
use crate::harness::http_browser::Browser;
use crate::harness::served::Served;
use kabari_domain::Role;
use std::collections::BTreeSet;

const POLICY: [(&str, &str); 7] = [
    ("content-security-policy", "default-src 'none'"),
    ("content-security-policy", "script-src 'self';"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("permissions-policy", "camera=()"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// Where pages hear of changes.
const EVENTS: &str = "/app/events";

/// Every address below `/app` that the sources name, with 1 in the place of each parameter.
fn addresses() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources("crates/server/src/web", &["rs"]) {
        for (_, line) in source.code() {
            let literals = line.split('"').filter(|text| text.starts_with("/app"));
            let plain = literals.filter(|text| !text.contains([' ', '*', '?']));
            found.extend(plain.map(|text| {
                let mut parts: Vec<_> = text.split('/').collect();
                parts.iter_mut().filter(|part| part.contains('{')).for_each(|part| *part = "1");
                parts.join("/")
            }));
        }
    }
    found.retain(|address| !address.starts_with("/app/assets"));
    assert!(found.contains("/app/access/users/1/role"), "{found:?}");
    found
}

#[tokio::test]
async fn every_page_forbids_what_pages_are_not_made_for_and_is_kept_by_no_cache() {
    let served = Served::start().await;
    let guest = Browser::new(&served);
    let admin = Browser::of(&served, Role::Admin).await;
    let mut pages = addresses();
    assert!(pages.remove(EVENTS), "it has no end, and a test of its own");
    for browser in [&guest, &admin] {
        for address in pages.clone() {
            let page = browser.get(&address).await;
            for (name, part) in POLICY {
                assert!(page.header(name).contains(part), "{address}: {name}");
            }
            let policy = page.header("content-security-policy");
            assert!(!policy.contains("unsafe"), "{address}: {policy}");
            assert_eq!(page.header("cache-control"), "no-store", "{address}");
            assert_eq!(page.header("strict-transport-security"), "", "{address}");
            for inline in ["<style", " style=", "<script>", "javascript:", " onclick="] {
                assert!(!page.body.contains(inline), "{address}: {inline}");
            }
        }
    }
    let encrypted = Browser::new(&served).with_header("x-forwarded-proto", "https");
    let page = encrypted.get("/app/login").await;
    assert!(page.header("strict-transport-security").contains("max-age="));
}

#[tokio::test]
async fn every_form_without_the_token_of_its_page_is_refused() {
    let served = Served::start().await;
    let local = Browser::new(&served);
    for address in addresses() {
        let forged = local.post_forged(&address, &[]).await;
        assert_eq!(forged.status, 403, "{address}");
    }
    let admin = Browser::of(&served, Role::Admin).await;
    let another = Browser::of_user(&served, "admin").await;
    let csrf = kabari::access::token::csrf_token(&another.token().unwrap());
    for address in addresses() {
        for fields in [&[][..], &[("csrf", "")], &[("csrf", csrf.as_str())]] {
            let forged = admin.post_forged(&address, fields).await;
            assert_eq!(forged.status, 403, "{address}");
            assert!(forged.body.contains("Formulir ini tidak berlaku"), "{}", forged.body);
        }
    }
    let guest = Browser::new(&served);
    guest.get("/app/login").await;
    assert_eq!(guest.post_forged("/app/login", &[]).await.status, 403);
    assert_eq!(guest.post("/app/access/users", &[]).await.location(), "/app/login");
}

#[tokio::test]
async fn a_page_of_another_site_can_send_nothing() {
    let served = Served::start().await;
    let admin = Browser::of(&served, Role::Admin).await;
    let csrf = kabari::access::token::csrf_token(&admin.token().unwrap());
    let request = admin
        .request(reqwest::Method::POST, "/app/logout")
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site")
        .header("x-csrf-token", csrf);
    assert_eq!(admin.send(request).await.status, 403);
    assert_eq!(admin.get("/app/").await.status, 200);
}
