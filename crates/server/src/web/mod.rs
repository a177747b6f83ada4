//! The operator's page: HTML for browsers, below `/app/`.
//!
//! Each file is one page, or a few that belong together: its handlers and its markup. What a page
//! does goes through the functions that the API's endpoints go through, so that both do the same.
//! [`visitor`] says who looks, [`layout`] puts a page around its content, [`parts`] are the pieces
//! that several pages show, and [`texts`] are the words, in both languages.

mod access;
mod account;
mod assets;
mod bubble;
mod campaigns;
mod csrf;
mod customers;
mod error;
mod events;
mod headers;
mod home;
mod import;
mod language;
mod layout;
mod live;
mod log;
mod login;
mod notices;
mod numbers;
mod parts;
mod path_id;
mod reasons;
mod send;
mod texts;
mod visitor;

use crate::access::attempts::Attempts;
use crate::api::Api;
use crate::api::service::PAGES;
use crate::request_body::{self, BodyBudget, MAX_BODY_BYTES};
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{any, get};
use axum::{Extension, Router};
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

/// Everything below `/app`.
pub fn routes(api: Arc<Api>, bodies: BodyBudget) -> Router {
    let pages = Router::new()
        .route("/app", any(|| async { Redirect::permanent(PAGES) }))
        .merge(campaigns::routes())
        .merge(customers::routes())
        .merge(events::routes())
        .merge(home::routes())
        .merge(import::routes())
        .merge(notices::routes())
        .merge(language::routes())
        .merge(login::routes())
        .merge(account::routes())
        .merge(access::routes())
        .merge(log::routes())
        .merge(numbers::routes())
        .merge(send::routes())
        .route("/app/{*path}", any(error::not_found))
        .layer(from_fn(csrf::guard))
        .layer(from_fn(error::show))
        .layer(from_fn_with_state(bodies, request_body::admit))
        .layer(from_fn_with_state(api.clone(), visitor::admit))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(Extension(Arc::new(Attempts::default())))
        .layer(Extension(Arc::new(events::Streams::default())))
        .with_state(api);
    Router::new()
        .route("/app/assets/{name}", get(assets::serve))
        .merge(pages)
        .layer(from_fn(headers::secure))
        .layer(CompressionLayer::new())
}
