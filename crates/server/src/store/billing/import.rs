//! What an import of customers changes: which row of a list is which customer.

use kabari_domain::{Customer, Phone};
use std::collections::{HashMap, HashSet};

/// A row of an import. What its list says nothing about stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRow {
    /// The customer's id, if the list has ids.
    pub id: Option<i64>,
    /// Full name.
    pub name: String,
    /// The number as somebody typed it.
    pub phone: Option<String>,
    /// The ODP, if the list has them; `Some(None)` for none.
    pub odp: Option<Option<String>>,
    /// Whether the customer is active, if the list says so.
    pub is_active: Option<bool>,
}

/// Why a row cannot be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowConflict {
    /// An earlier row has the same id.
    SameId,
    /// An earlier row is the same customer.
    SameCustomer,
    /// Several customers have its number, and none of them its name.
    SharedNumber,
}

/// One change that an import makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A new customer, whose id is 0 if the list has none.
    Add(Customer),
    /// What is known of a customer from now on.
    Update(Customer),
}

impl Change {
    pub fn customer(&self) -> &Customer {
        match self {
            Change::Add(customer) | Change::Update(customer) => customer,
        }
    }
}

/// What an import changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportPlan {
    /// Rows that cannot be imported, by their place in the list.
    pub conflicts: Vec<(usize, RowConflict)>,
    /// Rows that say what is known already.
    pub unchanged: usize,
    pub(super) changes: Vec<Change>,
}

impl ImportPlan {
    /// Returns how many customers are new.
    pub fn added(&self) -> usize {
        self.changes.iter().filter(|change| matches!(change, Change::Add(_))).count()
    }

    /// Returns how many customers are known and change.
    pub fn updated(&self) -> usize {
        self.changes.len() - self.added()
    }
}

/// Finds out which row is which customer; see [`Known::find`].
pub(super) fn plan(known: Vec<Customer>, rows: &[CustomerRow]) -> ImportPlan {
    let mut plan = ImportPlan::default();
    let known = Known::new(known, rows);
    let (mut ids, mut people) = (HashSet::new(), HashSet::new());
    for (place, row) in rows.iter().enumerate() {
        let found = match row.id {
            Some(id) if !ids.insert(id) => Err(RowConflict::SameId),
            None if !people.insert((number(row.phone.as_deref()), same(&row.name))) => {
                Err(RowConflict::SameCustomer)
            }
            _ => known.find(row),
        };
        match found {
            Err(conflict) => plan.conflicts.push((place, conflict)),
            Ok(None) => plan.changes.push(Change::Add(merged(None, row))),
            Ok(Some(found)) => match merged(Some(found), row) {
                customer if customer == *found => plan.unchanged += 1,
                customer => plan.changes.push(Change::Update(customer)),
            },
        }
    }
    plan
}

/// The customers who are there, to look rows up among them.
struct Known {
    customers: Vec<Customer>,
    by_id: HashMap<i64, usize>,
    /// Those without a usable number are together.
    by_number: HashMap<Option<Phone>, Vec<usize>>,
    /// How many rows of the list have each number.
    rows: HashMap<Option<Phone>, usize>,
}

impl Known {
    fn new(customers: Vec<Customer>, rows: &[CustomerRow]) -> Known {
        let mut known = Known {
            by_id: HashMap::new(),
            by_number: HashMap::new(),
            rows: HashMap::new(),
            customers,
        };
        for (place, customer) in known.customers.iter().enumerate() {
            known.by_id.insert(customer.id, place);
            known.by_number.entry(number(customer.phone.as_deref())).or_default().push(place);
        }
        for row in rows {
            *known.rows.entry(number(row.phone.as_deref())).or_default() += 1;
        }
        known
    }

    /// Returns whom a row is about: the customer of its id, or without ids the one who has its
    /// number and name. A number that only one customer and only one row have is enough.
    fn find(&self, row: &CustomerRow) -> Result<Option<&Customer>, RowConflict> {
        if let Some(id) = row.id {
            return Ok(self.by_id.get(&id).map(|place| &self.customers[*place]));
        }
        let number = number(row.phone.as_deref());
        let places = self.by_number.get(&number).map(Vec::as_slice).unwrap_or_default();
        let customers: Vec<_> = places.iter().map(|place| &self.customers[*place]).collect();
        if let Some(namesake) = customers.iter().find(|known| same(&known.name) == same(&row.name))
        {
            return Ok(Some(namesake));
        }
        match customers.as_slice() {
            _ if number.is_none() => Ok(None),
            [only] if self.rows.get(&number) == Some(&1) => Ok(Some(only)),
            [] | [_] => Ok(None),
            _ => Err(RowConflict::SharedNumber),
        }
    }
}

fn number(typed: Option<&str>) -> Option<Phone> {
    Phone::parse(typed?).ok()
}

fn same(name: &str) -> String {
    name.trim().to_lowercase()
}

fn merged(known: Option<&Customer>, row: &CustomerRow) -> Customer {
    let kept = |odp: Option<&Option<String>>| odp.cloned().flatten();
    Customer {
        id: known.map(|known| known.id).or(row.id).unwrap_or(0),
        name: row.name.clone(),
        phone: row.phone.clone(),
        odp: kept(row.odp.as_ref().or(known.map(|known| &known.odp))),
        is_active: row.is_active.or(known.map(|known| known.is_active)).unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(id: i64, name: &str, phone: &str) -> Customer {
        Customer {
            id,
            name: name.to_owned(),
            phone: Some(phone.to_owned()),
            odp: Some("ODP-1".to_owned()),
            is_active: false,
        }
    }

    fn row(id: Option<i64>, name: &str, phone: &str) -> CustomerRow {
        let (name, phone) = (name.to_owned(), Some(phone.to_owned()));
        CustomerRow { id, name, phone, odp: None, is_active: None }
    }

    #[test]
    fn a_row_with_an_id_is_the_customer_of_that_id() {
        let known = vec![customer(1, "Budi", "081234567801")];
        let made = plan(known, &[row(Some(1), "Ani", "081234567802"), row(Some(7), "Ali", "0")]);
        assert_eq!((made.added(), made.updated()), (1, 1));
        // What the list says nothing about stays; who is new is active.
        assert_eq!(made.changes[0], Change::Update(customer(1, "Ani", "081234567802")));
        let Change::Add(ali) = &made.changes[1] else { panic!("{made:?}") };
        assert_eq!((ali.id, ali.is_active, &ali.odp), (7, true, &None));
    }

    #[test]
    fn a_row_without_an_id_is_the_customer_of_its_number_however_it_is_written() {
        let known = vec![customer(1, "Budi", "0812-3456-7801"), customer(2, "Ani", "081234567802")];
        let made = plan(known, &[row(None, "Budi S.", "+6281234567801"), row(None, "Ali", "0")]);
        assert_eq!((made.added(), made.updated()), (1, 1));
        assert_eq!(made.changes[0].customer().id, 1);
    }

    #[test]
    fn a_repeated_import_changes_nothing() {
        let known = vec![customer(1, "Budi", "081234567801"), customer(2, "Ani", "0")];
        let made = plan(known, &[row(None, "Budi", "081234567801"), row(None, "Ani", "0")]);
        assert_eq!((made.unchanged, made.changes.len()), (2, 0));
    }

    #[test]
    fn who_shares_a_number_with_a_known_customer_does_not_take_their_place() {
        let known = vec![customer(1, "Budi", "081234567801")];
        let rows = [row(None, "Ani", "081234567801"), row(None, "Budi", "081234567801")];
        let made = plan(known, &rows);
        assert_eq!((made.added(), made.updated(), made.unchanged), (1, 0, 1));
    }

    #[test]
    fn who_cannot_be_told_apart_is_named() {
        let known = vec![customer(1, "Budi", "081234567801"), customer(2, "Ani", "081234567801")];
        let rows = [
            row(None, "ani ", "081234567801"),
            row(None, "Ali", "081234567801"),
            row(None, "Ali", "081234567801"),
            row(Some(5), "X", "0"),
            row(Some(5), "Y", "0"),
        ];
        let made = plan(known, &rows);
        assert_eq!(
            made.conflicts,
            [
                (1, RowConflict::SharedNumber),
                (2, RowConflict::SameCustomer),
                (4, RowConflict::SameId)
            ]
        );
        assert_eq!(made.changes[0].customer().id, 2);
    }
}
