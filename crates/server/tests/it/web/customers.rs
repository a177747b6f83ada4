//! The pages of customers and ODPs, over HTTP.

use crate::harness::database::SeedBilling;
use crate::harness::http_browser::{submit, visit};
use crate::harness::served::{Served, Setup};
use kabari_domain::Phone;

fn names(html: &str) -> Vec<&'static str> {
    let everybody = ["Budi", "=1+1", "Nol", "Tak Terdaftar", "Garis", "Kosong"];
    everybody.into_iter().filter(|name| html.contains(&format!(">{name}</a>"))).collect()
}

#[tokio::test]
async fn customers_are_found_by_name_number_odp_and_what_is_wrong_with_them() {
    let served = Served::start().await;
    for (query, expected) in [
        ("", vec!["Budi", "=1+1", "Nol", "Tak Terdaftar", "Garis", "Kosong"]),
        ("?q=BUD", vec!["Budi"]),
        ("?q=%2B62+812-3456-7805", vec!["Garis"]),
        ("?odp=odp-2", vec!["Tak Terdaftar", "Kosong"]),
        ("?show=broken", vec!["Nol", "Kosong"]),
        ("?show=broken&odp=ODP-2", vec!["Kosong"]),
        ("?after=4", vec!["Garis", "Kosong"]),
    ] {
        let shown = visit(&served, &format!("/app/customers{query}")).await;
        assert_eq!(names(&shown.body), expected, "{query}");
    }
    visit(&served, "/app/customers?show=broken").await.assert_says("Nomornya kosong");
    visit(&served, "/app/customers?q=nobody").await.assert_says("Tidak ada pelanggan yang cocok");
    let odps = visit(&served, "/app/customers/odps").await;
    odps.assert_says("ODP/5");
    odps.assert_says("odp=ODP%2F5");
}

#[tokio::test]
async fn a_customer_is_shown_with_what_they_were_sent() {
    let served = Served::start().await;
    served.send_notice(1).await;
    let budi = visit(&served, "/app/customers/1").await;
    budi.assert_says("Kabel putus");
    budi.assert_says("Terkirim");
    visit(&served, "/app/customers/5").await.assert_says("Belum pernah dikirimi");
    assert_eq!(visit(&served, "/app/customers/99").await.status, 404);
    visit(&served, "/app/customers").await.assert_says("Terkirim");
}

#[tokio::test]
async fn the_summary_tells_who_can_be_reached() {
    let served = Served::start().await;
    let sender = Phone::parse("6281299990000").unwrap();
    let writer = Phone::parse("081234567801").unwrap();
    let now = served.state.now().await.unwrap();
    served.state.wrote(&sender, &[(writer, now)]).await.unwrap();
    let summary = visit(&served, "/app/customers/summary").await;
    for figure in
        ["<strong>6</strong>", "<strong>4</strong>", "<strong>25 %</strong>", "<strong>2</strong>"]
    {
        summary.assert_says(figure);
    }
    visit(&served, "/app/customers?q=budi").await.assert_says("pernah menulis");
}

#[tokio::test]
async fn a_number_is_put_right_where_the_database_is_ours() {
    let served = Served::start().await;
    let fields =
        [("name", "Nol"), ("phone", "0812-3456-7803"), ("odp", "ODP-1"), ("active", "yes")];
    let changed = submit(&served, "/app/customers/3", &fields).await;
    assert_eq!(changed.path, "/app/customers/3");
    changed.assert_says("+6281234567803");
    let nameless =
        submit(&served, "/app/customers/3", &[("name", " "), ("phone", ""), ("odp", "")]);
    nameless.await.assert_says("Isi namanya");
    visit(&served, "/app/customers?show=broken").await.assert_says_not(">Nol</a>");
}

#[tokio::test]
async fn a_providers_own_database_is_shown_and_never_written() {
    let billing = SeedBilling::create().await;
    let target = Some(billing.target.clone());
    let served = Served::with(Setup { billing: target, ..Setup::default() }).await;
    let shown = visit(&served, "/app/customers?q=0812").await;
    assert_eq!(shown.status, 200);
    shown.assert_says("+62812");
    shown.assert_says_not("Impor pelanggan");
    visit(&served, "/app/customers?odp=odp-001&show=broken").await;
    visit(&served, "/app/customers/odps").await.assert_says("ODP-001");
    visit(&served, "/app/customers/1").await.assert_says_not("Ubah data");
    let notice = visit(&served, "/app/notices/1").await;
    notice.assert_says("Ubah atau tutup di sana");
    notice.assert_says_not("/app/notices/1/edit");
    for path in ["/app/notices/new", "/app/notices/1/edit", "/app/customers/import"] {
        assert_eq!(visit(&served, path).await.status, 404, "{path}");
    }
    for path in ["/app/notices/1/close", "/app/customers/import"] {
        assert_eq!(
            submit(&served, path, &[("text", "nama,hp\nA,0812")]).await.status,
            404,
            "{path}"
        );
    }
}
