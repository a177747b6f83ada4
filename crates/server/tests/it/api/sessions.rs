//! Numbers are added, changed and removed through the API.

use crate::harness::database::Engine;
use crate::harness::world::{OWN, World};
use reqwest::Method;
use serde_json::{Value, json};

const SESSIONS: &str = "/api/whatsapp/sessions";

async fn status(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    world.try_request(method, path, &[], &body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_session_exists_and_cannot_be_removed() {
    let world = World::linked(Engine::Sqlite).await;
    let sessions = world.get(SESSIONS).await;
    let [session] = sessions["sessions"].as_array().unwrap().as_slice() else { panic!() };
    for (field, value) in [
        ("name", json!("default")),
        ("phone", json!(OWN)),
        ("state", json!("connected")),
        ("waiting_for", Value::Null),
        ("until", Value::Null),
        ("pace", json!({ "delay_ms": 0, "jitter_ms": 0 })),
        ("daily_cap", Value::Null),
        ("sent_today", json!(0)),
        ("last_error", Value::Null),
    ] {
        assert_eq!(session[field], value, "{field} of {session}");
    }
    assert!(session["linked_at"].is_string() && session["node"].is_string(), "{session}");
    let (code, answer) =
        status(&world, Method::DELETE, &format!("{SESSIONS}/default"), json!({})).await;
    assert_eq!(code, 409, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_added_changed_and_removed() {
    let world = World::linked(Engine::Sqlite).await;
    let post = |body| status(&world, Method::POST, SESSIONS, body);
    let (code, session) = post(json!({ "name": "kantor" })).await;
    assert_eq!((code, &session["name"]), (201, &json!("kantor")), "{session}");
    assert_eq!(post(json!({ "name": "kantor" })).await.0, 409);
    assert_eq!(post(json!({ "name": "Kantor Pusat" })).await.0, 400);
    assert_eq!(post(json!({})).await.0, 422);

    let path = format!("{SESSIONS}/kantor");
    let waiting = world.wait_for(&path, |session| session["state"] == "not_linked").await;
    assert_eq!(waiting["waiting_for"], "logged_out", "{waiting}");
    let change = json!({ "pace": { "delay_ms": 3000 }, "daily_cap": 500 });
    let changed = world.patch(&path, change).await;
    assert_eq!(
        (&changed["pace"], &changed["daily_cap"]),
        (&json!({ "delay_ms": 3000, "jitter_ms": 0 }), &json!(500)),
    );
    let back = world.patch(&path, json!({ "pace": { "delay_ms": null }, "daily_cap": null })).await;
    assert_eq!((&back["pace"]["delay_ms"], &back["daily_cap"]), (&json!(0), &Value::Null));
    for wrong in
        [json!({ "daily_cap": -1 }), json!({ "pace": 5 }), json!({ "pace": { "delay_ms": "x" } })]
    {
        assert_eq!(status(&world, Method::PATCH, &path, wrong.clone()).await.0, 422, "{wrong}");
    }

    world.add_session("gudang", "6281299990002").await;
    let linked = world.get(&format!("{SESSIONS}/gudang")).await;
    assert_eq!(linked["phone"], "6281299990002", "{linked}");
    let again = world.get(&format!("{SESSIONS}/gudang/qr")).await;
    assert_eq!((&again["success"], &again["phone"]), (&json!(true), &json!("6281299990002")));

    for name in ["kantor", "gudang"] {
        let path = format!("{SESSIONS}/{name}");
        assert_eq!(status(&world, Method::DELETE, &path, json!({})).await.0, 204);
        assert_eq!(status(&world, Method::GET, &path, Value::Null).await.0, 404);
    }
    let removed = world.simulator.accounts().into_iter().find(|a| a.phone == "6281299990002");
    assert!(removed.is_none_or(|account| account.devices.is_empty()), "its phone was unlinked");
    assert_eq!(status(&world, Method::POST, &format!("{path}/pause"), json!({})).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_is_linked_elsewhere_is_refused() {
    let world = World::linked(Engine::Sqlite).await;
    world.post(SESSIONS, json!({ "name": "second" })).await;
    let path = format!("{SESSIONS}/second");
    let qr = world.wait_for(&format!("{path}/qr"), |qr| qr["text"].is_string()).await;
    world.simulator.scan(qr["text"].as_str().unwrap(), OWN).await.unwrap();
    let refused = |session: &Value| {
        session["last_error"].as_str().is_some_and(|error| error.contains("sesi default"))
    };
    let session = world.wait_for(&path, refused).await;
    assert_eq!(session["phone"], Value::Null, "{session}");
    let campaign = world.send(1..=3).await;
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_names_sessions_that_exist() {
    let world = World::linked(Engine::Sqlite).await;
    let body = json!({ "phone": "081234567801", "message": "Halo", "sessions": ["tidak-ada"] });
    assert_eq!(status(&world, Method::POST, "/api/send/phone", body).await.0, 404);
}
