//! What a phone tells a new client of its chats, and the tokens in it.

use serde_json::{Value, json};
use wa_sim::{AccountLimits, Action, ChatToken, Config, FaultRule, HistoryChat, Simulator, Stanza};
use whatsapp_rust::prelude::Event;
use whatsapp_rust::wacore::store::traits::ProtocolStore;

use crate::client::{FRIEND, OWN, PATIENCE, TestClient};
use crate::control::request;

/// What is left of a part of a history: its progress, and the chats in it with their tokens.
type Part = (Option<u32>, Vec<(String, Option<Vec<u8>>)>);

fn part(event: &Event) -> Option<Part> {
    let Event::HistorySync(part) = event else { return None };
    let conversations = &part.get().unwrap().conversations;
    let chats = conversations.iter().map(|chat| (chat.id.clone(), chat.tc_token.clone()));
    Some((part.progress(), chats.collect()))
}

fn chats(count: usize) -> Vec<HistoryChat> {
    let with = (0..count).map(|n| format!("62812{n:07}0"));
    with.map(|with| HistoryChat { with, wrote: true, token: ChatToken::Valid }).collect()
}

/// A client that is linked to a phone with these chats.
async fn linked_with(chats: Vec<HistoryChat>, faults: Vec<FaultRule>) -> (Simulator, TestClient) {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    simulator.set_history(OWN, chats);
    simulator.set_faults(faults);
    let client = TestClient::reading_history(&simulator).await;
    let qr = client.qr().await;
    simulator.scan(&qr, OWN).await.unwrap();
    client.connected().await;
    (simulator, client)
}

#[tokio::test]
async fn a_new_client_is_told_of_all_chats_part_by_part() {
    let (simulator, client) = linked_with(chats(5001), vec![]).await;
    let parts = [client.wait_nth("part", 1, part).await, client.wait_nth("part", 2, part).await];
    let told: usize = parts.iter().map(|(_, chats)| chats.len()).sum();
    assert_eq!(told, 5001 + parts.len(), "each part has a group too");
    let mut progress: Vec<_> = parts.iter().map(|(progress, _)| *progress).collect();
    progress.sort();
    assert_eq!(progress, [Some(99), Some(100)]);
    let with_token = parts.iter().flat_map(|(_, chats)| chats).filter(|chat| chat.1.is_some());
    assert_eq!(with_token.count(), 5001);
    assert!(simulator.violations().is_empty(), "{:?}", simulator.violations());
}

#[tokio::test]
async fn a_part_comes_twice_or_damaged_or_not_at_all() {
    let twice = FaultRule::on(Stanza::History, Action::Duplicate { copies: 1 });
    let (_simulator, client) = linked_with(chats(1), vec![twice]).await;
    client.wait_nth("part", 2, part).await;

    let not_found = Action::Error { code: 404, text: String::new() };
    for (stanza, action) in [
        (Stanza::History, Action::Swallow),
        (Stanza::Media, Action::Corrupt),
        (Stanza::Media, not_found),
    ] {
        let rule = FaultRule::on(stanza, action);
        let (simulator, client) = linked_with(chats(1), vec![rule]).await;
        simulator.wait_for(|simulator| simulator.struck()[0] > 0, PATIENCE).await.unwrap();
        client.send(FRIEND, "3EB0000000000001", "halo").await;
        client.receipt("3EB0000000000001", "Read").await;
        assert_eq!(client.all(part), []);
    }
}

#[tokio::test]
async fn files_need_their_token() {
    let (simulator, client) = linked_with(chats(1), vec![]).await;
    client.wait("part", part).await;
    let file = format!("/media/history/{OWN}/0");
    for (path, status) in [
        (format!("{file}?token=x"), 401),
        (format!("{file}?token=x&auth=sim"), 403),
        (format!("/media/history/{OWN}/1?token=x&auth=sim"), 404),
    ] {
        assert_eq!(request(simulator.addr(), "GET", &path, Value::Null).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_token_allows_messages_beyond_a_limit() {
    let friend = |token| vec![HistoryChat { with: FRIEND.into(), wrote: true, token }];
    for (token, answer) in [
        (ChatToken::Valid, None),
        (ChatToken::Expired, Some("463")),
        (ChatToken::None, Some("463")),
    ] {
        for locked in [true, false] {
            let (simulator, client) = linked_with(friend(token), vec![]).await;
            client.wait("part", part).await;
            client.client().fetch_props().await.unwrap();
            let until = locked.then(|| simulator.now_ms() / 1000 + 3600);
            let limits = AccountLimits {
                reachout_until: until,
                token_required: true,
                ..AccountLimits::default()
            };
            simulator.set_limits(OWN, limits);
            client.send(FRIEND, "3EB0000000000001", "halo").await;
            assert_eq!(client.ack("3EB0000000000001").await.as_deref(), answer, "{token:?}");
        }
    }
}

#[tokio::test]
async fn a_token_is_answered_with_a_token() {
    let chat = HistoryChat { with: FRIEND.into(), wrote: true, token: ChatToken::None };
    let (simulator, client) = linked_with(vec![chat], vec![]).await;
    client.wait("part", part).await;
    client.client().fetch_props().await.unwrap();
    let limits = AccountLimits { token_required: true, ..AccountLimits::default() };
    simulator.set_limits(OWN, limits);
    client.send(FRIEND, "3EB0000000000001", "halo").await;
    assert_eq!(client.ack("3EB0000000000001").await.as_deref(), Some("463"));
    // With the message the client has given its own.
    let accounts = simulator.accounts();
    let lid = accounts.iter().find(|account| account.phone == FRIEND).unwrap().lid.clone();
    let mut changed = simulator.changed();
    let given = async {
        while client.store.get_tc_token(&lid).await.unwrap().is_none_or(|t| t.token.is_empty()) {
            changed.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, given).await.unwrap();
    client.send(FRIEND, "3EB0000000000002", "halo").await;
    assert_eq!(client.ack("3EB0000000000002").await, None);
}

#[tokio::test]
async fn chats_over_http() {
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let path = format!("/control/numbers/{OWN}");
    let chats = json!({ "chats": [
        { "with": "0812-0000-0001", "wrote": true, "token": "valid" }, { "with": FRIEND },
    ] });
    assert_eq!(request(simulator.addr(), "PUT", &path, chats).await.0, 200);
    let wrong = json!({ "chats": [{ "with": FRIEND, "token": "maybe" }] });
    assert_eq!(request(simulator.addr(), "PUT", &path, wrong).await.0, 400);
    let nobody = json!({ "chats": [{ "with": "x" }] });
    assert_eq!(request(simulator.addr(), "PUT", &path, nobody).await.0, 400);
}
