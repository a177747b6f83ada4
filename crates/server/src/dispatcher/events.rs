//! Writes down what WhatsApp says after a send: late acks and receipts, and who wrote to us.

use super::Context;
use crate::crash_point::crash_point;
use crate::store::StoreError;
use kabari_domain::{MessageId, Phone, ReceiptRank, Timestamp};
use kabari_gateway::{Event, Gateway};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How many events one round takes: a campaign's receipts come in bursts, and one statement
/// writes many.
const EVENTS_PER_ROUND: usize = 500;
/// How long a round goes on after its first event: a commit of its own for each receipt would take
/// the disk from the messages that still have to go out.
const ROUND: Duration = Duration::from_millis(50);

/// Runs until the gateway closes its stream, also while shutting down: what has arrived is kept.
pub async fn run(context: Context, gateway: Arc<dyn Gateway>) {
    let Some(mut events) = gateway.take_events() else { return };
    let mut round = Vec::with_capacity(EVENTS_PER_ROUND);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) => round.push(event),
                None => return,
            },
            () = context.stopping.cancelled() => return,
        }
        crash_point("receipt.arrived");
        // However the time of the database runs, or a test's: this is about the disk.
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = context.stopping.cancelled() => {}
        }
        while round.len() < EVENTS_PER_ROUND
            && let Ok(event) = events.try_recv()
        {
            round.push(event);
        }
        while let Err(error) = record(&context, &*gateway, &round).await {
            context.after_store_error("writing what WhatsApp said", &error).await;
            if context.is_stopping() {
                return;
            }
        }
        round.clear();
    }
}

/// Receipts only raise a rank, so writing a round twice does no harm.
async fn record(
    context: &Context,
    gateway: &dyn Gateway,
    events: &[Event],
) -> Result<(), StoreError> {
    let mut receipts: BTreeMap<(ReceiptRank, Timestamp), Vec<MessageId>> = BTreeMap::new();
    for event in events {
        match event {
            Event::Acked { message_id } => {
                context.state.acked(message_id).await?;
            }
            Event::Receipt { message_ids, rank, at } => {
                receipts.entry((*rank, *at)).or_default().extend(message_ids.iter().cloned());
            }
            Event::Wrote { phone, at } => {
                // Unlinked in the meantime: then it has no number that they wrote to.
                let own = gateway.link().borrow().phone.clone();
                if let Some(own) = own {
                    context.state.wrote(&Phone::from_stored(own), phone, *at).await?;
                }
            }
        }
    }
    for ((rank, at), message_ids) in receipts {
        context.state.receipt(&message_ids, rank, at).await?;
    }
    Ok(())
}
