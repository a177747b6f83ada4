//! The import of customers, over HTTP.

use crate::harness::http_browser::{Shown, submit, visit};
use crate::harness::served::Served;
use serde_json::Value;

const ADDRESS: &str = "/app/customers/import";

async fn check(served: &Served, text: &str) -> Shown {
    submit(served, ADDRESS, &[("text", text)]).await
}

async fn import(served: &Served, text: &str) -> Shown {
    submit(served, ADDRESS, &[("text", text), ("do", "import")]).await
}

async fn customers(served: &Served) -> Vec<Value> {
    let (_, customers) = served.get("/api/customers?active_only=false").await;
    customers.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_table_is_looked_at_before_anything_is_kept() {
    let served = Served::start().await;
    let before = customers(&served).await;
    let table = "Nama;No HP;Alamat;ODP\nDewi;0812-3456-7810;Jl. Mawar;ODP-3\nBudi S.;+62 812 3456 7801;;ODP-1\n";
    let checked = check(&served, table).await;
    checked.assert_says("Akan ada 1 pelanggan baru dan 1 yang diperbarui; 0 tetap sama");
    checked.assert_says("Impor 2 pelanggan");
    checked.assert_says("dari nomor WhatsApp-nya");
    checked.assert_says("Jl. Mawar");
    assert_eq!(customers(&served).await, before, "nothing is kept yet");

    let done = import(&served, table).await;
    assert_eq!(done.path, "/app/customers?added=1&updated=1");
    done.assert_says("Impor selesai: 1 pelanggan baru, 1 diperbarui");
    let after = customers(&served).await;
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(after[0]["name"], "Budi S.");
    let dewi = after.last().unwrap();
    assert_eq!((&dewi["name"], &dewi["odp"]), (&"Dewi".into(), &"ODP-3".into()));

    let again = import(&served, table).await;
    assert_eq!(again.path, "/app/customers?added=0&updated=0");
    assert_eq!(customers(&served).await, after, "a repeat changes nothing");
}

#[tokio::test]
async fn one_faulty_line_keeps_the_whole_table_out() {
    let served = Served::start().await;
    let before = customers(&served).await;
    let table = "id,nama,hp,aktif\n7,Dewi,081234567810,ya\n8,,081234567811,ya\nx,Ani,0812,ya\n9,Ali,0812,mungkin\n";
    let refused = import(&served, table).await;
    for fault in [
        "3 kesalahan",
        "Baris 3: namanya kosong",
        "Baris 4: id pelanggan",
        "Baris 5: aktif atau tidak",
    ] {
        refused.assert_says(fault);
    }
    let twice = import(&served, "id,nama,hp\n7,Dewi,081234567810\n7,Ani,081234567811\n").await;
    twice.assert_says("Baris 3: id ini sudah ada di baris sebelumnya");
    assert_eq!(customers(&served).await, before);
}

#[tokio::test]
async fn columns_and_delimiter_can_be_chosen_where_the_guess_is_wrong() {
    let served = Served::start().await;
    let table = "Toko Dewi|Dewi|081234567810\n";
    check(&served, table).await.assert_says("Impor 1 pelanggan");
    check(&served, "Alamat,Kota\nA,B\n").await.assert_says("Tentukan kolom nama");
    let chosen = [
        ("text", table),
        ("delimiter", "|"),
        ("heading", "no"),
        ("column", "ignored"),
        ("column", "name"),
        ("column", "phone"),
        ("do", "import"),
    ];
    submit(&served, ADDRESS, &chosen).await.assert_says("1 pelanggan baru");
    assert_eq!(customers(&served).await.last().unwrap()["name"], "Dewi");
    check(&served, " \n").await.assert_says("Tabelnya kosong");
}

#[tokio::test]
async fn who_cannot_be_reached_is_counted_and_imported_all_the_same() {
    let served = Served::start().await;
    let table = "nama,hp\nDewi,0\nAni,081234567811\n";
    check(&served, table).await.assert_says("1 pelanggan tanpa nomor yang dapat dipakai");
    import(&served, table).await.assert_says("2 pelanggan baru");
    visit(&served, "/app/customers?show=broken").await.assert_says(">Dewi</a>");
}
