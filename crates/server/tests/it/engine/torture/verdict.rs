//! The result of a run, by the simulator's ledger.

use super::DELAY;
use crate::engine::pace::smallest_gap;
use crate::harness::world::{phone, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;
use wa_sim::{CopyOutcome, LedgerEntry, Simulator};

#[derive(Debug, Default)]
pub struct Verdict {
    /// Recipients whose phones show nothing, and nobody was told so.
    lost: usize,
    /// Recipients who were written under another id, or from another number, as well.
    second_ids: usize,
    /// Stanzas beyond the first under one id: the phones drop them.
    same_id_resends: usize,
    /// Stanzas that no committed attempt allowed.
    stale_commits: usize,
    /// Deliveries with something left to do.
    stuck: usize,
    /// Deliveries whose report is not what the phone shows, or whose text is not theirs.
    untrue: usize,
    /// Deliveries that were reported at a lower rank than before.
    pub ranks_fallen: usize,
    /// Deliveries that a person has to decide about.
    uncertain: usize,
    /// Between two stanzas of one sender, at the server.
    smallest_gap: Option<Duration>,
}

impl Verdict {
    pub fn of(simulator: &Simulator, deliveries: &BTreeMap<i64, Value>) -> Verdict {
        let mut verdict = Verdict::default();
        let ledger = simulator.ledger(0);
        let mut stanzas: BTreeMap<&str, Vec<&LedgerEntry>> = BTreeMap::new();
        // One copy of each stanza: that for the recipient's phone.
        for entry in ledger.iter().filter(|entry| entry.owner == entry.to && entry.device == 0) {
            stanzas.entry(&entry.to).or_default().push(entry);
        }
        for (customer, delivery) in deliveries {
            let of_one = stanzas.remove(phone(*customer).as_str()).unwrap_or_default();
            verdict.add(*customer, delivery, &of_one);
        }
        verdict.smallest_gap = smallest_gap(&ledger);
        verdict
    }

    fn add(&mut self, customer: i64, delivery: &Value, stanzas: &[&LedgerEntry]) {
        let decrypted: Vec<_> =
            stanzas.iter().filter(|entry| entry.outcome == CopyOutcome::Decrypted).collect();
        let ids: BTreeSet<_> = stanzas.iter().map(|entry| (&entry.id, &entry.from)).collect();
        let state = delivery["state"].as_str().unwrap();
        let id = delivery["message_id"].as_str().unwrap();
        let attempts = delivery["attempts"].as_u64().unwrap() as usize;
        let text = text(customer);
        let is_right = decrypted.iter().all(|e| e.id == id && e.text.as_ref() == Some(&text));
        let is_shown = decrypted.len() == 1 && is_right;
        // Whether an uncertain one has arrived is for a person to find out.
        self.lost += usize::from(decrypted.is_empty() && state != "uncertain");
        self.second_ids += ids.len().saturating_sub(1);
        self.same_id_resends += stanzas.len().saturating_sub(1);
        self.stale_commits += stanzas.len().saturating_sub(attempts);
        self.uncertain += usize::from(state == "uncertain");
        match state {
            "accepted" | "delivered" | "read" => self.untrue += usize::from(!is_shown),
            "uncertain" => {}
            "queued" | "leased" | "sending" | "retry_wait" => self.stuck += 1,
            _ => self.untrue += usize::from(!decrypted.is_empty()),
        }
    }

    pub fn assert_good(&self) {
        let faults = [
            self.lost,
            self.second_ids,
            self.stale_commits,
            self.stuck,
            self.untrue,
            self.ranks_fallen,
        ];
        assert_eq!(faults, [0; 6], "{self}");
        assert!(self.smallest_gap.is_some_and(|gap| gap >= DELAY), "{self}");
    }
}

/// The rank at which each delivery was last seen: receipts come late, twice and out of order, and
/// none of them may lower it.
#[derive(Default)]
pub struct Ranks {
    seen: HashMap<i64, usize>,
    pub fallen: usize,
}

impl Ranks {
    pub fn see<'a>(&mut self, deliveries: impl IntoIterator<Item = &'a Value>) {
        for delivery in deliveries {
            let ranked = ["accepted", "delivered", "read"];
            let state = delivery["state"].as_str().unwrap();
            let rank = ranked.iter().position(|r| *r == state).map_or(0, |place| place + 1);
            let before = self.seen.insert(delivery["id"].as_i64().unwrap(), rank);
            self.fallen += usize::from(before.is_some_and(|before| before > rank));
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lost {}, second ids {}, same-id resends {}, stale commits accepted {}, stuck {}, \
             untrue reports {}, ranks fallen {}, uncertain {}, smallest gap {:.1} ms (delay {} ms)",
            self.lost,
            self.second_ids,
            self.same_id_resends,
            self.stale_commits,
            self.stuck,
            self.untrue,
            self.ranks_fallen,
            self.uncertain,
            self.smallest_gap.unwrap_or_default().as_secs_f64() * 1000.0,
            DELAY.as_millis(),
        )
    }
}
