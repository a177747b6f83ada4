//! Extractors that answer with the errors of [`super`] instead of axum's.

use super::json::{self, JsonError};
use super::{Fields, FromFields, ValueError};
use crate::api::error::{ApiError, FieldError};
use crate::request_body::SMALL_BODY_BYTES;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A JSON body, and the value it was read from.
pub struct Body<T> {
    /// What the endpoint asked for.
    pub request: T,
    /// The body itself, to tell whether a repeat asks for the same.
    pub json: Value,
}

impl<S: Send + Sync, T: FromFields + Send + 'static> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        if bytes.len() <= SMALL_BODY_BYTES {
            return read(&bytes, is_json);
        }
        // It takes long enough to hold up what else this thread does: sending, for example.
        let reading = tokio::task::spawn_blocking(move || read(&bytes, is_json));
        reading.await.map_err(|error| ApiError::Internal(error.to_string()))?
    }
}

fn read<T: FromFields>(bytes: &[u8], is_json: bool) -> Result<Body<T>, ApiError> {
    let json = if is_json { parse(bytes)? } else { not_json(bytes) };
    let fault = match json {
        Value::Object(fields) => {
            let (request, fields) = Fields::new("body", fields).read()?;
            return Ok(Body { request, json: Value::Object(fields) });
        }
        Value::Null => ValueError::missing(),
        _ => ValueError::new(
            "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from",
        ),
    };
    Err(ApiError::Invalid(vec![FieldError::new("body", &[], fault, json)]))
}

/// Returns whether the body is JSON; one without a type is taken for it.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return true };
    let content_type = content_type.to_str().unwrap_or_default().to_ascii_lowercase();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::UnreadableBody)?;
    json::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| match error {
        JsonError::Unreadable => ApiError::UnreadableBody,
        JsonError::Invalid { message, offset } => {
            let ctx = Some(json!({ "error": message }));
            let fault = ValueError { ctx, ..ValueError::new("json_invalid", "JSON decode error") };
            ApiError::Invalid(vec![FieldError::new("body", &[json!(offset)], fault, json!({}))])
        }
    })
}

fn not_json(bytes: &[u8]) -> Value {
    if bytes.is_empty() { Value::Null } else { json!(String::from_utf8_lossy(bytes)) }
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::BodyTooLarge
    } else {
        ApiError::UnreadableBody
    }
}

/// A query string.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: FromFields> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        type Pairs = axum::extract::Query<Vec<(String, String)>>;
        let axum::extract::Query(pairs) =
            Pairs::from_request_parts(parts, state).await.unwrap_or_default();
        // Of a parameter given twice the last one counts.
        let values: Map<_, _> =
            pairs.into_iter().map(|(name, value)| (name, json!(value))).collect();
        Fields::new("query", values).read().map(|(value, _)| Query(value))
    }
}

/// The one parameter of a path, decoded: `%2F` is a slash in it.
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // What is not UTF-8 names nothing that exists.
        let Path(text) =
            Path::from_request_parts(parts, state).await.map_err(|_| ApiError::no_such_path())?;
        Ok(PathText(text))
    }
}
