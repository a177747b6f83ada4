//! Which numbers are on WhatsApp, remembered for a while.

use crate::{Gateway, Registration, SendError};
use kabari_domain::Phone;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer counts.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many numbers are remembered; past that, all are forgotten.
const MOST_REMEMBERED: usize = 20_000;

pub(super) struct Numbers {
    gateway: Arc<dyn Gateway>,
    known: Mutex<HashMap<Phone, (Instant, Registration)>>,
}

impl Numbers {
    pub fn new(gateway: Arc<dyn Gateway>) -> Numbers {
        Numbers { gateway, known: Mutex::new(HashMap::new()) }
    }

    /// Asks for all of these at once, so that [`Self::check_one`] need not ask for each.
    pub async fn learn(&self, phones: &[Phone]) -> Result<(), SendError> {
        let unknown: Vec<Phone> = {
            let known = self.known();
            phones.iter().filter(|phone| !is_fresh(&known, phone)).cloned().collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let answers = self.gateway.check(&unknown).await?;
        let now = Instant::now();
        let mut known = self.known();
        if known.len() + answers.len() > MOST_REMEMBERED {
            known.clear();
        }
        known.extend(unknown.into_iter().zip(answers.into_iter().map(|answer| (now, answer))));
        Ok(())
    }

    /// The address of a number, if the gateway can tell before a send.
    ///
    /// # Errors
    /// `NotRegistered` if it is not on WhatsApp, and whatever the question failed with.
    pub async fn check_one(&self, phone: &Phone) -> Result<Option<String>, SendError> {
        self.learn(std::slice::from_ref(phone)).await?;
        match self.known().get(phone) {
            Some((_, Registration::Registered { jid })) => Ok(Some(jid.clone())),
            Some((_, Registration::NotRegistered)) => Err(SendError::NotRegistered),
            Some((_, Registration::Unknown)) | None => Ok(None),
        }
    }

    /// Another account may see other addresses.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Phone, (Instant, Registration)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(known: &HashMap<Phone, (Instant, Registration)>, phone: &Phone) -> bool {
    known.get(phone).is_some_and(|(asked, registration)| {
        *registration != Registration::Unknown && asked.elapsed() < REMEMBERED
    })
}
