//! Sending in three steps.

use super::linked;
use crate::harness::window::{Screen, Window};
use crate::harness::world::{World, ZERO, phone};
use chrono::Timelike;
use kabari::clock::Clock;
use serde_json::json;
use std::time::Duration;

/// Leads to the last step of a send of the first notice to these recipients.
async fn check_page(window: &Window, to: &str) {
    window.visit("/app/send").await;
    window.press("Lanjut: kepada siapa").await;
    window.press(to).await;
    window.press("Lanjut: periksa").await;
    window.until_shown("akan menerima").await;
}

async fn campaigns(world: &World) -> usize {
    world.get("/api/campaigns").await["campaigns"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_goes_to_an_odp_and_is_watched_until_it_is_done() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/").await;
    window.press("Kirim pemberitahuan").await;
    window.until_shown("Maaf, Pelanggan 1.").await;
    window.assert_accessible().await;
    window.press("Lanjut: kepada siapa").await;
    window.until_shown("Yang terdampak gangguan ini (5)").await;
    window.press("ODP yang dipilih").await;
    window.press("ODP-7").await;
    window.assert_accessible().await;
    window.press("Lanjut: periksa").await;
    window.until_shown("Maaf, Pelanggan 1.").await;
    window.assert_accessible().await;
    window.press("Kirim ke 5 pelanggan").await;
    window.until("location.pathname === '/app/campaigns/1'").await;
    window.until_shown("Selesai").await;
    assert_eq!(world.reached(), 5);
    assert!(world.received(1)[0].text.contains("Maaf, Pelanggan 1."));
    window.visit("/app/").await;
    let figures = "[...document.querySelectorAll('section')].find((part) => \
                   part.innerText.includes('Kabel putus')).innerText";
    window.until(&format!("{figures}.includes('5\\nsudah dikabari')")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_a_reload_and_back_send_once() {
    let (world, window) = linked(Screen::DESK, |_| {}).await;
    check_page(&window, "Yang terdampak").await;
    window.double_press("Kirim ke 5 pelanggan").await;
    window.until("location.pathname === '/app/campaigns/1'").await;
    window.reload().await;
    // The browser may show the page as it was: whoever presses again is led to the same campaign.
    window.back().await;
    window.press("Kirim ke 5 pelanggan").await;
    window.until("location.pathname === '/app/campaigns/1'").await;
    window.back().await;
    window.reload().await;
    window.until_shown("Pesan ini sudah dikirim").await;
    world.completed(1).await;
    assert_eq!(campaigns(&world).await, 1);
    assert_eq!(world.reached(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_that_have_changed_since_the_look_are_looked_at_again() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    check_page(&window, "Yang terdampak").await;
    world.execute_on_billing("UPDATE customers SET odp = 'ODP-7' WHERE id = 6").await;
    window.press("Kirim ke 5 pelanggan").await;
    window.until_shown("tadi 5, sekarang 6").await;
    assert_eq!(campaigns(&world).await, 0);
    window.press("Kirim ke 6 pelanggan").await;
    window.until("location.pathname === '/app/campaigns/1'").await;
    world.until_reached(6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_nothing_is_told_with_the_reason() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    // One has no number, and one has the number of another.
    world
        .execute_on_billing(&format!(
            "UPDATE customers SET odp = 'ODP-7' WHERE id IN ({ZERO}, 6);
             UPDATE customers SET phone = '0{}' WHERE id = 6",
            &phone(1)[2..]
        ))
        .await;
    check_page(&window, "Yang terdampak").await;
    window.until_shown("1 tanpa nomor yang dapat dipakai").await;
    window.until_shown("1 bernomor sama dengan penerima lain").await;
    window.until_shown("Pelanggan 6").await;
    window.until_shown("Kirim ke 5 pelanggan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_are_searched_and_ticked_and_numbers_pasted() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/send").await;
    window.press("Teks sendiri").await;
    window.fill("Teks pesan", "Halo *{nama}*").await;
    window.until_shown("Seperti yang akan diterima Pelanggan 1.").await;
    window.until("document.querySelector('.bubble strong').textContent === 'Pelanggan 1'").await;
    window.press("Lanjut: kepada siapa").await;
    window.press("Pelanggan yang dipilih").await;
    window.fill("Cari nama atau nomor", "Pelanggan 12").await;
    window.press("Pelanggan 12").await;
    let typed = format!("0{}", &phone(3)[2..]);
    window.fill("Cari nama atau nomor", &typed).await;
    window.press("Pelanggan 3").await;
    window.until("document.querySelectorAll('[name=customer]:checked').length === 2").await;
    window.press("Lanjut: periksa").await;
    window.until_shown("Kirim ke 2 pelanggan").await;

    window.press("Ubah penerima").await;
    window.press("Nomor yang ditempel").await;
    window.fill("Nomor telepon", "0812 3456 7801, 12").await;
    window.press("Lanjut: periksa").await;
    window.until_shown("nomor yang ditempel tidak mempunyainya").await;
    window.press("Apa").await;
    window.fill("Teks pesan", "Halo").await;
    window.press("Lanjut: kepada siapa").await;
    window.press("Nomor yang ditempel").await;
    window.fill("Nomor telepon", &format!("{}, 12", phone(7))).await;
    window.press("Lanjut: periksa").await;
    window.until_shown("1 tanpa nomor yang dapat dipakai").await;
    window.press("Kirim ke 1 pelanggan").await;
    window.until("location.pathname === '/app/campaigns/1'").await;
    world.until_reached(1).await;
    assert_eq!(world.received(7)[0].text, "Halo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_to_the_senders_own_number_first() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    check_page(&window, "Yang terdampak").await;
    window.fill("Nomor WhatsApp Anda", "12").await;
    window.press("Kirim uji coba").await;
    window.until_shown("Nomor ini tidak dapat dibaca").await;
    window.fill("Nomor WhatsApp Anda", &phone(40)).await;
    window.press("Kirim uji coba").await;
    window.until("['Terkirim', 'Sampai', 'Dibaca'].some((word) => document.getElementById('test-state')?.innerText.includes(word))").await;
    assert!(world.received(40)[0].text.contains("Maaf, Pelanggan 1."));
    // The number is remembered, and nobody else has got anything.
    window
        .until(&format!("document.getElementById('test-number').value === '{}'", phone(40)))
        .await;
    assert_eq!(world.reached(), 1);
    window.until_shown("Kirim ke 5 pelanggan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_made_with_the_keyboard_alone() {
    let (world, window) = linked(Screen::DESK, |_| {}).await;
    window.visit("/app/send").await;
    window.tab_to("Lanjut: kepada siapa").await;
    window.key(Window::ENTER).await;
    window.until_shown("Kepada siapa?").await;
    window.tab_to("Lanjut: periksa").await;
    window.key(Window::ENTER).await;
    window.until_shown("akan menerima").await;
    window.tab_to("Kirim ke 5 pelanggan").await;
    window.key(Window::SPACE).await;
    window.until("location.pathname === '/app/campaigns/1'").await;
    world.until_reached(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_made_in_english() {
    let (world, window) = linked(Screen::PHONE, |_| {}).await;
    window.visit("/app/send").await;
    window.press("English").await;
    window.press("Next: to whom").await;
    window.press("Those whom this outage concerns (5)").await;
    window.press("Next: check").await;
    window.press("Send to 5 customers").await;
    window.until("location.pathname === '/app/campaigns/1'").await;
    world.until_reached(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_and_quotas_are_told_before_the_send() {
    let (_world, window) = linked(Screen::PHONE, |settings| {
        let hour = settings.quotas.local_time(Clock::System.now()).hour();
        let quiet = format!("{hour:02}:00-{:02}:00", (hour + 2) % 24);
        settings.quotas.quiet_hours = quiet.parse().ok();
        settings.quotas.daily_cap = Some(3);
    })
    .await;
    check_page(&window, "Yang terdampak").await;
    window.until_shown("Sekarang jam tenang").await;
    window.until_shown("Sisa kuota hari ini 3").await;
    window.press("Jadikan mendesak").await;
    window.until_shown("karena mendesak, pesan ini tetap dikirim").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_is_sent_again_only_on_request() {
    let (world, window) = linked(Screen::PHONE, |settings| {
        settings.duplicate_guard = Duration::from_secs(600);
    })
    .await;
    for _ in 0..2 {
        check_page(&window, "Yang terdampak").await;
        window.press("Kirim ke 5 pelanggan").await;
        window
            .until(
                "location.search.includes('duplicate') || location.pathname === '/app/campaigns/1'",
            )
            .await;
    }
    window.until_shown("Pesan yang sama baru saja dikirim").await;
    assert_eq!(campaigns(&world).await, 1);
    window.press("Kirim sekali lagi ke 5 pelanggan").await;
    window.until("location.pathname === '/app/campaigns/2'").await;
    assert_eq!(campaigns(&world).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_no_phone_is_linked() {
    let (world, window) = super::unlinked(Screen::PHONE).await;
    world.execute_on_billing(super::NOTICES).await;
    check_page(&window, "Yang terdampak").await;
    window.until_shown("Tidak ada ponsel yang tertaut").await;
    let buttons = "[...document.querySelectorAll('button')].map((b) => b.textContent).join()";
    let buttons = window.value(buttons).await;
    assert!(!buttons.as_str().unwrap().contains("Kirim ke"), "{buttons}");
    assert_eq!(world.get("/api/campaigns").await["campaigns"], json!([]));
}
