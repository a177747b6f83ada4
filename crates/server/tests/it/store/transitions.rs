//! The store moves deliveries exactly as the domain's transition function says.

use super::fixtures::*;
use crate::harness::database::{Engine, TestState};
use kabari::store::state::{Begin, Claim, LeasedDelivery, Resolution, SessionLease, StateStore};
use kabari_domain::delivery::DeliveryTransitionError;
use kabari_domain::{CampaignEvent, DeliveryEvent, DeliveryState, Progress, ReceiptRank};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;

/// Longer than any run of events.
const LONG_LEASE: Duration = Duration::from_secs(365 * 24 * 3600);
const STEP: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
enum Step {
    Lease,
    Release,
    Begin,
    NotSent,
    Acked,
    AckedLate,
    Refused,
    Deferred,
    Unanswered,
    Receipt(ReceiptRank),
    CountAsSent,
    SendAgain,
}

/// What ends the run: it concerns the whole campaign.
#[derive(Debug, Clone, Copy)]
enum End {
    Cancel,
    Expire,
    Supersede,
}

fn any_step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        6 => Just(Lease),
        1 => Just(Release),
        6 => Just(Begin),
        1 => Just(NotSent),
        1 => Just(Acked),
        1 => Just(AckedLate),
        1 => Just(Refused),
        2 => Just(Deferred),
        4 => Just(Unanswered),
        1 => Just(Receipt(ReceiptRank::Delivered)),
        1 => Just(Receipt(ReceiptRank::Read)),
        1 => Just(CountAsSent),
        2 => Just(SendAgain),
    ]
}

fn any_end() -> impl Strategy<Value = End> {
    prop::sample::select(&[End::Cancel, End::Expire, End::Supersede][..])
}

#[test]
fn follow_the_domain_on_sqlite() {
    follow_the_domain(Engine::Sqlite, 150);
}

#[test]
fn follow_the_domain_on_mariadb() {
    follow_the_domain(Engine::MariaDb, 60);
}

fn follow_the_domain(engine: Engine, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = runtime.block_on(TestState::open(engine));
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let runs = (prop::collection::vec(any_step(), 0..25), any_end());
    runner.run(&runs, |(steps, end)| runtime.block_on(one_run(&test, steps, end))).unwrap();
}

async fn one_run(test: &TestState, steps: Vec<Step>, end: End) -> Result<(), TestCaseError> {
    let state = &test.state;
    let mut campaign = new_campaign();
    campaign.notice_id = Some(1);
    let id = create(state, campaign.clone(), recipients(1)).await;
    let delivery = state.deliveries(id, None, 1).await.unwrap()[0].clone();
    let mut expected = delivery.progress;
    let mut leased = None;
    for step in steps {
        test.clock.advance(STEP);
        let (event, moved) = take(test, step, &delivery.message_id, delivery.id, &mut leased).await;
        let after = expected.after(event);
        prop_assert_eq!(moved, after.is_ok(), "{:?} from {:?}", step, expected);
        expected = after.unwrap_or(expected);
        prop_assert_eq!(progress(state, delivery.id).await, expected, "after {:?}", step);
        let open = expected.state.is_open();
        let finished = state.campaign(id).await.unwrap().unwrap().phase.status.is_final();
        prop_assert_eq!(finished, !open);
    }
    finish(test, id, end, campaign, &mut expected).await;
    prop_assert_eq!(progress(state, delivery.id).await, expected, "after {:?}", end);

    // What was on the wire meanwhile must not be sent again either.
    if expected.state == DeliveryState::Sending {
        let leased: LeasedDelivery = leased.unwrap();
        let again = DeliveryEvent::Unanswered(test.clock.now());
        prop_assert!(state.settle(&leased, again, None).await.unwrap().is_some());
        state.expire_due(test.clock.now()).await.unwrap();
        prop_assert_eq!(state_of(state, delivery.id).await, DeliveryState::Uncertain);
    }
    // So that the next run finds nothing due but its own.
    test.execute("UPDATE campaigns SET status = 'cancelled'").await;
    Ok(())
}

/// Does the step through the store. Answers the event it stands for and whether it did anything.
async fn take(
    test: &TestState,
    step: Step,
    message_id: &kabari_domain::MessageId,
    id: i64,
    leased: &mut Option<LeasedDelivery>,
) -> (DeliveryEvent, bool) {
    let state = &test.state;
    let now = test.clock.now();
    let settle = async |event| match leased.as_ref() {
        Some(leased) => {
            let settled = state.settle(leased, event, None).await.unwrap();
            state.complete_if_done(leased.campaign_id).await.unwrap();
            (event, settled.is_some())
        }
        None => (event, false),
    };
    match step {
        Step::Lease => {
            // Whatever it waits for is over.
            test.clock.advance(Duration::from_secs(3600));
            let number = sender();
            let all = claim(NODE, &number, 9, 9);
            let mut taken = state.claim(&Claim { lease: LONG_LEASE, ..all }).await.unwrap();
            let taken = taken.pop();
            let moved = taken.is_some();
            if moved {
                *leased = taken;
            }
            (DeliveryEvent::Lease, moved)
        }
        Step::Begin => {
            let Some(leased) = leased.as_ref() else { return (DeliveryEvent::Begin, false) };
            let session = hold(state, NODE).await;
            let begun = try_begin_for(state, leased, &session).await;
            (DeliveryEvent::Begin, matches!(begun, Begin::Started(_)))
        }
        Step::Release => {
            let before = progress(state, id).await.state;
            if let Some(leased) = leased.as_ref() {
                state.release(std::slice::from_ref(leased)).await.unwrap();
            }
            (DeliveryEvent::Release, progress(state, id).await.state != before)
        }
        Step::NotSent => settle(DeliveryEvent::NotSent(now + STEP)).await,
        Step::Acked if progress(state, id).await.state == DeliveryState::Sending => {
            settle(DeliveryEvent::Acked).await
        }
        Step::Acked | Step::AckedLate => {
            (DeliveryEvent::Acked, state.acked(message_id).await.unwrap())
        }
        Step::Refused => settle(DeliveryEvent::Refused).await,
        Step::Deferred => settle(DeliveryEvent::Deferred(now + STEP)).await,
        Step::Unanswered => settle(DeliveryEvent::Unanswered(now + STEP)).await,
        Step::Receipt(rank) => {
            let ids = std::slice::from_ref(message_id);
            let raised = state.receipts(&[(rank, now, ids.to_vec())]).await.unwrap();
            (DeliveryEvent::Receipt(rank), raised > 0)
        }
        Step::CountAsSent => {
            let done = state.resolve(id, Resolution::CountAsSent).await.is_ok();
            (DeliveryEvent::CountAsSent, done)
        }
        Step::SendAgain => {
            (DeliveryEvent::SendAgain, state.resolve(id, Resolution::SendAgain).await.is_ok())
        }
    }
}

async fn try_begin_for(
    state: &StateStore,
    leased: &LeasedDelivery,
    session: &SessionLease,
) -> Begin {
    let attempt = kabari::store::state::Attempt {
        session,
        sender: &sender(),
        jid: None,
        gap: GAP,
        lease: LONG_LEASE,
        day: 1,
        unrepeatable: false,
    };
    state.begin(leased, attempt).await.unwrap()
}

async fn finish(
    test: &TestState,
    id: i64,
    end: End,
    campaign: kabari::store::state::NewCampaign,
    expected: &mut Progress,
) {
    let state = &test.state;
    let open = expected.state.is_open();
    let ended: Result<Progress, DeliveryTransitionError> = match end {
        End::Cancel => {
            let cancelled = state.campaign_event(id, CampaignEvent::Cancel).await;
            assert_eq!(cancelled.is_ok(), open);
            expected.after(DeliveryEvent::Cancel)
        }
        End::Expire => {
            let now = test.clock.now();
            test.execute(&format!("UPDATE campaigns SET expires_at = {} WHERE id = {id}", now.0))
                .await;
            state.expire_due(now).await.unwrap();
            expected.after(DeliveryEvent::Expire)
        }
        End::Supersede => {
            let newer = create(state, campaign, recipients(1)).await;
            state.campaign_event(newer, CampaignEvent::Cancel).await.unwrap();
            expected.after(DeliveryEvent::Supersede)
        }
    };
    *expected = ended.unwrap_or(*expected);
}

async fn progress(state: &StateStore, delivery: i64) -> Progress {
    state.delivery(delivery).await.unwrap().unwrap().progress
}
