//! Users in a browser: how they come in, and what each role finds there.

use super::{linked, unlinked};
use crate::harness::http_browser::PASSWORD;
use crate::harness::window::{Screen, Window};
use kabari::access::password;
use kabari_domain::Role;
use std::time::Duration;

/// Slow enough to be stopped on the way.
const DELAY: Duration = Duration::from_millis(700);

/// The forms on the page that change something, but for those of every page.
const FORMS: &str = "[...document.querySelectorAll('form[method=post]')]
    .map((form) => form.getAttribute('action'))
    .filter((action) => !['/app/logout', '/app/language'].includes(action)).join()";

/// The links on the page to what only senders may do.
const WAYS_TO_SEND: &str = "[...document.querySelectorAll('a')].map((link) => link.pathname)
    .filter((path) => /^\\/app\\/send|\\/(restored|cancel|edit|new|import|logout)$/.test(path)).join()";

async fn log_in(window: &Window, name: &str) {
    window.visit("/app/login").await;
    window.fill("Nama pengguna", name).await;
    window.fill("Kata sandi", PASSWORD).await;
    window.press("Masuk").await;
    window.until("location.pathname === '/app/'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_is_added_and_logs_in_with_the_keyboard_alone() {
    let (_world, window) = unlinked(Screen::DESK).await;
    window.visit("/app/access").await;
    window.assert_accessible().await;
    window.look_with(Screen::DESK).await;
    window.fill("Nama", "ani").await;
    window.fill("Kata sandi baru", PASSWORD).await;
    window.fill("Ulangi kata sandi baru", PASSWORD).await;
    window.key(Window::ENTER).await;

    window.until_shown("Lupa kata sandi?").await;
    window.assert_accessible().await;
    window.look_with(Screen::DESK).await;
    window.tab_to("Nama pengguna").await;
    window.type_text("ani").await;
    window.tab_to("Kata sandi").await;
    window.type_text("salah sekali").await;
    window.key(Window::ENTER).await;
    window.until_shown("Nama atau kata sandi salah").await;
    window.assert_accessible().await;
    window.look_with(Screen::DESK).await;
    window.tab_to("Kata sandi").await;
    window.type_text(PASSWORD).await;
    window.key(Window::ENTER).await;
    // Back to where the way in was asked for.
    window.until("location.pathname === '/app/access'").await;

    for page in ["/app/access", "/app/access/users/ani", "/app/account"] {
        window.visit(page).await;
        window.until_shown("ani").await;
        window.assert_accessible().await;
    }
    window.look_with(Screen::DESK).await;
    window.tab_to("Keluar").await;
    window.key(Window::ENTER).await;
    window.until_shown("Lupa kata sandi?").await;
    window.visit("/app/campaigns").await;
    window.until("location.pathname === '/app/login'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_and_shown() {
    let (_world, window) = unlinked(Screen::PHONE).await;
    window.visit("/app/access").await;
    window.press("Buat kunci").await;
    window.until("document.getElementById('key-name').checkVisibility()").await;
    window.value("document.getElementById('key-name').value = 'billing'").await;
    window.value("document.getElementById('key-name').form.requestSubmit()").await;
    window.until_shown("kbr_").await;
    window.assert_accessible().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_everything_and_can_send_nothing() {
    let (world, window) = linked(Screen::PHONE, |settings| settings.pace.delay = DELAY).await;
    let hash = password::hash(PASSWORD.to_owned()).await.unwrap();
    assert!(world.app().state.add_user("ani", Role::Viewer, &hash).await.unwrap());
    let id = world.send(1..=8).await;
    log_in(&window, "ani").await;
    for page in [
        "/app/",
        &format!("/app/campaigns/{id}"),
        "/app/notices",
        "/app/notices/1",
        "/app/customers",
        "/app/customers/1",
        "/app/whatsapp",
        "/app/log",
    ] {
        window.visit(page).await;
        assert_eq!(window.value(FORMS).await, "", "{page}");
        assert_eq!(window.value(WAYS_TO_SEND).await, "", "{page}");
    }
    window.visit("/app/send").await;
    window.until_shown("Anda hanya boleh melihat").await;
    window.assert_accessible().await;

    // What has no button is asked for all the same, with the token of the viewer's own page.
    let forge = format!(
        "(async () => {{
            const headers = {{ ...JSON.parse(document.body.getAttribute('hx-headers')),
                'Content-Type': 'application/x-www-form-urlencoded' }};
            const answers = [];
            for (const path of ['/app/campaigns/{id}/pause', '/app/campaigns/{id}/cancel',
                '/app/campaigns/{id}/retry', '/app/send', '/app/notices/1/restored',
                '/app/whatsapp/default/pause']) {{
                const body = 'key=a&count=5&message=Halo&what=1';
                answers.push((await fetch(path, {{ method: 'POST', headers, body }})).status);
            }}
            return answers.join();
        }})()"
    );
    assert_eq!(window.value(&forge).await, "403,403,403,403,403,403");
    world.completed(id).await;
    assert_eq!(world.reached(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_on_another_site_changes_nothing() {
    let (world, window) = linked(Screen::PHONE, |settings| settings.pace.delay = DELAY).await;
    let id = world.send(1..=8).await;
    window.visit("about:blank").await;
    let forge = format!(
        "(() => {{
            const form = document.createElement('form');
            form.method = 'post';
            form.action = '{}';
            document.body.append(form);
            form.submit();
        }})()",
        world.url(&format!("/app/campaigns/{id}/cancel"))
    );
    window.value(&forge).await;
    window.until_shown("Permintaan dari halaman web ini ditolak").await;
    world.completed(id).await;
    assert_eq!(world.reached(), 8);
}
