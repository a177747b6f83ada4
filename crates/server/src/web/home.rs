//! The first page: how things are.

use super::error::PageError;
use super::layout::{Page, Section, page};
use super::parts::empty;
use super::texts::text;
use super::visitor::Visitor;
use crate::api::Api;
use axum::Router;
use axum::routing::get;
use maud::{Markup, html};
use std::sync::Arc;

/// The first page.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route(super::START, get(show))
}

async fn show(visitor: Visitor) -> Result<Markup, PageError> {
    let title = text!(visitor, "home-title");
    let body = empty(&text!(visitor, "home-empty"), html! {});
    Ok(page(&visitor, Page { title, section: Section::Home, body }))
}
