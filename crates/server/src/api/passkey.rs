//! Linking an account that wants its passkey: `/api/whatsapp/passkey`, and the same below each
//! session.

use super::Api;
use super::error::{ApiError, ApiResult, ErrorBody, FieldError};
use super::link::{self, ActionResult, find};
use super::validation::{Body, Fields, FromFields, PathText};
use crate::passkey_snippet::passkey_snippet;
use crate::store::state::{SessionAction, SessionAnswer};
use axum::Json;
use axum::extract::State;
use kabari_domain::session::DEFAULT_SESSION;
use kabari_domain::{LinkState, wording};
use kabari_gateway::{Assertion, InvalidAssertion, Link, PasskeyStep};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::ToSchema;

/// What to do next to link an account that wants its passkey.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeyBody {
    /// Whether WhatsApp waits for a passkey.
    #[schema(example = true)]
    required: bool,
    /// `answer`: a browser has to answer `options`. `check`: WhatsApp looks at the answer.
    /// `compare`: `code` is to be compared with the phone, and confirmed. `finish`: the phone
    /// finishes the link. Null if WhatsApp waits for none, or a gateway elsewhere has to be given it.
    #[schema(example = "answer")]
    step: Option<&'static str>,
    /// When the time for it ends, RFC 3339; then there is a new QR.
    until: Option<String>,
    /// What to give to `navigator.credentials.get` as `publicKey`, on https://web.whatsapp.com.
    options: Option<Value>,
    /// The same as a script for the console of that page. It prints the answer and sends nothing.
    snippet: Option<String>,
    /// The code that the phone shows too.
    #[schema(example = "ABCD-1234")]
    code: Option<String>,
    /// What to do, for people.
    message: String,
}

impl PasskeyBody {
    /// Returns what to do next where WhatsApp wants a passkey.
    pub fn wanted(link: &Link, path: &str) -> Option<PasskeyBody> {
        matches!(link.state, LinkState::PasskeyRequired { .. }).then(|| PasskeyBody::of(link, path))
    }

    /// Returns what a link waits for. `path` is where the link is found in the API.
    pub fn of(link: &Link, path: &str) -> PasskeyBody {
        let until = match link.state {
            LinkState::PasskeyRequired { until } => Some(until.to_rfc3339()),
            _ => None,
        };
        let options = match &link.passkey {
            Some(PasskeyStep::Answer { options }) => Some(options.clone()),
            _ => None,
        };
        let code = match &link.passkey {
            Some(PasskeyStep::Compare { code }) => Some(code.clone()),
            _ => None,
        };
        PasskeyBody {
            required: until.is_some(),
            step: link.passkey.as_ref().map(PasskeyStep::name),
            until,
            snippet: options.as_ref().map(passkey_snippet),
            options,
            code,
            message: message(link, path),
        }
    }
}

fn message(link: &Link, path: &str) -> String {
    match (&link.passkey, &link.error) {
        (Some(PasskeyStep::Answer { .. }), _) => wording::passkey_answer(path),
        (Some(PasskeyStep::Check), _) => wording::PASSKEY_CHECK.to_owned(),
        (Some(PasskeyStep::Compare { .. }), _) => wording::passkey_compare(path),
        (Some(PasskeyStep::Finish), _) => wording::PASSKEY_FINISH.to_owned(),
        (None, _) if link.is_connected() => wording::ALREADY_CONNECTED.to_owned(),
        (None, _) if is_elsewhere(link) => wording::PASSKEY_ELSEWHERE.to_owned(),
        (None, Some(error)) => error.clone(),
        (None, None) => wording::passkey_not_asked(path),
    }
}

/// Returns whether a gateway in another process has to be given the passkey.
fn is_elsewhere(link: &Link) -> bool {
    matches!(link.state, LinkState::PasskeyRequired { .. }) && link.passkey.is_none()
}

/// What the passkey step of a link is
#[utoipa::path(get, path = "/api/whatsapp/passkey", tag = "whatsapp", operation_id = "get_whatsapp_passkey", responses(
    (status = 200, description = "What to do next", body = PasskeyBody),
))]
pub async fn show(State(api): State<Arc<Api>>) -> Json<PasskeyBody> {
    Json(PasskeyBody::of(&link::default_link(&api).await, link::PATH))
}

/// What the passkey step of a session is
#[utoipa::path(get, path = "/api/whatsapp/sessions/{name}/passkey", tag = "sessions", operation_id = "get_session_passkey",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "What to do next", body = PasskeyBody),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn show_session(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<Json<PasskeyBody>> {
    let link = link_of(&api, &name).await?;
    Ok(Json(PasskeyBody::of(&link, &link::session_path(&name))))
}

/// A browser's answer.
#[derive(ToSchema)]
#[schema(example = json!({"assertion": {
    "id": "AX8bTgH2", "rawId": "AX8bTgH2", "type": "public-key",
    "response": {"clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiWTJoaGJHeGxibWRsIiwib3JpZ2luIjoiaHR0cHM6Ly93ZWIud2hhdHNhcHAuY29tIn0",
        "authenticatorData": "SZYN5YgO", "signature": "MEUCIQDf", "userHandle": null}
}}))]
pub struct PasskeyAnswer {
    /// What `toJSON` of the browser's answer gives (a WebAuthn assertion).
    #[schema(value_type = Value)]
    assertion: Option<Assertion>,
}

impl FromFields for PasskeyAnswer {
    fn read(fields: &mut Fields) -> Self {
        let read = |value: &Value| Assertion::from_json(value).map_err(|error| explain(&error));
        PasskeyAnswer { assertion: fields.secret("assertion", read) }
    }
}

fn explain(error: &InvalidAssertion) -> Cow<'static, str> {
    match error {
        InvalidAssertion::NotAnObject => wording::ASSERTION_NOT_AN_OBJECT.into(),
        InvalidAssertion::TooLarge => wording::ASSERTION_TOO_LARGE.into(),
        InvalidAssertion::Field(name) => wording::assertion_field(name).into(),
        InvalidAssertion::NotBase64(name) => wording::assertion_not_base64(name).into(),
        InvalidAssertion::OtherOrigin => wording::ASSERTION_OTHER_ORIGIN.into(),
    }
}

/// Give WhatsApp the passkey's answer
#[utoipa::path(post, path = "/api/whatsapp/passkey", tag = "whatsapp", operation_id = "answer_whatsapp_passkey", request_body = PasskeyAnswer, responses(
    (status = 200, description = "Whether WhatsApp has taken it", body = ActionResult),
))]
pub async fn answer(
    State(api): State<Arc<Api>>,
    Body { request, .. }: Body<PasskeyAnswer>,
) -> ApiResult<Json<ActionResult>> {
    let link = link::default_link(&api).await;
    answer_to(&api, DEFAULT_SESSION, link::PATH, &link, request).await
}

/// Give WhatsApp the passkey's answer for a session
#[utoipa::path(post, path = "/api/whatsapp/sessions/{name}/passkey", tag = "sessions", operation_id = "answer_session_passkey",
    params(("name" = String, Path, example = "default")), request_body = PasskeyAnswer, responses(
    (status = 200, description = "Whether WhatsApp has taken it", body = ActionResult),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn answer_session(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
    Body { request, .. }: Body<PasskeyAnswer>,
) -> ApiResult<Json<ActionResult>> {
    let link = link_of(&api, &name).await?;
    answer_to(&api, &name, &link::session_path(&name), &link, request).await
}

async fn answer_to(
    api: &Api,
    session: &str,
    path: &str,
    link: &Link,
    request: PasskeyAnswer,
) -> ApiResult<Json<ActionResult>> {
    let assertion = request.assertion.expect("a request without faults has its assertion");
    give(api, session, path, link, assertion).await
}

/// Gives WhatsApp a browser's answer, if the link waits for one.
pub async fn give(
    api: &Api,
    session: &str,
    path: &str,
    link: &Link,
    assertion: Assertion,
) -> ApiResult<Json<ActionResult>> {
    match &link.passkey {
        Some(PasskeyStep::Answer { options }) if !assertion.answers(options) => {
            return Err(ApiError::invalid(FieldError::in_secret(
                "assertion",
                wording::ASSERTION_OTHER_REQUEST.into(),
            )));
        }
        Some(PasskeyStep::Answer { .. }) => {}
        _ => return Ok(Json(other_step(link, path))),
    }
    let action = SessionAction::AnswerPasskey(assertion);
    take(api, session, &action, wording::PASSKEY_CHECK).await
}

/// Say that the phone shows the same code
#[utoipa::path(post, path = "/api/whatsapp/passkey/confirm", tag = "whatsapp", operation_id = "confirm_whatsapp_passkey", responses(
    (status = 200, description = "Whether WhatsApp has taken it", body = ActionResult),
))]
pub async fn confirm(State(api): State<Arc<Api>>) -> ApiResult<Json<ActionResult>> {
    let link = link::default_link(&api).await;
    confirm_to(&api, DEFAULT_SESSION, link::PATH, &link).await
}

/// Say that the phone of a session shows the same code
#[utoipa::path(post, path = "/api/whatsapp/sessions/{name}/passkey/confirm", tag = "sessions", operation_id = "confirm_session_passkey",
    params(("name" = String, Path, example = "default")), responses(
    (status = 200, description = "Whether WhatsApp has taken it", body = ActionResult),
    (status = 404, description = "No such session", body = ErrorBody),
))]
pub async fn confirm_session(
    State(api): State<Arc<Api>>,
    PathText(name): PathText,
) -> ApiResult<Json<ActionResult>> {
    let link = link_of(&api, &name).await?;
    confirm_to(&api, &name, &link::session_path(&name), &link).await
}

/// Tells WhatsApp that the phone shows the same code, if the link waits for that.
pub async fn confirm_to(
    api: &Api,
    session: &str,
    path: &str,
    link: &Link,
) -> ApiResult<Json<ActionResult>> {
    if !matches!(link.passkey, Some(PasskeyStep::Compare { .. })) {
        return Ok(Json(other_step(link, path)));
    }
    take(api, session, &SessionAction::ConfirmPasskey, wording::PASSKEY_FINISH).await
}

async fn take(
    api: &Api,
    session: &str,
    action: &SessionAction,
    done: &str,
) -> ApiResult<Json<ActionResult>> {
    let failed: fn(&SessionAnswer) -> &'static str = |answer| match answer {
        SessionAnswer::Refused => wording::PASSKEY_REFUSED,
        SessionAnswer::NotPossible => wording::PASSKEY_OTHER_STEP,
        other => link::error_message(other),
    };
    link::act_or(api, session, action, done, failed).await
}

/// Returns what to tell who comes with something else than the link waits for.
fn other_step(link: &Link, path: &str) -> ActionResult {
    match &link.passkey {
        Some(_) => ActionResult::failed(wording::PASSKEY_OTHER_STEP),
        None => ActionResult::failed(&message(link, path)),
    }
}

async fn link_of(api: &Api, name: &str) -> Result<Link, ApiError> {
    let session = find(api, name).await?;
    let now = api.state.now().await?;
    Ok(link::link_of(api, &session, now))
}
