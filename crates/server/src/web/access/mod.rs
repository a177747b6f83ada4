//! Who may come in: users and API keys.

mod keys;
mod users;

pub use keys::scope_name;

use super::error::PageError;
use super::layout::{Page, Section, page};
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kabari_domain::Role;
use maud::{Markup, html};
use std::sync::Arc;

const ACCESS: &str = "/app/access";

/// The page, and those below it.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route(ACCESS, get(show)).merge(users::routes()).merge(keys::routes())
}

async fn show(State(api): State<Arc<Api>>, visitor: Visitor) -> Result<Markup, PageError> {
    visitor.require(Role::Admin)?;
    whole(&api, &visitor, None, None).await
}

/// The page, with what is wrong with a new user or a new key.
async fn whole(
    api: &Api,
    visitor: &Visitor,
    user_fault: Option<users::Fault>,
    key_fault: Option<String>,
) -> Result<Markup, PageError> {
    let body = html! {
        (users::list(api, visitor, user_fault).await?)
        (keys::list(api, visitor, key_fault).await?)
    };
    let title = text!(visitor, "access-title");
    Ok(page(visitor, Page { title, section: Section::Access, body }))
}

/// The page again, to a form that cannot be used as it is.
fn refused(body: Markup) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
}
