//! Linking, staying linked, and losing the link.

use crate::ports::free_port;
use crate::world::{FRIEND, OWN, World, message, phone, until};
use kabari_domain::wording;
use kabari_gateway::embedded::{ACK_TIMEOUT, LONGEST_RECONNECT};
use kabari_gateway::{
    Embedded, EmbeddedConfig, Gateway, GatewayError, LinkState, MemoryStore, SendError,
};
use std::sync::Arc;
use wa_sim::{Action, FaultRule, Stanza};

const NEXT_OWN: &str = "6281299990001";

#[tokio::test]
async fn a_phone_scans_the_qr() {
    let world = World::unlinked().await;
    let link = world.until("a QR code", |link| link.qr.is_some()).await;
    assert_eq!(link.state, LinkState::NotLinked);
    assert!(link.qr_png.unwrap().starts_with("data:image/png;base64,"));
    assert_eq!(world.send(&message(FRIEND, 1, "x")).await, Err(SendError::NotLinked));

    world.scan(OWN).await;
    let link = world.state(LinkState::Connected).await;
    assert_eq!(link.phone.as_deref(), Some(OWN));
    assert_eq!((link.qr, link.qr_png, link.error), (None, None, None));
    world.assert_no_violations();
}

#[tokio::test]
async fn a_code_typed_into_the_phone_links_as_well() {
    let world = World::unlinked().await;
    let code = world.gateway.pair(&phone(OWN)).await.unwrap();
    let second = world.gateway.pair(&phone(OWN)).await.unwrap();
    assert_ne!(code, second, "who asks again gets a new code");
    world.simulator.pair(&second, OWN).await.unwrap();
    world.connected().await;

    let again = world.gateway.pair(&phone(OWN)).await;
    assert!(matches!(again, Err(GatewayError::NotPossible(_))), "{again:?}");
}

#[tokio::test]
async fn the_next_process_connects_without_a_new_qr() {
    let mut world = World::linked().await;
    world.next_process().await;
    let link = world.gateway.link().borrow().clone();
    assert_ne!(link.state, LinkState::NotLinked);
    assert_eq!((link.phone.as_deref(), link.qr), (Some(OWN), None));
    world.connected().await;
    assert_eq!(world.send(&message(FRIEND, 1, "still here")).await, Ok(()));
    world.assert_no_violations();
}

#[tokio::test]
async fn a_restart_keeps_the_session() {
    let world = World::linked().await;
    world.gateway.restart().await.unwrap();
    let link = world.until("a new connection", |link| link.is_connected()).await;
    assert_eq!(link.phone.as_deref(), Some(OWN));
    assert_eq!(world.send(&message(FRIEND, 1, "back again")).await, Ok(()));
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_is_found_again() {
    let world = World::linked().await;
    world.simulator.pause().await;
    let link = world.state(LinkState::Connecting).await;
    assert!(link.error.is_some());
    let sent = world.send(&message(FRIEND, 1, "x")).await;
    assert!(matches!(sent, Err(SendError::NotConnected(_))), "{sent:?}");

    world.simulator.resume().await.unwrap();
    let link = world.state(LinkState::Connected).await;
    assert_eq!(link.error, None);
}

#[tokio::test]
async fn an_unreachable_server_shows_on_the_link() {
    let gateway = Embedded::start(EmbeddedConfig {
        store: Arc::new(MemoryStore::default()),
        websocket_url: Some(format!("ws://127.0.0.1:{}/ws/chat", free_port())),
        device_name: "Windows".to_owned(),
        opened_elsewhere: false,
        ack_timeout: ACK_TIMEOUT,
        longest_reconnect: LONGEST_RECONNECT,
    })
    .await
    .unwrap();
    let link = until(&gateway, "an error", |link| link.error.is_some()).await;
    assert_eq!(link.state, LinkState::NotLinked);
    assert_eq!(link.error.as_deref(), Some(wording::WHATSAPP_UNREACHABLE));
    gateway.close().await;
}

#[tokio::test]
async fn a_logout_unlinks_the_phone_and_offers_a_new_qr() {
    let world = World::linked().await;
    assert_eq!(devices(&world, OWN), 1);
    world.gateway.logout().await.unwrap();
    assert_eq!(devices(&world, OWN), 0, "the phone lists us no more");

    let link = world.until("a QR code", |link| link.qr.is_some()).await;
    assert_eq!((link.state, link.phone, link.error), (LinkState::NotLinked, None, None));
    world.scan(NEXT_OWN).await;
    let link = world.state(LinkState::Connected).await;
    assert_eq!(link.phone.as_deref(), Some(NEXT_OWN));
    assert_eq!(world.send(&message(FRIEND, 1, "another number")).await, Ok(()));
    world.assert_no_violations();
}

#[tokio::test]
async fn after_the_phone_unlinked_us_a_new_qr_comes_with_the_reason() {
    let world = World::linked().await;
    assert!(world.simulator.unlink(OWN, 1));
    let link = world.until("a QR code", |link| link.qr.is_some()).await;
    assert_eq!(link.state, LinkState::NotLinked);
    assert_eq!(link.error.as_deref(), Some(wording::UNLINKED));
    assert_eq!(world.send(&message(FRIEND, 1, "x")).await, Err(SendError::NotLinked));

    world.scan(OWN).await;
    let link = world.state(LinkState::Connected).await;
    assert_eq!(link.error, None);
}

#[tokio::test]
async fn an_unlink_while_offline_leads_to_a_new_qr() {
    let mut world = World::linked().await;
    world.gateway.close().await;
    assert!(world.simulator.unlink(OWN, 1));
    world.next_process().await;
    let link = world.until("a QR code", |link| link.qr.is_some()).await;
    assert_eq!(link.error.as_deref(), Some(wording::UNLINKED));
}

#[tokio::test]
async fn a_session_opened_elsewhere_is_not_reopened() {
    let world = World::linked().await;
    let conflict = Action::StreamError { code: None, conflict: Some("replaced".into()) };
    world.faults([FaultRule::on(Stanza::Message, conflict).times(1)]);
    let sent = world.send(&message(FRIEND, 1, "x")).await;
    assert!(matches!(sent, Err(SendError::Unknown(_))), "{sent:?}");
    let link = world.state(LinkState::Replaced).await;
    assert_eq!(link.error.as_deref(), Some(wording::REPLACED));
    let sent = world.send(&message(FRIEND, 2, "x")).await;
    assert!(matches!(sent, Err(SendError::NotConnected(_))), "{sent:?}");

    world.gateway.restart().await.unwrap();
    world.connected().await;
}

#[tokio::test]
async fn a_ban_shows_its_end_and_ends_by_itself() {
    let world = World::linked().await;
    let ban = Action::Failure { reason: 402, code: Some(101), expire: Some(2) };
    world.faults([FaultRule::on(Stanza::Login, ban).times(1)]);
    world.gateway.restart().await.unwrap();
    let link = world.until("a ban", |link| matches!(link.state, LinkState::Banned { .. })).await;
    assert_eq!(link.error.as_deref(), Some(wording::BANNED));
    assert_eq!(link.phone.as_deref(), Some(OWN));
    let sent = world.send(&message(FRIEND, 1, "x")).await;
    assert!(matches!(sent, Err(SendError::NotConnected(_))), "{sent:?}");

    world.connected().await;
    assert_eq!(world.send(&message(FRIEND, 1, "free again")).await, Ok(()));
}

#[tokio::test]
async fn an_outdated_client_says_so() {
    let world = World::linked().await;
    let outdated = Action::Failure { reason: 405, code: None, expire: None };
    world.faults([FaultRule::on(Stanza::Login, outdated).times(1)]);
    world.gateway.restart().await.unwrap();
    let link = world.state(LinkState::ClientOutdated).await;
    assert_eq!(link.error.as_deref(), Some(wording::CLIENT_OUTDATED));
    world.gateway.restart().await.unwrap();
    world.connected().await;
}

#[tokio::test]
async fn a_closed_gateway_reports_it() {
    let world = World::linked().await;
    world.gateway.close().await;
    let restarted = world.gateway.restart().await;
    assert!(matches!(restarted, Err(GatewayError::NotPossible(_))), "{restarted:?}");
    let sent = world.send(&message(FRIEND, 1, "x")).await;
    assert!(matches!(sent, Err(SendError::NotConnected(_))), "{sent:?}");
}

fn devices(world: &World, number: &str) -> usize {
    let accounts = world.simulator.accounts();
    accounts.iter().find(|account| account.phone == number).unwrap().devices.len()
}
