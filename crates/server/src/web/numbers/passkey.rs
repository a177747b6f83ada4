//! The steps for an account that wants its passkey.

use super::super::error::PageError;
use super::super::layout::csrf_field;
use super::super::texts::text;
use super::super::visitor::Visitor;
use super::{Done, actions, address, view};
use crate::api::Api;
use crate::api::link::session_path;
use crate::api::passkey::{confirm_to, give};
use crate::api::session_view::SessionView;
use crate::passkey_snippet::passkey_snippet;
use crate::store::state::Action;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::Redirect;
use kabari_domain::{LinkState, Role};
use kabari_gateway::{Assertion, PasskeyStep};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// What is to be done next.
pub fn steps(visitor: &Visitor, number: &SessionView) -> Markup {
    let address = address(&number.session.name);
    html! {
        @if let LinkState::PasskeyRequired { until } = number.link.state {
            p.soft { (text!(visitor, "passkey-until", time = visitor.moment(until))) }
        }
        @match &number.link.passkey {
            Some(PasskeyStep::Answer { options }) => (answering(visitor, &address, &passkey_snippet(options))),
            Some(PasskeyStep::Check) => p { (text!(visitor, "passkey-check")) },
            Some(PasskeyStep::Compare { code }) => {
                p { (text!(visitor, "passkey-compare")) }
                p.code { (code) }
                div.row {
                    form method="post" action={ (address) "/passkey/confirm" } {
                        (csrf_field(visitor))
                        button { (text!(visitor, "passkey-same")) }
                    }
                    form method="post" action={ (address) "/restart" } {
                        (csrf_field(visitor))
                        button.danger { (text!(visitor, "passkey-different")) }
                    }
                }
            }
            Some(PasskeyStep::Finish) => p { (text!(visitor, "passkey-finish")) },
            None => p { (text!(visitor, "passkey-elsewhere")) },
        }
    }
}

fn answering(visitor: &Visitor, address: &str, snippet: &str) -> Markup {
    html! {
        p { (text!(visitor, "passkey-why")) }
        ol.how {
            li {
                (text!(visitor, "passkey-open")) " "
                a href="https://web.whatsapp.com" target="_blank" rel="noopener noreferrer" {
                    "web.whatsapp.com"
                }
            }
            li { (text!(visitor, "passkey-console")) }
            li {
                (text!(visitor, "passkey-snippet"))
                p.soft { (text!(visitor, "passkey-promise")) }
                details {
                    summary { (text!(visitor, "passkey-read")) }
                    pre tabindex="0" { (snippet) }
                    button.second type="button" data-copy="" data-copied=(text!(visitor, "passkey-copied")) hidden {
                        (text!(visitor, "passkey-copy"))
                    }
                }
            }
            li { (text!(visitor, "passkey-choose")) }
            li {
                form method="post" action={ (address) "/passkey" } {
                    (csrf_field(visitor))
                    div.field {
                        label for="assertion" { (text!(visitor, "passkey-paste")) }
                        textarea id="assertion" name="assertion" rows="4" required
                            autocomplete="off" spellcheck="false" {}
                    }
                    button { (text!(visitor, "passkey-send")) }
                }
            }
        }
    }
}

/// What the browser with the passkey has answered.
#[derive(Deserialize)]
pub struct AnswerForm {
    assertion: String,
}

/// Gives WhatsApp the answer.
pub async fn answer(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Form(form): Form<AnswerForm>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    let link = view(&api, &name).await?.link;
    let given = serde_json::from_str(&form.assertion).ok();
    let Some(assertion) = given.and_then(|given| Assertion::from_json(&given).ok()) else {
        return Ok(actions::back(&name, Done::Failed));
    };
    let result = give(&api, &name, &session_path(&name), &link, assertion).await?.0;
    visitor.record(&api, Action::AnswerPasskey, &name).await;
    Ok(actions::back(&name, if result.success { Done::Answered } else { Done::Failed }))
}

/// Tells WhatsApp that the phone shows the same code.
pub async fn confirm(
    visitor: Visitor,
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    let link = view(&api, &name).await?.link;
    let result = confirm_to(&api, &name, &session_path(&name), &link).await?.0;
    visitor.record(&api, Action::ConfirmPasskey, &name).await;
    Ok(actions::back(&name, if result.success { Done::Answered } else { Done::Failed }))
}
