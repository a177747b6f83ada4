//! Logins of users: a browser that shows the token of one acts for its user.
//!
//! Only the token's hash is stored, so that nobody can log in with what a copy of the database has
//! in it.

use super::super::error::StoreError;
use super::super::row::{params, record};
use super::StateStore;
use kabari_domain::{Role, Timestamp};
use std::time::Duration;

/// A browser that has not been used for this long has to log in again.
pub const IDLE_LIMIT: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Everybody has to log in again after this long.
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often it is written down that a browser is used.
const SEEN_EVERY: Duration = Duration::from_secs(60);

record! {
from "logins";
/// A browser in which a user is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub id: i64,
    pub user_name: String,
    /// The address it was begun from.
    pub address: String,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub last_seen_at: Timestamp,
}
}

/// Who is logged in, in which browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    pub login: Login,
    pub role: Role,
}

impl Login {
    fn is_open(&self, now: Timestamp) -> bool {
        now.since(self.last_seen_at) < IDLE_LIMIT && now.since(self.created_at) < LOGIN_LIFETIME
    }
}

impl StateStore {
    /// Logs a user in whose password has been checked against this hash. Returns false if the
    /// password has changed since, or the user is gone.
    pub async fn begin_login(
        &self,
        user: &str,
        password_hash: &str,
        token_hash: &str,
        address: &str,
    ) -> Result<bool, StoreError> {
        let begin = || async {
            let mut tx = self.db().begin().await?;
            let now = self.now_in(&mut tx).await?;
            let user_row =
                "UPDATE users SET last_login_at = ? WHERE name = ? AND password_hash = ?";
            if tx.execute(user_row, params![now.0, user, password_hash]).await?.rows == 0 {
                return Ok(false);
            }
            let old = "DELETE FROM logins WHERE last_seen_at <= ? OR created_at <= ?";
            let limits = params![(now - IDLE_LIMIT).0, (now - LOGIN_LIFETIME).0];
            tx.execute(old, limits).await?;
            let login = "INSERT INTO logins \
                           (token_hash, user_name, address, created_at, last_seen_at) \
                           VALUES (?, ?, ?, ?, ?)";
            tx.execute(login, params![token_hash, user, address, now.0, now.0]).await?;
            tx.commit_unannounced().await?;
            Ok(true)
        };
        self.db().retry(begin).await
    }

    /// Returns who is logged in by a token, and writes down that the browser is used.
    pub async fn logged_in(&self, token_hash: &str) -> Result<Option<LoggedIn>, StoreError> {
        let (now_column, mut values) = self.now_column();
        let sql = format!(
            "SELECT b.id, b.user_name, b.address, b.created_at, b.last_seen_at, u.role, \
             {now_column} \
             FROM logins b JOIN users u ON u.name = b.user_name WHERE b.token_hash = ?"
        );
        values.extend(params![token_hash]);
        let Some(row) = self.db().row(&sql, values).await? else { return Ok(None) };
        let (login, now) = (Login::read(&row)?, self.now_of(&row)?);
        if !login.is_open(now) {
            return Ok(None);
        }
        if now.since(login.last_seen_at) >= SEEN_EVERY {
            let seen = "UPDATE logins SET last_seen_at = ? WHERE id = ?";
            self.write_aside(seen, params![now.0, login.id]);
        }
        Ok(Some(LoggedIn { login, role: row.get("role")? }))
    }

    /// Returns the browsers in which a user is logged in, the one used last first.
    pub async fn logins(&self, user: &str) -> Result<Vec<Login>, StoreError> {
        let now = self.now().await?;
        let sql = Login::select("WHERE user_name = ? ORDER BY last_seen_at DESC, id DESC");
        let rows = self.db().rows(&sql, params![user]).await?;
        let mut logins = rows.iter().map(Login::read).collect::<Result<Vec<_>, _>>()?;
        logins.retain(|login| login.is_open(now));
        Ok(logins)
    }

    /// Logs a user out in one browser. Returns whether the user was logged in there.
    pub async fn end_login(&self, user: &str, id: i64) -> Result<bool, StoreError> {
        let sql = "DELETE FROM logins WHERE user_name = ? AND id = ?";
        let end = || self.db().execute_unannounced(sql, params![user, id]);
        Ok(self.db().retry(end).await?.rows > 0)
    }

    /// Logs a user out everywhere but in this browser. Returns in how many.
    pub async fn end_other_logins(&self, user: &str, kept: i64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM logins WHERE user_name = ? AND id <> ?";
        let end = || self.db().execute_unannounced(sql, params![user, kept]);
        Ok(self.db().retry(end).await?.rows)
    }
}
