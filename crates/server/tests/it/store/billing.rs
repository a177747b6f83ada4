//! Reading the billing database: the seed's on MariaDB, the same rows in a file, and broken ones.

use crate::harness::database::{MariaDbDatabase, SeedBilling, billing_file};
use crate::harness::ports::free_port;
use futures_util::{StreamExt, TryStreamExt};
use kabari::store::billing::sample;
use kabari::store::{Billing, BillingTarget, CustomerFilter, Missing, StoreError};
use kabari_domain::{Customer, Notice, Phone};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TABLES: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, phone TEXT, odp TEXT, is_active INT);
    CREATE TABLE network_notices (id INTEGER PRIMARY KEY, title TEXT, message TEXT, type TEXT,
        severity TEXT, is_mass INT, affected_area TEXT, affected_odp TEXT, start_time TEXT,
        end_time TEXT, is_active INT, created_at TEXT);";

async fn seed() -> (SeedBilling, Billing) {
    let seed = SeedBilling::create().await;
    let billing = Billing::connect(seed.target.clone()).unwrap();
    (seed, billing)
}

async fn customers(billing: &Billing, filter: &CustomerFilter) -> Vec<Customer> {
    billing.customers(filter).try_collect().await.unwrap()
}

async fn ids(billing: &Billing, filter: &CustomerFilter) -> Vec<i64> {
    customers(billing, filter).await.into_iter().map(|customer| customer.id).collect()
}

fn on(odps: &[&str]) -> CustomerFilter {
    let odps = Some(odps.iter().map(|odp| (*odp).to_owned()).collect());
    CustomerFilter { active_only: true, odps, ..CustomerFilter::default() }
}

/// The seed's rows in a file, read through the store and written again.
async fn seed_in_a_file(directory: &TempDir, billing: &Billing) -> Billing {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let nullable = |text: Option<String>| text.map_or("NULL".to_owned(), |text| quote(&text));
    let time = |time: Option<chrono::NaiveDateTime>| nullable(time.map(|time| time.to_string()));
    let mut sql = TABLES.to_owned();
    for customer in customers(billing, &CustomerFilter::default()).await {
        sql.push_str(&format!(
            "INSERT INTO customers VALUES ({}, {}, {}, {}, {});",
            customer.id,
            quote(&customer.name),
            nullable(customer.phone),
            nullable(customer.odp),
            customer.is_active
        ));
    }
    for notice in billing.notices(false).await.unwrap() {
        sql.push_str(&format!(
            "INSERT INTO network_notices VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});",
            notice.id,
            quote(&notice.title),
            quote(&notice.message),
            quote(&notice.kind),
            quote(&notice.severity),
            notice.is_mass,
            nullable(notice.affected_area),
            nullable(notice.affected_odp),
            time(notice.start_time),
            time(notice.end_time),
            notice.is_active,
            time(notice.created_at),
        ));
    }
    Billing::connect(billing_file(directory, &sql).await).unwrap()
}

#[tokio::test]
async fn an_account_without_a_password_is_let_in() {
    let (mut seed, _) = seed().await;
    let name = &seed.database.name;
    seed.database.execute(format!("ALTER USER {name} IDENTIFIED BY ''")).await;
    let BillingTarget::MySql { password, .. } = &mut seed.target else { panic!("a server") };
    password.clear();
    Billing::connect(seed.target.clone()).unwrap().check().await.unwrap();
}

#[tokio::test]
async fn the_seed_reads_the_same_on_both_engines() {
    let (_seed, server) = seed().await;
    let directory = TempDir::new().unwrap();
    let file = seed_in_a_file(&directory, &server).await;
    for billing in [&server, &file] {
        billing.check().await.unwrap();
        let notice_ids = async |active| -> Vec<i64> {
            billing.notices(active).await.unwrap().into_iter().map(|notice| notice.id).collect()
        };
        assert_eq!(notice_ids(true).await, [10, 1, 2, 4, 5, 7, 11, 8]);
        assert_eq!(notice_ids(false).await, [10, 1, 2, 4, 5, 6, 7, 9, 11, 3, 8]);
        assert_eq!(billing.newest_active_notice().await.unwrap().unwrap().id, 10);
        assert_eq!(billing.notice(999).await.unwrap(), None);

        let everybody = ids(billing, &CustomerFilter::default()).await;
        assert_eq!(everybody.len(), 32);
        assert!(everybody.is_sorted());
        let active = CustomerFilter { active_only: true, ..CustomerFilter::default() };
        assert_eq!(ids(billing, &active).await.len(), 31);
        assert_eq!(ids(billing, &on(&["ODP 003 A"])).await, [13]);
        assert_eq!(ids(billing, &on(&["odp-sg", "ODP/005"])).await, [9, 30]);
        for nobody in [&[][..], &[""], &[" ", "\t"], &["ODP-999"]] {
            assert!(ids(billing, &on(nobody)).await.is_empty(), "{nobody:?}");
        }
        let chosen =
            |ids: &[i64]| CustomerFilter { ids: Some(ids.to_vec()), ..CustomerFilter::default() };
        assert_eq!(ids(billing, &chosen(&[33, 10, 1, 1, 9999, i64::MAX])).await, [1, 10, 33]);
        assert!(ids(billing, &chosen(&[])).await.is_empty());
    }
    let all = CustomerFilter::default();
    assert_eq!(customers(&server, &all).await, customers(&file, &all).await);
    assert_eq!(server.notices(false).await.unwrap(), file.notices(false).await.unwrap());
}

#[tokio::test]
async fn a_notice_is_read_as_it_was_written() {
    let (_seed, billing) = seed().await;
    let time = |text: &str| Some(text.parse().unwrap());
    let expected = Notice {
        id: 1,
        title: "Kabel FO Putus".to_owned(),
        message: "Kabel fiber optik putus di Jl. Merdeka.".to_owned(),
        kind: "gangguan".to_owned(),
        severity: "critical".to_owned(),
        is_mass: true,
        affected_area: Some("Jl. Merdeka".to_owned()),
        affected_odp: Some("ODP-001, ODP-002".to_owned()),
        start_time: time("2026-01-10T08:05:00"),
        end_time: time("2026-01-10T17:30:59"),
        is_active: true,
        created_at: time("2026-01-10T01:05:00"),
    };
    assert_eq!(billing.notice(1).await.unwrap(), Some(expected));
}

/// `utf8mb4_unicode_ci`, as the billing application compares.
#[tokio::test]
async fn on_a_server_the_collation_decides_which_odp_it_is() {
    let (seed, billing) = seed().await;
    for name in ["ODP-001", "odp-001", "ODP-001  ", "ÓDP-001"] {
        assert_eq!(ids(&billing, &on(&[name])).await, [1, 2, 3, 4, 12, 14, 28], "{name:?}");
    }
    // What the collation takes for nothing is nobody's ODP.
    seed.database
        .execute("INSERT INTO customers (id, name, phone, odp) VALUES (40, 'x', '1', '\u{200b}')")
        .await;
    assert!(ids(&billing, &on(&["\u{200b}"])).await.is_empty());
}

#[tokio::test]
async fn in_a_file_case_and_surrounding_blanks_do_not_matter() {
    let directory = TempDir::new().unwrap();
    let sql = format!(
        "{TABLES} INSERT INTO customers VALUES (1, 'a', NULL, ' Ódp-1 ', 1), \
         (2, 'b', '0812', 'óDP-1', 1), (3, 'c', '0812', 'ODP-2', 1), (4, 'd', '1', '', 1), \
         (5, 'e', '1', NULL, 1)"
    );
    let billing = Billing::connect(billing_file(&directory, &sql).await).unwrap();
    let found = customers(&billing, &on(&["ÓDP-1", "", "  "])).await;
    assert_eq!(found.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(found[0].phone, None);
}

#[tokio::test]
async fn zero_dates_and_unsigned_ids_are_read() {
    let (seed, billing) = seed().await;
    seed.database
        .execute(
            "SET sql_mode = ''; UPDATE network_notices SET start_time = '0000-00-00 00:00:00', \
             end_time = '2026-02-30 99:00:00' WHERE id = 1; \
             INSERT INTO customers (id, name, phone) VALUES (9223372036854775807, 'x', '1')",
        )
        .await;
    let notice = billing.notice(1).await.unwrap().unwrap();
    assert_eq!((notice.start_time, notice.end_time), (None, None));
    assert_eq!(ids(&billing, &CustomerFilter::default()).await.last(), Some(&i64::MAX));
}

#[tokio::test]
async fn the_account_may_not_write() {
    let (seed, _billing) = seed().await;
    let BillingTarget::MySql { host, port, database, username, password } = seed.target.clone()
    else {
        panic!("the seed is on a server")
    };
    let url =
        format!("mysql://{username}:{}@{host}:{port}/{database}", password.replace(' ', "%20"));
    let target = kabari::store::StateTarget::MySql { url };
    let result = kabari::store::StateStore::open(target, kabari::clock::Clock::System).await;
    assert!(matches!(result, Err(StoreError::Denied { .. })), "{result:?}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (seed, billing) = seed().await;
    seed.database
        .execute("ALTER TABLE customers DROP COLUMN odp; ALTER TABLE customers DROP COLUMN name")
        .await;
    let column = |table: &str, column: &str| Missing::Column {
        table: table.to_owned(),
        column: column.to_owned(),
    };
    let error = billing.check().await.unwrap_err();
    let StoreError::Missing { missing, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*missing, [column("customers", "name"), column("customers", "odp")]);
    assert!(
        error.to_string().contains("column `customers.name`, column `customers.odp`"),
        "{error}"
    );

    let filter = CustomerFilter::default();
    let error = Box::pin(billing.customers(&filter)).next().await.unwrap().unwrap_err();
    let StoreError::Missing { missing, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*missing, [column("customers", "name")]);

    seed.database.execute("DROP TABLE network_notices").await;
    let error = billing.notices(true).await.unwrap_err();
    let missing_or_denied =
        matches!(&error, StoreError::Missing { .. } | StoreError::Denied { .. });
    assert!(missing_or_denied && error.to_string().contains("network_notices"), "{error}");

    let directory = TempDir::new().unwrap();
    let file = billing_file(&directory, "CREATE TABLE customers (id INT, name TEXT, phone TEXT)");
    let file = Billing::connect(file.await).unwrap();
    let error = file.check().await.unwrap_err();
    let StoreError::Missing { missing, .. } = &error else { panic!("{error:?}") };
    assert_eq!(
        *missing,
        [
            column("customers", "odp"),
            column("customers", "is_active"),
            Missing::Table("network_notices".to_owned())
        ]
    );
    let error = file.notices(true).await.unwrap_err();
    assert!(error.to_string().contains("table `network_notices`"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_is_an_error_of_the_call() {
    let billing = Billing::connect(BillingTarget::MySql {
        host: "127.0.0.1".to_owned(),
        port: free_port(),
        database: "billing".to_owned(),
        username: "kabari".to_owned(),
        password: "a secret".to_owned(),
    })
    .unwrap();
    let started = Instant::now();
    let error = billing.notices(true).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
    let text = format!("{error} {error:?}");
    assert!(text.contains("DB_HOST") && !text.contains("a secret"), "{text}");
}

#[tokio::test]
async fn a_wrong_password_says_so() {
    let database = MariaDbDatabase::create().await;
    let (host, port) = database.host_and_port();
    let billing = Billing::connect(BillingTarget::MySql {
        host,
        port,
        database: database.name.clone(),
        username: "nobody_knows_me".to_owned(),
        password: "a secret".to_owned(),
    })
    .unwrap();
    let error = billing.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
}

#[tokio::test]
async fn long_lists_come_page_by_page() {
    let (seed, billing) = seed().await;
    seed.database
        .execute(
            "INSERT INTO customers (id, name, phone, odp, is_active) \
             WITH RECURSIVE one AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM one WHERE n < 9), \
             many AS (SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS seq \
             FROM one a, one b, one c, one d) \
             SELECT seq + 1000, CONCAT('Pelanggan ', seq), CONCAT('0812', seq), 'ODP-MANY', seq % 2 \
             FROM many WHERE seq <= 9000",
        )
        .await;
    assert_eq!(ids(&billing, &CustomerFilter::default()).await.len(), 9032);
    let many = ids(&billing, &on(&["ODP-MANY"])).await;
    assert_eq!(many.len(), 4500);
    assert!(many.is_sorted());
    let chosen = CustomerFilter { ids: Some((0..20_000).collect()), ..CustomerFilter::default() };
    assert_eq!(ids(&billing, &chosen).await.len(), 9032);
}

#[tokio::test]
async fn the_sample_is_a_billing_database() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("billing.db");
    sample(&path).await.unwrap();
    sample(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "customers' numbers are in it");
    let billing = Billing::connect(BillingTarget::Sqlite { path }).unwrap();
    billing.check().await.unwrap();
    let all = customers(&billing, &CustomerFilter::default()).await;
    assert_eq!(all.len(), 12);
    let phones: Vec<_> = all
        .iter()
        .filter_map(|c| Phone::parse(c.phone.as_deref().unwrap_or_default()).ok())
        .collect();
    let mut distinct: Vec<_> = phones.iter().map(Phone::digits).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(phones.len(), distinct.len() + 1, "one number is there twice");
    assert!(distinct.iter().any(|phone| phone.ends_with('9')), "one is not on WhatsApp");
    assert!(all.iter().any(|c| c.phone.as_deref() == Some("0")));
    let newest = billing.newest_active_notice().await.unwrap().unwrap();
    assert_eq!(newest.id, 3);
    assert!(!newest.message.is_empty() && billing.notices(false).await.unwrap().len() == 3);
}
