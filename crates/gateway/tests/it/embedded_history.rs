//! The history that the phone sends at linking, and the tokens in it.

use crate::world::{FRIEND, OWN, World, message, phone};
use kabari_domain::Timestamp;
use kabari_gateway::{Event, SendError};
use wa_sim::{AccountLimits, Action, ChatToken, FaultRule, HistoryChat, Stanza};

/// Named by number in the history, and with a token there, too.
const NEIGHBOUR: &str = "6281234567802";
const WITHOUT_TOKEN: &str = "6281234567803";
const SILENT: &str = "6281234567804";

fn chat(with: &str, wrote: bool, token: ChatToken) -> HistoryChat {
    HistoryChat { with: with.into(), wrote, token }
}

/// Linked to a phone with these chats.
async fn linked_with(chats: Vec<HistoryChat>, faults: Vec<FaultRule>) -> World {
    let world = World::unlinked().await;
    world.simulator.set_history(OWN, chats);
    world.simulator.set_faults(faults);
    world.scan(OWN).await;
    world.connected().await;
    world
}

#[tokio::test]
async fn senders_from_the_history_are_reported_and_their_tokens_used() {
    let mut world = linked_with(
        vec![
            chat(FRIEND, true, ChatToken::Valid),
            chat(NEIGHBOUR, true, ChatToken::Valid),
            chat(WITHOUT_TOKEN, true, ChatToken::None),
            chat(SILENT, false, ChatToken::None),
        ],
        vec![],
    )
    .await;
    let Event::WroteBefore { people } = world.event().await else { panic!("nothing came before") };
    assert!(people.iter().all(|(_, at)| *at > Timestamp(0)), "{people:?}");
    let told: Vec<_> = people.into_iter().map(|(phone, _)| phone).collect();
    assert_eq!(told, [FRIEND, NEIGHBOUR, WITHOUT_TOKEN].map(phone));
    assert_eq!(world.event().await, Event::HistoryProgress { percent: 100 });

    let until = world.simulator.now_ms() / 1000 + 3600;
    let limits = AccountLimits { reachout_until: Some(until), ..AccountLimits::default() };
    world.simulator.set_limits(OWN, limits);
    assert_eq!(world.send(&message(FRIEND, 1, "x")).await, Ok(()));
    assert_eq!(world.send(&message(NEIGHBOUR, 2, "x")).await, Ok(()));
    let answer = world.send(&message(WITHOUT_TOKEN, 3, "x")).await;
    assert!(matches!(answer, Err(SendError::ReachOutLimit { until: Some(_) })), "{answer:?}");
    world.assert_no_violations();
}

#[tokio::test]
async fn a_missing_token_is_no_limit_of_the_number() {
    let chats =
        vec![chat(FRIEND, true, ChatToken::Valid), chat(WITHOUT_TOKEN, true, ChatToken::None)];
    let mut world = linked_with(chats, vec![]).await;
    while !matches!(world.event().await, Event::HistoryProgress { .. }) {}
    let limits = AccountLimits { token_required: true, ..AccountLimits::default() };
    world.simulator.set_limits(OWN, limits);
    let answer = world.send(&message(WITHOUT_TOKEN, 1, "x")).await;
    assert!(matches!(answer, Err(SendError::MissingToken { .. })), "{answer:?}");
    assert_eq!(world.send(&message(FRIEND, 2, "x")).await, Ok(()));
    world.assert_no_violations();
}

#[tokio::test]
async fn a_part_that_cannot_be_read_is_left_out() {
    let many = (0..6000).map(|n| chat(&format!("62851{n:06}0"), true, ChatToken::None));
    let broken = FaultRule::on(Stanza::Media, Action::Corrupt).times(1);
    let mut world = linked_with(many.collect(), vec![broken]).await;
    let mut people = 0;
    let percent = loop {
        match world.event().await {
            Event::WroteBefore { people: some } => people += some.len(),
            Event::HistoryProgress { percent } => break percent,
            other => panic!("{other:?}"),
        }
    };
    // Both are downloaded at once: either may be the broken one.
    assert!([(1000, 100), (5000, 83)].contains(&(people, percent)), "{people}, {percent} %");
    assert_eq!(world.send(&message(FRIEND, 1, "x")).await, Ok(()));
}
