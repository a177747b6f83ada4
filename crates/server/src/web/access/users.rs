//! Users: add, change and remove them.

use super::{ACCESS, refused, whole};
use crate::api::Api;
use crate::store::state::{Action, User};
use crate::web::account::{NewPassword, hash, new_password_fields, role_name};
use crate::web::error::PageError;
use crate::web::layout::{Page, Section, csrf_field, page};
use crate::web::parts::{Tone, badge, empty};
use crate::web::texts::text;
use crate::web::visitor::Visitor;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use kabari_domain::{Role, access};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The pages of users.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/app/access/users", post(add))
        .route("/app/access/users/{name}", get(show))
        .route("/app/access/users/{name}/role", post(change_role))
        .route("/app/access/users/{name}/password", post(change_password))
        .route("/app/access/users/{name}/remove", post(remove))
}

/// What is wrong with a new user.
pub enum Fault {
    /// With the name.
    Name(String),
    /// With the password, or the role.
    Other(String),
}

fn address(name: &str) -> String {
    format!("{ACCESS}/users/{name}")
}

fn is_self(visitor: &Visitor, name: &str) -> bool {
    visitor.login().is_some_and(|login| login.user_name == name)
}

fn last_login(visitor: &Visitor, user: &User) -> String {
    match user.last_login_at {
        Some(time) => visitor.moment(time),
        None => text!(visitor, "access-never"),
    }
}

/// All users, and the form for one more.
pub async fn list(api: &Api, visitor: &Visitor, fault: Option<Fault>) -> Result<Markup, PageError> {
    let users = api.state.users().await?;
    let is_first = users.is_empty();
    let (name_fault, other_fault) = match fault {
        Some(Fault::Name(fault)) => (Some(fault), None),
        Some(Fault::Other(fault)) => (None, Some(fault)),
        None => (None, None),
    };
    let is_open = name_fault.is_some() || other_fault.is_some() || is_first;
    Ok(html! {
        section.card {
            h2 { (text!(visitor, "access-users")) }
            @if is_first {
                (empty(&text!(visitor, "no-users"), html! { p { (text!(visitor, "access-first")) } }))
            } @else {
                ul.list {
                    @for user in &users {
                        li {
                            span.row {
                                a href=(address(&user.name)) { (user.name) }
                                (badge(Tone::Plain, &role_name(visitor, user.role)))
                                @if is_self(visitor, &user.name) {
                                    (badge(Tone::Good, &text!(visitor, "access-you")))
                                }
                            }
                            span.soft {
                                (text!(visitor, "access-last-login", time = last_login(visitor, user)))
                            }
                        }
                    }
                }
            }
            details open[is_open] {
                summary { (text!(visitor, "access-add-user")) }
                form.narrow method="post" action="/app/access/users" {
                    (csrf_field(visitor))
                    (name_field(visitor, "user-name", name_fault.as_deref()))
                    (role_choice(visitor, if is_first { Role::Admin } else { Role::Sender }))
                    (new_password_fields(visitor, other_fault.as_deref()))
                    button { (text!(visitor, "access-add-user")) }
                }
            }
        }
    })
}

/// The field for the name of a user or a key.
pub fn name_field(visitor: &Visitor, id: &str, fault: Option<&str>) -> Markup {
    html! {
        div.field {
            label for=(id) { (text!(visitor, "access-name")) }
            input id=(id) name="name" required maxlength=(access::MAX_NAME) autocomplete="off"
                autocapitalize="none" spellcheck="false"
                aria-describedby={ (id) "-hint" } aria-invalid=[fault.map(|_| "true")];
            span.hint id={ (id) "-hint" } { (text!(visitor, "access-name-hint")) }
            @if let Some(fault) = fault { span.fault role="alert" { (fault) } }
        }
    }
}

fn role_choice(visitor: &Visitor, chosen: Role) -> Markup {
    html! {
        fieldset {
            legend { (text!(visitor, "access-role")) }
            @for role in Role::ALL {
                label.choice {
                    input type="radio" name="role" value=(role.as_str()) checked[role == chosen];
                    span {
                        strong { (role_name(visitor, role)) }
                        span.soft { (role_hint(visitor, role)) }
                    }
                }
            }
        }
    }
}

fn role_hint(visitor: &Visitor, role: Role) -> String {
    match role {
        Role::Viewer => text!(visitor, "role-viewer-hint"),
        Role::Sender => text!(visitor, "role-sender-hint"),
        Role::Admin => text!(visitor, "role-admin-hint"),
    }
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
    role: Role,
    #[serde(flatten)]
    password: NewPassword,
}

async fn add(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Form(new): Form<NewUser>,
) -> Result<Response, PageError> {
    visitor.require(Role::Admin)?;
    let name = new.name.trim();
    let fault = 'added: {
        if !access::is_name(name) {
            break 'added Fault::Name(text!(visitor, "access-name-hint"));
        }
        if new.role != Role::Admin && !api.state.has_users().await? {
            break 'added Fault::Other(text!(visitor, "access-first"));
        }
        let password = match new.password.check(&visitor, name) {
            Ok(password) => password,
            Err(fault) => break 'added Fault::Other(fault),
        };
        let hash = match hash(&visitor, password).await {
            Ok(hash) => hash,
            Err(fault) => break 'added Fault::Other(fault),
        };
        if !api.state.add_user(name, new.role, &hash).await? {
            break 'added Fault::Name(text!(visitor, "access-name-taken"));
        }
        let details = json!({ "role": new.role });
        visitor.record_with(&api, Action::AddUser, name, &details).await;
        return Ok(Redirect::to(ACCESS).into_response());
    };
    Ok(refused(whole(&api, &visitor, Some(fault), None).await?))
}

async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Markup, PageError> {
    visitor.require(Role::Admin)?;
    one(&api, &visitor, &name, None).await
}

/// The page of one user, with what is wrong with a new password.
async fn one(
    api: &Api,
    visitor: &Visitor,
    name: &str,
    fault: Option<&str>,
) -> Result<Markup, PageError> {
    let user = api.state.user(name).await?.ok_or(PageError::NotFound)?;
    let browsers = api.state.logins(name).await?.len();
    let address = address(name);
    let body = html! {
        dl.card.facts {
            dt { (text!(visitor, "access-role")) } dd { (role_name(visitor, user.role)) }
            dt { (text!(visitor, "access-added")) } dd { (visitor.moment(user.created_at)) }
            dt { (text!(visitor, "access-login")) } dd { (last_login(visitor, &user)) }
            dt { (text!(visitor, "access-password-set")) } dd { (visitor.moment(user.password_changed_at)) }
            dt { (text!(visitor, "access-browsers")) } dd { (browsers) }
        }
        @if is_self(visitor, name) {
            p { (text!(visitor, "access-self")) " " a href="/app/account" { (text!(visitor, "account-title")) } }
        } @else {
            form.card.narrow method="post" action={ (address) "/role" } {
                h2 { (text!(visitor, "access-change-role")) }
                (csrf_field(visitor))
                (role_choice(visitor, user.role))
                button { (text!(visitor, "access-change-role")) }
                p.soft { (text!(visitor, "access-ends-logins")) }
            }
            form.card.narrow method="post" action={ (address) "/password" } {
                h2 { (text!(visitor, "access-change-password")) }
                (csrf_field(visitor))
                (new_password_fields(visitor, fault))
                button { (text!(visitor, "access-change-password")) }
                p.soft { (text!(visitor, "access-ends-logins")) }
            }
            form.card.narrow method="post" action={ (address) "/remove" } {
                h2 { (text!(visitor, "access-remove")) }
                (csrf_field(visitor))
                label.choice {
                    input type="checkbox" name="confirmed" value="yes" required;
                    span { (text!(visitor, "access-remove-confirm", name = name)) }
                }
                button.danger { (text!(visitor, "access-remove")) }
            }
        }
        p { a href=(ACCESS) { (text!(visitor, "access-title")) } }
    };
    Ok(page(visitor, Page { title: user.name, section: Section::Access, body }))
}

/// Admins change others only: one who took their own role away could lock everybody out.
fn require_other(visitor: &Visitor, name: &str) -> Result<(), PageError> {
    visitor.require(Role::Admin)?;
    if is_self(visitor, name) { Err(PageError::NotFound) } else { Ok(()) }
}

#[derive(Deserialize)]
struct RoleChange {
    role: Role,
}

async fn change_role(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Form(change): Form<RoleChange>,
) -> Result<Redirect, PageError> {
    require_other(&visitor, &name)?;
    if !api.state.set_role(&name, change.role).await? {
        return Err(PageError::NotFound);
    }
    let details = json!({ "role": change.role });
    visitor.record_with(&api, Action::ChangeRole, &name, &details).await;
    Ok(Redirect::to(&address(&name)))
}

async fn change_password(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Form(new): Form<NewPassword>,
) -> Result<Response, PageError> {
    require_other(&visitor, &name)?;
    let hashed = match new.check(&visitor, &name) {
        Ok(password) => hash(&visitor, password).await,
        Err(fault) => Err(fault),
    };
    match hashed {
        Ok(hash) if api.state.set_password(&name, &hash).await? => {
            visitor.record(&api, Action::ChangePassword, &name).await;
            Ok(Redirect::to(&address(&name)).into_response())
        }
        Ok(_) => Err(PageError::NotFound),
        Err(fault) => Ok(refused(one(&api, &visitor, &name, Some(&fault)).await?)),
    }
}

#[derive(Deserialize)]
struct Removal {
    confirmed: Option<String>,
}

async fn remove(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Form(removal): Form<Removal>,
) -> Result<Redirect, PageError> {
    require_other(&visitor, &name)?;
    if removal.confirmed.is_none() {
        return Ok(Redirect::to(&address(&name)));
    }
    if !api.state.remove_user(&name).await? {
        return Err(PageError::NotFound);
    }
    visitor.record(&api, Action::RemoveUser, &name).await;
    Ok(Redirect::to(ACCESS))
}
