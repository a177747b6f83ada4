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
use crate::api::accepts_html;
use crate::request_body::{self, BodyBudget, MAX_BODY_BYTES};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::VARY;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

/// Where the pages begin.
const START: &str = "/app/";

/// Everything below `/app`.
pub fn routes(api: Arc<Api>, bodies: BodyBudget) -> Router {
    let pages = Router::new()
        .route("/app", any(|| async { Redirect::permanent(START) }))
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

/// Shows browsers that open `/` the page; programs get the answer that the replaced system gave.
pub async fn welcome(request: Request, next: Next) -> Response {
    if request.uri().path() != "/" || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let mut response = match accepts_html(request.headers()) {
        true => Redirect::to(START).into_response(),
        false => next.run(request).await,
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    response
}
