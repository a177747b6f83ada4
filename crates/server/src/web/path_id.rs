//! The number in a page's address.

use super::error::PageError;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// The number in a page's address. Where anything else stands, there is no page.
pub struct PathId(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathId, PageError> {
        let id = Path::<i64>::from_request_parts(parts, state).await;
        id.map(|Path(id)| PathId(id)).map_err(|_| PageError::NotFound)
    }
}
