//! Fonnte: a form with targets and a message, and the token in `Authorization`.

use super::form::Form;
use super::{KeyCheck, MAX_RECIPIENTS, Recorded, Throttle, access, is_linked, record};
use crate::api::Api;
use crate::api::error::ApiResult;
use crate::api::send::MAX_MESSAGE_CHARS;
use crate::store::state::Actor;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use kabari_domain::{DeliveryState, Timestamp, template, wording};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// What stands between a target and what its placeholders are filled with.
const VARIABLE_SEPARATOR: char = '|';
/// What is not text.
const MEDIA: [&str; 7] =
    ["url", "file", "location", "choices", "buttonJSON", "templateJSON", "listJSON"];

/// What is asked for. Other fields of Fonnte's are left alone: the pace is kabari's own.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form")]
#[schema(example = json!({"target": "081234567801|Budi,081234567802|Ani", "message": "Halo {name}", "countryCode": "62"}))]
pub struct FonnteRequest {
    /// Numbers, separated by commas. `081234567801|Budi|Rumah` fills `{name}` with `Budi` and
    /// `{var1}` with `Rumah`.
    target: String,
    message: String,
    /// When it goes out, in seconds since 1970; absent or 0 for at once.
    schedule: Option<i64>,
    /// What replaces the first zero of a number; 62 unless it says otherwise.
    #[schema(rename = "countryCode")]
    country_code: Option<String>,
}

/// What Fonnte answers with 200.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the two answers")]
pub enum FonnteAnswer {
    Taken(FonnteTaken),
    Refused(FonnteRefusal),
}

/// What it answers when it has taken the message.
#[derive(Serialize, ToSchema)]
pub struct FonnteTaken {
    detail: &'static str,
    /// One for each target.
    id: Vec<String>,
    process: &'static str,
    /// The campaign: `/api/campaigns/{requestid}`.
    requestid: i64,
    status: bool,
    target: Vec<String>,
}

/// What it answers when it has not.
#[derive(Serialize, ToSchema)]
pub struct FonnteRefusal {
    reason: String,
    status: bool,
}

/// Send a text as Fonnte takes it
///
/// As JSON, urlencoded or multipart, with `COMPAT_KEY` as the token in `Authorization`. Answered
/// when the messages are recorded; a repeat within 30 seconds is answered as the first. Only text
/// is sent: a request with a file or an address of one is refused.
#[utoipa::path(post, path = "/compat/fonnte/send", tag = "compat", operation_id = "compat_fonnte_send",
    request_body(content(
        (FonnteRequest = "application/json"), (FonnteRequest = "application/x-www-form-urlencoded"), (FonnteRequest = "multipart/form-data"),
    )),
    responses(
    (status = 200, description = "The messages are recorded and go out in their turn, or why not", body = FonnteAnswer, examples(
        ("recorded" = (value = json!({"detail": "success! message in queue", "id": ["40"], "process": "pending", "requestid": 12, "status": true, "target": ["6281234567801"]}))),
        ("no usable number" = (value = json!({"reason": "target invalid", "status": false}))),
        ("no phone is linked" = (value = json!({"reason": "request invalid on disconnected device", "status": false}))),
    )),
    (status = 400, description = "The form cannot be read", body = FonnteRefusal, example = json!({"reason": "input invalid", "status": false})),
    (status = 401, description = "The token is missing or wrong", body = FonnteRefusal, example = json!({"reason": "token invalid", "status": false})),
    (status = 404, description = "`COMPAT_KEY` is not set", body = FonnteRefusal, example = json!({"reason": "COMPAT_KEY belum diatur", "status": false})),
    (status = 413, description = "The body is too large", body = FonnteRefusal, example = json!({"reason": "input invalid", "status": false})),
    (status = 422, description = "More than 1000 targets", body = FonnteRefusal, example = json!({"reason": "target invalid", "status": false})),
    (status = 429, description = "Too many at once; `Retry-After` says for how long", body = FonnteRefusal, example = json!({"reason": "rate limit", "status": false})),
    (status = 503, description = "A database is down; nothing was done", body = FonnteRefusal, example = json!({"reason": "Terjadi kesalahan di dalam kabari. Periksa log server, lalu coba lagi", "status": false})),
))]
pub async fn send(
    State(api): State<Arc<Api>>,
    Extension(throttle): Extension<Arc<Throttle>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Response> {
    match access(&api, token(&headers)) {
        KeyCheck::Open => {}
        KeyCheck::Off => return Ok(refused(StatusCode::NOT_FOUND, wording::COMPAT_OFF)),
        KeyCheck::Denied => return Ok(refused(StatusCode::UNAUTHORIZED, "token invalid")),
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return Ok(refused(rejection.status(), "input invalid")),
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(form) = Form::read(content_type.unwrap_or_default(), &body) else {
        return Ok(refused(StatusCode::BAD_REQUEST, "input invalid"));
    };
    if form.has_files || MEDIA.iter().any(|name| form.get(name).is_some()) {
        return Ok(refused(StatusCode::OK, wording::COMPAT_TEXT_ONLY));
    }
    let (Some(target), Some(message)) = (form.get("target"), form.get("message")) else {
        return Ok(refused(StatusCode::OK, "input invalid"));
    };
    if message.chars().nth(MAX_MESSAGE_CHARS).is_some() {
        return Ok(refused(StatusCode::OK, wording::TEXT_TOO_LONG));
    }
    let country_code = form.get("countryCode").unwrap_or_default();
    let targets: Vec<_> = target
        .split([',', '\n'])
        .map(str::trim)
        .filter(|target| !target.is_empty())
        .map(|target| addressed(target, message, country_code))
        .collect();
    if targets.len() > MAX_RECIPIENTS {
        return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, "target invalid"));
    }
    if !is_linked(&api).await? {
        return Ok(refused(StatusCode::OK, "request invalid on disconnected device"));
    }
    if let Err(wait) = throttle.admit(targets.len()).await {
        let answer = refused(StatusCode::TOO_MANY_REQUESTS, "rate limit");
        return Ok(([(RETRY_AFTER, wait.as_secs().max(1).to_string())], answer).into_response());
    }
    let starts_at = form.get("schedule").and_then(scheduled);
    match record(&api, targets, message.to_owned(), starts_at, actor).await {
        Ok(recorded) => Ok(answer(&recorded)),
        Err(error) => Ok(refused(error.into_response().status(), wording::INTERNAL)),
    }
}

impl FonnteRefusal {
    fn of(reason: &str) -> FonnteRefusal {
        FonnteRefusal { reason: reason.to_owned(), status: false }
    }
}

/// Returns the token; some libraries put `Bearer` before it.
fn token(headers: &HeaderMap) -> &[u8] {
    let given = headers.get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    given.strip_prefix(b"Bearer ").unwrap_or(given)
}

/// Returns a target's number, and its text if that differs from the message.
fn addressed(target: &str, message: &str, country_code: &str) -> (String, Option<String>) {
    let mut parts = target.split(VARIABLE_SEPARATOR);
    let typed = parts.next().unwrap_or_default().trim();
    let number = match typed.strip_prefix('0') {
        Some(rest) if !["", "0", "62"].contains(&country_code) => format!("+{country_code}{rest}"),
        _ => typed.to_owned(),
    };
    let variables: Vec<&str> = parts.collect();
    let text = filled(message, &variables);
    (number, (text != message).then_some(text))
}

/// Fills `{name}` and `{var1}`, `{var2}` and so on with a target's variables. What it has no
/// variable for stays as it is.
fn filled(message: &str, variables: &[&str]) -> String {
    template::fill(message, |placeholder| {
        let index = match placeholder {
            "{name}" => 0,
            _ => placeholder.strip_prefix("{var")?.strip_suffix('}')?.parse().ok()?,
        };
        variables.get::<usize>(index).copied()
    })
}

fn scheduled(seconds: &str) -> Option<Timestamp> {
    let seconds: u64 = seconds.trim().parse().ok()?;
    (seconds > 0).then(|| Timestamp(0) + Duration::from_secs(seconds))
}

fn answer(recorded: &Recorded) -> Response {
    let sendable: Vec<_> = recorded
        .deliveries
        .iter()
        .filter(|delivery| delivery.progress.state != DeliveryState::Skipped)
        .collect();
    if sendable.is_empty() {
        return refused(StatusCode::OK, "target invalid");
    }
    let number = |phone: &kabari_domain::Phone| phone.digits().to_owned();
    Json(FonnteTaken {
        detail: "success! message in queue",
        id: sendable.iter().map(|delivery| delivery.id.to_string()).collect(),
        process: "pending",
        requestid: recorded.campaign,
        status: true,
        target: sendable.iter().filter_map(|one| one.phone.as_ref().map(number)).collect(),
    })
    .into_response()
}

fn refused(status: StatusCode, reason: &str) -> Response {
    (status, Json(FonnteRefusal::of(reason))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_one_pass() {
        let filled = |variables: &[&str]| filled("Hai {name}, {var1} {var2} {x} {", variables);
        assert_eq!(filled(&["{var1}", "a|{name}"]), "Hai {var1}, a|{name} {var2} {x} {");
        assert_eq!(filled(&[]), "Hai {name}, {var1} {var2} {x} {");
    }

    #[test]
    fn a_country_code_replaces_the_first_zero() {
        let number = |target, code| addressed(target, "x", code).0;
        assert_eq!(number("081234567801", "62"), "081234567801");
        assert_eq!(number("0123456789", "60"), "+60123456789");
        assert_eq!(number("6281234567801|Budi", "60"), "6281234567801");
    }

    #[test]
    fn only_a_text_of_its_own_is_kept_with_a_target() {
        assert_eq!(addressed("0812|Budi", "Hai {name}", "").1.as_deref(), Some("Hai Budi"));
        assert_eq!(addressed("0812|Budi", "Hai", "").1, None);
    }
}
