//! The page for users and keys.

use crate::harness::http_browser::{Browser, PASSWORD, add_user};
use crate::harness::served::{Served, answer};
use kabari_domain::Role;
use reqwest::Method;

const USER: [(&str, &str); 4] =
    [("name", "ani"), ("role", "sender"), ("password", PASSWORD), ("again", PASSWORD)];

/// The fields with another value for one of them.
fn with<'f>(fields: &[(&'f str, &'f str)], name: &str, value: &'f str) -> Vec<(&'f str, &'f str)> {
    fields.iter().map(|field| if field.0 == name { (field.0, value) } else { *field }).collect()
}

#[tokio::test]
async fn the_first_user_is_an_admin_and_closes_the_door() {
    let served = Served::start().await;
    let browser = Browser::new(&served);
    let page = browser.get("/app/access").await;
    let (_, after) = page.body.split_once(r#"name="csrf" value=""#).unwrap();
    let csrf = after.split_once('"').unwrap().0.to_owned();
    let add = async |role: &'static str| {
        let fields = [&with(&USER, "role", role)[..], &[("csrf", csrf.as_str())]].concat();
        browser.post_forged("/app/access/users", &fields).await
    };
    let refused = add("sender").await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("Pengguna pertama harus admin"), "{}", refused.body);
    assert_eq!(add("admin").await.location(), "/app/access");
    assert_eq!(browser.get("/app/access").await.location(), "/app/login?next=%2Fapp%2Faccess");
    assert_eq!(browser.log_in("ani", PASSWORD).await.status, 303);
    assert_eq!(browser.get("/app/access").await.status, 200);
}

#[tokio::test]
async fn an_admin_adds_changes_and_removes_users() {
    let served = Served::start().await;
    let admin = Browser::of(&served, Role::Admin).await;
    for (name, value, said) in [
        ("name", "Ani Wijaya", "Huruf kecil"),
        ("name", "admin", "sudah dipakai"),
        ("again", "stapel kuda", "tidak sama"),
        ("password", "ani", "tidak sama"),
    ] {
        let refused = admin.post("/app/access/users", &with(&USER, name, value)).await;
        assert_eq!(refused.status, 422, "{name}: {value}");
        assert!(refused.body.contains(said), "{}", refused.body);
    }
    assert_eq!(admin.post("/app/access/users", &USER).await.location(), "/app/access");
    assert!(admin.get("/app/access").await.body.contains("/app/access/users/ani"));

    let hers = Browser::of_user(&served, "ani").await;
    assert_eq!(hers.get("/app/").await.status, 200);
    let changed = admin.post("/app/access/users/ani/role", &[("role", "viewer")]).await;
    assert_eq!(changed.location(), "/app/access/users/ani");
    assert_eq!(served.state.user("ani").await.unwrap().unwrap().role, Role::Viewer);
    assert_eq!(hers.get("/app/").await.status, 303, "another role needs another login");

    let hers = Browser::of_user(&served, "ani").await;
    let new = [("password", "stapel kuda"), ("again", "stapel kuda")];
    assert_eq!(admin.post("/app/access/users/ani/password", &new).await.status, 303);
    assert_eq!(hers.get("/app/").await.status, 303);
    assert_eq!(hers.log_in("ani", "stapel kuda").await.status, 303);

    admin.post("/app/access/users/ani/remove", &[]).await;
    assert!(served.state.user("ani").await.unwrap().is_some(), "it was not confirmed");
    admin.post("/app/access/users/ani/remove", &[("confirmed", "yes")]).await;
    assert!(served.state.user("ani").await.unwrap().is_none());
    assert_eq!(hers.get("/app/").await.status, 303);
}

#[tokio::test]
async fn an_admin_cannot_lock_everybody_out() {
    let served = Served::start().await;
    let admin = Browser::of(&served, Role::Admin).await;
    for (path, fields) in [
        ("/app/access/users/admin/role", &[("role", "viewer")][..]),
        ("/app/access/users/admin/remove", &[("confirmed", "yes")]),
    ] {
        assert_eq!(admin.post(path, fields).await.status, 404, "{path}");
    }
    assert_eq!(served.state.user("admin").await.unwrap().unwrap().role, Role::Admin);
}

#[tokio::test]
async fn only_admins_decide_who_may_come_in() {
    let served = Served::start().await;
    add_user(&served, "budi", Role::Admin).await;
    for role in [Role::Viewer, Role::Sender] {
        let browser = Browser::of(&served, role).await;
        for path in ["/app/access", "/app/access/users/budi"] {
            let refused = browser.get(path).await;
            assert_eq!(refused.status, 403, "{role:?} {path}");
            assert!(refused.body.contains("Hanya admin"), "{}", refused.body);
        }
        for (path, fields) in [
            ("/app/access/users", &USER[..]),
            ("/app/access/users/budi/role", &[("role", "viewer")]),
            ("/app/access/users/budi/password", &USER[2..]),
            ("/app/access/users/budi/remove", &[("confirmed", "yes")]),
            ("/app/access/keys", &[("name", "billing"), ("scope", "admin")]),
            ("/app/access/keys/billing/revoke", &[]),
        ] {
            assert_eq!(browser.post(path, fields).await.status, 403, "{role:?} {path}");
        }
        assert!(!browser.get("/app/").await.body.contains("/app/access"), "not in the navigation");
    }
    assert!(served.state.api_keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let served = Served::start().await;
    let admin = Browser::of(&served, Role::Admin).await;
    let add = async |name: &str, scope: &str| {
        admin.post("/app/access/keys", &[("name", name), ("scope", scope)]).await
    };
    assert_eq!(add("Sistem Billing", "read").await.status, 422);
    let made = add("billing", "read").await;
    assert_eq!((made.status, made.header("cache-control")), (200, "no-store"));
    let at = made.body.find("kbr_").unwrap();
    let key = &made.body[at..at + 47];
    assert_eq!(add("billing", "read").await.status, 422, "the name is taken");
    let listed = admin.get("/app/access").await.body;
    assert!(listed.contains("billing") && !listed.contains(key), "{listed}");

    let ask = async |method, path| answer(served.request(method, path).bearer_auth(key)).await.0;
    assert_eq!(ask(Method::GET, "/api/notices").await, 200);
    assert_eq!(ask(Method::POST, "/api/whatsapp/restart").await, 403);
    assert_eq!(admin.post("/app/access/keys/billing/revoke", &[]).await.status, 303);
    assert_eq!(ask(Method::GET, "/api/notices").await, 401);
    assert!(admin.get("/app/access").await.body.contains("Dicabut"));
    assert_eq!(admin.post("/app/access/keys/billing/revoke", &[]).await.status, 404);
}
