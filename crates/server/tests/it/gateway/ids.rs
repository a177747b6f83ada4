//! A message is sent once under its id, whatever happens to the gateway.

use super::Api;
use kabari_domain::{MessageId, wording};
use kabari_gateway::{Event, SendError};
use serde_json::{Value, json};

const ID: &str = "3EB0AA";

fn message() -> Value {
    json!({ "phone": "6281234567801", "message": "Halo", "message_id": ID })
}

/// The ids that have gone out since the last call.
fn sent(api: &Api) -> Vec<String> {
    api.behind.take_sent().into_iter().map(|sent| sent.message_id.to_string()).collect()
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_and_sends_nothing() {
    let mut api = Api::connected().await;
    assert_eq!(api.get("/status").await.1["message_ids"], true);
    let first = api.post("/send", message()).await;
    assert_eq!((first.0, &first.1["success"]), (200, &json!(true)));
    assert_eq!(sent(&api), [ID]);
    assert_eq!(api.post("/send", message()).await, first);
    api.restart().await;
    assert_eq!(api.post("/send", message()).await, first);
    api.behind.enter("qr-pending", None);
    assert_eq!(api.post("/send", message()).await, first, "whatever the link is like by now");
    assert!(sent(&api).is_empty());
}

#[tokio::test]
async fn a_refusal_is_repeated_too() {
    let mut api = Api::connected().await;
    api.behind.fail("6281234567801", SendError::Permanent("479".into()));
    let refused = api.post("/send", message()).await;
    assert_eq!(refused.1["error"], "479");
    api.behind.mend("6281234567801");
    assert_eq!(api.post("/send", message()).await, refused);
    api.restart().await;
    assert_eq!(api.post("/send", message()).await, refused);
    let stranger = json!({ "phone": "6281234567819", "message": "x", "message_id": "3EB0BB" });
    for _ in 0..2 {
        let (_, answer) = api.post("/send", stranger.clone()).await;
        assert_eq!(answer["error"], wording::NOT_REGISTERED);
    }
    assert!(sent(&api).is_empty());
}

#[tokio::test]
async fn a_message_that_was_not_sent_can_be_requested_again() {
    let mut api = Api::connected().await;
    let phone = "6281234567801";
    for error in [
        SendError::NotConnected("socket".into()),
        SendError::ReachOutLimit { until: None },
        SendError::Unknown("no ack".into()),
    ] {
        api.behind.fail(phone, error.clone());
        let (_, answer) = api.post("/send", message()).await;
        assert_eq!(answer["success"], false, "{error}");
    }
    api.restart().await;
    api.behind.mend(phone);
    assert_eq!(api.post("/send", message()).await.1["success"], true);
    assert_eq!(sent(&api), [ID], "under the same id, which phones show once");
}

#[tokio::test]
async fn a_late_ack_is_the_answer_to_a_repeat() {
    let api = Api::connected().await;
    api.behind.fail("6281234567801", SendError::Unknown("no ack".into()));
    assert_eq!(api.post("/send", message()).await.1["success"], false);
    let id = MessageId::from_stored(ID);
    api.behind.tell(Event::Acked { message_id: id.clone() });
    let is_written = async || {
        let asked = api.gateway.state.asked_message(&id).await.unwrap();
        asked.is_some_and(|asked| asked.outcome == Some(Ok(())))
    };
    api.gateway.until("the ack is written down", is_written).await;
    assert_eq!(api.post("/send", message()).await.1["success"], true);
    assert!(sent(&api).is_empty());
}

#[tokio::test]
async fn a_repeat_waits_for_the_first_that_is_under_way() {
    let api = Api::connected().await;
    api.behind.hold_back();
    // A second send would wait for ever.
    api.behind.allow(1);
    let (first, second) = tokio::join!(api.post("/send", message()), api.post("/send", message()));
    assert_eq!((&first.1["success"], &second), (&json!(true), &first));
    assert_eq!(sent(&api), [ID]);
}

#[tokio::test]
async fn an_id_belongs_to_one_number() {
    let api = Api::connected().await;
    api.post("/send", message()).await;
    let other = json!({ "phone": "6281234567802", "message": "Halo", "message_id": ID });
    let (status, answer) = api.post("/send", other).await;
    assert_eq!((status, &answer["error"]), (400, &json!(wording::MESSAGE_ID_REUSED)));
    assert_eq!(sent(&api), [ID]);
}
