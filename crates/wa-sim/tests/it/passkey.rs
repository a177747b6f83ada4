//! Accounts that want their passkey before they link a client.

use std::time::Duration;

use serde_json::Value;
use wa_sim::{
    Action, Config, FaultRule, PairError, PairingOutcome, Simulator, Stanza, ViolatedRule,
};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::passkey::{Assertion, parse_request_options};
use whatsapp_rust::prelude::Event;
use whatsapp_rust::request::InfoQuery;
use whatsapp_rust::wacore_binary::NodeContent;
use whatsapp_rust::{IqError, Jid, NodeBuilder, Server};

use crate::client::{OWN, TestClient};

const LIFETIME: Duration = Duration::from_secs(600);

/// A simulator where the client's account wants its passkey, and a client that shows a QR.
async fn world() -> (Simulator, TestClient) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    simulator.set_passkey(OWN, true).unwrap();
    let client = TestClient::new(&simulator).await;
    (simulator, client)
}

async fn scan(simulator: &Simulator, client: &TestClient) {
    let pairing = simulator.scan(&client.qr().await, OWN).await.unwrap();
    assert!(matches!(pairing, PairingOutcome::PasskeyAsked { .. }), "{pairing:?}");
}

/// The options with which the client was asked for the nth time.
async fn options(client: &TestClient, nth: usize) -> Value {
    let options = client.wait_nth("request for a passkey", nth, |event| match event {
        Event::PairPasskeyRequest(request) => Some(request.request_options_json.clone()),
        _ => None,
    });
    let options = options.await;
    assert_eq!(parse_request_options(&options).unwrap().rp_id.as_deref(), Some("whatsapp.com"));
    serde_json::from_str(&options).unwrap()
}

fn answer(simulator: &Simulator, options: &Value) -> Assertion {
    let assertion = simulator.answer_with_passkey(OWN, options).unwrap();
    let id = serde_json::json!({ "challenge": assertion["rawId"] }).to_string();
    Assertion {
        // The id is base64url, as a challenge is.
        credential_id: parse_request_options(&id).unwrap().challenge,
        assertion_json: assertion.to_string().into_bytes(),
    }
}

/// Sends a prologue with these parts and nothing in them.
async fn prologue(client: &TestClient, parts: &[&'static str]) -> Result<(), IqError> {
    let parts = parts.iter().map(|&tag| NodeBuilder::new(tag).bytes(vec![1]).build());
    let prologue = NodeBuilder::new("passkey_prologue").children(parts).build();
    let content = Some(NodeContent::Nodes(vec![prologue]));
    let query = InfoQuery::set("md", Jid::new("", Server::Pn), content);
    client.client().send_iq(query).await.map(drop)
}

async fn code(client: &TestClient) -> String {
    let code = client.wait("code", |event| match event {
        Event::PairPasskeyConfirmation(confirmation) => Some(confirmation.code.clone()),
        _ => None,
    });
    code.await
}

#[tokio::test]
async fn a_client_is_linked_by_qr_once_both_sides_have_confirmed() {
    let (simulator, client) = world().await;
    scan(&simulator, &client).await;
    let assertion = answer(&simulator, &options(&client, 1).await);
    client.client().send_passkey_response(assertion).await.unwrap();
    let code = code(&client).await;
    client.client().send_passkey_confirmation().await.unwrap();
    simulator.compare_code(OWN, &code).unwrap();
    client.connected().await;
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn a_client_is_linked_by_a_typed_code_in_either_order_of_confirmation() {
    let (simulator, client) = world().await;
    client.qr().await;
    let typed = PairCodeOptions { phone_number: OWN.to_owned(), ..Default::default() };
    let typed = client.client().pair_with_code(typed).await.unwrap();
    let pairing = simulator.pair(&typed, OWN).await.unwrap();
    assert!(matches!(pairing, PairingOutcome::PasskeyAsked { .. }), "{pairing:?}");
    let assertion = answer(&simulator, &options(&client, 1).await);
    client.client().send_passkey_response(assertion).await.unwrap();
    simulator.compare_code(OWN, &code(&client).await).unwrap();
    client.client().send_passkey_confirmation().await.unwrap();
    client.connected().await;
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn an_assertion_that_is_wrong_or_repeated_is_refused() {
    let (simulator, client) = world().await;
    scan(&simulator, &client).await;
    let mut options = options(&client, 1).await;
    let right = answer(&simulator, &options);
    options["challenge"] = "b3RoZXI".into();
    let refused = client.client().send_passkey_response(answer(&simulator, &options)).await;
    assert!(refused.unwrap_err().to_string().contains("401"));
    client.client().send_passkey_response(right).await.unwrap();
    let parts = ["credential_id", "webauthn_assertion", "prologue_payload"];
    let repeated = prologue(&client, &parts).await;
    assert!(repeated.unwrap_err().to_string().contains("409"));
    // It did no harm.
    code(&client).await;
    client.client().send_passkey_confirmation().await.unwrap();
    assert_eq!(simulator.violations().len(), 0, "{:?}", simulator.violations());
}

#[tokio::test]
async fn an_assertion_that_comes_late_is_refused() {
    let (simulator, client) = world().await;
    scan(&simulator, &client).await;
    let assertion = answer(&simulator, &options(&client, 1).await);
    simulator.advance(LIFETIME);
    let refused = client.client().send_passkey_response(assertion).await;
    assert!(refused.unwrap_err().to_string().contains("410"));
}

#[tokio::test]
async fn a_client_that_shows_another_code_is_refused_by_the_phone() {
    let (simulator, client) = world().await;
    scan(&simulator, &client).await;
    let compared = simulator.compare_code(OWN, "1111-1111");
    assert!(matches!(compared, Err(PairError::NothingToCompare)), "{compared:?}");
    let assertion = answer(&simulator, &options(&client, 1).await);
    client.client().send_passkey_response(assertion).await.unwrap();
    code(&client).await;
    let compared = simulator.compare_code(OWN, "1111-1111");
    assert!(matches!(compared, Err(PairError::OtherCode)), "{compared:?}");
    assert!(client.client().send_passkey_confirmation().await.is_err());
}

#[tokio::test]
async fn a_prologue_without_its_parts_is_a_violation() {
    let (simulator, client) = world().await;
    scan(&simulator, &client).await;
    options(&client, 1).await;
    let refused = prologue(&client, &[]).await;
    assert!(refused.unwrap_err().to_string().contains("400"));
    let rules: Vec<_> = simulator.violations().iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [ViolatedRule::Unexpected]);
}

#[tokio::test]
async fn faults_of_passkeys() {
    let (simulator, client) = world().await;
    // Never asked, then asked twice: the second challenge is the one that counts.
    simulator.set_faults(vec![
        FaultRule::on(Stanza::PasskeyRequest, Action::Swallow).to(OWN).times(1),
        FaultRule::on(Stanza::PasskeyRequest, Action::Duplicate { copies: 1 }).times(1),
        FaultRule::on(Stanza::PasskeyRequest, Action::Expire { ms: 60_000 }).times(1),
    ]);
    scan(&simulator, &client).await;
    scan(&simulator, &client).await;
    let (first, second) = (options(&client, 1).await, options(&client, 2).await);
    assert_ne!(first["challenge"], second["challenge"]);
    let refused = client.client().send_passkey_response(answer(&simulator, &first)).await;
    assert!(refused.unwrap_err().to_string().contains("401"));

    scan(&simulator, &client).await;
    let third = options(&client, 3).await;
    assert_eq!(third["timeout"], 60_000);
    simulator.advance(Duration::from_secs(60));
    let refused = client.client().send_passkey_response(answer(&simulator, &third)).await;
    assert!(refused.unwrap_err().to_string().contains("410"));

    let text = String::from("forbidden");
    let rule = FaultRule::on(Stanza::Passkey, Action::Error { code: 403, text }).times(1);
    simulator.set_faults(vec![rule]);
    scan(&simulator, &client).await;
    let assertion = answer(&simulator, &options(&client, 4).await);
    let refused = client.client().send_passkey_response(assertion).await;
    assert!(refused.unwrap_err().to_string().contains("403"));
}
