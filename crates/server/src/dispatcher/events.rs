//! Writes down what WhatsApp says after a send: late acks and receipts, and who wrote to us.
//!
//! One task writes for all sessions of the node. If each session wrote for itself, every message of
//! a large fleet would cost commits of its own for its receipts.

use super::Context;
use crate::crash_point::crash_point;
use crate::store::{StateStore, StoreError};
use kabari_domain::{MessageId, Phone, ReceiptRank, Timestamp};
use kabari_gateway::contract::EventBody;
use kabari_gateway::{Event, Gateway};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many events one round takes: a campaign's receipts come in bursts, and one statement
/// writes many.
const EVENTS_PER_ROUND: usize = 500;
/// How long a round goes on after its first event: a commit of its own for each receipt would take
/// the disk from the messages that still have to go out.
const ROUND: Duration = Duration::from_millis(50);

/// What WhatsApp said to a number of ours.
pub struct Heard {
    session: String,
    /// The number; none if it was unlinked in the meantime.
    own: Option<Phone>,
    event: Event,
}

/// Passes on what a session hears, until it ends: what has arrived by then is passed on too.
pub async fn listen(
    session: String,
    gateway: Arc<dyn Gateway>,
    heard: mpsc::UnboundedSender<Heard>,
    stopping: CancellationToken,
) {
    let Some(mut events) = gateway.take_events() else { return };
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = stopping.cancelled() => return,
        };
        let Some(event) = event else { return };
        let own = gateway.link().borrow().phone.clone().map(Phone::from_stored);
        // Nobody writes any more when the database failed during the shutdown.
        let _ = heard.send(Heard { session: session.clone(), own, event });
    }
}

/// Writes what the sessions hear, until the last of them has ended.
pub async fn record(context: Context, mut heard: mpsc::UnboundedReceiver<Heard>) {
    let mut round = Vec::with_capacity(EVENTS_PER_ROUND);
    while let Some(first) = heard.recv().await {
        round.push(first);
        crash_point("receipt.arrived");
        // However the time of the database runs, or a test's: this is about the disk.
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = context.stopping.cancelled() => {}
        }
        while round.len() < EVENTS_PER_ROUND
            && let Ok(next) = heard.try_recv()
        {
            round.push(next);
        }
        while let Err(error) = write(&context, &round).await {
            context.after_store_error("writing what WhatsApp said", &error).await;
            if context.is_stopping() {
                return;
            }
        }
        round.clear();
    }
}

/// Receipts only raise a rank, and the rest only a time or a share, so writing a round twice does
/// no harm.
async fn write(context: &Context, round: &[Heard]) -> Result<(), StoreError> {
    if context.settings.keeps_events {
        keep(&context.state, round).await?;
        crash_point("events.kept");
    }
    let state = &context.state;
    let mut receipts: BTreeMap<(ReceiptRank, Timestamp), Vec<MessageId>> = BTreeMap::new();
    let mut told = vec![];
    let mut wrote: BTreeMap<&Phone, Vec<(Phone, Timestamp)>> = BTreeMap::new();
    let mut marks: BTreeMap<&str, &str> = BTreeMap::new();
    for Heard { session, own, event } in round {
        match event {
            Event::Acked { message_id } => {
                state.acked(message_id).await?;
            }
            Event::Receipt { message_ids, rank, at } => {
                receipts.entry((*rank, *at)).or_default().extend(message_ids.iter().cloned());
            }
            Event::Wrote { phone, at } => {
                if let Some(own) = own {
                    wrote.entry(own).or_default().push((phone.clone(), *at));
                }
            }
            Event::WroteBefore { people } => {
                if let Some(own) = own {
                    wrote.entry(own).or_default().extend(people.iter().cloned());
                }
            }
            Event::HistoryProgress { percent } => told.push((session, *percent)),
            Event::Mark { heard } => {
                marks.insert(session, heard);
            }
        }
    }
    for (own, people) in wrote {
        state.wrote(own, &people).await?;
    }
    // Who is done has been written down.
    for (session, percent) in told {
        state.history_told(session, percent).await?;
    }
    let written = receipts.iter().map(|((rank, at), ids)| (*rank, *at, ids.clone()));
    state.receipts(&written.collect::<Vec<_>>()).await?;
    // Only now: what comes before them is written.
    for (session, heard) in marks {
        crash_point("events.heard");
        state.note_heard(session, heard).await?;
    }
    // Once: a round that fails is written again.
    for ((rank, _), message_ids) in &receipts {
        context.metrics.received(message_ids, *rank, context.clock.monotonic());
    }
    Ok(())
}

/// Keeps a round for those who follow this gateway, and notes which of their messages WhatsApp has
/// taken.
async fn keep(state: &StateStore, round: &[Heard]) -> Result<(), StoreError> {
    let mut kept: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut taken = vec![];
    for Heard { session, event, .. } in round {
        match event {
            Event::Acked { message_id } => taken.push(message_id.clone()),
            Event::Receipt { message_ids, .. } => taken.extend(message_ids.iter().cloned()),
            Event::Wrote { .. }
            | Event::WroteBefore { .. }
            | Event::HistoryProgress { .. }
            | Event::Mark { .. } => {}
        }
        let told = EventBody::of(event).and_then(|body| serde_json::to_string(&body).ok());
        kept.entry(session).or_default().extend(told);
    }
    state.messages_taken(&taken).await?;
    for (session, events) in kept {
        state.keep_events(session, &events).await?;
    }
    Ok(())
}
