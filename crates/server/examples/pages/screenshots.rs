//! Pictures of every page.

use super::Looking;
use super::window::{Screen, Window};
use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kabari::access::{password, token};
use kabari::cli::client::ApiClient;
use kabari_domain::{Role, Scope};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// The quality of the pictures, of 100: text stays sharp, and a picture has some 30 kB.
const QUALITY: u32 = 80;

/// The most of a page that a picture shows, in pixels.
const MAX_HEIGHT: u32 = 1600;

/// The screens, by the end of the picture's name.
const SCREENS: [(&str, Screen); 4] = [
    ("desk-light", Screen::DESK),
    ("desk-dark", Screen::DESK.dark()),
    ("phone-light", Screen::PHONE),
    ("phone-dark", Screen::PHONE.dark()),
];

/// The pages that need no step before them, by the beginning of the picture's name.
const PAGES: [(&str, &str); 14] = [
    ("home", "/app/"),
    ("campaigns", "/app/campaigns"),
    ("campaign", "/app/campaigns/2"),
    ("campaign-done", "/app/campaigns/1"),
    ("notices", "/app/notices"),
    ("notice", "/app/notices/3"),
    ("restored", "/app/notices/3/restored"),
    ("customers", "/app/customers"),
    ("odps", "/app/customers/odps"),
    ("customer", "/app/customers/1"),
    ("whatsapp", "/app/whatsapp"),
    ("log", "/app/log"),
    ("access", "/app/access"),
    ("account", "/app/account"),
];

/// So many customers are imported beside the sample.
const IMPORTED: usize = 214;
const FIRST_NAMES: [&str; 14] = [
    "Adi", "Bayu", "Citra", "Dian", "Eka", "Fitri", "Gilang", "Hesti", "Indra", "Joko", "Kartika",
    "Lukman", "Made", "Nur",
];
const LAST_NAMES: [&str; 15] = [
    "Santoso",
    "Wibowo",
    "Permata",
    "Hidayat",
    "Rahayu",
    "Saputra",
    "Utami",
    "Firmansyah",
    "Lestari",
    "Nugroho",
    "Puspita",
    "Suharto",
    "Anggraini",
    "Gunawan",
    "Maharani",
];

/// Who looks, and their password.
const USER: &str = "ani";
const PASSWORD: &str = "kuda baterai";

/// Takes pictures of every page, on the way from a kabari that is new to one that sends.
pub async fn take_all(looking: &Looking, directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    let window = &looking.window;
    let take = async |name: &str| take(window, directory, name, &SCREENS).await;

    window.visit("/app/").await;
    take("home-new").await?;
    window.visit("/app/whatsapp").await;
    window.until("document.querySelector('img.qr')?.complete === true").await;
    take("link").await?;
    looking.link().await?;

    window.visit("/app/customers/import").await;
    let table = serde_json::Value::from(customers());
    window.value(&format!("document.getElementById('text').value = {table}")).await;
    window.press("Periksa").await;
    window.until_shown("pelanggan baru").await;
    take("import").await?;
    window.press("Impor 214 pelanggan").await;
    window.until_shown("Impor selesai").await;

    // One campaign that is done, with somebody who is not on WhatsApp, and one under way.
    let client = ApiClient::at(&looking.origin, None)?;
    let holiday = json!({ "message": "Halo {nama}, kantor kami tutup pada hari Kamis.",
        "customer_ids": [1, 2, 3, 4, 5, 6, 7, 8] });
    for (path, body) in
        [("/api/send/custom", holiday), ("/api/send/notification", json!({ "notice_id": 3 }))]
    {
        kabari::cli::send::start(&client, path, &body, None).await?;
    }
    window.visit("/app/campaigns/2").await;
    window.until("document.querySelector('.bar .queued')?.getAttribute('width') < 650").await;

    let state = &looking.app.state;
    let hash = password::hash(PASSWORD.to_owned()).await.context("too many passwords")?;
    for (name, role) in [(USER, Role::Admin), ("budi", Role::Sender), ("citra", Role::Viewer)] {
        state.add_user(name, role, &hash).await?;
    }
    let key = token::token_hash(&token::random_api_key());
    state.add_api_key("sistem-billing", Scope::Send, &key, USER).await?;
    window.visit("/app/").await;
    take("login").await?;
    window.fill("Nama pengguna", USER).await;
    window.fill("Kata sandi", PASSWORD).await;
    window.press("Masuk").await;
    window.until("location.pathname === '/app/'").await;

    for (name, page) in PAGES {
        window.visit(page).await;
        take(name).await?;
    }
    window.visit("/app/send").await;
    take("send-what").await?;
    window.press("Lanjut: kepada siapa").await;
    window.press("ODP yang dipilih").await;
    window.press("ODP-MLT-01").await;
    take("send-to").await?;
    window.press("Lanjut: periksa").await;
    window.until_shown("akan menerima").await;
    take("send-check").await?;

    window.press("English").await;
    window.visit("/app/campaigns/2").await;
    self::take(window, directory, "campaign-english", &SCREENS[..1]).await
}

/// Returns a table of customers to import.
fn customers() -> String {
    let mut table = "nama,telepon,odp\n".to_owned();
    for n in 0..IMPORTED {
        let first = FIRST_NAMES[n % FIRST_NAMES.len()];
        let last = LAST_NAMES[n % LAST_NAMES.len()];
        let odp = ["ODP-MLT-01", "ODP-MLT-02", "ODP-KNR-01", "ODP-KNR-02", "ODP-ANG-01"][n % 5];
        // No number ends in 9: those are not on WhatsApp here.
        writeln!(table, "{first} {last},0813{:06}{},{odp}", 554_000 + n, n % 9).unwrap();
    }
    table
}

/// Takes a picture of the page with each screen.
async fn take(
    window: &Window,
    directory: &Path,
    name: &str,
    screens: &[(&str, Screen)],
) -> anyhow::Result<()> {
    for (end, screen) in screens {
        window.look_with(*screen).await;
        // As high as the page, within bounds: a list goes on as it begins.
        let height = window.value("document.documentElement.scrollHeight").await;
        let height =
            u32::try_from(height.as_u64().unwrap_or_default())?.clamp(screen.height, MAX_HEIGHT);
        window.look_with(Screen { height, ..*screen }).await;
        let format = json!({ "format": "webp", "quality": QUALITY });
        let picture = window.devtools("Page.captureScreenshot", format).await;
        let picture = picture["data"].as_str().context("chromedriver has taken no picture")?;
        let picture = BASE64_STANDARD.decode(picture)?;
        std::fs::write(directory.join(format!("{name}-{end}.webp")), picture)?;
    }
    window.look_with(Screen::DESK).await;
    Ok(())
}
