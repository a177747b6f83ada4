//! What is written of the session, and what happens when it cannot be.

use crate::world::{FRIEND, World, message, phone};
use kabari_domain::wording;
use kabari_gateway::Gateway;
use kabari_gateway::{LinkState, SessionStoreError};

/// A second message to somebody changes a ratchet and keeps the message for a repeat; what the
/// library writes after the wire comes with the next frame.
const BATCHES_PER_MESSAGE: usize = 3;
/// Two about the number, one about its LID, which WhatsApp has just told, and one for its ratchet.
const READS_PER_FIRST_MESSAGE: usize = 4;
/// Which of the numbers have a LID already, what there is about all of them, and a few that the
/// client makes meanwhile.
const READS_PER_CHECK: usize = 10;

#[tokio::test]
async fn a_message_costs_few_batches_and_reads_nothing_twice() {
    const MESSAGES: u8 = 20;
    let world = World::linked().await;
    for number in 1..=2 {
        assert_eq!(world.send(&message(FRIEND, number, "first")).await, Ok(()));
    }
    let (writes, reads) = (world.store.writes(), world.store.reads());
    for number in 3..3 + MESSAGES {
        assert_eq!(world.send(&message(FRIEND, number, "later")).await, Ok(()));
    }
    let (writes, reads) = (world.store.writes() - writes, world.store.reads() - reads);
    println!("{writes} batches and {reads} reads for {MESSAGES} messages");
    assert!(writes >= usize::from(MESSAGES), "each message is written down: {writes}");
    assert!(writes <= BATCHES_PER_MESSAGE * usize::from(MESSAGES), "{writes}");
    assert!(reads <= usize::from(MESSAGES), "{reads}");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_first_message_reads_what_is_new_at_once() {
    const MESSAGES: u8 = 10;
    let world = World::linked().await;
    assert_eq!(world.send(&message(FRIEND, 1, "to a friend")).await, Ok(()));
    let reads = world.store.reads();
    for number in 2..2 + MESSAGES {
        let stranger = format!("62812345{number:04}1");
        assert_eq!(world.send(&message(&stranger, number, "to a stranger")).await, Ok(()));
    }
    let reads = world.store.reads() - reads;
    println!("{reads} reads for {MESSAGES} first messages");
    assert!(reads <= READS_PER_FIRST_MESSAGE * usize::from(MESSAGES), "{reads}");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_number_check_reads_each_new_lid_and_all_the_rest_at_once() {
    const NUMBERS: usize = 50;
    let world = World::linked().await;
    let reads = world.store.reads();
    let strangers = (0..NUMBERS).map(|number| phone(&format!("62812345{number:04}1")));
    let answers = world.gateway.check(&strangers.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(answers.len(), NUMBERS);
    let reads = world.store.reads() - reads;
    println!("{reads} reads to check {NUMBERS} numbers");
    assert!(reads <= NUMBERS + READS_PER_CHECK, "{reads}");
}

#[tokio::test]
async fn nothing_is_sent_after_another_node_took_the_session() {
    let world = World::linked().await;
    assert_eq!(world.send(&message(FRIEND, 1, "mine")).await, Ok(()));
    let before = world.simulator.ledger(0).len();

    world.store.fail_with(Some(SessionStoreError::Fenced));
    assert!(world.send(&message(FRIEND, 2, "no longer mine")).await.is_err());
    let link = world.state(LinkState::Replaced).await;
    assert_eq!(link.error.as_deref(), Some(wording::HELD_BY_ANOTHER_NODE));
    assert!(world.send(&message(FRIEND, 3, "no longer mine")).await.is_err());
    assert!(world.gateway.restart().await.is_err(), "it does not even connect");
    assert_eq!(world.simulator.ledger(0).len(), before);
}

#[tokio::test]
async fn a_session_that_cannot_be_written_sends_nothing_until_it_can() {
    let world = World::linked().await;
    assert_eq!(world.send(&message(FRIEND, 1, "first")).await, Ok(()));
    let before = world.simulator.ledger(0).len();

    world.store.fail_with(Some(SessionStoreError::Unavailable("no database".into())));
    assert!(world.send(&message(FRIEND, 2, "second")).await.is_err());
    assert_eq!(world.simulator.ledger(0).len(), before);

    world.store.fail_with(None);
    world.connected().await;
    assert_eq!(world.send(&message(FRIEND, 2, "second")).await, Ok(()));
    assert_eq!(world.received(FRIEND).len(), 2);
    world.assert_no_violations();
}

#[tokio::test]
async fn a_logout_leaves_only_the_new_device() {
    let world = World::linked().await;
    assert_eq!(world.send(&message(FRIEND, 1, "before")).await, Ok(()));
    assert!(world.store.len("sessions") > 0 && world.store.len("prekeys") > 0);
    world.gateway.logout().await.unwrap();
    world.until("a QR code", |link| link.qr.is_some()).await;
    for collection in ["sessions", "identities", "prekeys", "sent_messages"] {
        assert_eq!(world.store.len(collection), 0, "{collection}");
    }
    assert_eq!(world.store.len("device"), 1);
}
