//! The page for the audit.

use crate::harness::http_browser::Browser;
use crate::harness::served::{Served, Setup};
use kabari::store::state::{Action, Actor, ActorKind};
use kabari_domain::Role;
use serde_json::{Value, json};

/// A kabari whose audit has many sends, and one entry that a spreadsheet would run.
async fn filled() -> Served {
    // Otherwise the phone is linked at some time, which is recorded too.
    let served = Served::with(Setup { dispatching: false, ..Setup::default() }).await;
    let key = |name: &str| Actor { kind: ActorKind::Key, name: name.to_owned(), address: None };
    for n in 1..=120 {
        let details = json!({ "kind": "custom" });
        served.state.record(&key("billing"), Action::Send, &n.to_string(), &details).await;
    }
    served.state.record(&key("=1+1"), Action::AddUser, "ani", &Value::Null).await;
    served
}

#[tokio::test]
async fn the_log_is_shown_in_pages_from_the_newest_on() {
    let served = filled().await;
    let browser = Browser::new(&served);
    let mut path = "/app/log".to_owned();
    let mut rows = vec![];
    loop {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200);
        rows.push(page.body.matches("<time").count());
        let older = page.body.split("href=\"").find(|link| link.starts_with("/app/log?before="));
        match older {
            Some(link) => path = link.split('"').next().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(rows, [50, 50, 21]);
}

#[tokio::test]
async fn what_stands_with_an_entry_is_in_the_visitors_language() {
    let served = filled().await;
    let details = json!({ "kind": "notification", "notice": 3, "urgent": true });
    let operator = Actor { kind: ActorKind::Console, name: "rani".to_owned(), address: None };
    served.state.record(&operator, Action::Send, "121", &details).await;
    let page = Browser::new(&served).get("/app/log").await;
    assert!(page.body.contains("tentang gangguan 3, mendesak"), "{}", page.body);
}

#[tokio::test]
async fn the_log_is_filtered_by_action_and_actor() {
    let served = filled().await;
    let browser = Browser::new(&served);
    let rows = async |query: &str| {
        let page = browser.get(&format!("/app/log?{query}")).await;
        page.body.matches("<time").count()
    };
    assert_eq!(rows("action=add_user&actor=").await, 1);
    assert_eq!(rows("action=&actor=billing").await, 50);
    assert_eq!(rows("action=add_user&actor=billing").await, 0);
    let none = browser.get("/app/log?action=add_user&actor=billing").await;
    assert!(none.body.contains("Tidak ada catatan"), "{}", none.body);
}

#[tokio::test]
async fn the_log_is_a_file_for_spreadsheets_that_runs_nothing() {
    let served = filled().await;
    let browser = Browser::of(&served, Role::Viewer).await;
    let file = browser.get("/app/log.csv").await;
    assert!(file.header("content-type").starts_with("text/csv"));
    assert!(file.header("content-disposition").contains("kabari-log.csv"));
    let lines: Vec<_> = file.body.lines().collect();
    assert_eq!(lines.len(), 1 + 121);
    assert!(lines[1].contains("key,'=1+1,,add_user,ani,"), "{}", lines[1]);
    let sends = browser.get("/app/log.csv?action=send").await;
    assert_eq!(sends.body.lines().count(), 1 + 120);
}
