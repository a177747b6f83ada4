//! Named API keys: what each scope may do, and what the audit says about it.

use crate::harness::served::{Served, Setup, answer};
use kabari::access::token::{random_api_key, token_hash};
use kabari::store::state::{Action, ActorKind, AuditEntry, AuditFilter};
use kabari_domain::Scope;
use reqwest::Method;
use serde_json::{Value, json};

const API_KEY: &str = "0123456789abcdef";

async fn locked() -> Served {
    let mut setup = Setup::default();
    setup.settings.api_key = Some(API_KEY.to_owned());
    Served::with(setup).await
}

/// Adds a key that is named after its scope.
async fn add_key(served: &Served, scope: Scope) -> String {
    let key = random_api_key();
    let (name, hash) = (scope.as_str(), token_hash(&key));
    assert!(served.state.add_api_key(name, scope, &hash, "test").await.unwrap());
    key
}

/// What people and programs did, the newest first; the phone was linked before.
async fn audit(served: &Served) -> Vec<AuditEntry> {
    let mut entries = served.state.audit(&AuditFilter::default(), None, 100).await.unwrap();
    entries.retain(|entry| entry.actor.kind != ActorKind::Phone);
    entries
}

async fn ask(served: &Served, key: &str, method: Method, path: &str) -> (u16, Value) {
    let body = json!({ "message": "Halo", "customer_ids": [1], "phone": "081234567801" });
    answer(served.request(method, path).bearer_auth(key).json(&body)).await
}

#[tokio::test]
async fn a_key_is_good_for_the_operations_of_its_scope() {
    let served = locked().await;
    let read = (Method::GET, "/api/customers");
    let send = (Method::POST, "/api/send/custom");
    let pause = (Method::POST, "/api/campaigns/1/pause");
    let qr = (Method::GET, "/api/whatsapp/qr");
    let restart = (Method::POST, "/api/whatsapp/sessions/default/restart");
    let change = (Method::PATCH, "/api/whatsapp/sessions/default");
    let operations = [read, send, pause, qr, restart, change];
    for (scope, allowed) in [
        (Scope::Read, [true, false, false, false, false, false]),
        (Scope::Send, [true, true, true, false, false, false]),
        (Scope::Whatsapp, [true, false, false, true, true, true]),
        (Scope::Admin, [true; 6]),
    ] {
        let key = add_key(&served, scope).await;
        for ((method, path), allowed) in operations.iter().zip(allowed) {
            let (status, body) = ask(&served, &key, method.clone(), path).await;
            assert_eq!(status != 403, allowed, "{scope:?} {method} {path}: {status} {body}");
            assert_ne!(status, 401, "{scope:?} {method} {path}");
            if !allowed {
                let detail = body["detail"].as_str().unwrap();
                assert!(detail.contains("kabari key add NAMA --scope"), "{detail}");
            }
        }
    }
    let recorded = served.state.campaigns(None, 10).await.unwrap().len();
    assert_eq!(recorded, 2, "the keys for send and admin recorded a send, and no other");
}

#[tokio::test]
async fn a_key_is_good_until_it_is_revoked_and_only_as_a_whole() {
    let served = locked().await;
    let key = add_key(&served, Scope::Read).await;
    let status = async |key: &str| ask(&served, key, Method::GET, "/api/notices").await.0;
    assert_eq!(status(&key).await, 200);
    for wrong in [&key[..key.len() - 1], &format!("{key}x"), "kbr_", &random_api_key()] {
        assert_eq!(status(wrong).await, 401, "{wrong}");
    }
    assert_eq!(status(API_KEY).await, 200);
    assert!(served.state.revoke_api_key("read").await.unwrap());
    assert_eq!(status(&key).await, 401);
}

#[tokio::test]
async fn without_api_key_this_machine_needs_no_key_and_a_named_one_is_still_checked() {
    let served = Served::start().await;
    let key = add_key(&served, Scope::Read).await;
    assert_eq!(served.get("/api/notices").await.0, 200);
    assert_eq!(ask(&served, &key, Method::POST, "/api/send/custom").await.0, 403);
    assert_eq!(ask(&served, &random_api_key(), Method::GET, "/api/notices").await.0, 401);
}

#[tokio::test]
async fn the_audit_names_the_key_and_what_was_done_with_it() {
    let served = locked().await;
    let key = add_key(&served, Scope::Admin).await;
    let (_, report) = ask(&served, &key, Method::POST, "/api/send/custom").await;
    let campaign = report["campaign_id"].to_string();
    assert_eq!(ask(&served, &key, Method::POST, "/api/whatsapp/restart").await.0, 200);
    let pause = "/api/whatsapp/sessions/default/pause";
    assert_eq!(ask(&served, API_KEY, Method::POST, pause).await.0, 200);
    // None of these changes anything.
    assert_eq!(ask(&served, &key, Method::GET, "/api/campaigns").await.0, 200);
    assert_eq!(ask(&served, &key, Method::POST, "/api/campaigns/99/pause").await.0, 404);
    let dry_run = json!({ "message": "Halo", "dry_run": true });
    let dry_run = served.request(Method::POST, "/api/send/custom").json(&dry_run);
    assert_eq!(answer(dry_run.bearer_auth(&key)).await.0, 200);

    let entries = audit(&served).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.actor.name.as_str(), entry.action.as_str(), entry.subject.as_str()))
        .collect();
    let expected = [
        ("API_KEY", Action::PauseSession.as_str(), "default"),
        ("admin", Action::RestartSession.as_str(), "default"),
        ("admin", Action::Send.as_str(), campaign.as_str()),
    ];
    assert_eq!(told, expected);
    let send = &entries[2];
    assert_eq!(send.actor.kind, ActorKind::Key);
    assert!(send.actor.address.unwrap().is_loopback());
    assert!(!send.details.contains("Halo") && !send.details.contains("0812"), "{}", send.details);
}

#[tokio::test]
async fn a_send_without_a_key_is_recorded_as_made_on_this_machine() {
    let served = Served::start().await;
    let send = json!({ "phone": "081234567801", "message": "Halo" });
    assert_eq!(served.post("/api/send/phone", send).await.0, 200);
    let entries = audit(&served).await;
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.actor.kind, entry.actor.name.as_str()), (ActorKind::Local, ""));
}

#[tokio::test]
async fn many_wrong_keys_are_answered_slowly_and_the_right_one_is_not() {
    let served = locked().await;
    let ask = async |key: &str| ask(&served, key, Method::GET, "/api/notices").await.0;
    for _ in 0..11 {
        assert_eq!(ask("wrong").await, 401);
    }
    let wrong = async {
        let begun = std::time::Instant::now();
        assert_eq!(ask("wrong").await, 401);
        begun.elapsed()
    };
    let right = async {
        let begun = std::time::Instant::now();
        assert_eq!(ask(API_KEY).await, 200);
        begun.elapsed()
    };
    let (wrong, right) = tokio::join!(wrong, right);
    assert!(right < wrong, "{right:?} {wrong:?}");
    assert!(wrong.as_millis() > 500, "{wrong:?}");
}
