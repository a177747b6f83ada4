//! Logging in and out, and who need not.

use crate::harness::http_browser::{Browser, PASSWORD, add_user};
use crate::harness::served::{Served, Setup};
use kabari::access::token::token_hash;
use kabari::store::state::{Action, ActorKind, AuditFilter};
use kabari_domain::Role;

#[tokio::test]
async fn without_users_only_this_machine_may_come_in() {
    let served = Served::start().await;
    let here = Browser::new(&served).get("/app/").await;
    assert_eq!(here.status, 200);
    assert!(here.body.contains("Belum ada pengguna"), "{}", here.body);
    for (name, value) in [
        ("host", "kabari.example"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
    ] {
        for path in ["/app/", "/app/login", "/app/access"] {
            let elsewhere = Browser::new(&served).with_header(name, value).get(path).await;
            assert_eq!(elsewhere.status, 403, "{name}: {value} {path}");
            assert!(elsewhere.body.contains("kabari user add"), "{}", elsewhere.body);
        }
    }
}

#[tokio::test]
async fn with_api_key_and_without_users_nobody_may_come_in() {
    let mut setup = Setup::default();
    setup.settings.api_key = Some("0123456789abcdef".to_owned());
    let served = Served::with(setup).await;
    let here = Browser::new(&served).get("/app/").await;
    assert_eq!(here.status, 403);
    assert!(here.body.contains("kabari user add"), "{}", here.body);
}

#[tokio::test]
async fn who_is_not_logged_in_is_asked_to_and_comes_back() {
    let served = Served::start().await;
    add_user(&served, "budi", Role::Sender).await;
    let browser = Browser::new(&served);
    let asked = browser.get("/app/log?action=send").await;
    assert_eq!(
        (asked.status, asked.location()),
        (303, "/app/login?next=%2Fapp%2Flog%3Faction%3Dsend")
    );
    let login = browser.get(asked.location()).await;
    assert_eq!(login.status, 200);
    assert!(login.body.contains(r#"name="next" value="/app/log?action=send""#), "{}", login.body);
    assert!(!login.body.contains("/app/send"), "no navigation: {}", login.body);

    let part = browser.request(reqwest::Method::GET, "/app/log").header("hx-request", "true");
    let part = browser.send(part).await;
    assert_eq!((part.status, part.header("hx-redirect")), (401, "/app/login"));

    let next = [("name", "Budi "), ("password", PASSWORD), ("next", "/app/log?action=send")];
    let begun = browser.post("/app/login", &next).await;
    assert_eq!((begun.status, begun.location()), (303, "/app/log?action=send"), "{}", begun.body);
    assert_eq!(browser.get("/app/log?action=send").await.status, 200);
    assert_eq!(browser.get("/app/login").await.location(), "/app/");
    let elsewhere = [("name", "budi"), ("password", PASSWORD), ("next", "https://evil.example")];
    assert_eq!(browser.post("/app/login", &elsewhere).await.location(), "/app/");
}

#[tokio::test]
async fn a_login_has_a_token_of_its_own_that_ends_with_it() {
    let served = Served::start().await;
    add_user(&served, "budi", Role::Sender).await;
    let browser = Browser::new(&served);
    browser.get("/app/login").await;
    let before = browser.token().unwrap();
    let begun = browser.log_in("budi", PASSWORD).await;
    let cookie = begun.header("set-cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    let token = browser.token().unwrap();
    assert_ne!(token, before);
    assert!(served.state.logged_in(&token_hash(&before)).await.unwrap().is_none());
    assert_eq!(browser.get("/app/").await.status, 200);

    let again = Browser::new(&served);
    again.set_token(&token);
    again.log_in("budi", PASSWORD).await;
    assert!(served.state.logged_in(&token_hash(&token)).await.unwrap().is_none(), "it is replaced");

    let token = again.token().unwrap();
    let ended = again.post("/app/logout", &[]).await;
    assert_eq!((ended.status, ended.location()), (303, "/app/login"));
    assert!(ended.header("set-cookie").contains("Max-Age=0"));
    again.set_token(&token);
    assert_eq!(again.get("/app/").await.status, 303);
}

#[tokio::test]
async fn a_wrong_name_is_answered_like_a_wrong_password_and_both_are_recorded() {
    let served = Served::start().await;
    add_user(&served, "budi", Role::Sender).await;
    let wrong = async |name: &str| {
        let browser = Browser::new(&served);
        let denied = browser.log_in(name, "stapel kuda").await;
        assert_eq!(denied.status, 401);
        let csrf = kabari::access::token::csrf_token(&browser.token().unwrap());
        denied.body.replace(&csrf, "").replace(name, "")
    };
    assert_eq!(wrong("budi").await, wrong("nobody").await);
    Browser::new(&served).log_in("budi", PASSWORD).await;
    let entries = served.state.audit(&AuditFilter::default(), None, 10).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .filter(|one| one.actor.kind != ActorKind::Phone)
        .map(|one| {
            (one.action.as_str(), one.actor.kind, one.actor.name.as_str(), one.subject.as_str())
        })
        .collect();
    let expected = [
        (Action::LogIn.as_str(), ActorKind::User, "budi", ""),
        (Action::FailLogIn.as_str(), ActorKind::Guest, "", ""),
        (Action::FailLogIn.as_str(), ActorKind::Guest, "", "budi"),
    ];
    assert_eq!(told, expected, "what is no name may be a password");
}

#[tokio::test]
async fn whoever_is_wrong_too_often_has_to_wait() {
    let served = Served::start().await;
    add_user(&served, "budi", Role::Sender).await;
    let guesser = Browser::new(&served);
    for _ in 0..6 {
        assert_eq!(guesser.log_in("budi", "stapel kuda").await.status, 401);
    }
    let refused = guesser.log_in("budi", PASSWORD).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"), "{}", refused.body);
    assert!(refused.body.contains("Tunggu 1 detik"), "{}", refused.body);
    assert_eq!(served.state.logins("budi").await.unwrap(), []);
    let elsewhere = Browser::new(&served).with_header("x-forwarded-for", "203.0.113.7");
    assert_eq!(elsewhere.log_in("budi", PASSWORD).await.status, 303, "from another address");
}

#[tokio::test]
async fn behind_tls_the_cookie_is_for_encrypted_lines() {
    let served = Served::start().await;
    add_user(&served, "budi", Role::Sender).await;
    let browser = Browser::new(&served).with_header("x-forwarded-proto", "https");
    let asked = browser.get("/app/login").await;
    assert!(asked.header("set-cookie").contains("Secure"));
    assert!(browser.log_in("budi", PASSWORD).await.header("set-cookie").contains("Secure"));
}

#[tokio::test]
async fn a_new_password_ends_the_logins_in_other_browsers() {
    let served = Served::start().await;
    let browser = Browser::of(&served, Role::Viewer).await;
    let other = Browser::of_user(&served, "viewer").await;
    let change = async |current: &str, password: &str, again: &str| {
        let fields = [("current", current), ("password", password), ("again", again)];
        browser.post("/app/account/password", &fields).await
    };
    for (current, password, again, said) in [
        ("salah sekali", "stapel kuda", "stapel kuda", "Kata sandi sekarang salah"),
        (PASSWORD, "stapel kuda", "stapel sapi", "tidak sama"),
        (PASSWORD, "pendek", "pendek", "paling sedikit 10"),
    ] {
        let refused = change(current, password, again).await;
        assert_eq!(refused.status, 422);
        assert!(refused.body.contains(said), "{}", refused.body);
    }
    assert_eq!(other.get("/app/account").await.status, 200);
    let changed = change(PASSWORD, "stapel kuda", "stapel kuda").await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(browser.get("/app/account").await.status, 200);
    assert_eq!(other.get("/app/account").await.status, 303);
    assert_eq!(Browser::new(&served).log_in("viewer", PASSWORD).await.status, 401);
    assert_eq!(Browser::new(&served).log_in("viewer", "stapel kuda").await.status, 303);
}

#[tokio::test]
async fn a_user_sees_their_logins_and_ends_them() {
    let served = Served::start().await;
    let browser = Browser::of(&served, Role::Viewer).await;
    let [second, third] =
        [Browser::of_user(&served, "viewer").await, Browser::of_user(&served, "viewer").await];
    add_user(&served, "ani", Role::Viewer).await;
    let hers = Browser::of_user(&served, "ani").await;
    let id = served.state.logged_in(&token_hash(&second.token().unwrap())).await.unwrap().unwrap();
    let path = format!("/app/account/browsers/{}/end", id.login.id);
    let account = browser.get("/app/account").await;
    assert!(account.body.contains(&path), "{}", account.body);
    hers.post(&path, &[]).await;
    assert_eq!(second.get("/app/account").await.status, 200, "it is not hers");
    assert_eq!(browser.post(&path, &[]).await.location(), "/app/account");
    assert_eq!(second.get("/app/account").await.status, 303);
    browser.post("/app/account/browsers/others/end", &[]).await;
    assert_eq!(third.get("/app/account").await.status, 303);
    assert_eq!(browser.get("/app/account").await.status, 200);
    assert_eq!(hers.get("/app/account").await.status, 200);
}
