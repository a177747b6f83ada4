//! API keys: add and revoke them.

use super::users::name_field;
use super::{ACCESS, refused, whole};
use crate::access::token::{random_api_key, token_hash};
use crate::api::Api;
use crate::store::state::{Action, ApiKey};
use crate::web::error::PageError;
use crate::web::layout::{Page, Section, csrf_field, page};
use crate::web::parts::{Tone, alert, badge};
use crate::web::texts::text;
use crate::web::visitor::Visitor;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use kabari_domain::{Role, Scope, access};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The forms for keys.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/access/keys", post(add))
        .route("/app/access/keys/{name}/revoke", post(revoke))
}

/// What a scope is called.
pub fn scope_name(visitor: &Visitor, scope: Scope) -> String {
    match scope {
        Scope::Read => text!(visitor, "scope-read"),
        Scope::Send => text!(visitor, "scope-send"),
        Scope::Whatsapp => text!(visitor, "scope-whatsapp"),
        Scope::Admin => text!(visitor, "scope-admin"),
    }
}

/// All keys, and the form for one more.
pub async fn list(
    api: &Api,
    visitor: &Visitor,
    fault: Option<String>,
) -> Result<Markup, PageError> {
    let keys = api.state.api_keys().await?;
    Ok(html! {
        section.card {
            h2 { (text!(visitor, "access-keys")) }
            p.soft { (text!(visitor, "access-keys-hint")) }
            @if !keys.is_empty() {
                ul.list { @for key in &keys { (entry(visitor, key)) } }
            }
            details open[fault.is_some()] {
                summary { (text!(visitor, "access-add-key")) }
                form.narrow method="post" action="/app/access/keys" {
                    (csrf_field(visitor))
                    (name_field(visitor, "key-name", fault.as_deref()))
                    fieldset {
                        legend { (text!(visitor, "access-scope")) }
                        @for scope in Scope::ALL {
                            label.choice {
                                input type="radio" name="scope" value=(scope.as_str()) checked[scope == Scope::Read];
                                span { strong { (scope.as_str()) } span.soft { (scope_name(visitor, scope)) } }
                            }
                        }
                    }
                    button { (text!(visitor, "access-add-key")) }
                }
            }
        }
    })
}

fn entry(visitor: &Visitor, key: &ApiKey) -> Markup {
    let made = visitor.moment(key.created_at);
    let last_used = match key.last_used_at {
        Some(time) => visitor.moment(time),
        None => text!(visitor, "access-never"),
    };
    html! {
        li {
            span {
                span.row { strong { (key.name) } (badge(Tone::Plain, key.scope.as_str())) }
                span.soft {
                    (text!(visitor, "access-key-made", time = made, name = key.created_by.as_str()))
                    " · "
                    (text!(visitor, "access-key-used", time = last_used))
                }
            }
            @if let Some(revoked) = key.revoked_at {
                (badge(Tone::Bad, &text!(visitor, "access-revoked", time = visitor.moment(revoked))))
            } @else {
                details {
                    summary { (text!(visitor, "access-revoke")) }
                    form method="post" action={ (ACCESS) "/keys/" (key.name) "/revoke" } {
                        (csrf_field(visitor))
                        p { (text!(visitor, "access-revoke-confirm", name = key.name.as_str())) }
                        button.danger { (text!(visitor, "access-revoke")) }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct NewKey {
    name: String,
    scope: Scope,
}

/// Makes a key, and shows it: it is stored nowhere, so that nobody can show it again.
async fn add(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Form(new): Form<NewKey>,
) -> Result<Response, PageError> {
    visitor.require(Role::Admin)?;
    let name = new.name.trim();
    if !access::is_name(name) {
        let fault = text!(visitor, "access-name-hint");
        return Ok(refused(whole(&api, &visitor, None, Some(fault)).await?));
    }
    let key = random_api_key();
    let by = visitor.actor().name;
    if !api.state.add_api_key(name, new.scope, &token_hash(&key), &by).await? {
        let fault = text!(visitor, "access-name-taken");
        return Ok(refused(whole(&api, &visitor, None, Some(fault)).await?));
    }
    let details = json!({ "scope": new.scope });
    visitor.record_with(&api, Action::AddKey, name, &details).await;
    let body = html! {
        (alert(Tone::Wait, html! { (text!(visitor, "access-key-once")) }))
        section.card {
            h2 { (name) " " (badge(Tone::Plain, new.scope.as_str())) }
            pre { (key) }
            p.soft { (text!(visitor, "access-key-header")) " " code { "X-API-Key" } }
        }
        p { a href=(ACCESS) { (text!(visitor, "access-title")) } }
    };
    let title = text!(visitor, "access-key-title");
    Ok(page(&visitor, Page { title, section: Section::Access, body }).into_response())
}

async fn revoke(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Redirect, PageError> {
    visitor.require(Role::Admin)?;
    if !api.state.revoke_api_key(&name).await? {
        return Err(PageError::NotFound);
    }
    visitor.record(&api, Action::RevokeKey, &name).await;
    Ok(Redirect::to(ACCESS))
}
