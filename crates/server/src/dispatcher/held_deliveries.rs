//! The deliveries that a session has in memory: only their leases are renewed.
//!
//! Whatever drops a batch, an error included, thereby lets its leases run out.

use crate::store::LeasedDelivery;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The deliveries in memory, id and epoch of each.
#[derive(Debug, Clone, Default)]
pub struct HeldDeliveries(Arc<Mutex<HashMap<i64, i64>>>);

/// A batch in memory, until this is dropped.
pub struct HeldBatch {
    held_deliveries: HeldDeliveries,
    ids: Vec<i64>,
}

impl HeldDeliveries {
    /// Counts a batch as held.
    pub fn hold(&self, batch: &[LeasedDelivery]) -> HeldBatch {
        self.lock().extend(batch.iter().map(|delivery| (delivery.id, delivery.epoch)));
        HeldBatch {
            held_deliveries: self.clone(),
            ids: batch.iter().map(|delivery| delivery.id).collect(),
        }
    }

    /// Returns id and epoch of each delivery that is held now.
    pub fn leases(&self) -> Vec<(i64, i64)> {
        self.lock().iter().map(|(id, epoch)| (*id, *epoch)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldBatch {
    fn drop(&mut self) {
        let mut held = self.held_deliveries.lock();
        for id in &self.ids {
            held.remove(id);
        }
    }
}
