//! The ODPs that customers are on.

use super::{Billing, fold, in_table};
use crate::store::StoreError;
use kabari_domain::notice::NoticeAudience;
use std::collections::{HashMap, HashSet};

/// An ODP and how many active customers are on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odp {
    /// Its name, as one of its customers has it.
    pub name: String,
    /// Its active customers.
    pub customers: u64,
}

/// How the active customers are spread over the ODPs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OdpCounts {
    /// By name; those who are on none are left out.
    pub odps: Vec<Odp>,
    /// All active customers, also those who are on no ODP.
    pub customers: u64,
}

impl OdpCounts {
    /// Returns how many active customers an audience has.
    pub fn audience(&self, audience: &NoticeAudience) -> u64 {
        match audience {
            NoticeAudience::Everybody => self.customers,
            NoticeAudience::Odps(named) => {
                let named: HashSet<_> = named.iter().map(|odp| fold(odp)).collect();
                let odps = self.odps.iter().filter(|odp| named.contains(&fold(&odp.name)));
                odps.map(|odp| odp.customers).sum()
            }
        }
    }
}

impl Billing {
    /// Returns how the active customers are spread over the ODPs.
    pub async fn odp_counts(&self) -> Result<OdpCounts, StoreError> {
        let sql = "SELECT odp, COUNT(*) AS people FROM customers WHERE is_active <> 0 \
                   GROUP BY odp ORDER BY odp";
        let rows = self.0.rows(sql, vec![]).await.map_err(|e| in_table(e, "customers"))?;
        let mut counts = OdpCounts::default();
        // In a file, names that differ in case or blanks only are one ODP.
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let name: Option<String> = row.get("odp")?;
            let customers: u64 = row.get("people")?;
            counts.customers += customers;
            let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
            let Some(name) = name else { continue };
            let place = *places.entry(fold(&name)).or_insert(counts.odps.len());
            match counts.odps.get_mut(place) {
                Some(odp) => odp.customers += customers,
                None => counts.odps.push(Odp { name, customers }),
            }
        }
        Ok(counts)
    }
}
