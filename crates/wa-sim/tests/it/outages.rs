//! Faults of connections and logins.

use std::time::{Duration, Instant};

use wa_sim::{Action, Config, FaultRule, MessageFilter, Simulator, Stanza};
use whatsapp_rust::prelude::Event;

use crate::client::{FRIEND, OWN, TestClient};

async fn linked() -> (Simulator, TestClient) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let client = TestClient::linked(&simulator, OWN).await;
    (simulator, client)
}

fn failure(reason: u16) -> Action {
    Action::Failure { reason, code: None, expire: None }
}

fn stream_error(code: Option<u16>, conflict: Option<&str>) -> Action {
    Action::StreamError { code, conflict: conflict.map(str::to_owned) }
}

/// Breaks the connection so that the client logs in again, into this fault.
async fn log_in_again(simulator: &Simulator, action: Action, times: u32) {
    simulator.set_faults(vec![FaultRule::on(Stanza::Login, action).times(times)]);
    simulator.pause().await;
    simulator.resume().await.unwrap();
}

#[tokio::test]
async fn a_ban_tells_its_reason_and_its_end() {
    let (simulator, client) = linked().await;
    let ban = Action::Failure { reason: 402, code: Some(101), expire: Some(3600) };
    log_in_again(&simulator, ban, 1).await;
    let expire = client
        .wait("ban", |event| match event {
            Event::TemporaryBan(ban) => Some(ban.expire),
            _ => None,
        })
        .await;
    assert_eq!(expire.num_seconds(), 3600);
}

#[tokio::test]
async fn failures_that_end_the_session() {
    for reason in [401, 403, 406] {
        let (simulator, client) = linked().await;
        log_in_again(&simulator, failure(reason), 1).await;
        let on_connect = client
            .wait("logout", |event| match event {
                Event::LoggedOut(logout) => Some(logout.on_connect),
                _ => None,
            })
            .await;
        assert!(on_connect);
    }
}

#[tokio::test]
async fn an_outdated_client_is_told() {
    let (simulator, client) = linked().await;
    log_in_again(&simulator, failure(405), 1).await;
    client.wait("outdated", |event| matches!(event, Event::ClientOutdated(_)).then_some(())).await;
}

#[tokio::test]
async fn failures_that_pass() {
    for reason in [500, 503] {
        let (simulator, client) = linked().await;
        log_in_again(&simulator, failure(reason), 1).await;
        client.connected_nth(2).await;
    }
}

#[tokio::test]
async fn another_session_takes_over() {
    let (simulator, client) = linked().await;
    simulator
        .set_faults(vec![FaultRule::on(Stanza::Message, stream_error(None, Some("replaced")))]);
    client.send(FRIEND, "3EB0000000000001", "siapa di sana").await;
    client.wait("takeover", |event| matches!(event, Event::StreamReplaced(_)).then_some(())).await;
}

#[tokio::test]
async fn the_device_is_removed() {
    let (simulator, client) = linked().await;
    let removed = stream_error(Some(401), Some("device_removed"));
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, removed)]);
    client.send(FRIEND, "3EB0000000000001", "masih terhubung?").await;
    let on_connect = client
        .wait("logout", |event| match event {
            Event::LoggedOut(logout) => Some(logout.on_connect),
            _ => None,
        })
        .await;
    assert!(!on_connect);
}

#[tokio::test]
async fn the_phone_revokes_the_session() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::Revoke)]);
    client.send(FRIEND, "3EB0000000000001", "dicabut").await;
    client.wait("logout", |event| matches!(event, Event::LoggedOut(_)).then_some(())).await;
    let account = simulator.accounts().into_iter().find(|account| account.phone == OWN).unwrap();
    assert!(account.devices.is_empty());
}

#[tokio::test]
async fn stream_errors_that_pass() {
    for code in [503, 515] {
        let (simulator, client) = linked().await;
        simulator.set_faults(vec![
            FaultRule::on(Stanza::Message, stream_error(Some(code), None)).times(1),
        ]);
        client.send(FRIEND, "3EB0000000000001", "sebentar").await;
        client.connected_nth(2).await;
        client.send(FRIEND, "3EB0000000000002", "sudah kembali").await;
        client.receipt("3EB0000000000002", "Read").await;
    }
}

#[tokio::test]
async fn closing_after_a_stream_error_is_left_to_the_client_for_some_seconds() {
    let (simulator, client) = linked().await;
    // One that this client does not know, and keeps its connection after.
    simulator
        .set_faults(vec![FaultRule::on(Stanza::Message, stream_error(Some(500), None)).times(1)]);
    client.send(FRIEND, "3EB0000000000001", "masih di sini").await;
    client.wait("error", |event| matches!(event, Event::StreamError(_)).then_some(())).await;
    let told = Instant::now();
    client.wait("end", |event| matches!(event, Event::Disconnected(_)).then_some(())).await;
    assert!(told.elapsed() > Duration::from_secs(1), "{:?}", told.elapsed());
    client.connected_nth(2).await;
}

#[tokio::test]
async fn connections_are_refused_for_a_while() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Connect, Action::Drop).times(2)]);
    simulator.pause().await;
    simulator.resume().await.unwrap();
    client.connected_nth(2).await;
}

#[tokio::test]
async fn a_client_that_is_refused_ik_falls_back() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Connect, Action::RefuseIk)]);
    simulator.pause().await;
    simulator.resume().await.unwrap();
    client.connected_nth(2).await;
    client.send(FRIEND, "3EB0000000000001", "lewat XX").await;
    client.receipt("3EB0000000000001", "Read").await;
}

#[tokio::test]
async fn a_silent_socket_swallows_everything() {
    let (simulator, client) = linked().await;
    simulator.set_faults(vec![FaultRule::on(Stanza::Message, Action::Silence).times(1)]);
    client.send(FRIEND, "3EB0000000000001", "sunyi").await;
    client.send(FRIEND, "3EB0000000000002", "tetap sunyi").await;
    simulator
        .wait_for(|simulator| !simulator.ledger(0).is_empty(), crate::client::PATIENCE)
        .await
        .unwrap();
    simulator.pause().await;
    simulator.resume().await.unwrap();
    client.connected_nth(2).await;
    assert!(simulator.messages(MessageFilter::default()).is_empty());
}
