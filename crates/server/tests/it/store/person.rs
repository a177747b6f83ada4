//! One person: everything that is known of them, and forgetting it.

use super::fixtures::*;
use crate::harness::database::{START, TestState};
use kabari::session_key::SessionKey;
use kabari::store::state::{Forgotten, NewCampaign};
use kabari_domain::{DeliveryState, Phone};
use kabari_gateway::{Change, Entry, SessionStoreError};
use serde_json::Value;

on_both_engines!(
    a_person_is_exported_and_forgotten_everywhere,
    nobody_is_forgotten_while_a_message_is_under_way,
    a_number_of_ours_is_not_forgotten,
);

const LID: &str = "98765432101234";

fn someone() -> Phone {
    recipient(7).phone.unwrap()
}

fn put(collection: &'static str, key: &str, value: &str) -> Change {
    let entry = Entry { key: key.as_bytes().to_vec(), value: value.as_bytes().to_vec() };
    Change::Put { collection, entry, stamp: 0 }
}

async fn a_person_is_exported_and_forgotten_everywhere(test: TestState) {
    let (state, key, phone) = (&test.state, SessionKey::random(), someone());
    let lease = hold(state, NODE).await;
    let session = state.session_store(&lease, &key).await.unwrap();
    let address = format!("{}@s.whatsapp.net:0", phone.digits());
    let other = format!("{}@s.whatsapp.net:0", recipient(8).phone.unwrap().digits());
    let entries = [
        put("sessions", &address, "a ratchet"),
        put("identities", &format!("{LID}@lid:3"), "a key"),
        put("lid_mappings", LID, &format!("{{\"phone_number\":\"{}\"}}", phone.digits())),
        put("sessions", &other, "another ratchet"),
    ];
    session.write(&entries).await.unwrap();
    state.remember_numbers(&[(phone.clone(), true, Some(format!("{LID}@lid")))]).await.unwrap();
    state.wrote(&sender(), &[(phone.clone(), START)]).await.unwrap();
    // To them alone, to them and others, and once more to a number that counted as a repeat.
    let request = format!("{{\"phone\":\"{}\"}}", phone.digits());
    let alone = NewCampaign { request: request.clone(), ..new_campaign() };
    let alone = create(state, alone, vec![recipient(7)]).await;
    let repeat = kabari::store::state::NewDelivery {
        phone_raw: recipient(7).phone_raw,
        customer_name: "Pelanggan 7 lagi".to_owned(),
        ..skipped(7)
    };
    let people = vec![recipient(6), recipient(7), repeat];
    let many = create(state, NewCampaign { request, ..new_campaign() }, people).await;

    let before = serde_json::to_value(state.person(&phone, &key).await.unwrap()).unwrap();
    assert_eq!(before["messages"].as_array().unwrap().len(), 3, "{before}");
    assert_eq!(before["messages"][0]["text"], TEMPLATE);
    assert_eq!(before["messages"][0]["name"], "Pelanggan 7");
    assert_eq!(before["contacts"][0]["of"], sender().digits());
    assert_eq!(before["registration"]["address"], format!("{LID}@lid"));
    assert_eq!(before["session_entries"][SESSION], 3, "{before}");

    let forgotten = state.forget_person(&phone, &key).await.unwrap();
    let Forgotten::Done(rows) = forgotten else { panic!("{forgotten:?}") };
    let row = |table: &str| rows.get(table).copied();
    assert_eq!(row("deliveries"), Some(3), "{rows:?}");
    assert_eq!(row("session_entries"), Some(3), "{rows:?}");
    assert_eq!((row("contacts"), row("numbers")), (Some(1), Some(1)));
    let after = serde_json::to_value(state.person(&phone, &key).await.unwrap()).unwrap();
    for list in ["messages", "contacts", "session_entries"] {
        let is_empty = match &after[list] {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        assert!(is_empty, "{after}");
    }
    assert_eq!(after["registration"], Value::Null);
    let campaign = state.campaign(alone).await.unwrap().unwrap();
    assert_eq!((campaign.template.as_str(), campaign.request.as_str()), ("", "{}"));
    assert!(campaign.phase.status.is_final(), "nothing of it is left to send");
    let campaign = state.campaign(many).await.unwrap().unwrap();
    assert_eq!((campaign.template.as_str(), campaign.request.as_str()), (TEMPLATE, "{}"));
    assert_eq!(state.counts(many).await.unwrap().get(DeliveryState::Queued), 1, "the other one");

    // Whoever held the session has them in memory: it writes nothing more.
    let late = session.write(&[put("sessions", &address, "a ratchet")]).await;
    assert_eq!(late, Err(SessionStoreError::Fenced));
    let lease = hold(state, NODE).await;
    let session = state.session_store(&lease, &key).await.unwrap();
    assert_eq!(session.read_all("sessions").await.unwrap().len(), 1, "the other one's");
    let again = state.forget_person(&phone, &key).await.unwrap();
    assert_eq!(again, Forgotten::Done(Default::default()));
}

async fn nobody_is_forgotten_while_a_message_is_under_way(test: TestState) {
    let (state, key) = (&test.state, SessionKey::random());
    let campaign = create(state, new_campaign(), vec![recipient(7)]).await;
    let delivery = lease_one(state).await;
    begin(state, &delivery).await;
    let refused = state.forget_person(&someone(), &key).await.unwrap();
    assert_eq!(refused, Forgotten::UnderWay(vec![campaign]));
    assert_eq!(state_of(state, delivery.id).await, DeliveryState::Sending);
    let kept = state.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!(kept.phone, Some(someone()));
}

async fn a_number_of_ours_is_not_forgotten(test: TestState) {
    hold(&test.state, NODE).await;
    let refused = test.state.forget_person(&sender(), &SessionKey::random()).await.unwrap();
    assert_eq!(refused, Forgotten::OwnNumber(SESSION.to_owned()));
}
