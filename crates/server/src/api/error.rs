//! The one error every endpoint answers with.

use crate::store::{StoreError, Which};
use axum::Json;
use axum::http::header::{LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kabari_domain::wording;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Why a request was not done. Nothing of it has been kept.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Fields are missing or wrong.
    #[error("the request has {} faults", .0.len())]
    Invalid(Vec<FieldError>),
    /// The body is no text at all.
    #[error("the body cannot be read")]
    UnreadableBody,
    /// The body is larger than [`MAX_BODY_BYTES`](crate::request_body::MAX_BODY_BYTES).
    #[error("the body is too large")]
    BodyTooLarge,
    /// The request makes no sense, though each field does.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// The key is missing or wrong.
    #[error("no valid API key")]
    Unauthorized,
    /// Not for this caller.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// What the path names does not exist.
    #[error("{0}")]
    NotFound(&'static str),
    /// The path exists, but not with this method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// It contradicts how things are.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// The same send was made a moment ago, as this campaign.
    #[error("the same send was made before, as campaign {campaign}")]
    DuplicateSend {
        /// The earlier one.
        campaign: i64,
    },
    /// A database does not do what it should.
    #[error(transparent)]
    Store(StoreError),
    /// A fault in kabari.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// Returns the error of a path where nothing is served.
    pub fn no_such_path() -> ApiError {
        ApiError::NotFound(wording::NOT_FOUND)
    }

    /// Returns the error of a request with one fault.
    pub fn invalid(error: FieldError) -> ApiError {
        ApiError::Invalid(vec![error])
    }

    /// Returns the status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ApiError::UnreadableBody | ApiError::BadRequest(_) => StatusCode::BAD_REQUEST,
            ApiError::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Unauthorized => StatusCode::UNAUTHORIZED,
            ApiError::Forbidden(_) => StatusCode::FORBIDDEN,
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Conflict(_) | ApiError::DuplicateSend { .. } => StatusCode::CONFLICT,
            ApiError::Store(StoreError::Failed { .. }) | ApiError::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            ApiError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns what customers of the API read.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            ApiError::Invalid(_) => "".into(),
            ApiError::UnreadableBody => wording::UNREADABLE_BODY.into(),
            ApiError::BodyTooLarge => wording::BODY_TOO_LARGE.into(),
            ApiError::BadRequest(detail)
            | ApiError::Conflict(detail)
            | ApiError::Forbidden(detail) => detail.clone(),
            ApiError::Unauthorized => wording::UNAUTHORIZED.into(),
            ApiError::NotFound(detail) => (*detail).into(),
            ApiError::MethodNotAllowed => wording::METHOD_NOT_ALLOWED.into(),
            ApiError::DuplicateSend { .. } => wording::DUPLICATE_SEND.into(),
            ApiError::Store(error) => store_detail(error),
            ApiError::Internal(_) => wording::INTERNAL.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        match error {
            StoreError::NotFound { what: "delivery", .. } => {
                ApiError::NotFound(wording::DELIVERY_NOT_FOUND)
            }
            StoreError::NotFound { .. } => ApiError::NotFound(wording::CAMPAIGN_NOT_FOUND),
            StoreError::NotAllowed(refused) => {
                ApiError::Conflict(wording::not_allowed(refused.status.as_str()).into())
            }
            StoreError::Recipients(cause) => ApiError::Store(*cause),
            error => ApiError::Store(error),
        }
    }
}

fn store_detail(error: &StoreError) -> Cow<'static, str> {
    let name = |which: &Which| match which {
        Which::Billing => "penagihan",
        Which::State => "kabari",
    };
    let settings = |which: &Which| match which {
        Which::Billing => "DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME, dan DB_PASSWORD",
        Which::State => "STATE_DATABASE_URL atau DATA_DIR",
    };
    match error {
        StoreError::Unavailable { which, .. } => {
            wording::database_unreachable(name(which), settings(which)).into()
        }
        StoreError::Denied { which, .. } => {
            wording::database_denied(name(which), settings(which)).into()
        }
        StoreError::Missing { which, missing } => {
            let what: Vec<_> = missing.iter().map(ToString::to_string).collect();
            wording::database_lacks(name(which), &what.join(", "), settings(which)).into()
        }
        StoreError::Full { which } => wording::database_full(name(which)).into(),
        StoreError::ReadOnly { which } => wording::database_read_only(name(which)).into(),
        StoreError::Busy { which } => wording::database_busy(name(which)).into(),
        _ => wording::INTERNAL.into(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = %self, "a request could not be served");
        }
        let body = match &self {
            ApiError::Invalid(errors) => json!({ "detail": errors }),
            ApiError::DuplicateSend { campaign } => {
                json!({ "detail": self.detail(), "campaign": super::campaign_path(*campaign) })
            }
            _ => json!({ "detail": self.detail() }),
        };
        let mut response = (status, Json(body)).into_response();
        match self {
            ApiError::Unauthorized => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ApiError::DuplicateSend { campaign } => {
                if let Ok(path) = HeaderValue::try_from(super::campaign_path(campaign)) {
                    response.headers_mut().insert(LOCATION, path);
                }
            }
            _ => {}
        }
        response
    }
}

/// An error's body.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"detail": "Pemberitahuan tidak ditemukan"}))]
pub struct ErrorBody {
    /// What is wrong and what to do about it.
    pub detail: String,
}

/// The body of a 422.
#[derive(Serialize, ToSchema)]
pub struct InvalidBody {
    /// Everything that is wrong, up to 100 faults.
    pub detail: Vec<FieldError>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "missing", "loc": ["body", "message"], "msg": "Field required", "input": {"phone": "081234567801"}
}))]
pub struct FieldError {
    /// What kind of error, in pydantic's terms.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Where: `body`, `query`, `path` or `header`, then the field, then the place in it.
    #[schema(value_type = Vec<Value>)]
    pub loc: Vec<Value>,
    /// The same for people.
    pub msg: Cow<'static, str>,
    /// What came instead.
    #[schema(value_type = Value)]
    pub input: Value,
    /// Values the message speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub ctx: Option<Value>,
}

/// The body of a 409 for a send that was made before.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "detail": "Pesan yang sama baru saja dikirim ke penerima yang sama. Kirim dengan force: true bila memang perlu diulang",
    "campaign": "/api/campaigns/12"
}))]
pub struct DuplicateBody {
    /// What is wrong and what to do about it.
    pub detail: String,
    /// The earlier campaign.
    pub campaign: String,
}

/// Returns what a caught panic turns into: the same answer as any other fault of ours.
pub fn from_panic(panic: Box<dyn std::any::Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".to_owned());
    ApiError::Internal(format!("panic: {message}")).into_response()
}

/// What an endpoint gives back.
pub type ApiResult<T> = Result<T, ApiError>;
