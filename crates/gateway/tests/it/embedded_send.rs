//! Messages, acks, receipts, and what goes wrong with them.

use crate::world::{FRIEND, OWN, PATIENCE, STRANGER, World, message, phone};
use kabari_domain::{ReceiptRank, Timestamp};
use kabari_gateway::{Event, Gateway, OutgoingMessage, Registration, SendError};
use std::time::{Duration, Instant};
use wa_sim::{AccountLimits, Action, FaultRule, NumberSettings, Receipts, Stanza};

#[tokio::test]
async fn a_message_arrives_once_as_it_was_written_and_receipts_follow() {
    let mut world = World::linked().await;
    let sent = message(FRIEND, 1, "Jaringan di ODP-1 *putus* 🙏\n\nSalam");
    assert_eq!(world.send(&sent).await, Ok(()));
    world.until_received(FRIEND).await;
    let id = sent.message_id.to_string();
    assert_eq!(world.received(FRIEND), [(id, sent.text.clone(), 1)]);

    for rank in [ReceiptRank::Delivered, ReceiptRank::Read] {
        let Event::Receipt { message_ids, rank: seen, at } = world.event().await else {
            panic!("the ack was waited for");
        };
        assert_eq!((message_ids, seen), (vec![sent.message_id.clone()], rank));
        assert!(at > Timestamp(0));
    }
    world.assert_no_violations();
}

#[tokio::test]
async fn a_repeat_under_the_same_id_is_dropped_by_the_phone() {
    let world = World::linked().await;
    let sent = message(FRIEND, 1, "sekali saja");
    assert_eq!(world.send(&sent).await, Ok(()));
    assert_eq!(world.send(&sent).await, Ok(()));
    let twice = || world.received(FRIEND).iter().any(|(_, _, copies)| *copies == 2);
    world.simulator.wait_for(|_| twice(), PATIENCE).await.unwrap();
    assert_eq!(world.received(FRIEND).len(), 1);
    world.assert_no_violations();
}

#[tokio::test]
async fn number_checks_keep_their_order_over_several_batches() {
    let world = World::linked().await;
    let numbers: Vec<_> =
        (0..230).map(|last| phone(&format!("62812345{:05}", 10_000 + last))).collect();
    let registrations = world.gateway.check(&numbers).await.unwrap();
    assert_eq!(registrations.len(), numbers.len());
    for (number, registration) in numbers.iter().zip(registrations) {
        match registration {
            Registration::NotRegistered => assert!(number.digits().ends_with('9')),
            Registration::Registered { jid } => {
                assert!(!number.digits().ends_with('9'));
                assert!(jid.contains('@'), "{jid}");
            }
            Registration::Unknown => panic!("the server knows"),
        }
    }
}

#[tokio::test]
async fn the_address_from_a_check_can_be_sent_to() {
    let world = World::linked().await;
    let registered = world.gateway.check(&[phone(FRIEND)]).await.unwrap().remove(0);
    let Registration::Registered { jid } = registered else { panic!("{registered:?}") };
    let sent = OutgoingMessage { jid: Some(jid), ..message(FRIEND, 1, "x") };
    assert_eq!(world.send(&sent).await, Ok(()));
    world.until_received(FRIEND).await;
}

#[tokio::test]
async fn unregistered_numbers_get_nothing() {
    let world = World::linked().await;
    assert_eq!(world.send(&message(STRANGER, 1, "x")).await, Err(SendError::NotRegistered));
    world.assert_no_violations();
}

#[tokio::test]
async fn a_recipient_who_left_after_the_check_is_not_registered() {
    let world = World::linked().await;
    let registered = world.gateway.check(&[phone(FRIEND)]).await.unwrap().remove(0);
    let Registration::Registered { jid } = registered else { panic!("{registered:?}") };
    let gone = NumberSettings { registered: false, receipts: Receipts::None };
    world.simulator.set_number(FRIEND, gone);
    let no_keys = Action::Error { code: 406, text: "not-acceptable".into() };
    world.faults([FaultRule::on(Stanza::Prekeys, no_keys).to(FRIEND)]);

    let sent = OutgoingMessage { jid: Some(jid), ..message(FRIEND, 1, "x") };
    assert_eq!(world.send(&sent).await, Err(SendError::NotRegistered));
    assert_eq!(world.received(FRIEND), []);
}

#[tokio::test]
async fn each_refusal_has_its_send_error() {
    let world = World::linked().await;
    for (number, code) in (1..).zip([400, 404, 479, 429, 503]) {
        world.faults([FaultRule::on(Stanza::Message, Action::AckError { code }).times(1)]);
        let answer = world.send(&message(FRIEND, number, "x")).await;
        let as_it_should = match code {
            429 | 503 => matches!(answer, Err(SendError::Retry { after, .. }) if !after.is_zero()),
            _ => {
                matches!(&answer, Err(SendError::Permanent(text)) if text.contains(&code.to_string()))
            }
        };
        assert!(as_it_should, "{code}: {answer:?}");
    }
    assert_eq!(world.received(FRIEND), []);
    assert_eq!(world.send(&message(FRIEND, 9, "and now?")).await, Ok(()));
}

#[tokio::test]
async fn the_limit_for_new_chats_has_its_end() {
    let world = World::linked().await;
    let ends = world.simulator.now_ms() / 1000 + 3600;
    let limits = AccountLimits {
        reachout_until: Some(ends),
        new_chats: Some(50),
        new_chats_used: 12,
        ..AccountLimits::default()
    };
    world.simulator.set_limits(OWN, limits);
    let until = Some(Timestamp(i64::try_from(ends * 1000).unwrap()));
    let answer = world.send(&message(FRIEND, 1, "x")).await;
    assert_eq!(answer, Err(SendError::ReachOutLimit { until }));

    let limits = world.gateway.limits().await.unwrap();
    assert_eq!((limits.reach_out_until, limits.new_chats_left), (until, Some(38)));
}

#[tokio::test]
async fn an_unlimited_number_has_no_limits() {
    let world = World::linked().await;
    let limits = world.gateway.limits().await.unwrap();
    assert_eq!((limits.reach_out_until, limits.new_chats_left), (None, None));
}

#[tokio::test]
async fn an_ack_that_comes_too_late_becomes_an_event() {
    let mut world = World::linked().await;
    world
        .simulator
        .set_number(FRIEND, NumberSettings { registered: true, receipts: Receipts::None });
    let an_hour = Duration::from_secs(3600);
    let late = Action::LateAck { ms: 3_600_000 };
    world.faults([FaultRule::on(Stanza::Message, late).times(1)]);
    let sent = message(FRIEND, 1, "x");
    let answer = world.send(&sent).await;
    assert!(matches!(answer, Err(SendError::Unknown(_))), "{answer:?}");

    world.simulator.advance(an_hour);
    assert_eq!(world.event().await, Event::Acked { message_id: sent.message_id });
}

#[tokio::test]
async fn a_break_before_the_ack_is_settled_by_a_resend() {
    let world = World::linked().await;
    world.faults([FaultRule::on(Stanza::Message, Action::DropBeforeAck).times(1)]);
    let sent = message(FRIEND, 1, "x");
    let begun = Instant::now();
    let answer = world.send(&sent).await;
    assert!(matches!(answer, Err(SendError::Unknown(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "the break itself is the answer");

    world.connected().await;
    assert_eq!(world.send(&sent).await, Ok(()));
    let twice = || world.received(FRIEND).iter().any(|(_, _, copies)| *copies == 2);
    world.simulator.wait_for(|_| twice(), PATIENCE).await.unwrap();
    assert_eq!(world.received(FRIEND).len(), 1);
}

#[tokio::test]
async fn a_number_check_that_is_too_fast_waits() {
    let world = World::linked().await;
    let busy = Action::Error { code: 429, text: "rate-overlimit".into() };
    world.faults([FaultRule::on(Stanza::Usync, busy)]);
    let answer = world.send(&message(FRIEND, 1, "x")).await;
    assert!(matches!(answer, Err(SendError::Retry { .. })), "{answer:?}");
    assert_eq!(world.received(FRIEND), []);
}

#[tokio::test]
async fn missing_prekeys_are_retried() {
    let world = World::linked().await;
    let broken = Action::Error { code: 500, text: "internal-server-error".into() };
    world.faults([FaultRule::on(Stanza::Prekeys, broken).times(1)]);
    let sent = message(FRIEND, 1, "x");
    let answer = world.send(&sent).await;
    assert!(matches!(answer, Err(SendError::Recipient { .. })), "{answer:?}");
    assert_eq!(world.send(&sent).await, Ok(()));
    world.until_received(FRIEND).await;
}

#[tokio::test]
async fn receipts_from_downtime_reach_the_next_process() {
    let mut world = World::linked().await;
    let away = Duration::from_secs(3600);
    // The account must exist before its phone can be away.
    assert_eq!(world.send(&message(FRIEND, 1, "halo")).await, Ok(()));
    world.until_received(FRIEND).await;
    world.simulator.go_offline(FRIEND, away);
    let sent = message(FRIEND, 2, "sampai nanti");
    assert_eq!(world.send(&sent).await, Ok(()));
    world.gateway.close().await;

    world.simulator.advance(away);
    let arrived = |_: &wa_sim::Simulator| world.received(FRIEND).len() == 2;
    world.simulator.wait_for(arrived, PATIENCE).await.unwrap();
    world.next_process().await;
    loop {
        if let Event::Receipt { message_ids, rank: ReceiptRank::Read, .. } = world.event().await
            && message_ids.contains(&sent.message_id)
        {
            break;
        }
    }
    world.assert_no_violations();
}

#[tokio::test]
async fn a_phone_that_cannot_read_its_copy_gets_another() {
    let world = World::linked().await;
    world.faults([FaultRule::on(Stanza::Message, Action::AskRetry).times(1)]);
    let sent = message(FRIEND, 1, "terbaca pada kali kedua");
    assert_eq!(world.send(&sent).await, Ok(()));
    world.until_received(FRIEND).await;
    let received = world.received(FRIEND);
    assert_eq!(received.len(), 1);
    assert_eq!((&received[0].0, &received[0].1), (&sent.message_id.to_string(), &sent.text));
}

#[tokio::test]
async fn a_phone_with_new_keys_still_gets_its_message() {
    let world = World::linked().await;
    assert_eq!(world.send(&message(FRIEND, 1, "sebelum")).await, Ok(()));
    world.until_received(FRIEND).await;
    assert!(world.simulator.reinstall(FRIEND));
    assert_eq!(world.send(&message(FRIEND, 2, "sesudah")).await, Ok(()));
    let arrived = |_: &wa_sim::Simulator| world.received(FRIEND).len() == 2;
    world.simulator.wait_for(arrived, PATIENCE).await.unwrap();
}
