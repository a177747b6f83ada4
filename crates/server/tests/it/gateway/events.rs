//! What WhatsApp says later reaches whoever follows, however late they ask.

use super::Api;
use crate::harness::served::PATIENCE;
use kabari_domain::{MessageId, Phone, ReceiptRank, Timestamp};
use kabari_gateway::{Event, Gateway, Remote, RemoteConfig};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

const AT: Timestamp = Timestamp(1_769_043_600_000);

fn receipt(id: &str) -> Event {
    let message_ids = vec![MessageId::from_stored(id)];
    Event::Receipt { message_ids, rank: ReceiptRank::Read, at: AT }
}

/// So many events as they stand in the stream, with their ids.
async fn told(api: &Api, last: Option<&str>, number: usize) -> Vec<(String, Value)> {
    let mut request = api.request(Method::GET, "/events");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let read = async {
        while text.matches("data:").count() < number || !text.ends_with("\n\n") {
            let part = stream.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(std::str::from_utf8(&part).unwrap());
        }
    };
    timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{number} events are not told"));
    let field = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start().to_owned())
    };
    text.split("\n\n")
        .filter_map(|event| {
            let data = field(event, "data:")?;
            Some((field(event, "id:").unwrap(), serde_json::from_str(&data).unwrap()))
        })
        .collect()
}

#[tokio::test]
async fn a_reconnected_client_gets_the_events_since() {
    let mut api = Api::connected().await;
    api.behind.tell(Event::Acked { message_id: MessageId::from_stored("3EB0AA") });
    api.behind.tell(receipt("3EB0AA"));
    api.behind.tell(Event::Wrote { phone: Phone::from_stored("6281234567801"), at: AT });
    let first = told(&api, None, 3).await;
    let bodies: Vec<_> = first.iter().map(|(_, body)| body.clone()).collect();
    let at = AT.0;
    let expected = [
        json!({ "type": "acked", "message_id": "3EB0AA" }),
        json!({ "type": "receipt", "message_ids": ["3EB0AA"], "rank": "read", "at": at }),
        json!({ "type": "wrote", "phone": "6281234567801", "at": at }),
    ];
    assert_eq!(bodies, expected);
    assert_eq!(told(&api, Some(&first[0].0), 2).await, first[1..]);

    api.restart().await;
    api.behind.tell(receipt("3EB0BB"));
    let last = told(&api, Some(&first[2].0), 1).await;
    assert_eq!(last[0].1["message_ids"], json!(["3EB0BB"]));
    // The id of another gateway, or of what is forgotten.
    for unknown in ["1.5", "999.1769043600000", "nonsense"] {
        assert_eq!(told(&api, Some(unknown), 4).await[..3], first, "{unknown}");
    }
}

/// What a client hears until this event, and the mark after it.
async fn heard(events: &mut mpsc::UnboundedReceiver<Event>, last: &Event) -> (Vec<Event>, String) {
    let mut all = vec![];
    let reading = async {
        loop {
            let event = events.recv().await.unwrap();
            let is_last = event == *last;
            if !matches!(event, Event::Mark { .. }) {
                all.push(event);
            }
            if is_last && let Some(Event::Mark { heard }) = events.recv().await {
                return heard;
            }
        }
    };
    let mark = timeout(PATIENCE, reading).await.expect("everything is told");
    (all, mark)
}

#[tokio::test]
async fn a_client_hears_once_what_came_while_it_was_away() {
    let mut api = Api::connected().await;
    let config = |heard| RemoteConfig { url: api.gateway.url(), key: None, heard };
    let (first, second, third) = (receipt("3EB0AA"), receipt("3EB0BB"), receipt("3EB0CC"));
    api.behind.tell(first.clone());
    let remote = Remote::start(config(None)).await.unwrap();
    assert!(remote.knows_ids());
    let mut events = remote.take_events().unwrap();
    let (told, mark) = heard(&mut events, &first).await;
    assert_eq!(told, [first]);
    remote.close().await;
    drop(remote);

    api.behind.tell(second.clone());
    let remote = Remote::start(config(Some(mark))).await.unwrap();
    let mut events = remote.take_events().unwrap();
    assert_eq!(heard(&mut events, &second).await.0, [second]);
    // The same client follows the gateway over its restart.
    api.restart().await;
    api.behind.tell(third.clone());
    assert_eq!(heard(&mut events, &third).await.0, [third]);
}
