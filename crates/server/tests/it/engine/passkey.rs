//! Accounts that want their passkey before they link a phone, and what may go wrong meanwhile.

use crate::harness::caller::Caller;
use crate::harness::database::Engine;
use crate::harness::world::{OWN, World};
use kabari::clock::Clock;
use kabari_domain::wording;
use kabari_gateway::LinkState;
use reqwest::Method;
use serde_json::{Value, json};
use wa_sim::{Action, FaultRule, Stanza};

const PASSKEY: &str = "/api/whatsapp/passkey";
const STATUS: &str = "/api/whatsapp/status";

/// A kabari that shows a QR to an account with a passkey.
async fn world_on(engine: Engine) -> World {
    let world = World::unlinked(engine, Clock::System, |_| {}).await;
    world.simulator.set_passkey(OWN, true).unwrap();
    world
}

async fn world() -> World {
    world_on(Engine::Sqlite).await
}

/// Waits for a step.
async fn step(caller: &Caller, step: &str) -> Value {
    caller.wait_for(PASSKEY, |passkey| passkey["step"] == step).await
}

/// The owner's browser answers what is asked. Returns what came of it.
async fn answer(world: &World, caller: &Caller) -> Value {
    let passkey = step(caller, "answer").await;
    let assertion = world.simulator.answer_with_passkey(OWN, &passkey["options"]).unwrap();
    caller.post(PASSKEY, json!({ "assertion": assertion })).await
}

/// The code is confirmed here and on the phone, and the phone gets linked.
async fn finish(world: &World, caller: &Caller) {
    let passkey = step(caller, "compare").await;
    let code = passkey["code"].as_str().unwrap();
    let confirmed = caller.post(&format!("{PASSKEY}/confirm"), Value::Null).await;
    assert_eq!(confirmed["success"], true, "{confirmed}");
    world.simulator.compare_code(OWN, code).unwrap();
    world.until_link(LinkState::Connected).await;
}

/// After a link that did not end well: the reason is told, and the next one ends well.
async fn begins_anew(world: &World, reason: &str) {
    let anew = |status: &Value| status["state"] == "not_linked" && status["last_error"] == reason;
    world.wait_for(STATUS, anew).await;
    let told = world.get(PASSKEY).await;
    assert_eq!((&told["required"], &told["message"]), (&json!(false), &json!(reason)));
    world.faults([]);
    world.scan().await;
    assert_eq!(answer(world, world).await["success"], true);
    finish(world, world).await;
    assert_eq!(world.get(STATUS).await["last_error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_a_passkey_is_linked_by_qr_and_sends() {
    let world = world().await;
    let before = world.get(PASSKEY).await;
    assert_eq!((&before["required"], &before["step"]), (&json!(false), &Value::Null));
    world.scan().await;
    step(&world, "answer").await;
    let status = world.get(STATUS).await;
    assert_eq!(
        (&status["state"], &status["connected"]),
        (&json!("passkey_required"), &json!(false))
    );
    let passkey = &status["passkey"];
    assert_eq!(passkey["options"]["rpId"], "whatsapp.com", "{status}");
    assert!(passkey["until"].is_string() && passkey["snippet"].is_string(), "{status}");
    let session = world.get("/api/whatsapp/sessions/default").await;
    assert_eq!(session["state"], status["state"]);
    assert_eq!(session["passkey"]["options"], passkey["options"]);
    let qr = world.get("/api/whatsapp/qr").await;
    assert_eq!(
        (&qr["success"], &qr["message"]),
        (&json!(false), &json!(wording::PASSKEY_REQUIRED))
    );

    let taken = answer(&world, &world).await;
    assert_eq!(taken["success"], true, "{taken}");
    finish(&world, &world).await;
    let own = world.simulator.accounts().into_iter().find(|account| account.phone == OWN);
    assert_eq!(own.unwrap().devices[0].platform, "Windows");
    let campaign = world.send(1..=3).await;
    world.completed(campaign).await;
    world.assert_report_is_true(campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_a_passkey_is_linked_by_code() {
    let world = world().await;
    world.until("a QR code", |link| link.qr.is_some()).await;
    let pairing = world.post("/api/whatsapp/pair", json!({ "phone": OWN })).await;
    world.simulator.pair(pairing["code"].as_str().unwrap(), OWN).await.unwrap();
    assert_eq!(answer(&world, &world).await["success"], true);
    finish(&world, &world).await;
    assert_eq!(world.simulator.violations().len(), 0, "{:?}", world.simulator.violations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_passes_the_answer_on_to_the_node_that_holds_the_session() {
    let world = world_on(Engine::MariaDb).await;
    world.scan().await;
    step(&world, "answer").await;
    let other = world.another_node().await;
    let session = "/api/whatsapp/sessions/default";
    let passkey = other.wait_for(session, |session| session["passkey"].is_object()).await;
    let options = &passkey["passkey"]["options"];
    let assertion = world.simulator.answer_with_passkey(OWN, options).unwrap();
    let path = format!("{session}/passkey");
    let taken = other.post(&path, json!({ "assertion": assertion })).await;
    assert_eq!(taken["success"], true, "{taken}");
    let passkey = other.wait_for(&path, |passkey| passkey["code"].is_string()).await;
    let confirmed = other.post(&format!("{path}/confirm"), Value::Null).await;
    assert_eq!(confirmed["success"], true, "{confirmed}");
    world.simulator.compare_code(OWN, passkey["code"].as_str().unwrap()).unwrap();
    other.wait_for(session, |session| session["state"] == "connected").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_whatsapp_refuses_can_be_given_again() {
    let world = world().await;
    let text = "not-authorized".to_owned();
    world.faults([FaultRule::on(Stanza::Passkey, Action::Error { code: 401, text }).times(1)]);
    world.scan().await;
    let refused = answer(&world, &world).await;
    let told = (&refused["success"], &refused["message"]);
    assert_eq!(told, (&json!(false), &json!(wording::PASSKEY_REFUSED)));
    assert_eq!(answer(&world, &world).await["success"], true);
    finish(&world, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_that_is_never_asked_for_leaves_the_qr_to_be_scanned_again() {
    let world = world().await;
    world.faults([FaultRule::on(Stanza::PasskeyRequest, Action::Swallow).times(1)]);
    world.scan().await;
    let answered = world.post(PASSKEY, json!({ "assertion": foreign_assertion() })).await;
    assert_eq!(answered["message"], wording::passkey_not_asked("/api/whatsapp"));
    world.scan().await;
    assert_eq!(answer(&world, &world).await["success"], true);
    finish(&world, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_passkey_request_counts() {
    let world = world().await;
    let link = world.until("a QR code", |link| link.qr.is_some()).await;
    let qr = link.qr.unwrap();
    world.simulator.scan(&qr, OWN).await.unwrap();
    let first = step(&world, "answer").await["options"].clone();
    let old = world.simulator.answer_with_passkey(OWN, &first).unwrap();
    world.simulator.scan(&qr, OWN).await.unwrap();
    world.wait_for(PASSKEY, |passkey| passkey["options"] != first).await;
    let (status, refused) = post(&world, json!({ "assertion": old })).await;
    assert_eq!(status, 422, "{refused}");
    assert_eq!(refused["detail"][0]["msg"], wording::ASSERTION_OTHER_REQUEST);
    assert_eq!(answer(&world, &world).await["success"], true);
    finish(&world, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_request_after_an_answer_restarts_the_link() {
    let world = world().await;
    let link = world.until("a QR code", |link| link.qr.is_some()).await;
    let qr = link.qr.unwrap();
    world.simulator.scan(&qr, OWN).await.unwrap();
    assert_eq!(answer(&world, &world).await["success"], true);
    step(&world, "compare").await;
    world.simulator.scan(&qr, OWN).await.unwrap();
    begins_anew(&world, wording::PASSKEY_ASKED_AGAIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_time_for_a_passkey_runs_out_a_new_qr_says_so() {
    let world = world().await;
    world.faults([FaultRule::on(Stanza::PasskeyRequest, Action::Expire { ms: 1_000 }).times(1)]);
    world.scan().await;
    begins_anew(&world, wording::PASSKEY_EXPIRED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_during_a_passkey_begins_anew() {
    let world = world().await;
    world.faults([FaultRule::on(Stanza::Passkey, Action::Drop).times(1)]);
    world.scan().await;
    let unheard = answer(&world, &world).await;
    assert_eq!(
        (&unheard["success"], &unheard["message"]),
        (&json!(false), &json!(wording::NO_ANSWER))
    );
    begins_anew(&world, wording::PASSKEY_INTERRUPTED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_shows_another_code_is_not_linked() {
    let world = world().await;
    world.scan().await;
    assert_eq!(answer(&world, &world).await["success"], true);
    step(&world, "compare").await;
    assert!(world.simulator.compare_code(OWN, "1111-1111").is_err());
    let refused = world.post(&format!("{PASSKEY}/confirm"), Value::Null).await;
    assert_eq!(
        (&refused["success"], &refused["message"]),
        (&json!(false), &json!(wording::PASSKEY_REFUSED))
    );
    begins_anew(&world, wording::PASSKEY_FAILED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_passkey_answer_is_refused_before_sending() {
    let world = world().await;
    world.scan().await;
    step(&world, "answer").await;
    let field = |change: fn(&mut Value)| {
        let mut assertion = foreign_assertion();
        change(&mut assertion);
        json!({ "assertion": assertion })
    };
    let cases = [
        (json!({}), wording::ASSERTION_NOT_AN_OBJECT.to_owned()),
        (json!({ "assertion": "{}" }), wording::ASSERTION_NOT_AN_OBJECT.to_owned()),
        (json!({ "assertion": {} }), wording::assertion_field("type")),
        (field(|a| a["more"] = "x".repeat(20_000).into()), wording::ASSERTION_TOO_LARGE.to_owned()),
        (field(|a| a["rawId"] = "a+b/".into()), wording::assertion_not_base64("rawId")),
        (
            field(|a| a["response"]["signature"] = Value::Null),
            wording::assertion_field("response.signature"),
        ),
        (field(|_| {}), wording::ASSERTION_OTHER_REQUEST.to_owned()),
    ];
    for (body, message) in cases {
        let (status, refused) = post(&world, body).await;
        assert_eq!((status, &refused["detail"][0]["msg"]), (422, &json!(message)), "{refused}");
        assert_eq!(refused["detail"][0]["input"], Value::Null);
    }
    assert_eq!(step(&world, "answer").await["required"], true);
    let early = world.post(&format!("{PASSKEY}/confirm"), Value::Null).await;
    assert_eq!(early["message"], wording::PASSKEY_OTHER_STEP);
}

/// An answer to a request of somebody else.
fn foreign_assertion() -> Value {
    let client = "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiYjNSb1pYSSIsIm9yaWdpbiI6Imh0dHBzOi8vd2ViLndoYXRzYXBwLmNvbSJ9";
    json!({
        "id": "aWQ", "rawId": "aWQ", "type": "public-key",
        "response": { "clientDataJSON": client, "authenticatorData": "ZGF0YQ", "signature": "c2ln" },
    })
}

async fn post(world: &World, body: Value) -> (u16, Value) {
    world.try_request(Method::POST, PASSKEY, &[], &body).await.unwrap()
}
