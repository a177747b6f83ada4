//! Statements that move many deliveries at once, made from the domain's transition function.

use super::super::batch::Statement;
use super::super::engine::Engine;
use super::super::error::StoreError;
use super::super::row::Value;
use super::super::transaction::Transaction;
use kabari_domain::{DeliveryEvent, DeliveryState, Progress, Timestamp};
use std::collections::BTreeMap;

/// Where an event leads, and which rows it leads there, as an SQL condition.
pub(super) struct Move {
    pub to: DeliveryState,
    pub condition: String,
}

/// Returns all moves of an event that changes nothing but the state.
///
/// The transition function looks at the state and at whether `attempts` and `unanswered` are
/// zero, so asking it about each such class of rows covers every row there can be.
pub(super) fn moves(event: DeliveryEvent) -> Vec<Move> {
    const CLASSES: [(u32, u32); 3] = [(0, 0), (1, 0), (1, 1)];
    let mut by_target: BTreeMap<DeliveryState, Vec<String>> = BTreeMap::new();
    for state in event.allowed_from() {
        for (attempts, unanswered) in CLASSES {
            let before = Progress { state, attempts, unanswered, due_at: Timestamp(0) };
            let Ok(after) = before.after(event) else { continue };
            debug_assert_eq!(
                Progress { state, ..after },
                before,
                "{event:?} changes more than the state"
            );
            by_target.entry(after.state).or_default().push(format!(
                "(state = '{}' AND attempts {} AND unanswered {})",
                state.as_str(),
                zero_or_more(attempts),
                zero_or_more(unanswered),
            ));
        }
    }
    by_target
        .into_iter()
        .map(|(to, classes)| Move { to, condition: format!("({})", classes.join(" OR ")) })
        .collect()
}

fn zero_or_more(count: u32) -> &'static str {
    if count == 0 { "= 0" } else { "> 0" }
}

/// Moves every delivery in `scope` (an SQL condition with its values) that the event applies to.
/// Returns the number of them.
pub(super) async fn move_all(
    tx: &mut Transaction<'_>,
    event: DeliveryEvent,
    at: Timestamp,
    scope: &str,
    scope_values: &[Value],
) -> Result<u64, StoreError> {
    let mut moved = 0;
    for Statement { sql, values, .. } in move_statements(event, at, scope, scope_values) {
        moved += tx.execute(&sql, values).await?.rows;
    }
    Ok(moved)
}

/// The statements of [`move_all`], one for each state that the event leads to.
pub(super) fn move_statements(
    event: DeliveryEvent,
    at: Timestamp,
    scope: &str,
    scope_values: &[Value],
) -> Vec<Statement> {
    // The conditions of all moves are on the rows as they are now. One statement after the other
    // is right all the same: no event applies to a state that it has itself led to.
    let from = state_list(&event.allowed_from());
    let statement = |Move { to, condition }: Move| {
        let (stamps, mut values) = stamps(to, at);
        values.extend(scope_values.iter().cloned());
        let sql = format!(
            "UPDATE deliveries SET state = '{}', owner = NULL, lease_until = NULL{stamps} \
             WHERE {scope} AND state IN ({from}) AND {condition}",
            to.as_str(),
        );
        Statement::new(sql, values)
    };
    moves(event).into_iter().map(statement).collect()
}

/// Returns the times to write with a state, as more of a SET clause: each only once, so that the
/// first receipt counts.
pub(super) fn stamps(to: DeliveryState, at: Timestamp) -> (String, Vec<Value>) {
    let columns: &[&str] = match to {
        DeliveryState::Accepted => &["accepted_at"],
        DeliveryState::Delivered => &["accepted_at", "delivered_at"],
        DeliveryState::Read => &["accepted_at", "delivered_at", "read_at"],
        _ => &[],
    };
    let mut set: String =
        columns.iter().map(|column| format!(", {column} = COALESCE({column}, ?)")).collect();
    if to.is_sent() {
        set.push_str(", error = NULL");
    }
    (set, vec![Value::from(at.0); columns.len()])
}

/// Returns `'queued', 'leased'`.
pub(super) fn state_list(states: &[DeliveryState]) -> String {
    states.iter().map(|state| format!("'{}'", state.as_str())).collect::<Vec<_>>().join(", ")
}

/// Returns a value that is NULL unless the condition holds for a delivery `d`, found by this index.
/// Unlike EXISTS, it never makes MariaDB read the whole table first.
pub(super) fn any_delivery(engine: Engine, index: &str, condition: &str) -> String {
    let by_index = engine.by_index(index);
    format!("(SELECT 1 FROM deliveries d{by_index} WHERE {condition} LIMIT 1)")
}
