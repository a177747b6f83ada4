//! What operators ask of a session that another node holds: the request waits in a row until its
//! holder has answered.

use super::super::error::StoreError;
use super::super::lists::one_of;
use super::super::row::params;
use super::{StateStore, clip};
use kabari_domain::Phone;
use kabari_gateway::Assertion;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a request is worth an answer; whoever asked has given up by then.
pub const REQUEST_LIFETIME: Duration = Duration::from_secs(60);
const ANSWER_LENGTH: usize = 500;

/// What a session can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionAction {
    /// Make a new connection.
    Restart,
    /// Unlink the phone.
    Logout,
    /// Get a code to type into the phone with this number.
    Pair(Phone),
    /// Give WhatsApp a browser's answer to its request for a passkey.
    AnswerPasskey(Assertion),
    /// Say that the phone shows the same code.
    ConfirmPasskey,
}

impl SessionAction {
    fn name(&self) -> &'static str {
        match self {
            SessionAction::Restart => "restart",
            SessionAction::Logout => "logout",
            SessionAction::Pair(_) => "pair",
            SessionAction::AnswerPasskey(_) => "answer_passkey",
            SessionAction::ConfirmPasskey => "confirm_passkey",
        }
    }

    fn phone(&self) -> Option<&str> {
        match self {
            SessionAction::Pair(phone) => Some(phone.digits()),
            _ => None,
        }
    }

    fn passkey(&self) -> Option<String> {
        match self {
            SessionAction::AnswerPasskey(assertion) => Some(assertion.to_json().to_string()),
            _ => None,
        }
    }

    fn from_row(name: &str, phone: Option<String>, passkey: Option<&str>) -> Option<SessionAction> {
        let assertion = || Assertion::from_json(&serde_json::from_str(passkey?).ok()?).ok();
        match name {
            "restart" => Some(SessionAction::Restart),
            "logout" => Some(SessionAction::Logout),
            "pair" => Some(SessionAction::Pair(Phone::from_stored(phone?))),
            "answer_passkey" => assertion().map(SessionAction::AnswerPasskey),
            "confirm_passkey" => Some(SessionAction::ConfirmPasskey),
            _ => None,
        }
    }
}

/// What a session answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionAnswer {
    /// It did what was asked.
    Done,
    /// The code to type into the phone.
    Code(String),
    /// Not possible in the state the link is in.
    NotPossible,
    /// WhatsApp said no.
    Refused,
    /// No connection, or no answer in time.
    Unavailable,
    /// The session's storage cannot be used.
    Storage,
}

/// A request that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRequest {
    pub id: i64,
    /// The session that is asked.
    pub session: String,
    /// What it shall do.
    pub action: SessionAction,
}

impl StateStore {
    /// Asks something of a session. Returns the request's number.
    pub async fn ask_session(
        &self,
        session: &str,
        action: &SessionAction,
    ) -> Result<i64, StoreError> {
        let now = self.now().await?;
        let old = "DELETE FROM session_requests WHERE session = ? AND asked_at <= ?";
        let expired = params![session, (now - REQUEST_LIFETIME).0];
        self.db().retry(|| self.db().execute(old, expired.clone())).await?;
        let sql = "INSERT INTO session_requests (session, action, phone, passkey, asked_at) \
                   VALUES (?, ?, ?, ?, ?)";
        let values = params![session, action.name(), action.phone(), action.passkey(), now.0];
        Ok(self.db().retry(|| self.db().execute(sql, values.clone())).await?.last_id)
    }

    /// Returns the answer to a request, once there is one.
    pub async fn session_answer(&self, request: i64) -> Result<Option<SessionAnswer>, StoreError> {
        let sql = "SELECT answer FROM session_requests WHERE id = ?";
        let row = self.db().row(sql, params![request]).await?;
        let answer = row.map(|row| row.get::<Option<String>>("answer")).transpose()?.flatten();
        Ok(answer.and_then(|answer| serde_json::from_str(&answer).ok()))
    }

    /// Returns the requests to these sessions that wait for an answer, oldest first, without
    /// those up to number `after`.
    pub async fn session_requests(
        &self,
        sessions: &[String],
        after: i64,
    ) -> Result<Vec<SessionRequest>, StoreError> {
        if sessions.is_empty() {
            return Ok(vec![]);
        }
        let now = self.now().await?;
        let (among, mut values) = one_of("session", sessions.iter().map(String::as_str));
        let sql = format!(
            "SELECT id, session, action, phone, passkey FROM session_requests \
             WHERE {among} AND answer IS NULL AND asked_at > ? AND id > ? ORDER BY id"
        );
        values.extend(params![(now - REQUEST_LIFETIME).0, after]);
        let mut requests = vec![];
        for row in self.db().rows(&sql, values).await? {
            let phone: Option<String> = row.get("phone")?;
            let passkey: Option<String> = row.get("passkey")?;
            requests.push(SessionRequest {
                id: row.get("id")?,
                session: row.get("session")?,
                action: row.parse("action", |name| {
                    SessionAction::from_row(name, phone.clone(), passkey.as_deref())
                })?,
            });
        }
        Ok(requests)
    }

    /// Answers a request.
    pub async fn answer_session_request(
        &self,
        request: i64,
        answer: &SessionAnswer,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(answer).unwrap_or_default();
        let sql = "UPDATE session_requests SET answer = ?, passkey = NULL WHERE id = ?";
        let values = params![clip(&text, ANSWER_LENGTH), request];
        self.db().retry(|| self.db().execute(sql, values.clone())).await?;
        Ok(())
    }
}
