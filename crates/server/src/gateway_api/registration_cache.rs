//! Which numbers are on WhatsApp, remembered for a while.

use kabari_domain::Phone;
use kabari_gateway::{Gateway, Registration, SendError};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer counts.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many numbers are remembered; past that, all are forgotten.
const MOST_REMEMBERED: usize = 20_000;

#[derive(Default)]
pub struct RegistrationCache {
    known: Mutex<HashMap<Phone, (Instant, Registration)>>,
}

impl RegistrationCache {
    /// Returns the address of a number, if the gateway can tell before a send.
    ///
    /// # Errors
    /// `NotRegistered` if it is not on WhatsApp, and whatever the question failed with.
    pub async fn check_one(
        &self,
        gateway: &dyn Gateway,
        phone: &Phone,
    ) -> Result<Option<String>, SendError> {
        let remembered = self.remembered(phone);
        let registration = match remembered {
            Some(registration) => registration,
            None => {
                let answers = gateway.check(std::slice::from_ref(phone)).await?;
                let answer = answers.into_iter().next().unwrap_or(Registration::Unknown);
                self.remember(phone, &answer);
                answer
            }
        };
        match registration {
            Registration::Registered { jid } => Ok(Some(jid)),
            Registration::NotRegistered => Err(SendError::NotRegistered),
            Registration::Unknown => Ok(None),
        }
    }

    fn remembered(&self, phone: &Phone) -> Option<Registration> {
        let known = self.known();
        let (asked, registration) = known.get(phone)?;
        (asked.elapsed() < REMEMBERED).then(|| registration.clone())
    }

    fn remember(&self, phone: &Phone, registration: &Registration) {
        if *registration == Registration::Unknown {
            return;
        }
        let mut known = self.known();
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(phone.clone(), (Instant::now(), registration.clone()));
    }

    /// Forgets everything: another account may see other addresses.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Phone, (Instant, Registration)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
