//! Concurrent claims, leases and recordings.

use super::fixtures::*;
use super::migrations::drop_all;
use crate::harness::database::TestState;
use kabari::clock::Clock;
use kabari::store::StateStore;
use kabari::store::state::{Claim, SessionKind};
use kabari_domain::{CampaignEvent, CampaignStatus, DeliveryEvent, MessageId, Phone, ReceiptRank};
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinSet;

on_both_engines!(
    eight_claimers_take_every_delivery_once,
    every_number_finds_its_own_while_others_look,
    eight_nodes_migrate_at_once,
    one_of_many_gets_the_session,
    senders_claims_and_answers_side_by_side,
    cancelling_while_they_send,
);

/// The claimers' nodes: each its own connections, as separate processes would have.
async fn nodes(test: &TestState, count: usize) -> Vec<StateStore> {
    let mut nodes = vec![];
    for _ in 0..count {
        nodes.push(test.another_node().await);
    }
    nodes
}

async fn eight_claimers_take_every_delivery_once(test: TestState) {
    let mut total = 0;
    for size in [300, 200, 100] {
        create(&test.state, new_campaign(), recipients(size)).await;
        total += size;
    }
    let mut claimers = JoinSet::new();
    for (n, node) in nodes(&test, 8).await.into_iter().enumerate() {
        claimers.spawn(async move {
            let mut mine = vec![];
            loop {
                let owner = format!("node-{n}");
                let taken = node.claim(&claim(&owner, &sender(), 4, 10)).await.unwrap();
                // Others may hold the rest for a moment; what is left is counted below.
                if taken.is_empty() {
                    return mine;
                }
                mine.extend(taken.into_iter().map(|delivery| delivery.id));
            }
        });
    }
    let mut claimed: Vec<i64> = claimers.join_all().await.into_iter().flatten().collect();
    claimed.extend(lease(&test.state, 1000).await.into_iter().map(|delivery| delivery.id));
    assert_eq!(claimed.len(), total);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), total, "none was taken twice");
}

/// All look at the same rows, and each may send to those alone who have a chat with it.
async fn every_number_finds_its_own_while_others_look(test: TestState) {
    const NUMBERS: usize = 10;
    const EACH: usize = 20;
    let (state, now) = (&test.state, test.clock.now());
    let number = |n: usize| Phone::from_stored(format!("62812{n:07}"));
    let name = |n: usize| format!("number-{n}");
    for n in 0..NUMBERS {
        hold_as(state, &name(n), &number(n), NODE).await;
        let contacts = (0..EACH).filter_map(|one| recipient(one * NUMBERS + n).phone);
        let contacts: Vec<_> = contacts.map(|contact| (contact, now)).collect();
        state.wrote(&number(n), &contacts).await.unwrap();
    }
    create(state, new_campaign(), recipients(NUMBERS * EACH)).await;
    let mut claims = JoinSet::new();
    for n in 0..NUMBERS {
        let state = state.clone();
        claims.spawn(async move {
            let (name, number) = (name(n), number(n));
            let everything = NUMBERS as u32 * EACH as u32;
            let claim = Claim { session: &name, ..claim(NODE, &number, everything, everything) };
            state.claim(&claim).await.unwrap().len()
        });
    }
    assert_eq!(claims.join_all().await, [EACH; NUMBERS]);
}

async fn eight_nodes_migrate_at_once(test: TestState) {
    let mut openings = JoinSet::new();
    // Nothing is there yet, as on the first start of a cluster.
    drop_all(&test).await;
    for _ in 0..8 {
        openings.spawn(StateStore::open(test.target.clone(), Clock::System));
    }
    for opened in openings.join_all().await {
        assert!(opened.unwrap().campaigns(None, 1).await.unwrap().is_empty());
    }
}

async fn one_of_many_gets_the_session(test: TestState) {
    let kind = SessionKind::Embedded;
    test.state.create_session(SESSION, kind).await.unwrap();
    let mut claims = JoinSet::new();
    for n in 0..20 {
        let state = test.state.clone();
        claims.spawn(async move {
            let owner = format!("node-{n}");
            state.hold_session(SESSION, kind, &owner, LEASE).await.unwrap().is_some()
        });
    }
    let won = claims.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

async fn senders_claims_and_answers_side_by_side(test: TestState) {
    const NODES: usize = 4;
    const EACH: usize = 40;
    let id = create(&test.state, new_campaign(), recipients(NODES * EACH)).await;
    let mut work = JoinSet::new();
    for (n, node) in nodes(&test, NODES).await.into_iter().enumerate() {
        work.spawn(async move {
            let number = Phone::from_stored(format!("62812{n:07}"));
            let owner = format!("node-{n}");
            send_all(&node, &number, &owner).await
        });
    }
    // A crowd of receipts for everything, before, while and after it is sent.
    let all = test.state.deliveries(id, None, 1000).await.unwrap();
    let ids: Vec<MessageId> = all.into_iter().map(|delivery| delivery.message_id).collect();
    let state = test.state.clone();
    let now = test.clock.now();
    work.spawn(async move {
        for _ in 0..20 {
            state.receipts(&[(ReceiptRank::Delivered, now, ids.to_vec())]).await.unwrap();
        }
        0
    });
    let begun: usize = work.join_all().await.into_iter().sum();
    // Claimers may have passed each other's locked rows.
    let left = send_all(&test.state, &sender(), "node-last").await;
    assert_eq!(begun + left, NODES * EACH, "each went out exactly once");
    let campaign = test.state.campaign(id).await.unwrap().unwrap();
    assert_eq!(campaign.phase.status, CampaignStatus::Completed);
}

/// Sends whatever this node can get. Returns how many it began.
async fn send_all(node: &StateStore, number: &Phone, owner: &str) -> usize {
    let mut begun = 0;
    let session = hold_as(node, owner, number, owner).await;
    loop {
        let taken = node.claim(&claim(owner, number, 8, 8)).await.unwrap();
        if taken.is_empty() {
            return begun;
        }
        for delivery in taken {
            let attempt = kabari::store::state::Attempt {
                session: &session,
                sender: number,
                jid: None,
                gap: Duration::ZERO,
                lease: LEASE,
                day: 1,
                unrepeatable: false,
            };
            match node.begin(&delivery, attempt).await.unwrap() {
                kabari::store::state::Begin::Started(_) => begun += 1,
                other => panic!("{other:?}"),
            }
            // A receipt may have been quicker than the ack.
            node.settle(&delivery, DeliveryEvent::Acked, None).await.unwrap();
            node.complete_if_done(delivery.campaign_id).await.unwrap();
        }
    }
}

async fn cancelling_while_they_send(test: TestState) {
    let id = create(&test.state, new_campaign(), recipients(200)).await;
    let mut work = JoinSet::new();
    for (n, node) in nodes(&test, 4).await.into_iter().enumerate() {
        work.spawn(async move {
            let number = Phone::from_stored(format!("62812{n:07}"));
            let owner = format!("node-{n}");
            let session = hold_as(&node, &owner, &number, &owner).await;
            loop {
                let taken = node.claim(&claim(&owner, &number, 2, 2)).await.unwrap();
                if taken.is_empty() {
                    return;
                }
                for delivery in taken {
                    let attempt = kabari::store::state::Attempt {
                        session: &session,
                        sender: &number,
                        jid: None,
                        gap: Duration::ZERO,
                        lease: LEASE,
                        day: 1,
                        unrepeatable: false,
                    };
                    node.begin(&delivery, attempt).await.unwrap();
                    let event = DeliveryEvent::Unanswered(kabari_domain::Timestamp(0));
                    node.settle(&delivery, event, None).await.unwrap();
                }
            }
        });
    }
    test.state.campaign_event(id, CampaignEvent::Cancel).await.unwrap();
    work.join_all().await;
    assert_eq!(test.state.counts(id).await.unwrap().open(), 0, "nothing waits in a dead campaign");
}
