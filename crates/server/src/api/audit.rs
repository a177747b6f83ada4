//! Writes into the audit what requests have changed.

use super::Api;
use super::error::{ApiError, ApiResult};
use super::operations::OperationRules;
use crate::store::state::{Action, Actor};
use axum::RequestExt as _;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use kabari_domain::session::DEFAULT_SESSION;
use serde_json::Value;
use std::sync::Arc;

/// Records a change of what the path names: a campaign, a delivery or a session. What makes
/// something new records that itself.
pub async fn record(
    State((api, rules)): State<(Arc<Api>, Arc<OperationRules>)>,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let Some((action, actor)) = change(&rules, &request) else {
        return Ok(next.run(request).await);
    };
    let params = request.extract_parts::<RawPathParams>().await;
    let named =
        params.ok().and_then(|params| params.iter().next().map(|(_, value)| value.to_owned()));
    // Without a name it is about the session that the replaced system had.
    let subject = named.unwrap_or_else(|| DEFAULT_SESSION.to_owned());
    // A task of its own: a caller that goes away must not leave a change without a record.
    let changing = tokio::spawn(async move {
        let response = next.run(request).await;
        if response.status().is_success() {
            api.state.record(&actor, action, &subject, &Value::Null).await;
        }
        response
    });
    changing.await.map_err(|error| ApiError::Internal(error.to_string()))
}

fn change(rules: &OperationRules, request: &Request) -> Option<(Action, Actor)> {
    let path = request.extensions().get::<MatchedPath>()?;
    let action = rules.rule(request.method(), path.as_str()).action?;
    Some((action, request.extensions().get::<Actor>()?.clone()))
}
