//! Users, their logins, API keys and the audit.

use super::fixtures::{NODE, SESSION, hold, report, sender};
use crate::harness::database::TestState;
use crate::harness::served::PATIENCE;
use kabari::store::state::{Action, Actor, ActorKind, AuditEntry, AuditFilter};
use kabari_domain::{LinkState, Role, Scope};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

on_both_engines!(
    a_users_name_is_taken_once,
    a_login_needs_the_hash_that_was_checked,
    a_login_ends_when_idle_and_after_its_lifetime,
    a_login_ends_with_a_new_password_a_new_role_and_the_user,
    single_logins_and_all_others_can_be_ended,
    a_key_is_good_until_it_is_revoked,
    the_audit_is_read_in_pages_and_filtered,
    a_phone_that_is_linked_or_unlinked_is_recorded_once,
);

const ADDRESS: &str = "203.0.113.7";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

async fn a_users_name_is_taken_once(test: TestState) {
    let state = &test.state;
    assert!(!state.has_users().await.unwrap());
    assert!(state.add_user("budi", Role::Admin, "hash").await.unwrap());
    assert!(!state.add_user("budi", Role::Viewer, "other").await.unwrap());
    assert!(state.add_user("ani", Role::Viewer, "hash").await.unwrap());
    let users = state.users().await.unwrap();
    let named: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.role)).collect();
    assert_eq!(named, [("ani", Role::Viewer), ("budi", Role::Admin)]);
    assert_eq!(state.password_hash("budi").await.unwrap().as_deref(), Some("hash"));
    assert_eq!(state.password_hash("nobody").await.unwrap(), None);
    assert!(state.has_users().await.unwrap());
    assert!(!state.set_role("nobody", Role::Admin).await.unwrap());
    assert!(!state.set_password("nobody", "hash").await.unwrap());
    assert!(!state.remove_user("nobody").await.unwrap());
}

async fn a_login_needs_the_hash_that_was_checked(test: TestState) {
    let state = &test.state;
    state.add_user("budi", Role::Sender, "hash").await.unwrap();
    let begin = |user: &'static str, hash: &'static str, token: &'static str| {
        state.begin_login(user, hash, token, ADDRESS)
    };
    assert!(!begin("budi", "an earlier hash", "token").await.unwrap());
    assert!(!begin("nobody", "hash", "token").await.unwrap());
    assert_eq!(state.logged_in("token").await.unwrap(), None);
    assert!(begin("budi", "hash", "token").await.unwrap());
    let login = state.logged_in("token").await.unwrap().unwrap();
    assert_eq!((login.login.user_name.as_str(), login.role), ("budi", Role::Sender));
    assert_eq!(login.login.address, ADDRESS);
    assert_eq!(state.logged_in("another token").await.unwrap(), None);
    let now = state.now().await.unwrap();
    assert_eq!(state.user("budi").await.unwrap().unwrap().last_login_at, Some(now));
}

async fn a_login_ends_when_idle_and_after_its_lifetime(test: TestState) {
    let state = &test.state;
    state.add_user("budi", Role::Sender, "hash").await.unwrap();
    for token in ["used", "idle"] {
        assert!(state.begin_login("budi", "hash", token, ADDRESS).await.unwrap());
    }
    for _ in 0..14 {
        test.clock.advance(2 * DAY);
        assert!(state.logged_in("used").await.unwrap().is_some());
        // It is written down aside that the browser is used.
        let now = state.now().await.unwrap();
        eventually(async || {
            let sessions = state.logins("budi").await.unwrap();
            sessions.iter().any(|session| session.last_seen_at == now)
        })
        .await;
    }
    assert_eq!(state.logged_in("idle").await.unwrap(), None);
    test.clock.advance(2 * DAY);
    assert_eq!(state.logged_in("used").await.unwrap(), None);
    assert!(state.logins("budi").await.unwrap().is_empty());
}

async fn a_login_ends_with_a_new_password_a_new_role_and_the_user(test: TestState) {
    let state = &test.state;
    state.add_user("budi", Role::Sender, "hash").await.unwrap();
    state.add_user("ani", Role::Sender, "hash").await.unwrap();
    assert!(state.begin_login("ani", "hash", "hers", ADDRESS).await.unwrap());
    let log_in = async |hash: &str| {
        assert!(state.begin_login("budi", hash, "his", ADDRESS).await.unwrap());
        assert!(state.logged_in("his").await.unwrap().is_some());
    };
    log_in("hash").await;
    assert!(state.set_password("budi", "new").await.unwrap());
    assert_eq!(state.logged_in("his").await.unwrap(), None);
    log_in("new").await;
    assert!(state.set_role("budi", Role::Admin).await.unwrap());
    assert_eq!(state.logged_in("his").await.unwrap(), None);
    log_in("new").await;
    assert!(state.remove_user("budi").await.unwrap());
    assert_eq!(state.logged_in("his").await.unwrap(), None);
    assert!(state.logged_in("hers").await.unwrap().is_some());
}

async fn single_logins_and_all_others_can_be_ended(test: TestState) {
    let state = &test.state;
    state.add_user("budi", Role::Sender, "hash").await.unwrap();
    state.add_user("ani", Role::Sender, "hash").await.unwrap();
    for (user, token) in [("budi", "one"), ("budi", "two"), ("budi", "three"), ("ani", "hers")] {
        assert!(state.begin_login(user, "hash", token, ADDRESS).await.unwrap());
    }
    let id = async |token: &str| state.logged_in(token).await.unwrap().map(|one| one.login.id);
    let one = id("one").await.unwrap();
    assert!(!state.end_login("ani", one).await.unwrap(), "it is not hers");
    assert!(state.end_login("budi", one).await.unwrap());
    assert_eq!(id("one").await, None);
    let two = id("two").await.unwrap();
    assert_eq!(state.end_other_logins("budi", two).await.unwrap(), 1);
    assert_eq!((id("two").await, id("three").await), (Some(two), None));
    assert!(id("hers").await.is_some());
}

async fn a_key_is_good_until_it_is_revoked(test: TestState) {
    let state = &test.state;
    assert!(state.add_api_key("billing", Scope::Send, "hash", "budi").await.unwrap());
    assert!(!state.add_api_key("billing", Scope::Read, "other", "budi").await.unwrap());
    assert_eq!(state.use_api_key("other").await.unwrap(), None);
    let key = state.use_api_key("hash").await.unwrap().unwrap();
    assert_eq!((key.name.as_str(), key.scope, key.last_used_at), ("billing", Scope::Send, None));
    let last_used = async || state.api_keys().await.unwrap()[0].last_used_at;
    let first = state.now().await.unwrap();
    eventually(async || last_used().await == Some(first)).await;
    test.clock.advance(MINUTE / 2);
    state.use_api_key("hash").await.unwrap();
    test.clock.advance(MINUTE / 2);
    let now = state.now().await.unwrap();
    state.use_api_key("hash").await.unwrap();
    eventually(async || last_used().await == Some(now)).await;

    assert!(!state.revoke_api_key("another").await.unwrap());
    assert!(state.revoke_api_key("billing").await.unwrap());
    assert!(!state.revoke_api_key("billing").await.unwrap());
    assert_eq!(state.use_api_key("hash").await.unwrap(), None);
    let keys = state.api_keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].revoked_at), (1, Some(now)));
    assert!(!state.add_api_key("billing", Scope::Send, "new", "budi").await.unwrap());
}

async fn the_audit_is_read_in_pages_and_filtered(test: TestState) {
    let state = &test.state;
    let address = Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));
    let budi = Actor { kind: ActorKind::User, name: "budi".to_owned(), address };
    let console = Actor { kind: ActorKind::Console, name: String::new(), address: None };
    for n in 1..=5 {
        state.record(&budi, Action::Send, &n.to_string(), &json!({ "kind": "custom" })).await;
        state.record(&console, Action::AddUser, "ani", &Value::Null).await;
    }
    let all = AuditFilter::default();
    let page = state.audit(&all, None, 3).await.unwrap();
    let shown = |entries: &[AuditEntry]| {
        let shown = entries.iter().map(|one| format!("{} {}", one.action, one.subject));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(shown(&page), ["add_user ani", "send 5", "add_user ani"]);
    assert_eq!((&page[1].actor, page[1].details.as_str()), (&budi, r#"{"kind":"custom"}"#));
    assert_eq!((&page[0].actor, page[0].details.as_str()), (&console, ""));
    let next = state.audit(&all, Some(page[2].id), 100).await.unwrap();
    assert_eq!(next.len(), 7);
    assert!(next.iter().all(|entry| entry.id < page[2].id));

    let sends = AuditFilter { action: Some(Action::Send), ..AuditFilter::default() };
    assert_eq!(state.audit(&sends, None, 100).await.unwrap().len(), 5);
    let his = AuditFilter { actor: Some("budi".to_owned()), action: Some(Action::AddUser) };
    assert!(state.audit(&his, None, 100).await.unwrap().is_empty());
}

async fn a_phone_that_is_linked_or_unlinked_is_recorded_once(test: TestState) {
    let state = &test.state;
    let lease = hold(state, NODE).await;
    for link in [LinkState::Connected, LinkState::LoggedOut, LinkState::LoggedOut] {
        report(state, &lease, link, &sender()).await;
    }
    let entries = state.audit(&AuditFilter::default(), None, 100).await.unwrap();
    let told: Vec<_> = entries.iter().map(|one| (one.actor.kind, one.action.as_str())).collect();
    assert_eq!(told.last(), Some(&(ActorKind::Phone, "link_session")));
    assert_eq!(told.first(), Some(&(ActorKind::Phone, "unlink_session")));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(entries.iter().all(|entry| entry.subject == SESSION));
}

/// Waits until this holds.
async fn eventually(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to hold");
}
