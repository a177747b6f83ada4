//! A send that is being prepared: what, and to whom. It stays where it is until it is sent, so that
//! each step has an address, and one draft is one send.

use super::super::error::PageError;
use crate::api::Api;
use crate::api::error::{ApiError, ApiResult};
use crate::api::send::{Audience, Plan, SendOptions, find_notice, hash, made_before};
use crate::store::state::IdempotencyKey;
use kabari_domain::Notice;
use kabari_domain::template::has_placeholders;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is sent, and to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The notice that is sent.
    pub notice: Option<i64>,
    /// The text that is sent where there is no notice.
    pub text: String,
    /// To whom; `None` while that is not chosen.
    pub to: Option<To>,
    /// Whether it goes out before others and in quiet hours.
    pub urgent: bool,
}

/// To whom a draft is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// Those whom the notice concerns.
    Concerned,
    /// Every active customer.
    Everybody,
    /// The active customers of these ODPs.
    Odps(Vec<String>),
    /// These customers.
    Customers(Vec<i64>),
    /// These numbers, as they were pasted.
    Numbers(String),
}

/// Why a draft cannot be checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Neither a notice nor a text.
    Text,
    /// Nobody is chosen.
    Recipients,
    /// The text has placeholders, and pasted numbers have no names.
    Names,
}

impl Draft {
    /// Returns what is missing.
    pub fn lacks(&self, template: &str) -> Option<Lacking> {
        if template.trim().is_empty() {
            return Some(Lacking::Text);
        }
        let is_nobody = match &self.to {
            None => true,
            Some(To::Concerned) => self.notice.is_none(),
            Some(To::Everybody) => false,
            Some(To::Odps(odps)) => odps.is_empty(),
            Some(To::Customers(ids)) => ids.is_empty(),
            Some(To::Numbers(typed)) => numbers(typed).is_empty(),
        };
        if is_nobody {
            return Some(Lacking::Recipients);
        }
        let is_nameless = matches!(self.to, Some(To::Numbers(_))) && has_placeholders(template);
        is_nameless.then_some(Lacking::Names)
    }

    /// Returns what is to be done with it.
    pub async fn plan(&self, api: &Api) -> ApiResult<Plan> {
        match self.notice {
            Some(id) => {
                let notice = find_notice(api, id).await?;
                let audience = self.audience(Some(&notice));
                Ok(Plan::of_notice(api, notice, None, audience))
            }
            None => Ok(Plan::of_text(self.text.clone(), self.audience(None))),
        }
    }

    /// Nobody, unless somebody is chosen.
    fn audience(&self, notice: Option<&Notice>) -> Audience {
        match &self.to {
            Some(To::Concerned) if notice.is_some() => Audience::of(None, notice),
            Some(To::Everybody) => Audience::Everybody,
            Some(To::Odps(odps)) => Audience::Odps(odps.clone()),
            Some(To::Customers(ids)) => Audience::Customers(ids.clone()),
            Some(To::Numbers(typed)) => Audience::Numbers(numbers(typed)),
            None | Some(To::Concerned) => Audience::Customers(vec![]),
        }
    }

    /// How it is sent.
    pub fn options(&self, force: bool) -> SendOptions {
        SendOptions { urgent: self.urgent, force, ..SendOptions::default() }
    }

    /// Returns what says that two requests to send it are one.
    pub fn key(&self, id: &str) -> IdempotencyKey {
        IdempotencyKey { key: format!("page-{id}"), fingerprint: hash(&json!(["page", self])) }
    }

    /// Returns the campaign that it has become.
    pub async fn sent(&self, api: &Api, id: &str) -> ApiResult<Option<i64>> {
        made_before(api, Some(&self.key(id))).await
    }
}

/// Splits what was pasted, at lines, commas and semicolons.
pub fn numbers(typed: &str) -> Vec<(String, Option<String>)> {
    let numbers = typed.split(['\n', ',', ';']).map(str::trim).filter(|number| !number.is_empty());
    numbers.map(|number| (number.to_owned(), None)).collect()
}

/// Returns the draft of this id.
pub async fn load(api: &Api, id: &str) -> Result<Draft, PageError> {
    let content = api.state.draft(id).await?.ok_or(PageError::DraftGone)?;
    serde_json::from_str(&content).map_err(|_| PageError::DraftGone)
}

/// Keeps a draft. Returns its id: the one it had, unless there is none or that was sent.
pub async fn keep(api: &Api, id: Option<&str>, draft: &Draft) -> Result<String, PageError> {
    let content = serde_json::to_string(draft).map_err(|e| ApiError::Internal(e.to_string()))?;
    if let Some(id) = id {
        let before = load(api, id).await?;
        if before == *draft {
            return Ok(id.to_owned());
        }
        if before.sent(api, id).await?.is_none() && api.state.change_draft(id, &content).await? {
            return Ok(id.to_owned());
        }
    }
    let random: [u8; 16] = rand::random();
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    api.state.create_draft(&id, &content).await?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(to: To) -> Draft {
        Draft { text: "Halo".to_owned(), to: Some(to), ..Draft::default() }
    }

    #[test]
    fn a_draft_says_what_it_lacks() {
        let lacks = |draft: Draft| draft.lacks(&draft.text);
        assert_eq!(lacks(Draft::default()), Some(Lacking::Text));
        assert_eq!(lacks(to(To::Odps(vec![]))), Some(Lacking::Recipients));
        assert_eq!(lacks(to(To::Concerned)), Some(Lacking::Recipients), "there is no notice");
        assert_eq!(lacks(to(To::Numbers(" \n,".to_owned()))), Some(Lacking::Recipients));
        assert_eq!(lacks(to(To::Everybody)), None);
        let named = Draft { text: "Halo {nama}".to_owned(), ..to(To::Numbers("0812".to_owned())) };
        assert_eq!(lacks(named), Some(Lacking::Names));
    }

    #[test]
    fn pasted_numbers_are_split_at_lines_commas_and_semicolons() {
        let split: Vec<_> = numbers("0812 3456 7801\r\n0812-3456-7802, 0813;0814\n\n")
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        assert_eq!(split, ["0812 3456 7801", "0812-3456-7802", "0813", "0814"]);
    }

    #[test]
    fn another_draft_is_another_send() {
        let parts = |draft: &Draft, id| {
            let IdempotencyKey { key, fingerprint } = draft.key(id);
            (key, fingerprint)
        };
        let draft = to(To::Everybody);
        assert_eq!(parts(&draft, "1"), parts(&draft.clone(), "1"));
        assert_ne!(parts(&draft, "1").0, parts(&draft, "2").0);
        let urgent = Draft { urgent: true, ..draft.clone() };
        assert_ne!(parts(&draft, "1").1, parts(&urgent, "1").1);
    }
}
