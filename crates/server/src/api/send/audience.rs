//! Who gets a send, and with which text.

use super::MAX_MESSAGE_CHARS;
use crate::api::Api;
use crate::store::CustomerFilter;
use crate::store::StoreError;
use crate::store::state::{Delivery, NewDelivery};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use kabari_domain::notice::NoticeAudience;
use kabari_domain::template::{Values, has_placeholders, render};
use kabari_domain::{Customer, DeliveryState, MessageId, Notice, Phone, wording};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Whom a send is for.
#[derive(Debug, Clone)]
pub enum Audience {
    /// Every active customer.
    Everybody,
    /// The active customers of these ODPs; of none, nobody.
    Odps(Vec<String>),
    /// Those of these customers who are active; of none, nobody.
    Customers(Vec<i64>),
    /// One number, as somebody typed it. Its text is sent as it stands.
    Number(String),
    /// Several numbers, as somebody typed them, each with a text of its own if it has one.
    Numbers(Vec<(String, Option<String>)>),
    /// Those whom this notice has reached, whatever the billing database says of them now.
    Reached(i64),
}

impl Audience {
    /// Returns the customers asked for, or else those the notice names, or else everybody.
    pub fn of(customer_ids: Option<Vec<i64>>, notice: Option<&Notice>) -> Audience {
        match (customer_ids, notice.map(Notice::audience)) {
            (Some(ids), _) => Audience::Customers(ids),
            (None, Some(NoticeAudience::Odps(odps))) => Audience::Odps(odps),
            (None, Some(NoticeAudience::Everybody) | None) => Audience::Everybody,
        }
    }

    /// Returns a value that is equal for equal audiences, however they were written.
    pub fn canonical(&self) -> Value {
        match self {
            Audience::Everybody => json!("everybody"),
            Audience::Odps(odps) => {
                let mut odps: Vec<_> = odps.iter().map(|odp| odp.trim().to_lowercase()).collect();
                odps.sort();
                odps.dedup();
                json!({ "odps": odps })
            }
            Audience::Customers(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                json!({ "customers": ids })
            }
            Audience::Number(typed) => json!({ "number": canonical_number(typed) }),
            Audience::Numbers(numbers) => {
                let mut numbers: Vec<_> =
                    numbers.iter().map(|(typed, text)| (canonical_number(typed), text)).collect();
                numbers.sort();
                numbers.dedup();
                json!({ "numbers": numbers })
            }
            Audience::Reached(notice) => json!({ "reached": notice }),
        }
    }

    /// Returns its members in database order, each with the text it gets or the reason why it gets
    /// none.
    pub fn recipients(
        &self,
        api: &Api,
        template: &str,
    ) -> BoxStream<'static, Result<NewDelivery, StoreError>> {
        let (odps, ids) = match self {
            Audience::Everybody => (None, None),
            Audience::Odps(odps) => (Some(odps.clone()), None),
            Audience::Customers(ids) => (None, Some(ids.clone())),
            Audience::Number(typed) => {
                return stream::iter([Ok(to_number(typed))]).boxed();
            }
            Audience::Numbers(numbers) => return stream::iter(to_numbers(numbers)).boxed(),
            Audience::Reached(notice) => return to_reached(api, *notice, template),
        };
        let filter = CustomerFilter { active_only: true, odps, ids, ..CustomerFilter::default() };
        let mut addressing = Addressing {
            template: has_placeholders(template).then(|| template.to_owned()),
            taken: HashSet::new(),
        };
        api.billing.customers(&filter).map_ok(move |customer| addressing.address(customer)).boxed()
    }
}

/// Turns customers into recipients, one after the other.
struct Addressing {
    /// Set if each recipient gets a text of their own.
    template: Option<String>,
    /// The numbers that have a recipient. E.164 has at most 15 digits.
    taken: HashSet<u64>,
}

impl Addressing {
    fn address(&mut self, customer: Customer) -> NewDelivery {
        let Customer { id, name, phone: phone_raw, odp, .. } = customer;
        let values = Values { name: &name, odp: odp.as_deref().unwrap_or_default(), id };
        let text = self.template.as_deref().map(|template| render(template, values));
        let usable = match Phone::parse(phone_raw.as_deref().unwrap_or_default()) {
            Err(_) => Err(wording::INVALID_NUMBER),
            Ok(_) if text.as_deref().is_some_and(is_too_long) => Err(wording::TEXT_TOO_LONG),
            Ok(phone) if !self.taken.insert(phone.digits().parse().unwrap_or_default()) => {
                Err(wording::DUPLICATE_NUMBER)
            }
            Ok(phone) => Ok(phone),
        };
        recipient(Some(id), name, phone_raw, usable, text)
    }
}

/// The same people under the same numbers, each with the text that their name makes of it.
fn to_reached(
    api: &Api,
    notice: i64,
    template: &str,
) -> BoxStream<'static, Result<NewDelivery, StoreError>> {
    let template = has_placeholders(template).then(|| template.to_owned());
    let again = move |reached: Delivery| {
        let Delivery { customer_id, customer_name, phone_raw, phone, .. } = reached;
        let values = Values { name: &customer_name, odp: "", id: customer_id.unwrap_or_default() };
        let text = template.as_deref().map(|template| render(template, values));
        let usable = match phone {
            None => Err(wording::INVALID_NUMBER),
            Some(_) if text.as_deref().is_some_and(is_too_long) => Err(wording::TEXT_TOO_LONG),
            Some(phone) => Ok(phone),
        };
        recipient(customer_id, customer_name, phone_raw, usable, text)
    };
    api.state.reached_by(notice).map_ok(again).boxed()
}

fn to_number(typed: &str) -> NewDelivery {
    let usable = Phone::parse(typed).map_err(|_| wording::INVALID_PHONE);
    recipient(None, String::new(), Some(typed.to_owned()), usable, None)
}

fn to_numbers(numbers: &[(String, Option<String>)]) -> Vec<Result<NewDelivery, StoreError>> {
    let mut taken = HashSet::new();
    let numbers = numbers.iter().map(|(typed, text)| {
        let usable = match Phone::parse(typed) {
            Err(_) => Err(wording::INVALID_PHONE),
            Ok(_) if text.as_deref().is_some_and(is_too_long) => Err(wording::TEXT_TOO_LONG),
            Ok(phone) if !taken.insert(phone.clone()) => Err(wording::DUPLICATE_NUMBER),
            Ok(phone) => Ok(phone),
        };
        Ok(recipient(None, String::new(), Some(typed.clone()), usable, text.clone()))
    });
    numbers.collect()
}

/// Returns a number that can be read in one way, however it was typed.
fn canonical_number(typed: &str) -> String {
    Phone::parse(typed).map_or_else(|_| typed.to_owned(), |phone| phone.digits().to_owned())
}

fn recipient(
    customer_id: Option<i64>,
    customer_name: String,
    phone_raw: Option<String>,
    usable: Result<Phone, &str>,
    text: Option<String>,
) -> NewDelivery {
    let (phone, error) = match usable {
        Ok(phone) => (Some(phone), None),
        Err(reason) => (None, Some(reason.to_owned())),
    };
    NewDelivery {
        customer_id,
        customer_name,
        phone_raw,
        state: if phone.is_some() { DeliveryState::Queued } else { DeliveryState::Skipped },
        text: text.filter(|_| phone.is_some()),
        phone,
        message_id: MessageId::from_random(rand::random()),
        error,
    }
}

fn is_too_long(text: &str) -> bool {
    text.chars().nth(MAX_MESSAGE_CHARS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addressed(template: &str, customers: &[(i64, &str, Option<&str>)]) -> Vec<NewDelivery> {
        let mut addressing = Addressing {
            template: has_placeholders(template).then(|| template.to_owned()),
            taken: HashSet::new(),
        };
        let customer = |(id, name, phone): &(i64, &str, Option<&str>)| Customer {
            id: *id,
            name: (*name).to_owned(),
            phone: phone.map(Into::into),
            odp: None,
            is_active: true,
        };
        customers.iter().map(|each| addressing.address(customer(each))).collect()
    }

    #[test]
    fn a_number_gets_one_message_however_often_and_however_it_is_written() {
        let made = addressed(
            "Halo {nama}",
            &[
                (1, "A", Some("081234567801")),
                (2, "B", Some("+62 812-3456-7801")),
                (3, "C", Some("0")),
                (4, "D", None),
                (5, "E", Some("081234567802")),
            ],
        );
        let outcome: Vec<_> =
            made.iter().map(|d| (d.state, d.text.as_deref(), d.error.as_deref())).collect();
        assert_eq!(
            outcome,
            [
                (DeliveryState::Queued, Some("Halo A"), None),
                (DeliveryState::Skipped, None, Some(wording::DUPLICATE_NUMBER)),
                (DeliveryState::Skipped, None, Some(wording::INVALID_NUMBER)),
                (DeliveryState::Skipped, None, Some(wording::INVALID_NUMBER)),
                (DeliveryState::Queued, Some("Halo E"), None),
            ]
        );
    }

    #[test]
    fn a_text_that_is_the_same_for_all_is_kept_once() {
        assert_eq!(addressed("Halo", &[(1, "A", Some("081234567801"))])[0].text, None);
    }

    #[test]
    fn a_name_cannot_make_the_text_longer_than_whatsapp_takes() {
        let template = format!("{}{{nama}}", "x".repeat(MAX_MESSAGE_CHARS - 1));
        let made = addressed(
            &template,
            &[(1, "A", Some("081234567801")), (2, "Ani", Some("081234567802"))],
        );
        assert_eq!(made[0].error, None);
        assert_eq!(made[1].error.as_deref(), Some(wording::TEXT_TOO_LONG));
    }

    #[test]
    fn equal_audiences_look_equal() {
        let same = |a: Audience, b: Audience| assert_eq!(a.canonical(), b.canonical());
        same(Audience::Customers(vec![2, 1, 2]), Audience::Customers(vec![1, 2]));
        same(Audience::Odps(vec![" ODP-1".into()]), Audience::Odps(vec!["odp-1".into()]));
        same(Audience::Number("081234567801".into()), Audience::Number("+6281234567801".into()));
        let numbers = |typed: [&str; 2]| {
            Audience::Numbers(typed.map(|typed| (typed.to_owned(), None)).to_vec())
        };
        same(numbers(["081234567801", "081234567802"]), numbers(["6281234567802", "081234567801"]));
    }
}
