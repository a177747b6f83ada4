//! The control API: what tests and people do to the simulated world, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::NumberSettings;
use crate::chat::HistoryChat;
use crate::core::Core;
use crate::device::DeviceId;
use crate::faults::FaultRule;
use crate::limits::AccountLimits;
use crate::message::{Message, MessageFilter};
use crate::pairing::{PairError, PairingOutcome};
use crate::phone_actions::{WriteError, WrittenMessage};
use crate::reports::AccountInfo;
use crate::violations::Violation;

pub(crate) fn routes(core: &Arc<Core>) -> Router<Arc<Core>> {
    let kept = middleware::map_response_with_state(Arc::clone(core), keep);
    Router::new()
        .route("/control/root", get(root))
        .route("/control/scan", post(scan))
        .route("/control/pair", post(pair))
        .route("/control/passkey", post(passkey))
        .route("/control/passkey/code", post(compare_code))
        .route("/control/passkey/{phone}", get(credential))
        .route("/control/numbers/{phone}", put(set_number).get(number))
        .route("/control/messages", get(messages).post(write))
        .route("/control/accounts", get(accounts))
        .route("/control/accounts/{phone}/{change}", post(change))
        .route("/control/limits/{phone}", put(set_limits))
        .route("/control/faults", put(set_faults).get(faults))
        .route("/control/violations", get(violations).delete(clear_violations))
        .route("/control/ledger", get(ledger))
        .route("/control/time", get(time).post(advance))
        .layer(kept)
}

/// Writes to the data directory before anything is answered.
async fn keep(State(core): State<Arc<Core>>, answer: Response) -> Result<Response, Refused> {
    core.keep_all()
        .map(|()| answer)
        .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}

/// Bad input or an impossible wish, told as `{"error": what to do}`.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<PairError> for Refused {
    fn from(error: PairError) -> Self {
        let status = match error {
            PairError::Malformed => StatusCode::BAD_REQUEST,
            PairError::Unknown(_) => StatusCode::NOT_FOUND,
            PairError::NotRegistered(_)
            | PairError::NoPasskey(_)
            | PairError::NothingToCompare
            | PairError::OtherCode
            | PairError::Failed(_) => StatusCode::CONFLICT,
        };
        Self(status, error.to_string())
    }
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        Self(StatusCode::CONFLICT, error.to_string())
    }
}

/// A JSON body whose faults are told as JSON too.
struct Body<T>(T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> axum::extract::FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Refused> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
        serde_json::from_slice(&bytes).map(Body).map_err(|error| {
            Refused(
                StatusCode::BAD_REQUEST,
                format!("send a JSON body with the documented fields: {error}"),
            )
        })
    }
}

/// Reads a phone number as digits, whatever else was written around them.
fn digits(phone: &str) -> Result<String, Refused> {
    let number = crate::stanza::digits(phone);
    if (5..=15).contains(&number.len()) {
        Ok(number)
    } else {
        let message = format!(
            "{phone:?} is no phone number; write it as digits with its country code, like 6281299990000"
        );
        Err(Refused(StatusCode::BAD_REQUEST, message))
    }
}

/// Returns the key that a client has to trust in place of WhatsApp's.
async fn root(State(core): State<Arc<Core>>) -> Json<Value> {
    let digits: String = core.identity.root().iter().map(|byte| format!("{byte:02x}")).collect();
    Json(json!({ "public_key": digits }))
}

#[derive(Deserialize)]
struct Scan {
    qr: String,
    phone: String,
}

async fn scan(
    State(core): State<Arc<Core>>,
    Body(body): Body<Scan>,
) -> Result<Json<PairingOutcome>, Refused> {
    let number = digits(&body.phone)?;
    let pairing = core.scan(&body.qr, &number)?;
    Ok(Json(core.settled(pairing).await?))
}

#[derive(Deserialize)]
struct Pair {
    code: String,
    phone: String,
}

async fn pair(
    State(core): State<Arc<Core>>,
    Body(body): Body<Pair>,
) -> Result<Json<PairingOutcome>, Refused> {
    let number = digits(&body.phone)?;
    Ok(Json(core.pair(&body.code, &number).await?))
}

#[derive(Deserialize)]
struct PasskeyQuestion {
    phone: String,
    options: Value,
}

/// Lets the browser of this number's owner answer with the passkey.
async fn passkey(
    State(core): State<Arc<Core>>,
    Body(body): Body<PasskeyQuestion>,
) -> Result<Json<Value>, Refused> {
    let number = digits(&body.phone)?;
    Ok(Json(core.answer_with_passkey(&number, &body.options)?))
}

/// Returns the passkey of a number, for the DevTools of a browser.
async fn credential(
    State(core): State<Arc<Core>>,
    Path(phone): Path<String>,
) -> Result<Json<Value>, Refused> {
    Ok(Json(core.passkey(&digits(&phone)?)?.credential()))
}

async fn compare_code(
    State(core): State<Arc<Core>>,
    Body(body): Body<Pair>,
) -> Result<Json<Value>, Refused> {
    core.compare_code(&digits(&body.phone)?, &body.code)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsChange {
    registered: Option<bool>,
    receipts: Option<crate::account::Receipts>,
    passkey: Option<bool>,
    chats: Option<Vec<HistoryChat>>,
}

/// What is known of a number, as the control API shows it.
#[derive(Serialize)]
struct NumberInfo {
    #[serde(flatten)]
    settings: NumberSettings,
    /// Whether a client needs the account's passkey to be linked.
    passkey: bool,
}

async fn set_number(
    State(core): State<Arc<Core>>,
    Path(phone): Path<String>,
    Body(change): Body<SettingsChange>,
) -> Result<Json<NumberInfo>, Refused> {
    let number = digits(&phone)?;
    let mut chats = change.chats;
    for chat in chats.iter_mut().flatten() {
        chat.with = digits(&chat.with)?;
    }
    if let Some(wanted) = change.passkey {
        core.set_passkey(&number, wanted)
            .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    }
    let mut state = core.state();
    let mut settings = state.settings(&number);
    settings.registered = change.registered.unwrap_or(settings.registered);
    settings.receipts = change.receipts.unwrap_or(settings.receipts);
    if let Some(chats) = chats {
        state.set_history(&number, chats, core.clock.now_s());
    }
    let passkey = state.passkeys.contains_key(&number);
    state.numbers.insert(number, settings);
    drop(state);
    core.notify();
    Ok(Json(NumberInfo { settings, passkey }))
}

async fn number(
    State(core): State<Arc<Core>>,
    Path(phone): Path<String>,
) -> Result<Json<NumberInfo>, Refused> {
    let number = digits(&phone)?;
    let state = core.state();
    let passkey = state.passkeys.contains_key(&number);
    Ok(Json(NumberInfo { settings: state.settings(&number), passkey }))
}

async fn messages(
    State(core): State<Arc<Core>>,
    Query(filter): Query<MessageFilter>,
) -> Json<Vec<Message>> {
    Json(core.state().filtered(&filter))
}

#[derive(Deserialize)]
struct Write {
    from: String,
    to: String,
    text: String,
}

async fn write(
    State(core): State<Arc<Core>>,
    Body(body): Body<Write>,
) -> Result<Json<WrittenMessage>, Refused> {
    let (from, to) = (digits(&body.from)?, digits(&body.to)?);
    Ok(Json(core.write(&from, &to, &body.text)?))
}

async fn accounts(State(core): State<Arc<Core>>) -> Json<Vec<AccountInfo>> {
    Json(core.account_infos())
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Change {
    device: Option<u16>,
    ms: Option<u64>,
}

/// Does something to an account from outside: `reinstall`, `offline`, `link`, `unlink`.
async fn change(
    State(core): State<Arc<Core>>,
    Path((phone, change)): Path<(String, String)>,
    Body(body): Body<Change>,
) -> Result<Json<Value>, Refused> {
    let number = digits(&phone)?;
    let missing =
        || Refused(StatusCode::NOT_FOUND, format!("nobody has written to or linked {number} yet"));
    match change.as_str() {
        "reinstall" => core.reinstall(&number).then_some(()).ok_or_else(missing)?,
        "offline" => {
            let ms = body.ms.ok_or_else(|| {
                Refused(
                    StatusCode::BAD_REQUEST,
                    "say for how long, in milliseconds: {\"ms\": 60000}".to_owned(),
                )
            })?;
            core.go_offline(&number, ms);
        }
        "link" => {
            let device = core
                .add_device(&number)
                .map_err(|error| Refused(StatusCode::CONFLICT, error.to_string()))?
                .ok_or_else(|| PairError::NotRegistered(number.clone()))?;
            return Ok(Json(json!({ "device": device })));
        }
        "unlink" => {
            let device = body.device.ok_or_else(|| {
                Refused(StatusCode::BAD_REQUEST, "say which device: {\"device\": 1}".to_owned())
            })?;
            core.unlink(&DeviceId { number: number.clone(), device })
                .then_some(())
                .ok_or_else(missing)?;
        }
        other => {
            let message =
                format!("{other} is not possible; use reinstall, offline, link or unlink");
            return Err(Refused(StatusCode::NOT_FOUND, message));
        }
    }
    core.notify();
    Ok(Json(json!({})))
}

async fn set_limits(
    State(core): State<Arc<Core>>,
    Path(phone): Path<String>,
    Body(limits): Body<AccountLimits>,
) -> Result<Json<AccountLimits>, Refused> {
    let number = digits(&phone)?;
    core.state().limits.insert(number, limits.clone());
    Ok(Json(limits))
}

async fn set_faults(
    State(core): State<Arc<Core>>,
    Body(rules): Body<Vec<FaultRule>>,
) -> Json<Vec<FaultRule>> {
    let mut state = core.state();
    state.faults.set(rules);
    let rules = state.faults.rules();
    drop(state);
    core.notify();
    Json(rules)
}

async fn faults(State(core): State<Arc<Core>>) -> Json<Vec<FaultRule>> {
    Json(core.state().faults.rules())
}

async fn violations(State(core): State<Arc<Core>>) -> Json<Vec<Violation>> {
    Json(core.all_violations())
}

async fn clear_violations(State(core): State<Arc<Core>>) -> StatusCode {
    core.state().violations.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LedgerQuery {
    /// Only entries after the one with this `seq`.
    after: u64,
    /// Stay and send what comes, until the reader goes away.
    follow: bool,
}

/// How many entries are rendered at a time, so that a long ledger is not held twice.
const LEDGER_PAGE: usize = 1000;

/// Returns the ledger as one JSON object a line, streamed.
async fn ledger(State(core): State<Arc<Core>>, Query(query): Query<LedgerQuery>) -> Response {
    let changed = core.subscribe();
    let start = (core, changed, query.after);
    let pages = futures_util::stream::unfold(start, move |(core, mut changed, after)| async move {
        loop {
            let page = core.state().ledger_after(after, LEDGER_PAGE);
            if let Some(last) = page.last() {
                let after = last.seq;
                let mut lines = String::new();
                for entry in &page {
                    // Strings and numbers always serialize.
                    lines.push_str(&serde_json::to_string(entry).unwrap_or_default());
                    lines.push('\n');
                }
                return Some((Ok::<_, std::convert::Infallible>(lines), (core, changed, after)));
            }
            if !query.follow || changed.changed().await.is_err() {
                return None;
            }
        }
    });
    let body = axum::body::Body::from_stream(pages);
    ([(axum::http::header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

async fn time(State(core): State<Arc<Core>>) -> Json<Value> {
    Json(json!({ "now": core.clock.now_ms() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

async fn advance(State(core): State<Arc<Core>>, Body(body): Body<Advance>) -> Json<Value> {
    core.clock.advance(Duration::from_millis(body.advance_ms));
    core.notify();
    Json(json!({ "now": core.clock.now_ms() }))
}
